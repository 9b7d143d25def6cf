import { resolve } from "node:path";
import { PRIORITY, type PriorityName } from "./core/definition.ts";
import type { Hold } from "./core/hold.ts";
import type { Json } from "./core/json.ts";
import { asJson } from "./definition/as-json.ts";
import { givenLimits, type WorkflowLimits } from "./definition/default.ts";
import type { Fleet, WorkflowInput, WorkflowName, WorkflowOutput } from "./definition/fleet.ts";
import { FlotillaError } from "./error.ts";
import {
  checkFleet,
  checkForkOptions,
  checkOpenOptions,
  checkPauseTarget,
  checkReason,
  checkStartOptions,
  checkWorkflow,
} from "./open-option.ts";
import { type Run, runOf } from "./run.ts";
import type { OpenFleet, StartRequest } from "./runtime/app-contract.ts";
import { type Exported, exportRunTo } from "./runtime/export-run.ts";
import type { ForkPreview, ForkRequest } from "./runtime/fork.ts";
import type { Imported } from "./runtime/import-run.ts";
import type { DeadLetterItem } from "./runtime/dead-letter.ts";
import type { Decision } from "./runtime/inbox.ts";
import type { InboxItem } from "./runtime/inbox-item.ts";
import { LastingFleet } from "./runtime/lasting-fleet.ts";
import type { ScheduleView } from "./runtime/schedule-view.ts";
import type { OpenFleetOptions } from "./runtime/open-fleet.ts";

export type { Hold } from "./core/hold.ts";
export type { Exported } from "./runtime/export-run.ts";
export type { Imported } from "./runtime/import-run.ts";
export type { ScheduleView } from "./runtime/schedule-view.ts";
export type { Run, VersionedEvent } from "./run.ts";

/** What `app.pause` and `app.resume` are about. A run is paused by `run.pause`. */
export type PauseTarget = { workflow: string } | { agent: string } | { fleet: true };

/** How a fleet is opened; all of it has defaults. */
export type OpenOptions = Omit<OpenFleetOptions, "fleet" | "mode" | "join" | "since" | "alarm">;

/** Where a fork begins and what is another in it: `at` an event's version, or before a `task`; neither: before the task
 *  that failed the run. */
export type ForkOptions = Omit<ForkRequest, "run">;

export interface RunStartOptions {
  /** The same key with the same input gives the same run, however often it is said (C11). */
  idempotencyKey?: string;
  /** In place of the workflow's own, one by one. */
  limits?: WorkflowLimits;
  priority?: PriorityName;
  /** Who starts it, for the record. Default `api`. */
  by?: string;
}

