import { FlotillaError, invariant } from "../error.ts";
import { SNAPSHOTS_KEPT, tasksAdded } from "./commit.ts";
import { compareText, SortedIndex } from "./memory-index.ts";
import { type HeldTask, TaskTable } from "./memory-task.ts";
import type {
  AccountRow,
  AccountWrite,
  Blob,
  Commit,
  CommitResult,
  DeadLetter,
  EventRow,
  InboxRow,
  JournalId,
  OutboxRow,
  RunRow,
  RunWrite,
  Snapshot,
  TaskKey,
  TaskWrite,
  TimerRow,
} from "./store.ts";

const NEVER_LEASED = -1;

/** What undoes one applied change. */
export type Undo = () => void;

interface RunFields {
  workflow: string;
  definition: string;
  createdAt: number;
  idempotencyKey: string | null;
  inputDigest: string | null;
  status: RunRow["status"];
  summary: Uint8Array | null;
}

interface Journal {
  version: number;
  head: Uint8Array;
  updatedAt: number;
  run: RunFields | null;
}

interface StoredBlob {
  bytes: Uint8Array;
  refs: number;
  unreferencedAt: number | null;
}

const accountKey = (account: string, window: string): string => `${account}\n${window}`;
const passes = (drawn: number, total: number, max: number | null): boolean => drawn > 0 && max !== null && total > max;

/** The state of one fleet in memory, with the changes that commits make to it. Values are replaced, never changed, and
 *  each change pushes what undoes it onto `undo`: so a refused commit, a failed flush and a crash are taken back. */
export class MemoryFleet {
  readonly journals = new Map<JournalId, Journal>();
  readonly tasks = new TaskTable();
  readonly deadLetters = new Map<string, DeadLetter>();
  readonly inbox = new Map<string, InboxRow>();
  readonly outbox = new Map<number, OutboxRow>();
  readonly accounts = new Map<string, AccountRow>();
  readonly blobs = new Map<string, StoredBlob>();
  readonly #events = new Map<JournalId, EventRow[]>();
  readonly #snapshots = new Map<JournalId, readonly Snapshot[]>();
  readonly #references = new Map<JournalId, Set<string>>();
  readonly #keys = new Map<string, { run: JournalId; inputDigest: string }>();
  readonly #timers = new Map<JournalId, Map<string, TimerRow>>();
  readonly #due = new SortedIndex<TimerRow>(byDueAt);
  #outboxId = 0;

  events(journal: JournalId): readonly EventRow[] {
    return this.#events.get(journal) ?? [];
  }

  snapshots(journal: JournalId): readonly Snapshot[] {
    return this.#snapshots.get(journal) ?? [];
  }

  key(key: string): { run: JournalId; inputDigest: string } | null {
    return this.#keys.get(key) ?? null;
  }

  /** Timers in the order in which they fall due. */
  get timers(): readonly TimerRow[] {
    return this.#due.items;
  }

  account(account: string, window: string): AccountRow {
    return this.accounts.get(accountKey(account, window)) ?? { account, window, tokens: 0, costMicroUsd: 0 };
  }

  run(id: JournalId): RunRow | null {
    const journal = this.journals.get(id);
    if (!journal?.run) return null;
    return { id, ...journal.run, updatedAt: journal.updatedAt, version: journal.version, head: journal.head };
  }

