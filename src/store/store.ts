/**
 * The contract of a store (D2). A handle belongs to one fleet: the fleet id leads every key, and two fleets on one
 * file or database never see each other. Nothing here assumes one process, a synchronous call or a database's own
 * types: bytes are `Uint8Array`, times are milliseconds since the epoch and always passed in, ids are well-formed
 * strings that sort by their UTF-8 bytes. What a caller passes in or gets back is never shared with the store.
 *
 * Glossary. *Journal*: an append-only list of events with versions 1, 2, 3…; a run is a journal, and the fleet has
 * one of its own (`FLEET_JOURNAL`). *Commit*: events at an expected version plus all that must be true with them.
 * *Queue*: tasks that wait for a worker or are leased to one. *Rank*: a task's place in its queue, smaller first.
 */

export type JournalId = string;

/** The journal of what concerns the whole fleet. */
export const FLEET_JOURNAL: JournalId = "fleet";

/** One event as stored: never rewritten. `bytes` is the canonical JSON that is hashed; `hash` is
 *  SHA-256(previous hash ‖ bytes), 32 bytes, computed by the caller; `payload` is the content that `bytes` names by
 *  salted digest, and the only part that can be erased. */
export interface EventRow {
  version: number;
  at: number;
  type: string;
  bytes: Uint8Array;
  hash: Uint8Array;
  payload: Uint8Array | null;
}

export type RunStatus = "running" | "completed" | "failed" | "stopped";

/** What is kept of a run beside its journal, for lists and look-ups; derived, and rebuilt from the journal. */
export interface RunRow {
  id: JournalId;
  workflow: string;
  /** Hash of the definition that the run is pinned to. */
  definition: string;
  status: RunStatus;
  createdAt: number;
  /** `at` of the newest event. */
  updatedAt: number;
  version: number;
  head: Uint8Array;
  /** Small JSON for lists (tokens, money, tasks); null until the run ends. */
  summary: Uint8Array | null;
  /** The key under which it was started, and the digest of its input; null without one. */
  idempotencyKey: string | null;
  inputDigest: string | null;
}

/** Ignored on a journal that no commit created as a run. */
export interface RunWrite {
  /** Set on the first commit of a run. */
  create?: {
    workflow: string;
    definition: string;
    createdAt: number;
    idempotencyKey?: string;
    inputDigest?: string;
    /** The run is the work of one that was accepted: a full queue takes it, as it takes further tasks of that one. */
    child?: true;
  };
  status?: RunStatus;
  summary?: Uint8Array;
}

export interface TaskKey {
  run: JournalId;
  task: string;
}

/** A queued task as `peek` and `leases` return it. */
export interface TaskRow extends TaskKey {
  queue: string;
  attempt: number;
  rank: number;
  /** Not before this time (F2 back-off). */
  readyAt: number;
  /** Time to live: after this, `expired` returns it. */
  expiresAt: number | null;
  worker: string | null;
  leaseUntil: number | null;
}

export type TaskWrite =
  /** Puts or returns the task to its queue as ready from `readyAt`; releases any lease. */
  | {
      op: "ready";
      task: string;
      queue: string;
      attempt: number;
      rank: number;
      readyAt: number;
      expiresAt: number | null;
    }
  /** Leases the task (queued or not) to `worker`. Fenced: refused unless `attempt` is greater than any that was leased
   *  since the task was last removed. (Removing forgets: the journal's version refuses whoever comes late after that,
   *  and a task that was suspended wakes with the attempt that it had.) `readyAt` stays what it was, or 0. */
  | {
      op: "lease";
      task: string;
      queue: string;
      attempt: number;
      rank: number;
      worker: string;
      leaseUntil: number;
      expiresAt: number | null;
    }
  /** Removes the task from the queue: settled, suspended or cancelled. Removing what is not there is no error. */
  | { op: "remove"; task: string };

export interface TimerRow {
  run: JournalId;
  name: string;
  dueAt: number;
}

export type TimerWrite = { op: "set"; name: string; dueAt: number } | { op: "clear"; name: string };

export type DeadLetterKind = "expired" | "poisoned" | "undeliverable" | "failed";

/** M9. `bytes` is the message or task as JSON. */
export interface DeadLetter {
  id: string;
  at: number;
  kind: DeadLetterKind;
  reason: string;
  run: JournalId | null;
  task: string | null;
  bytes: Uint8Array;
}

/** Something that waits for a person (F9), or did: what the inbox lists without reading runs. It follows from the run's
 *  journal. `bytes` is small JSON. */
export interface InboxRow {
  id: string;
  run: JournalId;
  kind: string;
  at: number;
  /** When its default decides; null: never. */
  deadline: number | null;
  /** Null while it waits. */
  decidedAt: number | null;
  bytes: Uint8Array;
}

