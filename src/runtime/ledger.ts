import type { Command, DecideContext } from "../core/command.ts";
import { DEADLINE_TIMER, decide } from "../core/decide.ts";
import { checkEventData, type RunEvent } from "../core/event.ts";
import { type Hold, heldMs } from "../core/hold.ts";
import { foldInto } from "../core/fork.ts";
import type { Spend } from "../core/money.ts";
import { rankOf } from "../core/rank.ts";
import {
  CRASHES_SHARED,
  emptyRun,
  emptyScratch,
  evolve,
  type RunState,
  takeTouched,
  type TaskState,
  SETTLED,
  taskOf,
  timersOf,
} from "../core/state.ts";
import { FlotillaError, isFlotillaError } from "../error.ts";
import type { Clock } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import type {
  AccountWrite,
  Blob,
  Commit,
  CommitResult,
  DeadLetter,
  EventRow,
  InboxRow,
  RunWrite,
  Snapshot,
  Store,
  TaskWrite,
  TimerWrite,
} from "../store/store.ts";
import { decidedRow, openItems } from "./inbox-item.ts";
import { accountWrites } from "./accounts.ts";
import { PARCELS, parcelsOf } from "./children.ts";
import { isSnapshotDue } from "./snapshot.ts";
import { digestOf, genesis, readRun, sealEvent } from "./journal.ts";

/** Journals whose commits share one transaction: enough to amortise the flush, few enough not to block the loop. */
export const GROUP_COMMIT_MAX = 128;
/** Runs kept in memory while nothing of them is being decided. The rest is folded again when needed. */
const HOT_RUNS_MAX = 1_000;
/** Least recently used runs that are looked at for each new one. */
const EVICTION_LOOKS = 8;
/** Failures of which the store says that they left no trace. */
const NOTHING_APPLIED: ReadonlySet<string> = new Set(["STORE_FULL", "STORE_READONLY", "STORE_DAMAGED"]);
/** Commands of which somebody outside waits for the answer. */
const ASKED: ReadonlySet<Command["type"]> = new Set([
  "run.start",
  "run.fork",
  "run.stop",
  "step.settle",
  "fact.set",
  "approval.decide",
  "run.pause",
  "run.resume",
  "escalation.decide",
]);
/** Events after which a run is over. */
const ENDS: ReadonlySet<string> = new Set(["run.completed", "run.failed", "run.stopped"]);
const isAsked = ({ command }: Pending): boolean => command !== null && ASKED.has(command.type);
/** How long after a failed commit the store is asked again. */
const STORE_RETRY_MS = 500;
/** After so many commits of one run in a row that were refused, nobody else's deciding explains it any more. */
const REFUSALS_MAX = 10;

/** What the ledger must know of a run's definition, loaded before anything of the run is decided. */
export interface DecisionSource {
  context(definition: string, workflow: string): Promise<Omit<DecideContext, "now" | "roll">>;
}

/** Where the states of long runs are kept, signed. */
export interface SnapshotPort {
  /** Events after which one is made, at the earliest. */
  every: number;
  seal(run: string, at: { version: number; head: Uint8Array; state: RunState }): Snapshot;
  read(run: string): Promise<{ version: number; head: Uint8Array; state: RunState } | null>;
}

/** What follows a decision at once, in the same commit: assigning tasks that became ready. */
export interface LedgerHooks {
  /** Called after each decision with what it touched; may decide more on the same run through `decideNow`. */
  decided(run: HotRun, events: readonly RunEvent[], touched: ReadonlySet<string>): void;
  /** Called when events are durable, in order, once. The state may be further on already. */
  committed(run: HotRun, events: readonly RunEvent[], batch: CommittedBatch): void;
  /** Decisions of this run were dropped; its state will be folded anew before it is used. */
  dropped(run: string): void;
  /** The run was folded from its journal, and nothing is decided on it yet: what workers hold of it is known again. */
  loaded(run: HotRun): void;
  /** The run was folded, and the commands that waited for it are decided: what its journal says is with a worker and is
   *  not must be sent or released. */
  resumed(run: HotRun): void;
  leaseUntil(now: number): number;
  /** Holds of the fleet's journal, and how often any was placed or lifted. */
  holds(): { holds: readonly Hold[]; epoch: number };
  /** The queue in which a task that is held waits, out of the way of the others; null when it is not held. */
  parked(run: RunState, task: TaskState): string | null;
  failed(error: FlotillaError): void;
}

export interface CommittedBatch {
  /** Whether it has something to say to other runs. */
  sends: boolean;
  firstVersion: number;
  lastVersion: number;
  head: Uint8Array;
}

interface Pending {
  /** Null: just open the run. */
  command: Command | null;
  resolve: (events: readonly RunEvent[]) => void;
  reject: (error: unknown) => void;
}

