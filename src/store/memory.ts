import { FlotillaError } from "../error.ts";
import { checkCommit, QUEUE_DEPTH_MAX } from "./commit.ts";
import { byDueAt, copy, MemoryFleet, takeBack, type Undo } from "./memory-fleet.ts";
import { compareText } from "./memory-index.ts";
import { earliest } from "./memory-task.ts";
import type {
  AccountRow,
  Commit,
  CommitResult,
  DeadLetter,
  DeadLetterKind,
  EventRow,
  InboxFilter,
  InboxRow,
  JournalId,
  OutboxRow,
  QueueDepth,
  RunFilter,
  RunRow,
  Snapshot,
  Store,
  StoreOptions,
  TaskKey,
  TaskRow,
  TimerRow,
} from "./store.ts";

/** Where an operation stands when `turn` is called: before it is applied, between that and its flush (writes only), and
 *  before it answers. */
export type StoreMoment = "apply" | "flush" | "answer";

export interface MemoryStoreOptions extends StoreOptions {
  /** What survives a crash; handles on one disk share their state at once. Default: a disk of its own. */
  disk?: MemoryDisk;
  /** Awaited at each moment of each operation, named `commit.apply`, `commit.flush`, `events.answer`… A simulator
   *  delays and reorders calls with it, and never resolves it for a process that died. What it throws is the outcome
   *  of the call: before `apply` nothing was applied; before `flush` everything that the disk has not flushed is lost
   *  whole, also what other calls applied after it; before `answer` a commit is durable all the same, which is why it
   *  should throw STORE_UNAVAILABLE there. Default: resolves at once. */
  turn?: (moment: string) => Promise<void>;
}

/** One applied change of state. It is durable once `flushed`, and gone once `lost`. */
interface Transaction {
  undo: Undo[];
  state: "applied" | "flushed" | "lost";
}

/** The state that stores in memory share. What was applied is seen by all at once (a kernel's page cache); what was
 *  flushed survives `crash` (a loss of power). A flush is one of everything applied until then, in order, as with a
 *  write-ahead log. */
export class MemoryDisk {
  readonly #fleets = new Map<string, MemoryFleet>();
  #unflushed: Transaction[] = [];

  /** Drops all that was not flushed. Calls that still wait for their flush reject with STORE_UNAVAILABLE. */
  crash(): void {
    for (const transaction of this.#unflushed.reverse()) {
      takeBack(transaction.undo, 0);
      transaction.state = "lost";
    }
    this.#unflushed = [];
  }

  fleet(id: string): MemoryFleet {
    const fleet = this.#fleets.get(id) ?? new MemoryFleet();
    this.#fleets.set(id, fleet);
    return fleet;
  }

  /** Runs `change` as one transaction: when it throws, nothing was changed. */
  apply<T>(change: (undo: Undo[]) => T): { transaction: Transaction; value: T } {
    const undo: Undo[] = [];
    try {
      const value = change(undo);
      const transaction: Transaction = { undo, state: "applied" };
      this.#unflushed.push(transaction);
      return { transaction, value };
    } catch (error) {
      takeBack(undo, 0);
      throw error;
    }
  }

  flush(): void {
    for (const transaction of this.#unflushed) {
      transaction.undo.length = 0;
      transaction.state = "flushed";
    }
    this.#unflushed = [];
  }
}

/** A store in memory: the reference of the contract, the simulator's store, and `memory:` for tests and trials. It has
 *  neither clock nor randomness. Nothing survives the process. */
export function openMemoryStore(options: MemoryStoreOptions): Store {
  return new MemoryStore(options);
}

class MemoryStore implements Store {
  readonly fleet: string;
  readonly #disk: MemoryDisk;
  readonly #state: MemoryFleet;
  readonly #depthMax: number;
  readonly #turn: ((moment: string) => Promise<void>) | undefined;
  readonly #underWay = new Set<Promise<unknown>>();
  #closed = false;

  constructor({ fleet, disk = new MemoryDisk(), queueDepthMax = QUEUE_DEPTH_MAX, turn }: MemoryStoreOptions) {
    this.fleet = fleet;
    this.#disk = disk;
    this.#state = disk.fleet(fleet);
    this.#depthMax = queueDepthMax;
    this.#turn = turn;
  }

