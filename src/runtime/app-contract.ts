import type { ForkPreview, ForkRequest } from "./fork.ts";
import type { Limits, Priority } from "../core/definition.ts";
import type { RunEvent } from "../core/event.ts";
import type { FactView } from "../core/fact.ts";
import type { Hold, HoldTarget } from "../core/hold.ts";
import type { Json } from "../core/json.ts";
import type { RunState } from "../core/state.ts";
import type { InboxFilter, RunFilter, RunRow, Store } from "../store/store.ts";
import type { ScheduleView } from "./schedule-view.ts";
import type { Notice } from "./coordinator.ts";
import type { EraseRequest } from "./erasure.ts";
import type { Imported, ImportRequest } from "./import-run.ts";
import type { DeadLetterAct, DeadLetterItem } from "./dead-letter.ts";
import type { Decision } from "./inbox.ts";
import type { InboxItem } from "./inbox-item.ts";

/** How a run ended, in words that commands and pages show. */
export interface RunResult {
  status: "completed" | "failed" | "stopped";
  output: Json | null;
  /** Why it did not complete. */
  error: { code: string; class: string; message: string; hint?: string; details?: Record<string, unknown> } | null;
}

export interface StartRequest {
  workflow: string;
  input: Json;
  idempotencyKey?: string;
  limits?: Partial<Limits>;
  priority?: Priority;
  /** Who started it, for the record. */
  by?: string;
}

export interface FactSetRequest {
  fact: string;
  value: Json;
  by: string;
  why: string;
  /** Milliseconds since the epoch; null: it holds until it is replaced. */
  until: number | null;
  /** The version that it is a correction of; absent: the newest, whichever that is. */
  base?: number;
}

/** What can be done with a fleet: the same in the process that owns the store and, through its socket, from any other
 *  (issue 2 line 4). Reading goes to the store itself; deciding goes to its owner. */
export interface FleetControl {
  /** Resolves with the run's id when the run is durable. */
  start(request: StartRequest): Promise<string>;
  stop(run: string, why: string, by: string): Promise<void>;
  /** Holds what the target covers until it is resumed: once it resolves that is on record, nothing of it starts any
   *  more, and what is in flight is aborted within a second (X5). `kill`: worker processes are killed too. Resolves with
   *  whether it changed anything. @throws {FlotillaError} RUN_UNKNOWN; TARGET_UNKNOWN for an agent or workflow that the
   *  fleet does not have */
  pause(target: HoldTarget, why: string, by: string, kill?: boolean): Promise<boolean>;
  /** Lets go on what was held. Resolves with whether it was. */
  resume(target: HoldTarget, why: string, by: string): Promise<boolean>;
  /** Workflows, agents and the fleet itself as they are held now; paused runs say so in their state. */
  holds(): Promise<readonly Hold[]>;
  settle(
    run: string,
    task: string,
    step: string,
    outcome: "done" | "not-done",
    output: Json,
    by: string,
    note: string,
  ): Promise<boolean>;
  /** Commits a new version of a run's shared fact; returns its version. @throws FACT_CONFLICT, FACT_KEY_INVALID, RUN_ENDED */
  setFact(run: string, set: FactSetRequest): Promise<number>;
  /** Replays, edits or drops a dead letter; resolves with the run that a replay started, when that is durable (M9). */
  deadLetter(id: string, act: DeadLetterAct): Promise<string | null>;
  /** Decides on an item of the inbox; resolves with the item when that is durable (F9). */
  decide(item: string, decision: Decision): Promise<InboxItem>;
  /** Erases content of an ended run for good (S6); resolves with how many contents are gone.
   *  @throws {FlotillaError} RUN_UNKNOWN, ERASE_REFUSED */
  erase(request: EraseRequest): Promise<number>;
  /** Takes an exported run in, as a record (F11). @throws {FlotillaError} IMPORT_INVALID, IMPORT_REFUSED */
  importRun(request: ImportRequest): Promise<Imported>;
  /** Starts a new run from a moment of another one (F11, I7); resolves with its id.
   *  @throws FORK_INVALID, RUN_UNKNOWN */
  fork(request: ForkRequest): Promise<string>;
  /** What a fork would keep, and do again; starts nothing. @throws as `fork` */
  previewFork(request: ForkRequest): Promise<ForkPreview>;
  /** Everything that becomes durable or streams from now on, of one run or of all; ends with the signal or the owner. */
  watch(run: string | null, signal: AbortSignal, only?: "end"): AsyncIterable<Notice>;
  /** Who owns the store. */
  info(): Promise<OwnerInfo>;
}

export interface OwnerInfo {
  pid: number;
  fleet: string;
  definition: string;
  mode: "library" | "hosts";
  startedAt: number;
  queues: { queue: string; waiting: number; running: number; workers: number }[];
  /** Process ids of worker hosts. */
  hosts: number[];
}

/** An open fleet. */
export interface OpenFleet extends AsyncDisposable {
  readonly control: FleetControl;
  /** For reading: runs, events, blobs. In a process that does not own the store it cannot be written. */
  readonly store: Store;
  /** The hash of the definition that new runs are pinned to. */
  readonly definitionHash: string;
  /** True when this process owns the store; false when it speaks to the owner. */
  readonly owner: boolean;
  /** Aborted when nothing can be decided through it any more, though nobody closed it: a later app of this process took
   *  the store over, or the process that owned it went away. */
  readonly lost: AbortSignal;
  runs(filter: RunFilter): Promise<RunRow[]>;
  /** What failed for good, newest first (M9). */
  deadLetters(filter: Parameters<Store["deadLetters"]>[0]): Promise<DeadLetterItem[]>;
  /** What waits for a person, or did. */
  inbox(filter: InboxFilter): Promise<InboxItem[]>;
  /** The run as folded from its journal. @throws RUN_UNKNOWN */
  state(run: string): Promise<RunState>;
  /** Its shared facts that hold now, by key. @throws RUN_UNKNOWN */
  facts(run: string): Promise<Record<string, FactView>>;
  /** Its events, from `after` on: those on record, then live ones until the run ends. */
  events(
    run: string,
    options?: { after?: number; follow?: boolean; signal?: AbortSignal },
  ): AsyncIterable<{ version: number; event: RunEvent }>;
  /** What starts by itself, with its next times and last run, by name (I8). */
  schedules(): Promise<ScheduleView[]>;
  /** What happens in a run from now on, tokens included, until it ends. */
  notices(run: string, signal?: AbortSignal): AsyncIterable<Notice>;
  /** Waits for the run's end. @throws OWNER_GONE, RUN_UNKNOWN */
  result(run: string, signal?: AbortSignal): Promise<RunResult>;
  /** Reads the definition again: new runs use it, those under way end on the one that they started with. Returns its
   *  hash. @throws DEFINITION_* (nothing changes), UNSUPPORTED where this process does not own the store */
  reload(): Promise<string>;
  /** Ends this process's part: `drain` lets running tasks end first (default true). */
  close(options?: { drain?: boolean }): Promise<void>;
}