  /** Applies a commit whole, or changes nothing and returns why it was refused. */
  commit(commit: Commit, depthMax: number, undo: Undo[]): CommitResult {
    const refused = this.#refusal(commit, depthMax);
    if (refused) return refused;
    const mark = undo.length;
    const fenced = this.#writeTasks(commit.journal, commit.tasks ?? [], undo);
    if (fenced !== null) {
      takeBack(undo, mark);
      return { ok: false, reason: "fenced", task: fenced };
    }
    const overdrawn = this.#draw(commit.accounts ?? [], undo);
    if (overdrawn !== null) {
      takeBack(undo, mark);
      return overdrawn;
    }
    this.#writeJournal(commit, undo);
    this.#writeTimers(commit, undo);
    for (const row of commit.outbox ?? []) this.#send(row, undo);
    for (const letter of commit.deadLetters ?? []) this.#put(this.deadLetters, letter.id, copy(letter), undo);
    for (const id of commit.deadLettersRemoved ?? []) this.#put(this.deadLetters, id, undefined, undo);
    for (const item of commit.inbox ?? []) this.#put(this.inbox, item.id, copy(item), undo);
    for (const blob of commit.blobs ?? []) this.#refer(commit.journal, blob.hash, blob, undo);
    for (const hash of commit.blobRefs ?? []) this.#refer(commit.journal, hash, null, undo);
    if (commit.snapshot) this.#writeSnapshot(commit.journal, copy(commit.snapshot), undo);
    for (const run of commit.remove ?? []) this.#removeRun(run, undo);
    return { ok: true };
  }

  erasePayloads(journal: JournalId, versions: readonly number[], blobs: readonly string[], undo: Undo[]): void {
    for (const hash of blobs) this.#eraseBlob(journal, hash, undo);
    for (const { id, run } of [...this.deadLetters.values()])
      if (run === journal) this.#put(this.deadLetters, id, undefined, undo);
    for (const { id, run } of [...this.inbox.values()]) if (run === journal) this.#put(this.inbox, id, undefined, undo);
    const events = this.#events.get(journal);
    for (const version of versions) {
      const event = events?.[version - 1];
      if (!events || !event) continue;
      events[version - 1] = { ...event, payload: null };
      undo.push(() => {
        events[version - 1] = event;
      });
    }
  }