  commit(commits: readonly Commit[]): Promise<CommitResult[]> {
    return this.#write("commit", (undo) => {
      commits.forEach(checkCommit);
      return commits.map((commit) => this.#state.commit(commit, this.#depthMax, undo));
    });
  }

  events(journal: JournalId, after: number, limit: number): Promise<EventRow[]> {
    return this.#read("events", () =>
      this.#state
        .events(journal)
        .slice(after, after + limit)
        .map(copy),
    );
  }

  head(journal: JournalId): Promise<{ version: number; head: Uint8Array }> {
    return this.#read("head", () => {
      const { version, head } = this.#state.journals.get(journal) ?? { version: 0, head: new Uint8Array(0) };
      return { version, head: head.slice() };
    });
  }

  erasePayloads(journal: JournalId, versions: readonly number[], blobs: readonly string[] = []): Promise<void> {
    return this.#write("erasePayloads", (undo) => this.#state.erasePayloads(journal, versions, blobs, undo));
  }

  run(id: JournalId): Promise<RunRow | null> {
    return this.#read("run", () => copyOrNull(this.#state.run(id)));
  }

  runs({ status, workflow, before, limit }: RunFilter): Promise<RunRow[]> {
    return this.#read("runs", () =>
      this.#runs()
        .filter(
          (run) =>
            (status === undefined || run.status === status) && (workflow === undefined || run.workflow === workflow),
        )
        .filter((run) => before === undefined || newestFirst(run, before) > 0)
        .sort(newestFirst)
        .slice(0, limit)
        .map(copy),
    );
  }

  runIdsByPrefix(prefix: string, limit: number): Promise<JournalId[]> {
    return this.#read("runIdsByPrefix", () =>
      this.#runs()
        .map((run) => run.id)
        .filter((id) => id.startsWith(prefix))
        .sort(compareText)
        .slice(0, limit),
    );
  }

  runByIdempotencyKey(key: string): Promise<{ run: JournalId; inputDigest: string } | null> {
    return this.#read("runByIdempotencyKey", () => copyOrNull(this.#state.key(key)));
  }

  peek(queue: string, now: number, limit: number): Promise<TaskRow[]> {
    return this.#read("peek", () => this.#state.tasks.peek(queue, now, limit));
  }

  leases(after: TaskKey | null, limit: number): Promise<TaskRow[]> {
    return this.#read("leases", () => this.#state.tasks.leases(after, limit));
  }

  heartbeat(
    worker: string,
    leases: readonly (TaskKey & { attempt: number })[],
    leaseUntil: number,
  ): Promise<TaskKey[]> {
    return this.#write("heartbeat", (undo) => this.#state.heartbeat(worker, leases, leaseUntil, undo));
  }

  expiredLeases(now: number, limit: number): Promise<TaskRow[]> {
    return this.#read("expiredLeases", () => this.#state.tasks.expiredLeases(now, limit));
  }

  expiredTasks(now: number, limit: number): Promise<TaskRow[]> {
    return this.#read("expiredTasks", () => this.#state.tasks.expired(now, limit));
  }

  depth(now: number): Promise<QueueDepth[]> {
    return this.#read("depth", () => this.#state.tasks.depth(now));
  }

  dueTimers(now: number, limit: number, after?: TimerRow): Promise<TimerRow[]> {
    return this.#read("dueTimers", () => {
      const due: TimerRow[] = [];
      for (const timer of this.#state.timers) {
        if (due.length >= limit || timer.dueAt > now) break;
        if (after !== undefined && byDueAt(timer, after) <= 0) continue;
        due.push({ ...timer });
      }
      return due;
    });
  }

  nextDue(now: number): Promise<number | null> {
    return this.#read("nextDue", () =>
      earliest([this.#state.tasks.nextDue(now), this.#state.timers[0]?.dueAt ?? null]),
    );
  }

  outbox(limit: number): Promise<OutboxRow[]> {
    return this.#read("outbox", () =>
      [...this.#state.outbox.values()]
        .sort((a, b) => a.id - b.id)
        .slice(0, limit)
        .map(copy),
    );
  }

  outboxSent(ids: readonly number[]): Promise<void> {
    return this.#write("outboxSent", (undo) => this.#state.outboxSent(ids, undo));
  }

  deadLetters({ run, kind, limit }: { run?: JournalId; kind?: DeadLetterKind; limit: number }): Promise<DeadLetter[]> {
    return this.#read("deadLetters", () =>
      [...this.#state.deadLetters.values()]
        .filter((letter) => (run === undefined || letter.run === run) && (kind === undefined || letter.kind === kind))
        .sort((a, b) => b.at - a.at || compareText(b.id, a.id))
        .slice(0, limit)
        .map(copy),
    );
  }

  deadLetter(id: string): Promise<DeadLetter | null> {
    return this.#read("deadLetter", () => copyOrNull(this.#state.deadLetters.get(id)));
  }

  deadLetterRemove(id: string): Promise<boolean> {
    return this.#write("deadLetterRemove", (undo) => this.#state.deadLetterRemove(id, undo));
  }

  inbox({ state, run, kind, dueBefore = Number.POSITIVE_INFINITY, after, limit }: InboxFilter): Promise<InboxRow[]> {
    const open = state === "open";
    return this.#read("inbox", () =>
      [...this.#state.inbox.values()]
        .filter((item) => (item.decidedAt === null) === open)
        .filter((item) => (run === undefined || item.run === run) && (kind === undefined || item.kind === kind))
        .filter(({ deadline }) => dueBefore === Number.POSITIVE_INFINITY || (deadline !== null && deadline < dueBefore))
        .filter((item) => !open || after === undefined || oldestFirst(item, after) > 0)
        .sort(open ? oldestFirst : lastDecidedFirst)
        .slice(0, limit)
        .map(copy),
    );
  }

  inboxItem(id: string): Promise<InboxRow | null> {
    return this.#read("inboxItem", () => copyOrNull(this.#state.inbox.get(id)));
  }

  inboxIdsByPrefix(prefix: string, limit: number): Promise<string[]> {
    return this.#read("inboxIdsByPrefix", () =>
      [...this.#state.inbox.keys()]
        .filter((id) => id.startsWith(prefix))
        .sort(compareText)
        .slice(0, limit),
    );
  }

  account(account: string, window: string): Promise<AccountRow> {
    return this.#read("account", () => copy(this.#state.account(account, window)));
  }

  blob(hash: string): Promise<Uint8Array | null> {
    return this.#read("blob", () => this.#state.blobs.get(hash)?.bytes.slice() ?? null);
  }

  sweepBlobs(now: number, unreferencedBefore: number): Promise<number> {
    return this.#write("sweepBlobs", (undo) => this.#state.sweepBlobs(now, unreferencedBefore, undo));
  }

  snapshot(journal: JournalId, version = Number.MAX_SAFE_INTEGER): Promise<Snapshot | null> {
    return this.#read("snapshot", () =>
      copyOrNull(this.#state.snapshots(journal).find((kept) => kept.version <= version)),
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#underWay);
  }

  #runs(): RunRow[] {
    return [...this.#state.journals.keys()].map((id) => this.#state.run(id)).filter((run) => run !== null);
  }

  #read<T>(operation: string, look: () => T): Promise<T> {
    return this.#track(async () => {
      await this.#turn?.(`${operation}.apply`);
      const value = look();
      await this.#turn?.(`${operation}.answer`);
      return value;
    });
  }

  #write<T>(operation: string, change: (undo: Undo[]) => T): Promise<T> {
    return this.#track(async () => {
      await this.#turn?.(`${operation}.apply`);
      const { transaction, value } = this.#disk.apply(change);
      await this.#flush(operation, transaction);
      await this.#turn?.(`${operation}.answer`);
      return value;
    });
  }

  async #flush(operation: string, transaction: Transaction): Promise<void> {
    try {
      await this.#turn?.(`${operation}.flush`);
    } catch (error) {
      // A flush that fails after another one covered this transaction changes nothing any more.
      if (transaction.state === "flushed") return;
      if (transaction.state === "applied") this.#disk.crash();
      throw error;
    }
    if (transaction.state === "lost")
      throw new FlotillaError("STORE_UNAVAILABLE", `${operation}: lost before its flush`);
    this.#disk.flush();
  }

  /** Runs an operation so that `close` can wait for it. */
  #track<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new FlotillaError("STORE_CLOSED", "The store is closed."));
    const promise = operation();
    const settled = () => this.#underWay.delete(promise);
    this.#underWay.add(promise);
    promise.then(settled, settled);
    return promise;
  }
}

const copyOrNull = <T extends object>(row: T | null | undefined): T | null => (row ? copy(row) : null);

function oldestFirst(a: { at: number; id: string }, b: { at: number; id: string }): number {
  return a.at - b.at || compareText(a.id, b.id);
}

function lastDecidedFirst(a: InboxRow, b: InboxRow): number {
  return (b.decidedAt ?? 0) - (a.decidedAt ?? 0) || compareText(b.id, a.id);
}

function newestFirst(a: { createdAt: number; id: string }, b: { createdAt: number; id: string }): number {
  return b.createdAt - a.createdAt || compareText(b.id, a.id);
}