export interface InboxFilter {
  /** `open`: those that wait, oldest first, then by id. `decided`: those that do not any more, newest first, then by id,
   *  descending. */
  state: "open" | "decided";
  run?: JournalId;
  kind?: string;
  /** Just those whose deadline is before this time. */
  dueBefore?: number;
  /** Of `open`: only those after this one in their order. */
  after?: { at: number; id: string };
  limit: number;
}

export interface OutboxRow {
  /** Grows; order of commit. */
  id: number;
  topic: string;
  bytes: Uint8Array;
}

/** A content-addressed blob: `hash` is the SHA-256 of `bytes`, in hex. */
export interface Blob {
  hash: string;
  bytes: Uint8Array;
}

export interface Snapshot {
  version: number;
  bytes: Uint8Array;
}

/** What a commit draws from an account in one of its windows; less than nothing is given back (K2). */
export interface AccountWrite {
  account: string;
  window: string;
  tokens: number;
  costMicroUsd: number;
  /** What may be drawn in this window, by all together; null: no bound. */
  tokensMax: number | null;
  costMicroUsdMax: number | null;
}

/** What is drawn from an account in one window. */
export interface AccountRow {
  account: string;
  window: string;
  tokens: number;
  costMicroUsd: number;
}

/** All that one transition of one journal changes. Applied whole or not at all. */
export interface Commit {
  journal: JournalId;
  /** The version that the caller decided on; 0 creates the journal, with the first event. */
  expectedVersion: number;
  /** Versions `expectedVersion + 1` and on, without a gap. */
  events: readonly EventRow[];
  run?: RunWrite;
  tasks?: readonly TaskWrite[];
  timers?: readonly TimerWrite[];
  outbox?: readonly { topic: string; bytes: Uint8Array }[];
  deadLetters?: readonly DeadLetter[];
  /** Ids of dead letters to remove, after any that are written; what is not there is no error. */
  deadLettersRemoved?: readonly string[];
  /** Items of the inbox; one written again under its id replaces the first. */
  inbox?: readonly InboxRow[];
  /** In order. What gives back is never refused. */
  accounts?: readonly AccountWrite[];
  /** Blobs that the events refer to; writing one that exists adds a reference. */
  blobs?: readonly Blob[];
  /** References to blobs that are already stored (by this or another journal). */
  blobRefs?: readonly string[];
  /** The two newest of a journal are kept. */
  snapshot?: Snapshot;
  /** Finished runs to remove in the same transaction (retention); their heads belong into `events`. Events, tasks,
   *  timers, items of the inbox, snapshots, references to blobs and the idempotency key go; dead letters and the outbox stay. What is not
   *  there is no error. */
  remove?: readonly JournalId[];
}

/** Expected outcomes are values; what a caller could not foresee is thrown. */
export type CommitResult =
  | { ok: true }
  /** The journal is at `version`, not where the caller thought. */
  | { ok: false; reason: "conflict"; version: number }
  /** The idempotency key belongs to `run`, started with `inputDigest`. */
  | { ok: false; reason: "duplicate"; run: JournalId; inputDigest: string }
  /** A lease was not newer than the newest one of its task. */
  | { ok: false; reason: "fenced"; task: string }
  /** It would draw more from an account than may be drawn in that window. */
  | { ok: false; reason: "overdrawn"; account: string; window: string }
  /** A `ready` or `create` would pass the bound of the queue (M8): `depth` is what it
   *  holds now, all queues of the fleet together. Only commits that create a run are refused so, and of a child none. */
  | { ok: false; reason: "full"; depth: number };

export interface QueueDepth {
  queue: string;
  ready: number;
  delayed: number;
  leased: number;
  /** Smallest `readyAt` of what is ready, for the age of the queue. */
  oldestReadyAt: number | null;
}

export interface RunFilter {
  status?: RunStatus;
  workflow?: string;
  /** Only runs created before this cursor (`createdAt` and id of the last row of the page before). */
  before?: { createdAt: number; id: JournalId };
  limit: number;
}

export interface StoreOptions {
  fleet: string;
  /** Ready, delayed and leased tasks together that the queue may hold before new runs are refused (M8). Default 1,000,000. */
  queueDepthMax?: number;
}

/** Every call may be made concurrently with every other. After `close`, calls reject with STORE_CLOSED.
 *  A call that fails has had no effect, unless it rejects with STORE_UNAVAILABLE, after which the outcome of a commit
 *  is unknown until the journal is read again. */
export interface Store {
  readonly fleet: string;

  /** Applies each commit whole or not at all, all of them in one durable transaction, in the order given; resolves
   *  only when they survive a crash of process and power (F14). A refused commit does not stop the others; each is
   *  checked against what the ones before it left, for conflict, duplicate, full, fenced and overdrawn in this order.
   *  @throws {FlotillaError} STORE_FULL, STORE_READONLY, INVARIANT (a malformed commit, or one that removes a run that
   *  has not ended), BLOB_MISSING (`blobRefs` names what is not stored), each with nothing applied; STORE_UNAVAILABLE */
  commit(commits: readonly Commit[]): Promise<CommitResult[]>;