interface Batch {
  expectedVersion: number;
  rows: EventRow[];
  events: RunEvent[];
  blobs: Blob[];
  touched: Set<string>;
  timed: Set<string>;
  /** Events at its beginning that are another run's. */
  copied: number;
  pending: { pending: Pending; events: readonly RunEvent[] }[];
  sends: boolean;
}

/** A run in memory: its state runs ahead of the store by what is in `next` and `flying`. */
export class HotRun {
  readonly id: string;
  state: RunState;
  /** One for all decisions; the moment and the roll are set before each. */
  context: DecideContext | null = null;
  head: Uint8Array;
  next: Batch | null = null;
  flying: Batch | null = null;
  waiting: Pending[] = [];
  loading = false;
  ready = false;
  /** Commits in a row that were refused. */
  refusals = 0;
  /** Decisions of it were dropped: what was being committed then may be on record or not. */
  again = false;
  /** Tasks that have a row in the store's queue, and timers that are set: the run's own, and those of its tasks. */
  readonly rows = new Set<string>();
  readonly timers = new Set<string>();
  /** The version of its newest snapshot. */
  snapshotVersion = 0;
  readonly taskTimers = new Map<string, ReadonlyMap<string, number>>();
  /** Items of the inbox that wait for a person, by task. */
  readonly inbox = new Map<string, readonly InboxRow[]>();
  /** Attempts that are with workers, by task; kept by the dispatcher. */
  readonly inFlight = new Map<string, InFlight>();

  /** Whether a timer of this name is set and still wanted. */
  waitsFor(timer: string): boolean {
    if (this.timers.has(timer)) return true;
    for (const timers of this.taskTimers.values()) if (timers.has(timer)) return true;
    return false;
  }

  constructor(id: string) {
    this.id = id;
    this.state = emptyRun(id);
    this.head = genesis(id);
  }

  get idle(): boolean {
    return this.next === null && this.flying === null && this.waiting.length === 0 && !this.loading;
  }
}

/** An attempt with a worker. */
export interface InFlight {
  worker: string;
  attempt: number;
}

/** A commit of another journal (the fleet's) that rides along with the next group. */
export interface Rider {
  take(): Commit | null;
  done(result: CommitResult): void;
  failed(error: unknown): void;
}

/** Decides commands on speculative state in memory and makes the decisions durable in groups (design: the path of a
 *  task). Effects are released only after the flush; a refused or failed commit drops the run's state, folds it anew
 *  and decides its commands again. */
export class Ledger {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #source: DecisionSource;
  readonly #hooks: LedgerHooks;
  readonly #rider: Rider;
  readonly #deciding: typeof decide;
  readonly #snapshots: SnapshotPort;
  readonly #runs = new Map<string, HotRun>();
  readonly #dirty = new Set<HotRun>();
  #scheduled = false;
  #flushing = false;
  /** The rider had more to say while a flush was under way. */
  #woken = false;
  #closed = false;
  #idleWaiters: (() => void)[] = [];

  constructor(ports: {
    store: Store;
    clock: Clock;
    random: Random;
    source: DecisionSource;
    hooks: LedgerHooks;
    rider: Rider;
    snapshots: SnapshotPort;
    /** Default: the core's. Another one proves that the simulator notices. */
    decide?: typeof decide;
  }) {
    this.#store = ports.store;
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#source = ports.source;
    this.#hooks = ports.hooks;
    this.#rider = ports.rider;
    this.#deciding = ports.decide ?? decide;
    this.#snapshots = ports.snapshots;
  }

  get hotRuns(): number {
    return this.#runs.size;
  }

  hot(run: string): HotRun | undefined {
    const hot = this.#runs.get(run);
    return hot?.ready ? hot : undefined;
  }

  /** Decides a command and resolves with its events once they are durable; with none when it changed nothing.
   *  @throws {FlotillaError} RUN_UNKNOWN, EVENT_INVALID, QUEUE_FULL, STORE_CLOSED */
  submit(run: string, command: Command): Promise<readonly RunEvent[]> {
    return this.#enter(run, command);
  }

  /** Begins a run with events that are another one's (F11), and decides `command` on them, all in one commit.
   *  @throws {FlotillaError} as `submit` */
  async begin(run: string, events: readonly RunEvent[], command: Command): Promise<readonly RunEvent[]> {
    for (;;) {
      try {
        return await this.#beginOnce(run, events, command);
      } catch (error) {
        // The store did not take it, and nothing of it is on record: it is begun anew, as a start would be.
        if (!isFlotillaError(error) || error.code !== "RUN_UNKNOWN") throw error;
      }
    }
  }