/** An open fleet of type `F`. */
export interface App<F = Fleet> extends AsyncDisposable {
  /** Starts a run; when this resolves the run is durable and survives whatever comes.
   *  @throws {FlotillaError} WORKFLOW_UNKNOWN, INPUT_INVALID, OPTION_INVALID, IDEMPOTENCY_CONFLICT, QUEUE_FULL;
   *  OWNER_GONE when the process that owned the store went away before it said whether the run was started */
  start<W extends WorkflowName<F>>(
    workflow: W,
    input: WorkflowInput<F, W>,
    options?: RunStartOptions,
  ): Promise<Run<WorkflowOutput<F, W>>>;
  /** A run that was started before, here or elsewhere. */
  run<Output = Json>(id: string): Run<Output>;
  /** What waits for a person, oldest first; with `state: "decided"` what did, newest first (F9). At most 1,000. */
  inbox(filter?: Partial<Parameters<OpenFleet["inbox"]>[0]>): Promise<InboxItem[]>;
  /** Decides on an item of the inbox, by its id; resolves with the item when that is durable. `by`: for the record,
   *  default `api`.
   *  @throws {FlotillaError} INBOX_UNKNOWN, INBOX_DECIDED when somebody else was first or it is over, INBOX_CHOICE,
   *  TOOL_INPUT_INVALID for edited arguments; each with nothing decided */
  decide(item: string, decision: Partial<Decision> & Pick<Decision, "choice">): Promise<InboxItem>;
  /** Holds a workflow, an agent or the whole fleet until it is resumed, also through restarts: once this resolves nothing
   *  of it starts any more, and what is in flight is aborted within a second; it goes on after `resume`, and no limit of
   *  time counts meanwhile (X5). `reason` goes on record. Resolves with false when exactly this was held already.
   *  @throws {FlotillaError} TARGET_UNKNOWN; OPTION_INVALID without a reason */
  pause(target: PauseTarget, reason: string): Promise<boolean>;
  /** Lets go on what was paused, or killed. Resolves with false when it was not. */
  resume(target: PauseTarget, reason?: string): Promise<boolean>;
  /** What is held now, with why and by whom, and since when; paused runs say so in their state. */
  holds(): Promise<readonly Hold[]>;
  /** Starts a new run that begins with what another one had done up to a moment (F11): on this app's fleet, or with other
   *  instructions, models or tools for some agents, or another input. Writes to the outside that the run made after that
   *  moment are answered from its record (`stub`, the default), left out or allowed: see `previewFork`.
   *  @throws {FlotillaError} FORK_INVALID, RUN_UNKNOWN */
  fork<Output = Json>(run: string, options?: ForkOptions): Promise<Run<Output>>;
  /** What `fork` would keep, and do again, writes among it; starts nothing. @throws {FlotillaError} as `fork` */
  previewFork(run: string, options?: ForkOptions): Promise<ForkPreview>;
  /** Writes an ended run, with its child runs, into a new file (F11). `redact`: without any content. `secrets`: content
   *  that holds one of these values is left out. @throws {FlotillaError} RUN_UNKNOWN, EXPORT_REFUSED, JOURNAL_DAMAGED */
  exportRun(
    run: string,
    file: string,
    options?: { redact?: boolean; secrets?: Readonly<Record<string, string>> },
  ): Promise<Exported>;
  /** Takes an exported run in, as a record that nothing resumes, after the checks of `flotilla verify`. Said twice, the
   *  second time changes nothing. @throws {FlotillaError} IMPORT_INVALID, IMPORT_REFUSED; with nothing stored */
  importRun(file: string, options?: { by?: string }): Promise<Imported>;
  /** What failed for good, newest first, at most 1,000 (M9). */
  deadLetters(filter?: Partial<Parameters<OpenFleet["deadLetters"]>[0]>): Promise<DeadLetterItem[]>;
  /** Takes a dead letter up again, as a run of its agent alone under today's definition, with `input` in place of its own
   *  if one is given; resolves with the run. Said twice, it is the same run.
   *  @throws {FlotillaError} DEAD_LETTER_UNKNOWN, DEAD_LETTER_LOST, INPUT_INVALID; each with the letter kept */
  replayDeadLetter(id: string, options?: { input?: Json; by?: string; note?: string }): Promise<Run>;
  /** Gives a dead letter up. @throws {FlotillaError} DEAD_LETTER_UNKNOWN */
  dropDeadLetter(id: string, options?: { by?: string; note?: string }): Promise<void>;
  /** What starts by itself, with its next times, its last run and what holds it, by name (I8). */
  schedules(): Promise<ScheduleView[]>;
  /** The engine's own view, for lists and reading. Not kept: it is another one after the store changed its owner. */
  readonly fleet: OpenFleet;
  /** Ends this process's part. Running tasks may end first, for up to 30 s (`drain`, default true); the rest goes on at
   *  the next start. */
  close(options?: { drain?: boolean }): Promise<void>;
}

/** Opens a fleet: a value made by `fleet()` runs in this process, the URL of its module or YAML runs in worker
 *  processes. Installs no signal handlers and no globals.
 *
 *  One process owns a store. When another one does, this one works through it, and takes its place when it goes away.
 *  Opening again in the same process, as a hot reload does, is safe: the later app takes the store over, its code runs
 *  what is started from then on, and the earlier app goes on working through it until the later one is closed.
 *  @throws {FlotillaError} DEFINITION_*, OPTION_INVALID, STORE_*, KEYS_* */