  /** Events with version > `after`, in order, at most `limit`. Unknown journals are empty. */
  events(journal: JournalId, after: number, limit: number): Promise<EventRow[]>;
  /** Version and head of a journal; version 0 and an empty head when it does not exist. */
  head(journal: JournalId): Promise<{ version: number; head: Uint8Array }>;
  /** Erases the content of events and keeps their digests (S6); the chain still verifies. Copies go in the same
   *  transaction: this journal's references to `blobs`, with those blobs that nobody else refers to, and all dead letters
   *  and items of the inbox of the run. What is not there is no error. */
  erasePayloads(journal: JournalId, versions: readonly number[], blobs?: readonly string[]): Promise<void>;

  run(id: JournalId): Promise<RunRow | null>;
  /** Newest first. */
  runs(filter: RunFilter): Promise<RunRow[]>;
  /** Ids of runs that start with `prefix`, in order, at most `limit` (unique prefixes of the CLI). */
  runIdsByPrefix(prefix: string, limit: number): Promise<JournalId[]>;
  runByIdempotencyKey(key: string): Promise<{ run: JournalId; inputDigest: string } | null>;

  /** Ready tasks of a queue that are due at `now` and not expired, by rank then run then task. Takes nothing: a lease is a commit. */
  peek(queue: string, now: number, limit: number): Promise<TaskRow[]>;
  /** Leased tasks by run and task, at most `limit`, after the given key. */
  leases(after: TaskKey | null, limit: number): Promise<TaskRow[]>;
  /** Extends leases that are still held with this attempt by this worker, never shortens them, in one durable
   *  transaction; returns those that are not. */
  heartbeat(worker: string, leases: readonly (TaskKey & { attempt: number })[], leaseUntil: number): Promise<TaskKey[]>;
  /** Leased tasks whose lease ended before `now` (`leaseUntil < now`), longest ended first. */
  expiredLeases(now: number, limit: number): Promise<TaskRow[]>;
  /** Queued, not leased tasks whose time to live ended before `now` (`expiresAt < now`), longest ended first. */
  expiredTasks(now: number, limit: number): Promise<TaskRow[]>;
  /** Every queue that holds a task, by name. Tasks with `readyAt` after `now` count as delayed. */
  depth(now: number): Promise<QueueDepth[]>;

  /** Timers due at or before `now`, earliest first, then by run and name; only those behind `after`, if that is given.
   *  They stay until a commit clears them. */
  dueTimers(now: number, limit: number, after?: TimerRow): Promise<TimerRow[]>;
  /** The earliest time at which `dueTimers`, `expiredLeases` or `expiredTasks` returns something (which is in the past
   *  when something waits to be handled), or at which a task that is delayed at `now` becomes ready; null when nothing
   *  will. Tasks ready at `now` do not count: they wait for a worker, not for the time. */
  nextDue(now: number): Promise<number | null>;

  /** Unsent outbox rows in order of commit. */
  outbox(limit: number): Promise<OutboxRow[]>;
  /** Removes rows; those that are not there are no error. */
  outboxSent(ids: readonly number[]): Promise<void>;

  /** Newest first, then by id, descending. A dead letter written again under its id replaces the first. */
  deadLetters(filter: { run?: JournalId; kind?: DeadLetterKind; limit: number }): Promise<DeadLetter[]>;
  deadLetter(id: string): Promise<DeadLetter | null>;
  /** Returns whether it was there. */
  deadLetterRemove(id: string): Promise<boolean>;

  inbox(filter: InboxFilter): Promise<InboxRow[]>;
  inboxItem(id: string): Promise<InboxRow | null>;
  /** Ids of items, also decided ones, that start with `prefix`, in order, at most `limit`. */
  inboxIdsByPrefix(prefix: string, limit: number): Promise<string[]>;
  /** What is drawn from an account in a window; zeros when nothing ever was. */
  account(account: string, window: string): Promise<AccountRow>;

  blob(hash: string): Promise<Uint8Array | null>;
  /** Notes at `now` which blobs no journal refers to, and removes those noted so before `unreferencedBefore` and not
   *  referred to since; returns how many. So a blob goes with the second sweep at the earliest. */
  sweepBlobs(now: number, unreferencedBefore: number): Promise<number>;

  /** The newest snapshot of a journal at or below `version` (default: the newest of all). */
  snapshot(journal: JournalId, version?: number): Promise<Snapshot | null>;

  /** Waits for calls under way. Closing twice is no error. */
  close(): Promise<void>;
}
