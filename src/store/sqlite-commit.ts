import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { FlotillaError, invariant } from "../error.ts";
import { SNAPSHOTS_KEPT, tasksAdded } from "./commit.ts";
import type { AccountWrite, Commit, CommitResult, EventRow, JournalId, RunWrite, TaskWrite } from "./store.ts";

type Refusal = Exclude<CommitResult, { ok: true }>;

/** Thrown when a commit is found to be refused after some of it was written. */
class LateRefusal extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.reason);
    this.refusal = refusal;
  }
}

const NEVER_LEASED = -1;

/** Bounds the memory of `CommitWriter`; an entry takes about 100 bytes. */
const NUMBERS_KEPT = 20_000;

const SQL = {
  dataVersion: "PRAGMA data_version",
  depth: "SELECT count(*) AS depth FROM task WHERE fleet = ?",
  version: "SELECT version FROM journal WHERE fleet = ? AND id = ?",
  keyOwner: "SELECT id AS run, input_digest AS inputDigest FROM journal WHERE fleet = ? AND idempotency_key = ?",
  createJournal: `INSERT INTO journal
    (fleet, id, version, head, updated_at, created_at, status, workflow, definition, idempotency_key, input_digest)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  advance: "UPDATE journal SET version = ?, head = ?, updated_at = ? WHERE no = ? AND version = ?",
  number: "SELECT no FROM journal WHERE fleet = ? AND id = ?",
  setRun: `UPDATE journal SET status = coalesce(?, status), summary = coalesce(?, summary)
    WHERE no = ? AND status IS NOT NULL`,
  event: "INSERT INTO event (journal, version, at, type, bytes, hash, payload) VALUES (?, ?, ?, ?, ?, ?, ?)",
  ready: `INSERT INTO task (queue, attempt, rank, expires_at, ready_at, fleet, run, task, fence)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ${NEVER_LEASED}) ON CONFLICT DO NOTHING`,
  readyAgain: `UPDATE task SET queue = ?, attempt = ?, rank = ?, expires_at = ?, ready_at = ?, worker = NULL, lease_until = NULL
    WHERE fleet = ? AND run = ? AND task = ?`,
  lease: `INSERT INTO task (queue, attempt, rank, expires_at, worker, lease_until, fleet, run, task, fence, ready_at)
    VALUES (?, ?2, ?, ?, ?, ?, ?, ?, ?, ?2, 0) ON CONFLICT DO NOTHING`,
  leaseHeld: `UPDATE task SET queue = ?, attempt = ?2, rank = ?, expires_at = ?, worker = ?, lease_until = ?, fence = ?2
    WHERE fleet = ? AND run = ? AND task = ? AND fence < ?2`,
  removeTask: "DELETE FROM task WHERE fleet = ? AND run = ? AND task = ?",
  setTimer:
    "INSERT INTO timer (fleet, run, name, due_at) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET due_at = excluded.due_at",
  clearTimer: "DELETE FROM timer WHERE fleet = ? AND run = ? AND name = ?",
  outbox: "INSERT INTO outbox (fleet, topic, bytes) VALUES (?, ?, ?)",
  deadLetter: `INSERT OR REPLACE INTO dead_letter (fleet, id, at, kind, reason, run, task, bytes)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  deadLetterRemove: "DELETE FROM dead_letter WHERE fleet = ? AND id = ?",
  inbox: `INSERT OR REPLACE INTO inbox (fleet, id, run, kind, at, deadline, decided_at, bytes)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  openAccount: `INSERT INTO account (fleet, account, period, tokens, cost_micro_usd) VALUES (?, ?, ?, 0, 0)
    ON CONFLICT DO NOTHING`,
  draw: `UPDATE account SET tokens = tokens + ?4, cost_micro_usd = cost_micro_usd + ?5
    WHERE fleet = ?1 AND account = ?2 AND period = ?3
    AND (?4 <= 0 OR ?6 IS NULL OR tokens + ?4 <= ?6) AND (?5 <= 0 OR ?7 IS NULL OR cost_micro_usd + ?5 <= ?7)`,
  blob: "INSERT INTO blob (fleet, hash, refs, bytes) VALUES (?, ?, 0, ?) ON CONFLICT DO NOTHING",
  refer: "INSERT INTO blob_ref (journal, hash) VALUES (?, ?) ON CONFLICT DO NOTHING",
  referred: "UPDATE blob SET refs = refs + 1, unreferenced_at = NULL WHERE fleet = ? AND hash = ?",
  snapshot:
    "INSERT INTO snapshot (journal, version, bytes) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET bytes = excluded.bytes",
  snapshotsOld: `DELETE FROM snapshot WHERE journal = ?1 AND version <
    (SELECT version FROM snapshot WHERE journal = ?1 ORDER BY version DESC LIMIT 1 OFFSET ${SNAPSHOTS_KEPT - 1})`,
  removable: "SELECT no, status FROM journal WHERE fleet = ? AND id = ?",
  dropTasks: "DELETE FROM task WHERE fleet = ? AND run = ?",
  dropTimers: "DELETE FROM timer WHERE fleet = ? AND run = ?",
  dropInbox: "DELETE FROM inbox WHERE fleet = ? AND run = ?",
  dropReferred:
    "UPDATE blob SET refs = refs - 1 WHERE fleet = ? AND hash IN (SELECT hash FROM blob_ref WHERE journal = ?)",
  dropReferences: "DELETE FROM blob_ref WHERE journal = ?",
  dropSnapshots: "DELETE FROM snapshot WHERE journal = ?",
  dropEvents: "DELETE FROM event WHERE journal = ?",
  dropJournal: "DELETE FROM journal WHERE no = ?",
} as const;

/** Applies commits inside a transaction that the caller has begun.
 *
 *  It looks before it writes only where a refusal would be common; otherwise it writes and lets the statement find out
 *  (`WHERE version = ?`, `WHERE attempt > fence`). What is refused too late, a fenced lease, costs the whole transaction
 *  once more, with a savepoint for each commit; the happy path pays for none. */
export class CommitWriter {
  readonly #db: DatabaseSync;
  readonly #fleet: number;
  readonly #depthMax: number;
  readonly #statements = new Map<string, StatementSync>();
  /** Tasks of the fleet in the queue; null when it must be counted. Kept here since one process writes a file; that
   *  another one did after all shows in `PRAGMA data_version`. */
  #depth: number | null = null;
  #dataVersion = -1;
  /** Numbers of journals, while no one else writes. */
  readonly #numbers = new Map<JournalId, number>();

  constructor(db: DatabaseSync, fleet: number, depthMax: number) {
    this.#db = db;
    this.#fleet = fleet;
    this.#depthMax = depthMax;
  }

  /** All results, or, when a commit turned out to be refused late, null: then the transaction must be rolled back, and
   *  `applyWithSavepoints` gives the results in a new one. */
  apply(commits: readonly Commit[]): CommitResult[] | null {
    this.#noticeOthers();
    try {
      return commits.map((commit) => this.#apply(commit));
    } catch (error) {
      this.forget();
      if (error instanceof LateRefusal) return null;
      throw error;
    }
  }

  applyWithSavepoints(commits: readonly Commit[]): CommitResult[] {
    return commits.map((commit) => {
      this.#db.exec("SAVEPOINT one");
      try {
        return this.#apply(commit);
      } catch (error) {
        if (!(error instanceof LateRefusal)) throw error;
        this.#db.exec("ROLLBACK TO one");
        this.forget();
        return error.refusal;
      } finally {
        if (this.#db.isTransaction) this.#db.exec("RELEASE one");
      }
    });
  }

  /** To be called when a transaction was rolled back. */
  forget(): void {
    this.#depth = null;
    this.#numbers.clear();
  }

  #noticeOthers(): void {
    const version = Number(this.#get("dataVersion")?.data_version);
    if (version !== this.#dataVersion) this.forget();
    this.#dataVersion = version;
  }

  #apply(commit: Commit): CommitResult {
    const refusal = commit.run?.create ? this.#refusesCreate(commit) : null;
    if (refusal) return refusal;
    const journal = this.#advance(commit);
    if (journal === null) return this.#conflict(commit);
    for (const event of commit.events) this.#event(journal, event);
    this.#setRun(journal, commit.run);
    for (const write of commit.tasks ?? []) this.#task(commit.journal, write);
    this.#rest(commit, journal);
    return { ok: true };
  }

  #refusesCreate(commit: Commit): Refusal | null {
    const key = commit.run?.create?.idempotencyKey;
    const owner = key === undefined ? undefined : this.#get("keyOwner", this.#fleet, key);
    const depth = this.#count();
    const full = commit.run?.create?.child !== true && depth + tasksAdded(commit) > this.#depthMax;
    if (!owner && !full) return null;
    const version = this.#version(commit.journal);
    if (version !== 0) return { ok: false, reason: "conflict", version };
    if (owner)
      return { ok: false, reason: "duplicate", run: String(owner.run), inputDigest: String(owner.inputDigest) };
    return { ok: false, reason: "full", depth };
  }

  /** Moves the journal to its new version and returns its number; 0 when there is nothing to create; null when it is
   *  not where the caller thought. */
  #advance(commit: Commit): number | null {
    const { journal, expectedVersion, events } = commit;
    const last = events.at(-1);
    if (!last) return this.#version(journal) === expectedVersion ? this.#number(journal) : null;
    if (expectedVersion === 0) return this.#create(commit, last);
    const no = this.#number(journal);
    return this.#run("advance", last.version, last.hash, last.at, no, expectedVersion) === 1 ? no : null;
  }

  #create({ journal, run }: Commit, { version, hash, at }: EventRow): number | null {
    const { createdAt, workflow, definition, idempotencyKey, inputDigest = "" } = run?.create ?? {};
    const status = run?.create ? "running" : null;
    const key = idempotencyKey ?? null;
    const digest = key === null ? null : inputDigest;
    const columns = [createdAt ?? null, status, workflow ?? null, definition ?? null, key, digest];
    const { changes, lastInsertRowid } = this.#statement("createJournal").run(
      this.#fleet,
      journal,
      version,
      hash,
      at,
      ...columns,
    );
    if (Number(changes) === 0) return null;
    const no = Number(lastInsertRowid);
    this.#remember(journal, no);
    return no;
  }

  /** The number of a journal, 0 when there is none. */
  #number(journal: JournalId): number {
    const known = this.#numbers.get(journal);
    if (known !== undefined) return known;
    const no = Number(this.#get("number", this.#fleet, journal)?.no ?? 0);
    if (no > 0) this.#remember(journal, no);
    return no;
  }

  #remember(journal: JournalId, no: number): void {
    if (this.#numbers.size >= NUMBERS_KEPT) this.#numbers.clear();
    this.#numbers.set(journal, no);
  }

  #version(journal: JournalId): number {
    return Number(this.#get("version", this.#fleet, journal)?.version ?? 0);
  }

  #conflict(commit: Commit): Refusal {
    return { ok: false, reason: "conflict", version: this.#version(commit.journal) };
  }

  #event(journal: number, { version, at, type, bytes, hash, payload }: EventRow): void {
    this.#run("event", journal, version, at, type, bytes, hash, payload);
  }

  #setRun(journal: number, run: RunWrite | undefined): void {
    if (run?.status || run?.summary) this.#run("setRun", run.status ?? null, run.summary ?? null, journal);
  }

  #task(run: JournalId, write: TaskWrite): void {
    const fleet = this.#fleet;
    if (write.op === "remove") {
      this.#count(-this.#run("removeTask", fleet, run, write.task));
      return;
    }
    const { task, queue, attempt, rank, expiresAt } = write;
    if (write.op === "ready") {
      const { readyAt } = write;
      if (this.#run("ready", queue, attempt, rank, expiresAt, readyAt, fleet, run, task) === 1) this.#count(1);
      else this.#run("readyAgain", queue, attempt, rank, expiresAt, readyAt, fleet, run, task);
    } else {
      const { worker, leaseUntil } = write;
      if (this.#run("lease", queue, attempt, rank, expiresAt, worker, leaseUntil, fleet, run, task) === 1)
        this.#count(1);
      else if (this.#run("leaseHeld", queue, attempt, rank, expiresAt, worker, leaseUntil, fleet, run, task) === 0) {
        throw new LateRefusal({ ok: false, reason: "fenced", task });
      }
    }
  }

  #rest(commit: Commit, journal: number): void {
    const fleet = this.#fleet;
    for (const timer of commit.timers ?? []) {
      if (timer.op === "set") this.#run("setTimer", fleet, commit.journal, timer.name, timer.dueAt);
      else this.#run("clearTimer", fleet, commit.journal, timer.name);
    }
    for (const { topic, bytes } of commit.outbox ?? []) this.#run("outbox", fleet, topic, bytes);
    for (const write of commit.accounts ?? []) this.#draw(write);
    for (const { id, at, kind, reason, run, task, bytes } of commit.deadLetters ?? []) {
      this.#run("deadLetter", fleet, id, at, kind, reason, run, task, bytes);
    }
    for (const id of commit.deadLettersRemoved ?? []) this.#run("deadLetterRemove", fleet, id);
    for (const { id, run, kind, at, deadline, decidedAt, bytes } of commit.inbox ?? []) {
      this.#run("inbox", fleet, id, run, kind, at, deadline, decidedAt, bytes);
    }
    for (const { hash, bytes } of commit.blobs ?? []) {
      this.#run("blob", fleet, hash, bytes);
      this.#refer(commit.journal, journal, hash);
    }
    for (const hash of commit.blobRefs ?? []) this.#refer(commit.journal, journal, hash);
    if (commit.snapshot) {
      this.#run("snapshot", journal, commit.snapshot.version, commit.snapshot.bytes);
      this.#run("snapshotsOld", journal);
    }
    for (const run of commit.remove ?? []) this.#remove(run);
  }

  #draw({ account, window, tokens, costMicroUsd, tokensMax, costMicroUsdMax }: AccountWrite): void {
    this.#run("openAccount", this.#fleet, account, window);
    if (this.#run("draw", this.#fleet, account, window, tokens, costMicroUsd, tokensMax, costMicroUsdMax) === 0)
      throw new LateRefusal({ ok: false, reason: "overdrawn", account, window });
  }

  #refer(id: JournalId, journal: number, hash: string): void {
    if (this.#run("refer", journal, hash) === 0) return;
    if (this.#run("referred", this.#fleet, hash) === 0) {
      throw new FlotillaError("BLOB_MISSING", `commit of ${id}: blob ${hash} is not in the store`);
    }
  }

  #remove(run: JournalId): void {
    const row = this.#get("removable", this.#fleet, run);
    if (!row) return;
    invariant(row.status !== null && row.status !== "running", `${run} is no finished run and cannot be removed`);
    const no = Number(row.no);
    this.#count(-this.#run("dropTasks", this.#fleet, run));
    this.#run("dropTimers", this.#fleet, run);
    this.#run("dropInbox", this.#fleet, run);
    this.#run("dropReferred", this.#fleet, no);
    this.#run("dropReferences", no);
    this.#run("dropSnapshots", no);
    this.#run("dropEvents", no);
    this.#run("dropJournal", no);
    this.#numbers.delete(run);
  }

  /** Adds to the number of tasks in the queue and returns it. */
  #count(added = 0): number {
    if (this.#depth !== null) this.#depth += added;
    else if (added === 0) this.#depth = Number(this.#get("depth", this.#fleet)?.depth);
    return this.#depth ?? 0;
  }

  #get(name: keyof typeof SQL, ...values: SQLInputValue[]): Record<string, unknown> | undefined {
    return this.#statement(name).get(...values);
  }

  /** Returns how many rows changed. */
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