  async #beginOnce(run: string, events: readonly RunEvent[], command: Command): Promise<readonly RunEvent[]> {
    const hot = new HotRun(run);
    const [first] = events;
    if (first?.type !== "run.started") throw new FlotillaError("INVARIANT", `${run} does not begin with its start`);
    hot.context = await this.#context(hot, first.data.definition, first.data.workflow);
    if (this.#closed) throw new FlotillaError("STORE_CLOSED", "the app was closed");
    hot.ready = true;
    hot.again = true;
    this.#runs.set(run, hot);
    this.#evict();
    return new Promise((resolve, reject) => this.#decide(hot, { command, resolve, reject }, events));
  }

  /** The run, folded. It may be dropped again at any later turn. @throws {FlotillaError} as `submit` */
  async open(run: string): Promise<HotRun> {
    for (;;) {
      const hot = this.hot(run);
      if (hot !== undefined) return hot;
      await this.#enter(run, null);
    }
  }

  #enter(run: string, command: Command | null): Promise<readonly RunEvent[]> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new FlotillaError("STORE_CLOSED", "the app was closed"));
      const pending = { command, resolve, reject };
      let hot = this.#runs.get(run);
      if (hot === undefined) {
        hot = new HotRun(run);
        this.#runs.set(run, hot);
        this.#evict();
      } else {
        // Last used goes last.
        this.#runs.delete(run);
        this.#runs.set(run, hot);
      }
      if (hot.ready) this.#decide(hot, pending);
      else {
        hot.waiting.push(pending);
        if (!hot.loading) this.#open(hot);
      }
    });
  }

  /** Decides one more command in the commit that is being put together; for hooks. */
  decideNow(hot: HotRun, command: Command): readonly RunEvent[] {
    return this.#apply(hot, command);
  }

  /** Writes the rows of tasks anew, though nothing of them was decided: where they wait follows from the holds too. */
  touch(hot: HotRun, tasks: Iterable<string>): void {
    const { touched } = this.#batchOf(hot);
    for (const task of tasks) touched.add(task);
    this.#dirty.add(hot);
    this.#schedule();
  }

  /** Resolves when all that was decided before is durable, or was dropped to be decided again. */
  async barrier(): Promise<void> {
    const flushed: Promise<unknown>[] = [];
    for (const hot of this.#runs.values()) {
      const batch = hot.next ?? hot.flying;
      if (batch === null) continue;
      flushed.push(
        new Promise((resolve) => {
          const pending: Pending = { command: null, resolve, reject: resolve };
          batch.pending.push({ pending, events: [] });
        }),
      );
    }
    await Promise.all(flushed);
  }

  /** Asks for a flush, also when only the rider has something. */
  wake(): void {
    if (this.#flushing) this.#woken = true;
    else this.#schedule();
  }

  /** Resolves when nothing is waiting to become durable. */
  settled(): Promise<void> {
    if (this.#dirty.size === 0 && !this.#flushing && !this.#scheduled) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Refuses new commands; what was decided is still flushed by `settled`. */
  close(): void {
    this.#closed = true;
  }

  #open(hot: HotRun): void {
    hot.loading = true;
    this.#prepareOrLoad(hot).then(
      () => {
        hot.loading = false;
        hot.ready = true;
        const folded = hot.state.version > 0;
        if (folded) this.#hooks.loaded(hot);
        this.#drainWaiting(hot);
        if (folded && hot.ready) this.#hooks.resumed(hot);
      },
      (error: unknown) => {
        if (mayPass(error) && !this.#closed) {
          this.#hooks.failed(error);
          return this.#again(hot, STORE_RETRY_MS);
        }
        this.#drop(hot, (pending) => pending.reject(error));
      },
    );
  }

  /** A new run has nothing to be folded; whether one whose start was dropped is new, only the store knows. */
  async #prepareOrLoad(hot: HotRun): Promise<void> {
    const first = hot.waiting[0]?.command;
    // That of a child may come again.
    const isNew =
      first?.type === "run.start" &&
      ((!hot.again && first.parent === undefined) || (await this.#store.run(hot.id)) === null);
    if (isNew) hot.context = await this.#context(hot, first.definition, first.workflow);
    else await this.#load(hot);
  }

  async #load(hot: HotRun): Promise<void> {
    const row = await this.#store.run(hot.id);
    if (row === null) throw new FlotillaError("RUN_UNKNOWN", `there is no run ${hot.id}`);
    const snapshot = await this.#snapshots.read(hot.id);
    if (snapshot !== null) {
      hot.state = snapshot.state;
      hot.snapshotVersion = snapshot.version;
    }
    for await (const { version, event } of readRun(this.#store, hot.id, hot.state.version, snapshot?.head)) {
      if (version !== hot.state.version + 1) {
        throw new FlotillaError("JOURNAL_DAMAGED", `event ${hot.state.version + 1} of ${hot.id} is missing`);
      }
      evolve(hot.state, event);
    }
    const head = await this.#store.head(hot.id);
    if (head.version !== hot.state.version) {
      throw new FlotillaError(
        "JOURNAL_DAMAGED",
        `${hot.id} ends at ${hot.state.version} where ${head.version} is on record`,
      );
    }
    hot.head = head.head;
    hot.state.scratch = emptyScratch();
    for (const task of hot.state.tasks.values()) {
      if (task.status === "ready" || task.status === "delayed" || task.status === "assigned") hot.rows.add(task.id);
      const timers = timersOf(task);
      if (timers.size > 0) hot.taskTimers.set(task.id, timers);
      const items = openItems(hot.state, task);
      if (items.length > 0) hot.inbox.set(task.id, items);
    }
    if (hot.state.status === "running") hot.timers.add(DEADLINE_TIMER);
    hot.context = await this.#context(hot, hot.state.definition, hot.state.workflow);
  }

  async #context(hot: HotRun, definition: string, workflow: string): Promise<DecideContext> {
    const context = await this.#source.context(definition, workflow);
    return { ...context, loadElsewhere: (agent) => this.#loadOf(agent, hot), now: 0, roll: 0 };
  }

  #drainWaiting(hot: HotRun): void {
    // A decision that is dropped meanwhile puts the rest back into `waiting`.
    for (let pending = hot.waiting.shift(); pending !== undefined && hot.ready; pending = hot.waiting.shift()) {
      this.#decide(hot, pending);
    }
  }

  #decide(hot: HotRun, pending: Pending, before: readonly RunEvent[] = []): void {
    let events: readonly RunEvent[] = [];
    if (hot.state.version === 0 && this.#isOrphan(pending.command)) {
      const error = new FlotillaError("CANCELLED", `${hot.id} is not wanted any more, or not yet`);
      this.#drop(hot, (other) => other.reject(error));
      return pending.reject(error);
    }
    try {
      if (before.length > 0) this.#put(hot, before);
      if (pending.command !== null) events = this.#apply(hot, pending.command);
    } catch (error) {
      pending.reject(error);
      this.#abandon(hot, error);
      return;
    }
    const batch = hot.next ?? hot.flying;
    // What changes nothing was still decided on speculative state: it holds when that state does.
    if (batch === null) pending.resolve(events);
    else batch.pending.push({ pending, events });
  }

  /** A child is started only while its parent, as it is known here and now, waits for it. */
  #isOrphan(command: Command | null): boolean {
    if (command?.type !== "run.start" || command.parent === undefined) return false;
    const task = this.hot(command.parent.run)?.state.tasks.get(command.parent.task);
    return task === undefined || SETTLED.has(task.status);
  }

  /** A defect stops this run's decisions of the moment, never the process: the state is dropped and folded anew. */
  #abandon(hot: HotRun, error: unknown): void {
    this.#drop(hot, (pending) => pending.reject(error));
    this.#hooks.failed(
      isFlotillaError(error) ? error : new FlotillaError("INVARIANT", String(error), { cause: error }),
    );
  }

  /** Open tasks of an agent in the runs that are in memory, but for one. */
  #loadOf(agent: string, except: HotRun): number {
    let load = 0;
    for (const hot of this.#runs.values()) if (hot !== except && hot.ready) load += hot.state.loads.get(agent) ?? 0;
    return load;
  }

  #apply(hot: HotRun, command: Command): readonly RunEvent[] {
    const context = hot.context;
    if (context === null) throw new FlotillaError("INVARIANT", `run ${hot.id} was decided on before it was loaded`);
    const version = hot.state.version;
    context.now = this.#clock.now();
    context.roll = this.#random.next();
    const { holds, epoch } = this.#hooks.holds();
    context.holds = holds;
    context.epoch = epoch;
    const events = this.#deciding(hot.state, command, context);
    if (events.length === 0) return events;
    const batch = this.#seal(hot, events, version);
    const { timed, touched } = takeTouched(hot.state);
    for (const task of touched) batch.touched.add(task);
    for (const task of timed) batch.timed.add(task);
    this.#dirty.add(hot);
    this.#schedule();
    this.#hooks.decided(hot, events, touched);
    return events;
  }

  /** Puts what another run began with into the commit that is being put together. */
  #put(hot: HotRun, events: readonly RunEvent[]): void {
    foldInto(hot.state, events);
    this.#seal(hot, events, 0).copied = events.length;
  }

  /** Chains events to the journal, in the commit that is being put together. */
  #seal(hot: HotRun, events: readonly RunEvent[], version: number): Batch {
    const batch = this.#batchOf(hot, version);
    let next = version;
    for (const event of events) {
      // Parts of it came from outside; what does not fit its schema must not enter a journal that is read for ever.
      const problem = checkEventData(event.type, event.data);
      if (problem !== null) throw new FlotillaError("EVENT_INVALID", `${event.type} of ${hot.id}: ${problem}`);
      next += 1;
      const { row, blob } = sealEvent(event, next, hot.head, this.#random);
      hot.head = row.hash;
      batch.rows.push(row);
      batch.events.push(event);
      if (blob !== null) batch.blobs.push(blob);
    }
    return batch;
  }

  #batchOf(hot: HotRun, expectedVersion = hot.state.version): Batch {
    hot.next ??= {
      expectedVersion,
      rows: [],
      events: [],
      blobs: [],
      touched: new Set(),
      timed: new Set(),
      copied: 0,
      pending: [],
      sends: false,
    };
    return hot.next;
  }

  #schedule(): void {
    if (this.#scheduled || this.#flushing) return;
    this.#scheduled = true;
    this.#clock.soon(() => {
      this.#scheduled = false;
      void this.#flush();
    });
  }

  async #flush(): Promise<void> {
    this.#flushing = true;
    const group: HotRun[] = [];
    const commits: Commit[] = [];
    for (const hot of this.#dirty) {
      if (hot.next === null || hot.flying !== null) continue;
      hot.flying = hot.next;
      hot.next = null;
      group.push(hot);
      commits.push(this.#commitOf(hot, hot.flying));
      if (group.length >= GROUP_COMMIT_MAX) break;
    }
    const rider = this.#rider.take();
    if (rider !== null) commits.push(rider);
    for (const hot of group) this.#dirty.delete(hot);
    let again = true;
    let riderRefused = false;
    if (commits.length > 0) {
      try {
        const results = await this.#store.commit(commits);
        for (const [i, hot] of group.entries()) this.#settle(hot, results[i] as CommitResult);
        if (rider !== null) {
          const result = results[group.length] as CommitResult;
          riderRefused = !result.ok;
          this.#rider.done(result);
        }
      } catch (error) {
        again = false;
        if (rider !== null) this.#rider.failed(error);
        this.#commitFailed(group, error);
      }
    }
    this.#flushing = false;
    // A rider that asked for its turn during the flush gets it now.
    const woken = this.#woken || riderRefused;
    this.#woken = false;
    if ((this.#dirty.size > 0 || woken) && again) this.#schedule();
    if (this.#dirty.size === 0 && !this.#scheduled) for (const waiter of this.#idleWaiters.splice(0)) waiter();
  }

  #settle(hot: HotRun, result: CommitResult): void {
    const batch = hot.flying;
    if (batch === null) return;
    if (!result.ok) return this.#refused(hot, batch, result);
    hot.flying = null;
    hot.refusals = 0;
    if (hot.next !== null) this.#dirty.add(hot);
    const last = batch.rows.at(-1);
    if (last !== undefined) {
      const firstVersion = batch.expectedVersion + 1;
      this.#hooks.committed(hot, batch.events, {
        firstVersion,
        lastVersion: last.version,
        head: last.hash,
        sends: batch.sends,
      });
    }
    for (const { pending, events } of batch.pending) pending.resolve(events);
    // A child's end is asked for in a moment.
    const isOver = hot.state.status !== "running" && hot.state.parent === null;
    if (isOver && hot.idle && hot.inFlight.size === 0) this.#runs.delete(hot.id);
  }

  #refused(hot: HotRun, batch: Batch, result: Extract<CommitResult, { ok: false }>): void {
    if (result.reason === "duplicate") {
      const error = new FlotillaError("IDEMPOTENCY_CONFLICT", "the idempotency key was used before", {
        details: { run: result.run, inputDigest: result.inputDigest },
      });
      this.#drop(hot, (pending) => pending.reject(error));
    } else if (result.reason === "full") {
      const error = new FlotillaError("QUEUE_FULL", `the queue holds ${result.depth} tasks; the run was not accepted`);
      this.#drop(hot, (pending) => pending.reject(error));
    } else if (result.reason === "overdrawn") {
      // Another run drew first.
      this.#again(hot, 0);
    } else {
      this.#refusedAgain(hot, result);
    }
    void batch;
  }

  /** Somebody else decided first: what is on record is folded, and decided again. A store that refuses that time and
   *  again is damaged, or one of us is wrong: then the run is stopped on record, and when even that is refused, whoever
   *  asked is told. It never becomes a busy loop, and no other run waits for it (F14). */
  #refusedAgain(hot: HotRun, result: Extract<CommitResult, { reason: "conflict" | "fenced" }>): void {
    const refusals = hot.refusals + 1;
    if (refusals < REFUSALS_MAX)
      return this.#again(hot, refusals === 1 ? 0 : Math.min(2 ** refusals, STORE_RETRY_MS), refusals);
    const why = result.reason === "fenced" ? `task ${result.task} is fenced` : `it is at version ${result.version}`;
    const message = `the store refused ${refusals} times in a row what was decided on ${hot.id}: ${why}`;
    const error = new FlotillaError("INVARIANT", message, { details: { run: hot.id } });
    const stopping = [
      ...(hot.flying?.pending ?? []),
      ...(hot.next?.pending ?? []),
      ...hot.waiting.map((pending) => ({ pending })),
    ].some(({ pending }) => pending.command?.type === "run.stop");
    this.#drop(hot, (pending) => pending.reject(error));
    this.#hooks.failed(error);
    if (stopping) return;
    this.submit(hot.id, { type: "run.stop", why: message, by: "flotilla" }).catch((failed: unknown) => {
      if (!isFlotillaError(failed)) throw failed;
    });
  }

  /** The outcome is unknown or nothing was applied: fold again and decide again, a little later. */
  #commitFailed(group: readonly HotRun[], error: unknown): void {
    const failure = isFlotillaError(error)
      ? error
      : new FlotillaError("STORE_UNAVAILABLE", String(error), { cause: error });
    this.#hooks.failed(failure);
    if (failure.code === "STORE_CLOSED" || this.#closed) {
      for (const hot of group) this.#drop(hot, (pending) => pending.reject(failure));
      return;
    }
    for (const hot of group) {
      if (NOTHING_APPLIED.has(failure.code)) this.#tellAskers(hot, failure);
      this.#again(hot, STORE_RETRY_MS);
    }
    // The rider is not a run: it asks for its turn itself.
    this.#clock.after(STORE_RETRY_MS, () => this.#schedule());
  }

  /** Drops a run's speculative state, folds it anew after `delayMs` and decides its commands again: in their order,
   *  before any that come meanwhile. Also when there are none, since what was being committed may be on record. */
  /** What people and programs asked for is refused, since they wait and can ask again. What workers and time said is
   *  kept until the store takes it. */
  #tellAskers(hot: HotRun, failure: FlotillaError): void {
    for (const batch of [hot.flying, hot.next]) {
      if (batch === null) continue;
      for (const { pending } of batch.pending) if (isAsked(pending)) pending.reject(failure);
      batch.pending = batch.pending.filter(({ pending }) => !isAsked(pending));
    }
    for (const pending of hot.waiting) if (isAsked(pending)) pending.reject(failure);
    hot.waiting = hot.waiting.filter((pending) => !isAsked(pending));
  }

  #again(hot: HotRun, delayMs: number, refusals = 0): void {
    // A defect may have dropped it while its commit was under way.
    if (this.#runs.get(hot.id) !== hot) return;
    const waiting: Pending[] = [];
    this.#drop(hot, (pending) => {
      // A child is started anew from the outbox, by whoever looks at its parent again.
      if (pending.command?.type === "run.start" && pending.command.parent !== undefined)
        pending.reject(new FlotillaError("STORE_UNAVAILABLE", `the start of ${hot.id} is tried again`));
      else waiting.push(pending);
    });
    const fresh = new HotRun(hot.id);
    fresh.again = true;
    fresh.refusals = refusals;
    fresh.loading = true;
    fresh.waiting = waiting;
    this.#runs.set(fresh.id, fresh);
    if (delayMs === 0) return this.#open(fresh);
    this.#clock.after(delayMs, () => {
      if (this.#closed)
        this.#drop(fresh, (pending) => pending.reject(new FlotillaError("STORE_CLOSED", "the app was closed")));
      else this.#open(fresh);
    });
  }

  #drop(hot: HotRun, each: (pending: Pending) => void): void {
    const pendings = [...(hot.flying?.pending ?? []), ...(hot.next?.pending ?? [])].map(({ pending }) => pending);
    pendings.push(...hot.waiting.splice(0));
    hot.ready = false;
    hot.flying = null;
    hot.next = null;
    this.#dirty.delete(hot);
    if (this.#runs.get(hot.id) === hot) this.#runs.delete(hot.id);
    this.#hooks.dropped(hot.id);
    for (const pending of pendings) each(pending);
  }

  #commitOf(hot: HotRun, batch: Batch): Commit {
    const tasks: TaskWrite[] = [];
    const timers: TimerWrite[] = [];
    for (const id of batch.touched) this.#project(hot, id, tasks);
    for (const id of batch.touched) projectTimers(hot, id, timers);
    for (const id of batch.timed) if (!batch.touched.has(id)) projectTimers(hot, id, timers);
    const inbox: InboxRow[] = [];
    for (const id of new Set([...batch.touched, ...batch.timed])) projectInbox(hot, id, batch.events, inbox);
    const run = this.#runWrite(hot, batch, timers);
    const outbox = parcelsOf(hot.state, batch.events, batch.touched).map((parcel) => ({
      topic: PARCELS,
      bytes: Buffer.from(JSON.stringify(parcel)),
    }));
    batch.sends = outbox.length > 0;
    return {
      journal: hot.id,
      expectedVersion: batch.expectedVersion,
      events: batch.rows,
      ...(run === null ? {} : { run }),
      ...(tasks.length === 0 ? {} : { tasks }),
      ...(timers.length === 0 ? {} : { timers }),
      ...(outbox.length === 0 ? {} : { outbox }),
      ...(batch.blobs.length === 0 ? {} : { blobs: batch.blobs }),
      ...this.#snapshotOf(hot),
      ...(inbox.length === 0 ? {} : { inbox }),
      ...accountsOf(batch),
      ...deadLettersOf(hot, batch),
    };
  }

  /** The run as it will be on record with the commit that is put together now. */
  #snapshotOf(hot: HotRun): Pick<Commit, "snapshot"> {
    const { state, head, snapshotVersion } = hot;
    if (state.status !== "running" || !isSnapshotDue(state, snapshotVersion, this.#snapshots.every)) return {};
    hot.snapshotVersion = state.version;
    return { snapshot: this.#snapshots.seal(hot.id, { version: state.version, head, state }) };
  }

  /** A task's rows follow from its status alone. */
  #project(hot: HotRun, id: string, tasks: TaskWrite[]): void {
    const task = taskOf(hot.state, id);
    const isQueued = task.status === "ready" || task.status === "delayed";
    const parked = isQueued ? this.#hooks.parked(hot.state, task) : null;
    const queue = parked ?? queueFor(hot, task);
    const rank = rankOf(task.priority, task.readyAt);
    // What waits in a paused run is not in the queue at all: resuming puts it back.
    if (isQueued && hot.state.hold === null) {
      const { attempt, readyAt } = task;
      const expiresAt = parked === null ? this.#expiresAt(hot.state, task) : null;
      tasks.push({ op: "ready", task: id, queue, attempt, rank, readyAt, expiresAt });
      hot.rows.add(id);
    } else if (task.status === "assigned") {
      const leaseUntil = this.#hooks.leaseUntil(this.#clock.now());
      const worker = task.worker ?? "";
      tasks.push({ op: "lease", task: id, queue, attempt: task.attempt, rank, worker, leaseUntil, expiresAt: null });
      hot.rows.add(id);
    } else if (hot.rows.delete(id)) {
      tasks.push({ op: "remove", task: id });
    }
  }

  /** Time under a hold does not count (X5). */
  #expiresAt(state: RunState, task: TaskState): number | null {
    const { queueMs } = state.limits;
    if (queueMs === null) return null;
    const { holds } = this.#hooks.holds();
    return task.readyAt + queueMs + heldMs(holds, state, task, task.readyAt, this.#clock.now());
  }

  #runWrite(hot: HotRun, batch: Batch, timers: TimerWrite[]): RunWrite | null {
    const first = batch.expectedVersion === 0 ? batch.events[0] : undefined;
    const write: RunWrite = {};
    if (first?.type === "run.started") {
      const { workflow, definition, idempotencyKey } = first.data;
      write.create = {
        workflow,
        definition,
        createdAt: first.at,
        ...(first.data.parent === undefined ? {} : { child: true as const }),
        ...(idempotencyKey === undefined
          ? {}
          : { idempotencyKey, inputDigest: digestOf({ workflow, input: first.payload?.input ?? null }) }),
      };
      timers.push({ op: "set", name: DEADLINE_TIMER, dueAt: first.at + first.data.limits.timeMs });
      hot.timers.add(DEADLINE_TIMER);
    }
    const last = batch.events.find((event) => ENDS.has(event.type));
    if (last !== undefined) {
      write.status = hot.state.status;
      write.summary = Buffer.from(JSON.stringify(summaryOf(hot.state)));
      if (hot.timers.delete(DEADLINE_TIMER)) timers.push({ op: "clear", name: DEADLINE_TIMER });
    }
    return write.create === undefined && write.status === undefined ? null : write;
  }

  #evict(): void {
    let looks = EVICTION_LOOKS;
    for (const hot of this.#runs.values()) {
      if (this.#runs.size <= HOT_RUNS_MAX || looks-- === 0) return;
      this.#runs.delete(hot.id);
      // What only waits goes; a run with an attempt at a worker, of which there are few, is needed again in a moment.
      if (!hot.idle || !hot.ready || hot.inFlight.size > 0) this.#runs.set(hot.id, hot);
    }
  }
}