  #eraseBlob(journal: JournalId, hash: string, undo: Undo[]): void {
    const references = this.#references.get(journal);
    const blob = this.blobs.get(hash);
    if (!references?.has(hash) || !blob) return;
    this.#put(this.#references, journal, new Set([...references].filter((one) => one !== hash)), undo);
    const refs = blob.refs - 1;
    this.#put(this.blobs, hash, refs === 0 ? undefined : { ...blob, refs }, undo);
  }

  heartbeat(
    worker: string,
    leases: readonly (TaskKey & { attempt: number })[],
    leaseUntil: number,
    undo: Undo[],
  ): TaskKey[] {
    const lost: TaskKey[] = [];
    for (const { run, task, attempt } of leases) {
      const row = this.tasks.get(run, task);
      if (row?.worker !== worker || row.attempt !== attempt || row.leaseUntil === null) lost.push({ run, task });
      else this.#setTask({ ...row, leaseUntil: Math.max(row.leaseUntil, leaseUntil) }, undo);
    }
    return lost;
  }

  outboxSent(ids: readonly number[], undo: Undo[]): void {
    for (const id of ids) this.#put(this.outbox, id, undefined, undo);
  }

  deadLetterRemove(id: string, undo: Undo[]): boolean {
    return this.#put(this.deadLetters, id, undefined, undo) !== undefined;
  }

  sweepBlobs(now: number, unreferencedBefore: number, undo: Undo[]): number {
    let removed = 0;
    for (const [hash, blob] of [...this.blobs]) {
      if (blob.refs > 0) continue;
      if (blob.unreferencedAt === null) this.#put(this.blobs, hash, { ...blob, unreferencedAt: now }, undo);
      else if (blob.unreferencedAt < unreferencedBefore) {
        this.#put(this.blobs, hash, undefined, undo);
        removed++;
      }
    }
    return removed;
  }

  #refusal(commit: Commit, depthMax: number): CommitResult | null {
    const version = this.journals.get(commit.journal)?.version ?? 0;
    if (version !== commit.expectedVersion) return { ok: false, reason: "conflict", version };
    const create = commit.run?.create;
    if (!create) return null;
    const earlier = create.idempotencyKey === undefined ? undefined : this.#keys.get(create.idempotencyKey);
    if (earlier) return { ok: false, reason: "duplicate", ...earlier };
    const depth = this.tasks.size;
    if (create.child) return null;
    return depth + tasksAdded(commit) > depthMax ? { ok: false, reason: "full", depth } : null;
  }

  /** Returns the task whose lease is fenced, or null. */
  #writeTasks(run: JournalId, writes: readonly TaskWrite[], undo: Undo[]): string | null {
    for (const write of writes) {
      const { op, ...fields } = write;
      const held = this.tasks.get(run, write.task);
      if (op === "remove") {
        if (held) this.#removeTask(held, undo);
        continue;
      }
      const common = { run, ...(fields as Omit<Exclude<TaskWrite, { op: "remove" }>, "op">) };
      const fence = held?.fence ?? NEVER_LEASED;
      if (write.op === "ready") {
        this.#setTask({ ...common, readyAt: write.readyAt, worker: null, leaseUntil: null, fence }, undo);
      } else {
        if (write.attempt <= fence) return write.task;
        const { worker, leaseUntil, attempt } = write;
        this.#setTask({ ...common, readyAt: held?.readyAt ?? 0, worker, leaseUntil, fence: attempt }, undo);
      }
    }
    return null;
  }

  #draw(writes: readonly AccountWrite[], undo: Undo[]): CommitResult | null {
    for (const { account, window, tokens, costMicroUsd, tokensMax, costMicroUsdMax } of writes) {
      const drawn = this.account(account, window);
      const row = { ...drawn, tokens: drawn.tokens + tokens, costMicroUsd: drawn.costMicroUsd + costMicroUsd };
      if (passes(tokens, row.tokens, tokensMax) || passes(costMicroUsd, row.costMicroUsd, costMicroUsdMax))
        return { ok: false, reason: "overdrawn", account, window };
      this.#put(this.accounts, accountKey(account, window), row, undo);
    }
    return null;
  }

  #writeJournal({ journal: id, expectedVersion, events, run }: Commit, undo: Undo[]): void {
    const last = events.at(-1);
    const old = this.journals.get(id);
    const journal: Journal = {
      version: expectedVersion + events.length,
      head: last ? last.hash.slice() : (old?.head ?? new Uint8Array(0)),
      updatedAt: last?.at ?? old?.updatedAt ?? 0,
      run: runFields(old?.run ?? null, run),
    };
    if (!old && !last) return;
    this.#put(this.journals, id, journal, undo);
    this.#append(id, events, undo);
    const create = run?.create;
    if (create?.idempotencyKey !== undefined) {
      this.#put(this.#keys, create.idempotencyKey, { run: id, inputDigest: create.inputDigest ?? "" }, undo);
    }
  }

  #append(id: JournalId, added: readonly EventRow[], undo: Undo[]): void {
    const events = this.#events.get(id) ?? [];
    if (!this.#events.has(id)) this.#put(this.#events, id, events, undo);
    const length = events.length;
    events.push(...added.map(copy));
    undo.push(() => {
      events.length = length;
    });
  }

  #writeTimers({ journal: run, timers }: Commit, undo: Undo[]): void {
    for (const write of timers ?? []) {
      this.#setTimer(
        run,
        write.name,
        write.op === "set" ? { run, name: write.name, dueAt: write.dueAt } : undefined,
        undo,
      );
    }
  }

  #setTimer(run: JournalId, name: string, row: TimerRow | undefined, undo: Undo[]): void {
    const timers = this.#timers.get(run) ?? new Map<string, TimerRow>();
    if (!this.#timers.has(run)) this.#put(this.#timers, run, timers, undo);
    const old = this.#put(timers, name, row, undo);
    swap(this.#due, old, row);
    undo.push(() => swap(this.#due, row, old));
  }

  #send(row: { topic: string; bytes: Uint8Array }, undo: Undo[]): void {
    const id = ++this.#outboxId;
    undo.push(() => {
      this.#outboxId = id - 1;
    });
    this.#put(this.outbox, id, { id, ...copy(row) }, undo);
  }

  #refer(journal: JournalId, hash: string, blob: Blob | null, undo: Undo[]): void {
    const stored = this.blobs.get(hash);
    const bytes = stored?.bytes ?? blob?.bytes.slice();
    if (!bytes) throw new FlotillaError("BLOB_MISSING", `commit of ${journal}: blob ${hash} is not in the store`);
    const references = this.#references.get(journal) ?? new Set<string>();
    if (references.has(hash)) return;
    if (!this.#references.has(journal)) this.#put(this.#references, journal, references, undo);
    references.add(hash);
    undo.push(() => references.delete(hash));
    this.#put(this.blobs, hash, { bytes, refs: (stored?.refs ?? 0) + 1, unreferencedAt: null }, undo);
  }

  #writeSnapshot(journal: JournalId, snapshot: Snapshot, undo: Undo[]): void {
    const others = this.snapshots(journal).filter(({ version }) => version !== snapshot.version);
    const kept = [...others, snapshot].sort((a, b) => b.version - a.version).slice(0, SNAPSHOTS_KEPT);
    this.#put(this.#snapshots, journal, kept, undo);
  }

  #removeRun(id: JournalId, undo: Undo[]): void {
    const journal = this.journals.get(id);
    if (!journal) return;
    invariant(journal.run && journal.run.status !== "running", `${id} is no finished run and cannot be removed`);
    for (const task of this.tasks.ofRun(id)) this.#removeTask(task, undo);
    for (const name of [...(this.#timers.get(id)?.keys() ?? [])]) this.#setTimer(id, name, undefined, undo);
    this.#put(this.#timers, id, undefined, undo);
    for (const item of [...this.inbox.values()]) if (item.run === id) this.#put(this.inbox, item.id, undefined, undo);
    for (const hash of this.#references.get(id) ?? []) {
      const blob = this.blobs.get(hash);
      if (blob) this.#put(this.blobs, hash, { ...blob, refs: blob.refs - 1 }, undo);
    }
    if (journal.run.idempotencyKey !== null) this.#put(this.#keys, journal.run.idempotencyKey, undefined, undo);
    this.#put(this.#references, id, undefined, undo);
    this.#put(this.#snapshots, id, undefined, undo);
    this.#put(this.#events, id, undefined, undo);
    this.#put(this.journals, id, undefined, undo);
  }

  #setTask(row: HeldTask, undo: Undo[]): void {
    const old = this.tasks.set(row.run, row.task, row);
    undo.push(() => this.tasks.set(row.run, row.task, old));
  }

  #removeTask(row: HeldTask, undo: Undo[]): void {
    this.tasks.set(row.run, row.task, undefined);
    undo.push(() => this.tasks.set(row.run, row.task, row));
  }

  /** Sets or, with `undefined`, deletes a key; returns what was there. */
  #put<K, V>(map: Map<K, V>, key: K, value: V | undefined, undo: Undo[]): V | undefined {
    const old = map.get(key);
    assign(map, key, value);
    undo.push(() => assign(map, key, old));
    return old;
  }
}

