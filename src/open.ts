import { type Limits, PRIORITY, type PriorityName } from "./core/definition.ts";
import type { RunEvent } from "./core/event.ts";
import type { Json } from "./core/json.ts";
import type { RunState } from "./core/state.ts";
import type { Fleet, WorkflowInput, WorkflowName, WorkflowOutput } from "./definition/fleet.ts";
import { FlotillaError, fromErrorRecord } from "./error.ts";
import type { OpenFleet } from "./runtime/app-contract.ts";
import { openFleet, type OpenFleetOptions } from "./runtime/open-fleet.ts";

/** How a fleet is opened; all of it has defaults. */
export type OpenOptions = Omit<OpenFleetOptions, "fleet" | "mode" | "join">;

export interface RunStartOptions {
  /** The same key with the same input gives the same run, however often it is said (C11). */
  idempotencyKey?: string;
  limits?: Partial<Limits>;
  priority?: PriorityName;
  /** Who starts it, for the record. Default `api`. */
  by?: string;
}

/** One event of a run, with its version in the run's journal. */
export type VersionedEvent = RunEvent & { version: number };

/** A run of an open fleet. */
export interface Run<Output = Json> {
  readonly id: string;
  /** Its events: first those on record, from `after` on, then live ones until it ends. Breaking off ends nothing. */
  events(options?: { after?: number; signal?: AbortSignal }): AsyncIterable<VersionedEvent>;
  /** Text as models stream it; not on record, and nothing of what came before (I10). */
  tokens(options?: { signal?: AbortSignal }): AsyncIterable<{ task: string; agent: string; text: string }>;
  /** The output, when it completes.
   *  @throws {FlotillaError} why it failed; CANCELLED when it was stopped; OWNER_GONE when this process cannot see it end */
  result(options?: { signal?: AbortSignal }): Promise<Output>;
  /** Everything about it, folded from its journal. */
  state(): Promise<RunState>;
  /** Ends it: what is in flight is aborted. */
  stop(why?: string): Promise<void>;
}

/** An open fleet of type `F`. */
export interface App<F = Fleet> extends AsyncDisposable {
  /** Starts a run; when this resolves the run is durable and survives whatever comes.
   *  @throws {FlotillaError} WORKFLOW_UNKNOWN, INPUT_INVALID, IDEMPOTENCY_CONFLICT, QUEUE_FULL */
  start<W extends WorkflowName<F>>(workflow: W, input: WorkflowInput<F, W>, options?: RunStartOptions): Promise<Run<WorkflowOutput<F, W>>>;
  /** A run that was started before, here or elsewhere. */
  run<Output = Json>(id: string): Run<Output>;
  /** The engine's own view, for lists and reading. */
  readonly fleet: OpenFleet;
  /** Ends this process's part. Running tasks may end first, for up to 30 s (`drain`, default true); the rest goes on at
   *  the next start. */
  close(options?: { drain?: boolean }): Promise<void>;
}

/** Opens a fleet: a value made by `fleet()` runs in this process, the URL of its module or YAML runs in worker
 *  processes. Installs no signal handlers and no globals; opening again, after a hot reload for instance, is safe: the
 *  earlier app of this process gives its store up. When another process owns the store, this one works through it.
 *  @throws {FlotillaError} DEFINITION_*, STORE_*, KEYS_* */
export async function open<F extends Fleet>(fleet: F, options?: OpenOptions): Promise<App<F>>;
export async function open<F = Fleet>(fleet: URL | string, options?: OpenOptions): Promise<App<F>>;
export async function open<F>(fleet: Fleet | URL | string, options: OpenOptions = {}): Promise<App<F>> {
  const opened = await openFleet({ ...options, fleet });
  return {
    fleet: opened,
    async start(workflow, input, { priority, ...given }: RunStartOptions = {}) {
      const request = {
        workflow,
        input: input as Json,
        by: "api",
        ...given,
        ...(priority === undefined ? {} : { priority: PRIORITY[priority] }),
      };
      return runOf(opened, await opened.control.start(request));
    },
    run: (id) => runOf(opened, id),
    close: (closing) => opened.close(closing),
    [Symbol.asyncDispose]: () => opened.close(),
  };
}

function runOf<Output>(opened: OpenFleet, id: string): Run<Output> {
  return {
    id,
    async *events(options) {
      for await (const { version, event } of opened.events(id, options)) yield { ...event, version };
    },
    async *tokens({ signal = new AbortController().signal } = {}) {
      for await (const notice of opened.control.watch(id, signal)) {
        if (notice.type === "token") yield { task: notice.task, agent: notice.agent, text: notice.text };
        if (notice.type === "event" && notice.event.type.startsWith("run.") && notice.event.type !== "run.started") return;
      }
    },
    async result({ signal } = {}) {
      const { status, output, error } = await opened.result(id, signal);
      if (status === "completed") return output as Output;
      const class_ = error?.class === "transient" || error?.class === "business" ? error.class : "permanent";
      if (error === null) throw new FlotillaError("CANCELLED", `run ${id} is ${status}`);
      throw fromErrorRecord({ ...error, class: class_, details: { run: id } });
    },
    state: () => opened.state(id),
    stop: (why = "stopped through the API") => opened.control.stop(id, why, "api"),
  };
}