/** Whether the store may answer when it is asked again. */
function mayPass(error: unknown): error is FlotillaError {
  return isFlotillaError(error) && error.class === "transient" && error.code !== "STORE_CLOSED";
}

/** Name of the queue in which a task waits. A host died with it: it waits for a ward, a host for a few suspects. One
 *  died there too: it waits for a host of its own. So a poisonous task convicts itself and never its neighbours (F6). */
export function queueOf(queue: string, crashes: number): string {
  if (crashes === 0) return queue;
  return crashes < CRASHES_SHARED ? `${queue}${WARD}` : `${queue}${ALONE}`;
}

/** As `queueOf`; an agent of which just so many tasks may be worked on at a time has a queue of its own, so that what
 *  waits for it stands in nobody's way (F4). */
export function queueFor({ state, context }: Pick<HotRun, "state" | "context">, task: TaskState): string {
  const queue = queueOf(state.queue, task.crashes);
  const bounded = task.agent !== null && task.crashes === 0 && context?.isBounded?.(task.agent) === true;
  return bounded ? `${queue}${BULKHEAD}${task.agent}` : queue;
}

const BULKHEAD = "@";
const WARD = "!";
const ALONE = "!!";
/** Suspects in one ward: about the square root of what a host may have run. */
const WARD_SLOTS = 8;