/** Undoes what came after `mark`, last first. */
export function takeBack(undo: Undo[], mark: number): void {
  while (undo.length > mark) undo.pop()?.();
}

/** A copy whose byte arrays are copies too: what a caller holds is never what the store holds. */
export function copy<T extends object>(row: T): T {
  const copied = { ...row } as Record<string, unknown>;
  for (const [name, value] of Object.entries(copied))
    if (value instanceof Uint8Array) copied[name] = Uint8Array.from(value);
  return copied as T;
}

function runFields(old: RunFields | null, write: RunWrite | undefined): RunFields | null {
  const create = write?.create;
  const base: RunFields | null = create
    ? {
        workflow: create.workflow,
        definition: create.definition,
        createdAt: create.createdAt,
        idempotencyKey: create.idempotencyKey ?? null,
        inputDigest: create.inputDigest ?? null,
        status: "running",
        summary: null,
      }
    : old;
  if (!base) return null;
  return { ...base, status: write?.status ?? base.status, summary: write?.summary?.slice() ?? base.summary };
}

function assign<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

function swap<T>(index: SortedIndex<T>, out: T | undefined, into: T | undefined): void {
  if (out) index.remove(out);
  if (into) index.add(into);
}

export function byDueAt(a: TimerRow, b: TimerRow): number {
  return a.dueAt - b.dueAt || compareText(a.run, b.run) || compareText(a.name, b.name);
}