export async function open<F extends Fleet>(fleet: F, options?: OpenOptions): Promise<App<F>>;
export async function open<F = Fleet>(fleet: URL | string, options?: OpenOptions): Promise<App<F>>;
export async function open<F>(fleet: Fleet | URL | string, options: OpenOptions = {}): Promise<App<F>> {
  const alarm = (message: string) => process.emitWarning(message, "FlotillaWarning");
  const lasting = await LastingFleet.open({ ...checkOpenOptions(options), fleet: checkFleet(fleet), alarm });
  const close = (closing?: { drain?: boolean }) => lasting.close(closing);
  return {
    get fleet() {
      return lasting.fleet;
    },
    async start(workflow, input, options = {}) {
      return runOf(lasting, await started(lasting, requestOf(checkWorkflow(workflow), input, options)));
    },
    run: (id) => runOf(lasting, id),
    fork: async (run, options) =>
      runOf(lasting, await lasting.use((fleet) => fleet.control.fork({ ...checkForkOptions(options), run }))),
    previewFork: (run, options) =>
      lasting.use((fleet) => fleet.control.previewFork({ ...checkForkOptions(options), run })),
    exportRun: (run, file, { redact = false, secrets } = {}) =>
      lasting.use(({ store }) =>
        exportRunTo(store, run, resolve(file), { redact, secrets: Object.entries(secrets ?? {}) }),
      ),
    importRun: (file, { by = "api" } = {}) =>
      lasting.use(({ control }) => control.importRun({ file: resolve(file), by })),
    inbox: (filter) => lasting.use((fleet) => fleet.inbox({ state: "open", limit: INBOX_MAX, ...filter })),
    deadLetters: (filter) => lasting.use((fleet) => fleet.deadLetters({ limit: INBOX_MAX, ...filter })),
    replayDeadLetter: async (id, { input, by = "api", note = "" } = {}) => {
      if (input !== undefined)
        await lasting.use(({ control }) => control.deadLetter(id, { act: "edit", input, by, note }));
      // Each by itself: what was started before an owner was lost must not be edited again.
      const run = await lasting.use(({ control }) => control.deadLetter(id, { act: "replay", by, note }));
      return runOf(lasting, run ?? "");
    },
    dropDeadLetter: async (id, { by = "api", note = "" } = {}) => {
      await lasting.use(({ control }) => control.deadLetter(id, { act: "drop", by, note }));
    },
    decide: (item, decision) =>
      lasting.use((fleet) => fleet.control.decide(item, { by: "api", note: "", ...decision })),
    pause: (target, reason) => {
      const checked = checkPauseTarget(target);
      const why = checkReason(reason);
      return lasting.use((fleet) => fleet.control.pause(checked, why, "api"));
    },
    resume: (target, reason = "") => {
      const checked = checkPauseTarget(target);
      return lasting.use((fleet) => fleet.control.resume(checked, reason, "api"));
    },
    schedules: () => lasting.use((fleet) => fleet.schedules()),
    holds: () => lasting.use((fleet) => fleet.control.holds()),
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

const INBOX_MAX = 1_000;

function requestOf(workflow: string, input: unknown, options: RunStartOptions): StartRequest {
  const { limits, priority, ...given } = checkStartOptions(options);
  return {
    workflow,
    input: jsonInput(workflow, input),
    by: "api",
    ...given,
    ...(limits === undefined ? {} : { limits: givenLimits(limits) }),
    ...(priority === undefined ? {} : { priority: PRIORITY[priority] }),
  };
}

function jsonInput(workflow: string, input: unknown): Json {
  try {
    return asJson(input);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new FlotillaError("INPUT_INVALID", `the input of workflow "${workflow}" is not JSON: ${why}`, {
      details: { workflow, problems: [why] },
      cause,
    });
  }
}

/** Without a key it is asked for once: whoever does not know whether a run was started must not start a second one. */
async function started(lasting: LastingFleet, request: StartRequest): Promise<string> {
  if (request.idempotencyKey !== undefined) return lasting.use((fleet) => fleet.control.start(request));
  for (;;) {
    const { fleet, repeatOrThrow, leave } = await lasting.enter();
    try {
      return await fleet.control.start(request);
    } catch (error) {
      repeatOrThrow(error);
      // An owner that was closing has started nothing.
      if (!fleet.owner) throw uncertain(error);
    } finally {
      leave();
    }
  }
}

function uncertain(cause: unknown): FlotillaError {
  return new FlotillaError(
    "OWNER_GONE",
    "the process that owns the store went away before it said whether it had started the run",
    {
      hint: "Start it with an idempotencyKey: then it is safe to say it again, and that is done for you.",
      cause,
    },
  );
}