/** The definition's queue behind a queue's name, and how many of its tasks share a host; null for no bound. */
export function parseQueue(queue: string): { base: string; slots: number | null; agent?: string } {
  const bulkhead = queue.indexOf(BULKHEAD);
  if (bulkhead !== -1) return { agent: queue.slice(bulkhead + 1), base: queue.slice(0, bulkhead), slots: null };
  if (queue.endsWith(ALONE)) return { base: queue.slice(0, -ALONE.length), slots: 1 };
  if (queue.endsWith(WARD)) return { base: queue.slice(0, -WARD.length), slots: WARD_SLOTS };
  return { base: queue, slots: null };
}

/** Sets and clears what has changed since the rows were written last. */
function projectTimers(hot: HotRun, id: string, writes: TimerWrite[]): void {
  const task = taskOf(hot.state, id);
  const before = hot.taskTimers.get(task.id);
  const now = timersOf(task);
  if (before === undefined && now.size === 0) return;
  for (const [name, dueAt] of now) if (before?.get(name) !== dueAt) writes.push({ op: "set", name, dueAt });
  for (const name of before?.keys() ?? []) if (!now.has(name)) writes.push({ op: "clear", name });
  if (now.size === 0) hot.taskTimers.delete(task.id);
  else hot.taskTimers.set(task.id, now);
}

