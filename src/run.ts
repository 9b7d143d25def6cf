import type { RunEvent } from "./core/event.ts";
import type { Json } from "./core/json.ts";
import type { RunState } from "./core/state.ts";
import type { Fact } from "./definition/context.ts";
import { catalogue, FlotillaError, fromErrorRecord } from "./error.ts";
import { checkEraseOptions, checkReason } from "./open-option.ts";
import type { OpenFleet, RunResult } from "./runtime/app-contract.ts";
import type { LastingFleet } from "./runtime/lasting-fleet.ts";

/** One event of a run, with its version in the run's journal. */
export type VersionedEvent = RunEvent & { version: number };

/** A run of an open fleet. */
export interface Run<Output = Json> {
  readonly id: string;
  /** Its events: first those on record, from `after` on, then live ones until it ends. Breaking off ends nothing; an
   *  abort ends the iteration.
   *  @throws {FlotillaError} RUN_UNKNOWN; STORE_CLOSED and DEFINITION_MISSING as `result` does */
  events(options?: { after?: number; signal?: AbortSignal }): AsyncIterable<VersionedEvent>;
  /** Text as models stream it, until the run ends; not on record, and nothing of what came before (I10).
   *  @throws {FlotillaError} as `events` */
  tokens(options?: { signal?: AbortSignal }): AsyncIterable<{ task: string; agent: string; text: string }>;
  /** The output, when it completes.
   *  @throws {FlotillaError} why it failed, with `details.run`; CANCELLED when it was stopped; STORE_CLOSED when the app
   *  is closed before the end; DEFINITION_MISSING when it waits for code that is not here; the signal's reason */
  result(options?: { signal?: AbortSignal }): Promise<Output>;
  /** Everything about it, folded from its journal. */
  state(): Promise<RunState>;
  /** Its shared facts as they hold now, by key. */
  facts(): Promise<Readonly<Record<string, Fact>>>;
  /** Sets or corrects a shared fact: work that rests on the version before is flagged or done anew, as the workflow's
   *  `facts.onCorrection` says (C10). On top of the version `base` if that is given. Resolves with the version.
   *  @throws {FlotillaError} FACT_CONFLICT, FACT_KEY_INVALID, RUN_ENDED */
  setFact(
    key: string,
    value: Json,
    options: { why: string; by?: string; base?: number; until?: number },
  ): Promise<number>;
  /** Takes content out of it for good, when it has ended (S6): of the events `versions`, or of all. Digests and the order
   *  of events remain, `reason` goes on record, and `result` says PAYLOAD_ERASED from then on. Resolves with how many
   *  contents are gone. @throws {FlotillaError} ERASE_REFUSED while it runs; OPTION_INVALID */
  erase(options: { reason: string; versions?: readonly number[]; by?: string }): Promise<number>;
  /** Ends it: what is in flight is aborted. One that has ended stays as it is. */
  stop(why?: string): Promise<void>;
  /** Holds it until it is resumed, also through restarts: nothing of it starts any more once this resolves, what is in
   *  flight is aborted and goes on after `resume`; its limits of time do not count meanwhile (X5). `reason` goes on
   *  record. Resolves with false when it was paused already, or has ended. */
  pause(reason: string): Promise<boolean>;
  /** Lets it go on. Resolves with false when it was not paused. */
  resume(reason?: string): Promise<boolean>;
}

export function runOf<Output>(lasting: LastingFleet, id: string): Run<Output> {
  return {
    id,
    events: ({ after = 0, signal } = {}) => events(lasting, id, after, signal),
    tokens: ({ signal } = {}) => tokens(lasting, id, signal),
    async result({ signal } = {}) {
      return outcome(id, await lasting.use((fleet) => fleet.result(id, signal))) as Output;
    },
    state: () => lasting.use((fleet) => fleet.state(id)),
    facts: () => lasting.use((fleet) => fleet.facts(id)),
    setFact: (fact, value, { why, by = "api", base, until = null }) =>
      lasting.use((fleet) =>
        fleet.control.setFact(id, { fact, value, by, why, until, ...(base === undefined ? {} : { base }) }),
      ),
    erase: async (options) => {
      const { reason, versions = null, by = "api" } = checkEraseOptions(options);
      return lasting.use((fleet) => fleet.control.erase({ run: id, versions, reason, by }));
    },
    pause: (reason) => {
      const why = checkReason(reason);
      return lasting.use((fleet) => fleet.control.pause({ run: id }, why, "api"));
    },
    resume: (reason = "") => lasting.use((fleet) => fleet.control.resume({ run: id }, reason, "api")),
    stop: (why = "stopped through the API") => lasting.use((fleet) => fleet.control.stop(id, why, "api")),
  };
}

async function* events(
  lasting: LastingFleet,
  id: string,
  after: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<VersionedEvent> {
  let seen = after;
  const read = (fleet: OpenFleet) => fleet.events(id, { after: seen, ...(signal === undefined ? {} : { signal }) });
  for await (const { version, event } of untilEnd(lasting, id, read, signal)) {
    seen = version;
    yield { ...event, version };
  }
}

async function* tokens(lasting: LastingFleet, id: string, signal: AbortSignal | undefined) {
  for await (const notice of untilEnd(lasting, id, (fleet) => fleet.notices(id, signal), signal)) {
    if (notice.type === "token") yield { task: notice.task, agent: notice.agent, text: notice.text };
  }
}

/** Reads a run to its end, with the next fleet where the one before was lost. */
async function* untilEnd<T>(
  lasting: LastingFleet,
  id: string,
  read: (fleet: OpenFleet) => AsyncIterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T> {
  for (;;) {
    const { fleet, repeatOrThrow, leave } = await lasting.enter();
    try {
      yield* read(fleet);
      if (signal?.aborted === true || (await hasEnded(fleet, id))) return;
    } catch (error) {
      repeatOrThrow(error);
    } finally {
      leave();
    }
  }
}

async function hasEnded(fleet: OpenFleet, id: string): Promise<boolean> {
  return (await fleet.store.run(id))?.status !== "running";
}

/** @throws {FlotillaError} why there is no output */
function outcome(run: string, { status, output, error }: RunResult): Json {
  if (status === "completed") return output;
  if (error === null) throw new FlotillaError("CANCELLED", `run ${run} is ${status}`, { details: { run } });
  const { code, class: cls, details, ...rest } = error;
  const class_ = cls === "transient" || cls === "business" ? cls : "permanent";
  // A user's pattern may end its run with a code of its own.
  const own = Object.hasOwn(catalogue, code) ? {} : { code };
  throw fromErrorRecord({ ...rest, code, class: class_, details: { ...details, ...own, run } });
}
