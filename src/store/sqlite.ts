import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { FlotillaError } from "../error.ts";
import { checkCommit, QUEUE_DEPTH_MAX } from "./commit.ts";
import { CommitWriter } from "./sqlite-commit.ts";
import { translate, translated } from "./sqlite-error.ts";
import { createDatabase, inspectFile, isInterrupted, openImmutable, removeDrafts } from "./sqlite-file.ts";
import { holdFile } from "./sqlite-held.ts";
import { checkFileSchema, checkSchema, migrate, userVersion } from "./sqlite-migrate.ts";
import { MIGRATIONS } from "./sqlite-schema.ts";
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
  RunStatus,
  Snapshot,
  Store,
  StoreOptions,
  TaskKey,
  TaskRow,
  TimerRow,
} from "./store.ts";

export interface SqliteStoreOptions extends StoreOptions {
  /** How long a write waits for another process that writes, in milliseconds. Default 5,000. */
  busyTimeoutMs?: number;
  /** Pages of 4 KiB that the file may take; what needs more is refused with STORE_FULL. Default: what the disk holds. */
  pagesMax?: number;
  /** The steps of the schema; only tests of migration give their own. */
  migrations?: readonly string[];
}

const BUSY_TIMEOUT_MS = 5_000;

/** Pages in the -wal before it is copied into the file, 4 KiB each: the more, the fewer copies of pages that change
 *  often, and the longer one commit in so many takes. */
const CHECKPOINT_PAGES = 4_000;
const PAGE_BYTES = 4_096;
/** Pages beyond these come from the system's cache, which costs a copy and no memory of this process. With 16 MiB a store
 *  of 130,000 tasks took as much processor time. */
const CACHE_KIB = 2_048;

/** Opens the store in the file `path`, made with its folders when it is not there, readable by the user alone. One
 *  process owns a file (the caller sees to that); a second writer is kept out of each transaction, and waits.
 *  @throws {FlotillaError} STORE_NEWER, STORE_DAMAGED (each with file and folder untouched, byte for byte),
 *  STORE_READONLY, STORE_FULL, STORE_UNAVAILABLE */
export async function openSqliteStore(path: string, options: SqliteStoreOptions): Promise<Store> {
  const { busyTimeoutMs = BUSY_TIMEOUT_MS, migrations = MIGRATIONS } = options;
  return translated(path, () => {
    const version = inspectFile(path, migrations.length);
    if (version === null) createDatabase(path, (db) => migrate(db, migrations, path));
    else removeDrafts(path);
    const interrupted = isInterrupted(path);
    if (version !== null && !interrupted) checkFileSchema(path, migrations);
    const db = new DatabaseSync(path, { timeout: busyTimeoutMs, enableForeignKeyConstraints: false });
    return closingOnError(db, () => {
      if (interrupted) checkSchema(db, path, migrations);
      if (userVersion(db) < migrations.length) migrate(db, migrations, path);
      configure(db, options);
      return new SqliteStore(db, path, options, writableFleet(db, options.fleet));
    });
  });
}