/** Puts what a task asks of people since then, and says of what it asked before what became of that (F9). */
function projectInbox(hot: HotRun, id: string, events: readonly RunEvent[], rows: InboxRow[]): void {
  const before = hot.inbox.get(id) ?? [];
  const now = openItems(hot.state, taskOf(hot.state, id));
  const has = (items: readonly InboxRow[], item: InboxRow) => items.some((other) => other.id === item.id);
  for (const item of now) if (!has(before, item)) rows.push(item);
  for (const item of before) if (!has(now, item)) rows.push(decidedRow(item, events));
  if (now.length === 0) hot.inbox.delete(id);
  else hot.inbox.set(id, now);
}

/** K2: what its calls draw, and what it gives back. */
function accountsOf({ events }: Batch): { accounts?: AccountWrite[] } {
  const accounts = events.flatMap(accountWrites);
  return accounts.length === 0 ? {} : { accounts };
}

/** M9: tasks that failed for good, with what was asked of them, for a person to look at. */
function deadLettersOf(hot: HotRun, batch: Batch): { deadLetters?: DeadLetter[] } {
  const deadLetters: DeadLetter[] = [];
  for (const event of batch.events.slice(batch.copied)) {
    if (event.type !== "task.failed") continue;
    const { task: id, attempt, error } = event.data;
    const { agent, input, kind } = taskOf(hot.state, id);
    if (kind === "group" || kind === "run") continue;
    const bytes = Buffer.from(JSON.stringify({ run: hot.id, task: id, attempt, agent, input: input ?? null, error }));
    const reason = `${error.code}: ${error.message}`;
    deadLetters.push({
      id: `${hot.id}/${id}`,
      at: event.at,
      kind: deadLetterKind(error.code),
      reason,
      run: hot.id,
      task: id,
      bytes,
    });
  }
  return deadLetters.length === 0 ? {} : { deadLetters };
}

function deadLetterKind(code: string): DeadLetter["kind"] {
  if (code === "AGENT_CONVICTED") return "poisoned";
  if (code === "TASK_EXPIRED") return "expired";
  return code === "MESSAGE_REFUSED" ? "undeliverable" : "failed";
}

export type RunSummary = {
  tasks: number;
  steps: number;
  inputTokens: number;
  outputTokens: number;
  costMicroUsd: number;
  unpriced: number;
  simulated: boolean;
  endedAt: number | null;
  error: string | null;
  /** By day, agent and model (K4); absent in runs that ended before this was kept. */
  spend?: readonly Spend[];
};

export function summaryOf(state: RunState): RunSummary {
  return {
    tasks: state.tasks.size,
    ...state.usage,
    ...(state.money.spend.size === 0 ? {} : { spend: [...state.money.spend.values()] }),
    endedAt: state.endedAt,
    error: state.error === undefined ? null : `${state.error.code}: ${state.error.message}`,
  };
}