function configure(db: DatabaseSync, { pagesMax }: SqliteStoreOptions): void {
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1;
    PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA journal_size_limit = ${CHECKPOINT_PAGES * PAGE_BYTES};
    PRAGMA cache_size = -${CACHE_KIB}; PRAGMA temp_store = MEMORY`);
  if (pagesMax !== undefined) db.exec(`PRAGMA max_page_count = ${pagesMax}`);
}

function writableFleet(db: DatabaseSync, fleet: string): number {
  const no = fleetNumber(db, fleet);
  return no > 0 ? no : Number(db.prepare("INSERT INTO fleet (id) VALUES (?)").run(fleet).lastInsertRowid);
}

/** 0 for a fleet that never wrote: nothing is found under it. */
function fleetNumber(db: DatabaseSync, fleet: string): number {
  return Number(db.prepare("SELECT no FROM fleet WHERE id = ?").get(fleet)?.no ?? 0);
}

/** Opens the store in `path` to look at it while its owner runs, or when nobody does, and never changes it: what would
 *  write rejects with STORE_READONLY. (It may leave an empty -wal and a -shm beside the file, which the next owner
 *  removes.) @throws {FlotillaError} as `openSqliteStore`, and STORE_READONLY when there is
 *  no store yet, or one that must be upgraded first */
export async function openSqliteReader(path: string, options: SqliteStoreOptions): Promise<Store> {
  const { busyTimeoutMs = BUSY_TIMEOUT_MS, migrations = MIGRATIONS } = options;
  return translated(path, () => {
    const version = inspectFile(path, migrations.length);
    if (version === null) throw new FlotillaError("STORE_READONLY", `There is no store ${path} to read yet.`);
    if (version < migrations.length) {
      throw new FlotillaError(
        "STORE_READONLY",
        `The store ${path} was made by an older Flotilla and must be upgraded first.`,
        {
          hint: "Start its fleet once with this Flotilla; that upgrades the store.",
          details: { path, version, wanted: migrations.length },
        },
      );
    }
    if (!isInterrupted(path)) checkFileSchema(path, migrations);
    const db = openForReading(path, busyTimeoutMs);
    return closingOnError(db, () => new SqliteStore(db, path, options, null));
  });
}

/** A database in WAL mode needs -wal and -shm beside it; where they are not there and cannot be made, nobody writes
 *  either, and the file can be read as it is. */
function openForReading(path: string, timeout: number): DatabaseSync {
  const db = new DatabaseSync(path, { readOnly: true, timeout });
  try {
    db.prepare("SELECT 1 FROM fleet").get();
    return db;
  } catch (error) {
    db.close();
    if (isInterrupted(path)) throw error;
    return openImmutable(path);
  }
}

function closingOnError<T>(db: DatabaseSync, work: () => T): T {
  try {
    return work();
  } catch (error) {
    db.close();
    throw error;
  }
}

const RUN_COLUMNS = `id, workflow, definition, status, created_at AS createdAt, updated_at AS updatedAt, version, head, summary,
  idempotency_key AS idempotencyKey, input_digest AS inputDigest`;
const TASK_COLUMNS = `run, task, queue, attempt, rank, ready_at AS readyAt, expires_at AS expiresAt, worker,
  lease_until AS leaseUntil`;
const INBOX_COLUMNS = "id, run, kind, at, deadline, decided_at AS decidedAt, bytes";
const RUN_STATUSES: readonly RunStatus[] = ["running", "completed", "failed", "stopped"];

const SQL = {
  events: `SELECT version, at, type, bytes, hash, payload FROM event
    WHERE journal = (SELECT no FROM journal WHERE fleet = ? AND id = ?) AND version > ? ORDER BY version LIMIT ?`,
  head: "SELECT version, head FROM journal WHERE fleet = ? AND id = ?",
  erase:
    "UPDATE event SET payload = NULL WHERE journal = (SELECT no FROM journal WHERE fleet = ? AND id = ?) AND version = ?",
  forget: "DELETE FROM blob_ref WHERE journal = (SELECT no FROM journal WHERE fleet = ? AND id = ?) AND hash = ?",
  forgotten: "UPDATE blob SET refs = refs - 1 WHERE fleet = ? AND hash = ?",
  deadLettersErased: "DELETE FROM dead_letter WHERE fleet = ? AND run = ?",
  inboxErased: "DELETE FROM inbox WHERE fleet = ? AND run = ?",
  blobErased: "DELETE FROM blob WHERE fleet = ? AND hash = ? AND refs = 0",
  run: `SELECT ${RUN_COLUMNS} FROM journal WHERE fleet = ? AND id = ? AND status IS NOT NULL`,
  runs: `SELECT ${RUN_COLUMNS} FROM journal WHERE fleet = ?1 AND status = ?2 AND created_at <= ?3
    AND (created_at < ?3 OR ?4 IS NULL OR id < ?4) AND (?5 IS NULL OR workflow = ?5) ORDER BY created_at DESC, id DESC LIMIT ?6`,
  runIdsFrom: "SELECT id FROM journal WHERE fleet = ? AND id >= ? AND status IS NOT NULL ORDER BY id LIMIT ?",
  keyOwner:
    "SELECT id AS run, input_digest AS inputDigest FROM journal WHERE fleet = ? AND idempotency_key = ? AND status IS NOT NULL",
  // Without being told, SQLite would read all that is ready and sort it.
  peek: `SELECT ${TASK_COLUMNS} FROM task INDEXED BY task_by_rank WHERE fleet = ?1 AND queue = ?2 AND worker IS NULL AND ready_at <= ?3
    AND (expires_at IS NULL OR expires_at >= ?3) ORDER BY rank, run, task LIMIT ?4`,
  leases: `SELECT ${TASK_COLUMNS} FROM task WHERE fleet = ?1 AND worker IS NOT NULL AND (run, task) > (?2, ?3)
    ORDER BY run, task LIMIT ?4`,
  heartbeat: `UPDATE task SET lease_until = max(lease_until, ?)
    WHERE fleet = ? AND run = ? AND task = ? AND attempt = ? AND worker = ?`,
  expiredLeases: `SELECT ${TASK_COLUMNS} FROM task WHERE fleet = ? AND worker IS NOT NULL AND lease_until < ?
    ORDER BY lease_until, run, task LIMIT ?`,
  expiredTasks: `SELECT ${TASK_COLUMNS} FROM task WHERE fleet = ? AND worker IS NULL AND expires_at IS NOT NULL AND expires_at < ?
    ORDER BY expires_at, run, task LIMIT ?`,
  depth: `SELECT queue, count(*) FILTER (WHERE worker IS NULL AND ready_at <= ?2) AS ready,
    count(*) FILTER (WHERE worker IS NULL AND ready_at > ?2) AS delayed, count(worker) AS leased,
    min(ready_at) FILTER (WHERE worker IS NULL AND ready_at <= ?2) AS oldestReadyAt
    FROM task WHERE fleet = ?1 GROUP BY queue ORDER BY queue`,
  dueTimers: `SELECT run, name, due_at AS dueAt FROM timer WHERE fleet = ?1 AND due_at <= ?2
    AND (due_at, run, name) > (?4, ?5, ?6) ORDER BY due_at, run, name LIMIT ?3`,
  nextDue: `SELECT min(at) AS at FROM (
    SELECT (SELECT min(due_at) FROM timer WHERE fleet = ?1) AS at
    UNION ALL SELECT (SELECT min(lease_until) + 1 FROM task WHERE fleet = ?1 AND worker IS NOT NULL)
    UNION ALL SELECT (SELECT min(expires_at) + 1 FROM task WHERE fleet = ?1 AND worker IS NULL AND expires_at IS NOT NULL)
    UNION ALL SELECT (SELECT min(ready_at) FROM task WHERE fleet = ?1 AND worker IS NULL AND ready_at > ?2))`,
  outbox: "SELECT id, topic, bytes FROM outbox WHERE fleet = ? ORDER BY id LIMIT ?",
  outboxSent: "DELETE FROM outbox WHERE fleet = ? AND id = ?",
  deadLetters: `SELECT id, at, kind, reason, run, task, bytes FROM dead_letter
    WHERE fleet = ?1 AND (?2 IS NULL OR run = ?2) AND (?3 IS NULL OR kind = ?3) ORDER BY at DESC, id DESC LIMIT ?4`,
  deadLetter: "SELECT id, at, kind, reason, run, task, bytes FROM dead_letter WHERE fleet = ? AND id = ?",
  deadLetterRemove: "DELETE FROM dead_letter WHERE fleet = ? AND id = ?",
  inboxOpen: `SELECT ${INBOX_COLUMNS} FROM inbox WHERE fleet = ?1 AND decided_at IS NULL AND (?2 IS NULL OR run = ?2)
    AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR deadline < ?4) AND at >= ?5 AND (at > ?5 OR id > ?6)
    ORDER BY at, id LIMIT ?7`,
  inboxDecided: `SELECT ${INBOX_COLUMNS} FROM inbox WHERE fleet = ?1 AND decided_at IS NOT NULL AND (?2 IS NULL OR run = ?2)
    AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR deadline < ?4) ORDER BY decided_at DESC, id DESC LIMIT ?5`,
  inboxItem: `SELECT ${INBOX_COLUMNS} FROM inbox WHERE fleet = ? AND id = ?`,
  inboxIdsFrom: "SELECT id FROM inbox WHERE fleet = ? AND id >= ? ORDER BY id LIMIT ?",
  blob: "SELECT bytes FROM blob WHERE fleet = ? AND hash = ?",
  sweep: "DELETE FROM blob WHERE fleet = ? AND refs = 0 AND unreferenced_at < ?",
  sweepMark: "UPDATE blob SET unreferenced_at = ?2 WHERE fleet = ?1 AND refs = 0 AND unreferenced_at IS NULL",
  account: `SELECT tokens, cost_micro_usd AS costMicroUsd FROM account WHERE fleet = ? AND account = ? AND period = ?`,
  snapshot: `SELECT version, bytes FROM snapshot WHERE journal = (SELECT no FROM journal WHERE fleet = ? AND id = ?)
    AND version <= ? ORDER BY version DESC LIMIT 1`,
} as const;

class SqliteStore implements Store {
  readonly fleet: string;
  readonly #db: DatabaseSync;
  readonly #path: string;
  #no: number;
  readonly #writer: CommitWriter | null;
  readonly #statements = new Map<string, StatementSync>();
  readonly #release: () => void;
  #closed = false;

  /** `no`: the fleet's number, or null to only read. */
  constructor(
    db: DatabaseSync,
    path: string,
    { fleet, queueDepthMax = QUEUE_DEPTH_MAX }: StoreOptions,
    no: number | null,
  ) {
    this.fleet = fleet;
    this.#db = db;
    this.#path = path;
    this.#release = holdFile(path);
    this.#no = no ?? fleetNumber(db, fleet);
    this.#writer = no === null ? null : new CommitWriter(db, no, queueDepthMax);
  }

  async commit(commits: readonly Commit[]): Promise<CommitResult[]> {
    return this.#write((writer) => {
      commits.forEach(checkCommit);
      if (commits.length === 0) return [];
      return (
        this.#transaction(() => writer.apply(commits)) ??
        this.#transaction(() => writer.applyWithSavepoints(commits)) ??
        []
      );
    });
  }

  async events(journal: JournalId, after: number, limit: number): Promise<EventRow[]> {
    return this.#read(() => this.#all<EventRow>("events", this.#no, journal, after, limit));
  }

  async head(journal: JournalId): Promise<{ version: number; head: Uint8Array }> {
    const nothing = { version: 0, head: new Uint8Array(0) };
    return this.#read(() => this.#one<typeof nothing>("head", this.#no, journal) ?? nothing);
  }

  async erasePayloads(journal: JournalId, versions: readonly number[], blobs: readonly string[] = []): Promise<void> {
    this.#write(() => {
      // Zeroes what was there, in the file and, by emptying it, in the -wal (unless a reader still needs that).
      this.#db.exec("PRAGMA secure_delete = ON");
      try {
        this.#transaction(() => {
          for (const version of versions) this.#run("erase", this.#no, journal, version);
          for (const hash of blobs) this.#eraseBlob(journal, hash);
          this.#run("deadLettersErased", this.#no, journal);
          this.#run("inboxErased", this.#no, journal);
          return true;
        });
        this.#db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      } finally {
        this.#db.exec("PRAGMA secure_delete = OFF");
      }
    });
  }

  #eraseBlob(journal: JournalId, hash: string): void {
    if (this.#run("forget", this.#no, journal, hash) === 0) return;
    this.#run("forgotten", this.#no, hash);
    this.#run("blobErased", this.#no, hash);
  }

  async run(id: JournalId): Promise<RunRow | null> {
    return this.#read(() => this.#one<RunRow>("run", this.#no, id));
  }

  async runs({ status, workflow, before, limit }: RunFilter): Promise<RunRow[]> {
    const statuses = status === undefined ? RUN_STATUSES : [status];
    const [time, id] = before ? [before.createdAt, before.id] : [Number.MAX_SAFE_INTEGER, null];
    return this.#read(() =>
      // The index leads with the status: one ordered scan for each, merged.
      statuses
        .flatMap((one) => this.#all<RunRow>("runs", this.#no, one, time, id, workflow ?? null, limit))
        .sort((a, b) => b.createdAt - a.createdAt || Buffer.compare(Buffer.from(b.id), Buffer.from(a.id)))
        .slice(0, limit),
    );
  }

  async runIdsByPrefix(prefix: string, limit: number): Promise<JournalId[]> {
    // Ids with the prefix stand together, and first, among those from the prefix on.
    return this.#read(() =>
      this.#all<{ id: string }>("runIdsFrom", this.#no, prefix, limit)
        .map((row) => row.id)
        .filter((id) => id.startsWith(prefix)),
    );
  }

  async runByIdempotencyKey(key: string): Promise<{ run: JournalId; inputDigest: string } | null> {
    return this.#read(() => this.#one<{ run: JournalId; inputDigest: string }>("keyOwner", this.#no, key));
  }

  async peek(queue: string, now: number, limit: number): Promise<TaskRow[]> {
    return this.#read(() => this.#all<TaskRow>("peek", this.#no, queue, now, limit));
  }

  async leases(after: TaskKey | null, limit: number): Promise<TaskRow[]> {
    return this.#read(() => this.#all<TaskRow>("leases", this.#no, after?.run ?? "", after?.task ?? "", limit));
  }

  async heartbeat(
    worker: string,
    leases: readonly (TaskKey & { attempt: number })[],
    leaseUntil: number,
  ): Promise<TaskKey[]> {
    const extend = ({ run, task, attempt }: TaskKey & { attempt: number }) =>
      this.#run("heartbeat", leaseUntil, this.#no, run, task, attempt, worker) === 1;
    return this.#write(() =>
      this.#transaction(() => leases.filter((lease) => !extend(lease)).map(({ run, task }) => ({ run, task }))),
    );
  }

  async expiredLeases(now: number, limit: number): Promise<TaskRow[]> {
    return this.#read(() => this.#all<TaskRow>("expiredLeases", this.#no, now, limit));
  }

  async expiredTasks(now: number, limit: number): Promise<TaskRow[]> {
    return this.#read(() => this.#all<TaskRow>("expiredTasks", this.#no, now, limit));
  }

  async depth(now: number): Promise<QueueDepth[]> {
    return this.#read(() => this.#all<QueueDepth>("depth", this.#no, now));
  }

  async dueTimers(now: number, limit: number, after?: TimerRow): Promise<TimerRow[]> {
    const { dueAt, run, name } = after ?? { dueAt: Number.MIN_SAFE_INTEGER, run: "", name: "" };
    return this.#read(() => this.#all<TimerRow>("dueTimers", this.#no, now, limit, dueAt, run, name));
  }

  async nextDue(now: number): Promise<number | null> {
    return this.#read(() => this.#one<{ at: number | null }>("nextDue", this.#no, now)?.at ?? null);
  }

  async outbox(limit: number): Promise<OutboxRow[]> {
    return this.#read(() => this.#all<OutboxRow>("outbox", this.#no, limit));
  }

  async outboxSent(ids: readonly number[]): Promise<void> {
    this.#write(() => this.#transaction(() => ids.map((id) => this.#run("outboxSent", this.#no, id))));
  }

  async deadLetters({
    run,
    kind,
    limit,
  }: {
    run?: JournalId;
    kind?: DeadLetterKind;
    limit: number;
  }): Promise<DeadLetter[]> {
    return this.#read(() => this.#all<DeadLetter>("deadLetters", this.#no, run ?? null, kind ?? null, limit));
  }

  async deadLetter(id: string): Promise<DeadLetter | null> {
    return this.#read(() => this.#one<DeadLetter>("deadLetter", this.#no, id));
  }

  async deadLetterRemove(id: string): Promise<boolean> {
    return this.#write(() => this.#transaction(() => this.#run("deadLetterRemove", this.#no, id) === 1));
  }

  async inbox({ state, run, kind, dueBefore, after, limit }: InboxFilter): Promise<InboxRow[]> {
    const wanted = [this.#no, run ?? null, kind ?? null, dueBefore ?? null];
    const { at, id } = after ?? { at: Number.MIN_SAFE_INTEGER, id: "" };
    return this.#read(() =>
      state === "open"
        ? this.#all<InboxRow>("inboxOpen", ...wanted, at, id, limit)
        : this.#all<InboxRow>("inboxDecided", ...wanted, limit),
    );
  }

  async inboxItem(id: string): Promise<InboxRow | null> {
    return this.#read(() => this.#one<InboxRow>("inboxItem", this.#no, id));
  }

  async inboxIdsByPrefix(prefix: string, limit: number): Promise<string[]> {
    return this.#read(() =>
      this.#all<{ id: string }>("inboxIdsFrom", this.#no, prefix, limit)
        .map((row) => row.id)
        .filter((id) => id.startsWith(prefix)),
    );
  }

  async account(account: string, window: string): Promise<AccountRow> {
    const nothing = { tokens: 0, costMicroUsd: 0 };
    return this.#read(() => {
      const drawn = this.#one<typeof nothing>("account", this.#no, account, window) ?? nothing;
      return { account, window, ...drawn };
    });
  }

  async blob(hash: string): Promise<Uint8Array | null> {
    return this.#read(() => this.#one<{ bytes: Uint8Array }>("blob", this.#no, hash)?.bytes ?? null);
  }

  async sweepBlobs(now: number, unreferencedBefore: number): Promise<number> {
    return this.#write(() =>
      this.#transaction(() => {
        const removed = this.#run("sweep", this.#no, unreferencedBefore);
        this.#run("sweepMark", this.#no, now);
        return removed;
      }),
    );
  }

  async snapshot(journal: JournalId, version = Number.MAX_SAFE_INTEGER): Promise<Snapshot | null> {
    return this.#read(() => this.#one<Snapshot>("snapshot", this.#no, journal, version));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    translated(this.#path, () => this.#db.close());
    this.#release();
  }

  #read<T>(look: () => T): T {
    if (this.#closed) throw new FlotillaError("STORE_CLOSED", `The store ${this.#path} is closed.`);
    return translated(this.#path, () => {
      // A reader may be older than its fleet.
      if (this.#no === 0) this.#no = fleetNumber(this.#db, this.fleet);
      return look();
    });
  }

  #write<T>(change: (writer: CommitWriter) => T): T {
    return this.#read(() => {
      if (this.#writer === null)
        throw new FlotillaError("STORE_READONLY", `The store ${this.#path} was opened to be read only.`);
      return change(this.#writer);
    });
  }

  /** Runs `change` in one durable transaction, rolled back when it throws or gives null. */
  #transaction<T>(change: () => T): T {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const value = change();
      this.#db.exec(value === null ? "ROLLBACK" : "COMMIT");
      return value;
    } catch (error) {
      this.#writer?.forget();
      // Some errors, a full disk among them, have rolled back already.
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw translate(error, this.#path);
    }
  }

  #one<T = Record<string, unknown>>(name: keyof typeof SQL, ...values: SQLInputValue[]): T | null {
    return (this.#statement(name).get(...values) as T | undefined) ?? null;
  }

  #all<T>(name: keyof typeof SQL, ...values: SQLInputValue[]): T[] {
    return this.#statement(name).all(...values) as T[];
  }

  #run(name: keyof typeof SQL, ...values: SQLInputValue[]): number {
    return Number(this.#statement(name).run(...values).changes);
  }

  #statement(name: keyof typeof SQL): StatementSync {
    const kept = this.#statements.get(name);
    if (kept) return kept;
    const statement = this.#db.prepare(SQL[name]);
    this.#statements.set(name, statement);
    return statement;
  }
}
