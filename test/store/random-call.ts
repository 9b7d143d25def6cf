import { deadLetter, inboxRow, NOON, sampleBlob, sha256, utf8 } from "../../src/conformance/store-sample.ts";
import type { Commit, DeadLetterKind, EventRow, RunStatus, Store, TaskKey, TaskWrite } from "../../src/store/store.ts";
import { FLEET_JOURNAL } from "../../src/store/store.ts";

/** A call of a store, to be made on several that should answer alike. */
export interface RandomCall {
  name: Exclude<keyof Store, "fleet" | "close">;
  /** What to print when the answers differ. */
  input: unknown;
  make(store: Store): Promise<unknown>;
}

export const JOURNALS = ["r1", "r2", "r3", "ré", "🚀", "\uffee", "bare", FLEET_JOURNAL] as const;
export const BLOBS = ["a", "b", "c", "d", "e", "f", "g", "h"].map(sampleBlob);
/** What retention is asked to remove: runs, also running ones, and seldom what is no run. */
const REMOVED = [...JOURNALS.slice(0, 6), ...JOURNALS.slice(0, 6), "bare", "unknown"];
const TASKS = ["t", "t1", "T", "日"];
const QUEUES = ["q", "Q", "other"];
const WORKERS = ["w1", "w2"];
const STATUSES: readonly RunStatus[] = ["running", "completed", "failed", "stopped"];
const KINDS: readonly DeadLetterKind[] = ["expired", "poisoned", "undeliverable", "failed"];

/** Random calls from one seed: few names, so that calls meet each other. */
export class RandomCalls {
  #state: number;
  /** The latest time used; it creeps on, so that leases end and timers fall due. */
  now = NOON;
  /** The leases asked for last, for heartbeats that may find them held. */
  #leases: { run: string; task: string; attempt: number; worker: string }[] = [];

  constructor(seed: number) {
    this.#state = seed;
  }

  /** `version` tells the current version of a journal: most commits are made at it. */
  next(version: (journal: string) => number): RandomCall {
    this.now += this.#int(3);
    if (this.#chance(0.55)) return this.#commit(version);
    return this.#pick([this.#queueCall, this.#runCall, this.#recordCall, this.#inboxCall, this.#journalCall]).call(
      this,
    );
  }

  #commit(version: (journal: string) => number): RandomCall {
    const versions = new Map<string, number>();
    const commits = this.#some(4, () => {
      const journal = this.#pick(JOURNALS);
      const right = versions.get(journal) ?? version(journal);
      const commit = this.#oneCommit(journal, this.#chance(0.9) ? right : Math.max(0, right + this.#int(3) - 1));
      versions.set(journal, commit.expectedVersion + commit.events.length);
      return commit;
    });
    return { name: "commit", input: commits, make: (store) => store.commit(commits) };
  }

  #oneCommit(journal: string, expectedVersion: number): Commit {
    const isRun = journal !== FLEET_JOURNAL && journal !== "bare";
    const creates = isRun && expectedVersion === 0;
    const count = creates ? 1 + this.#int(2) : this.#int(3);
    const events = Array.from({ length: count }, (_, i) => this.#event(journal, expectedVersion + 1 + i));
    const commit: Commit = { journal, expectedVersion, events };
    const status = this.#chance(0.5) ? { status: this.#pick(STATUSES), summary: utf8(`{"n":${this.#int(9)}}`) } : {};
    if (creates) commit.run = { ...status, create: this.#create() };
    else commit.run = status;
    if (this.#chance(0.8)) commit.tasks = this.#some(4, () => this.#task(journal));
    if (this.#chance(0.3)) commit.timers = this.#some(2, () => this.#timer());
    if (this.#chance(0.2))
      commit.outbox = this.#some(2, () => ({ topic: this.#pick(QUEUES), bytes: utf8(`o${this.#int(99)}`) }));
    if (this.#chance(0.3)) commit.accounts = this.#some(2, () => this.#draw());
    if (this.#chance(0.1)) commit.deadLetters = this.#some(2, () => this.#letter());
    if (this.#chance(0.05)) commit.deadLettersRemoved = this.#some(2, () => `d${this.#int(8)}`);
    if (isRun && this.#chance(0.2)) commit.inbox = this.#some(2, () => this.#item(journal));
    if (isRun && expectedVersion + count > 0) this.#attach(commit, expectedVersion + count);
    if (journal === FLEET_JOURNAL && this.#chance(0.5)) commit.remove = this.#some(2, () => this.#pick(REMOVED));
    return commit;
  }

  #event(journal: string, version: number): EventRow {
    const bytes = utf8(`${journal} ${version} ${this.#int(1000)}`);
    const payload = this.#chance(0.5) ? utf8(`payload ${this.#int(1000)}`) : null;
    return { version, at: this.#time(), type: this.#pick(["a", "b"]), bytes, hash: sha256(bytes), payload };
  }

  #attach(commit: Commit, version: number): void {
    if (this.#chance(0.08)) commit.blobs = this.#some(2, () => this.#pick(BLOBS));
    if (this.#chance(0.08)) commit.blobRefs = [this.#pick(BLOBS).hash];
    if (this.#chance(0.3)) commit.snapshot = { version, bytes: utf8(`s${this.#int(99)}`) };
  }

  #create() {
    const key = this.#chance(0.5)
      ? { idempotencyKey: this.#pick(["k1", "k2", "k3"]), inputDigest: `d${this.#int(2)}` }
      : {};
    return { workflow: this.#pick(QUEUES), definition: `def${this.#int(2)}`, createdAt: NOON + this.#int(3), ...key };
  }

  #task(run: string): TaskWrite {
    const task = this.#pick(TASKS);
    const common = { task, queue: this.#pick(QUEUES), attempt: 1 + this.#int(6), rank: (this.#int(9) - 4) / 2 };
    const expiresAt = this.#chance(0.3) ? this.#time() : null;
    const kind = this.#int(3);
    if (kind === 0) return { op: "ready", ...common, readyAt: this.#time(), expiresAt };
    if (kind === 1) {
      const worker = this.#pick(WORKERS);
      this.#leases = [...this.#leases.slice(-5), { run, task, attempt: common.attempt, worker }];
      return { op: "lease", ...common, worker, leaseUntil: this.#time(), expiresAt };
    }
    return { op: "remove", task };
  }

  #timer() {
    const name = this.#pick(TASKS);
    return this.#chance(0.6) ? { op: "set" as const, name, dueAt: this.#time() } : { op: "clear" as const, name };
  }

  #draw() {
    const [account, window] = [this.#pick(QUEUES), this.#pick(WORKERS)];
    const [tokens, costMicroUsd] = [this.#int(9) - 3, this.#int(9) - 3];
    return { account, window, tokens, costMicroUsd, tokensMax: 12, costMicroUsdMax: this.#chance(0.5) ? 12 : null };
  }

  #letter() {
    const run = this.#chance(0.5) ? this.#pick(JOURNALS) : null;
    return deadLetter(`d${this.#int(6)}`, {
      at: this.#time(),
      kind: this.#pick(KINDS),
      run,
      task: this.#chance(0.5) ? "t" : null,
    });
  }

  #item(run: string) {
    return inboxRow(`${this.#pick(["a", "ab", "b", "日"])}${run}`, {
      run,
      at: NOON + this.#int(4),
      kind: this.#pick(["approval", "escalation"]),
      deadline: this.#chance(0.5) ? this.#time() : null,
      decidedAt: this.#chance(0.4) ? this.#time() : null,
    });
  }

  #inboxCall(): RandomCall {
    const id = `${this.#pick(["a", "ab"])}${this.#pick(JOURNALS)}`;
    const prefix = this.#pick(["", "a", "日", "x"]);
    const filter = {
      state: this.#pick(["open", "decided"] as const),
      limit: this.#int(6),
      ...(this.#chance(0.3) ? { run: this.#pick(JOURNALS) } : {}),
      ...(this.#chance(0.3) ? { kind: this.#pick(["approval", "escalation"]) } : {}),
      ...(this.#chance(0.3) ? { dueBefore: this.#time() } : {}),
      ...(this.#chance(0.3) ? { after: { at: NOON + this.#int(4), id } } : {}),
    };
    return this.#pick<RandomCall>([
      { name: "inbox", input: [filter], make: (store) => store.inbox(filter) },
      { name: "inboxItem", input: [id], make: (store) => store.inboxItem(id) },
      {
        name: "inboxIdsByPrefix",
        input: [prefix, filter.limit],
        make: (store) => store.inboxIdsByPrefix(prefix, filter.limit),
      },
    ]);
  }

  #queueCall(): RandomCall {
    const [now, limit] = [this.#time(), this.#int(6)];
    const queue = this.#pick(QUEUES);
    const key: TaskKey = { run: this.#pick(JOURNALS), task: this.#pick(TASKS) };
    const after = this.#chance(0.5) ? key : null;
    const timer = this.#chance(0.5) ? { run: key.run, name: this.#pick(TASKS), dueAt: this.#time() } : undefined;
    const known = this.#leases.length > 0 && this.#chance(0.7) ? this.#pick(this.#leases) : null;
    const worker = known?.worker ?? this.#pick(WORKERS);
    const held = known
      ? [known]
      : this.#some(4, () => ({ ...key, task: this.#pick(TASKS), attempt: 1 + this.#int(6) }));
    return this.#pick<RandomCall>([
      { name: "peek", input: [queue, now, limit], make: (store) => store.peek(queue, now, limit) },
      { name: "leases", input: [after, limit], make: (store) => store.leases(after, limit) },
      { name: "heartbeat", input: [worker, held, now], make: (store) => store.heartbeat(worker, held, now) },
      { name: "expiredLeases", input: [now, limit], make: (store) => store.expiredLeases(now, limit) },
      { name: "expiredTasks", input: [now, limit], make: (store) => store.expiredTasks(now, limit) },
      { name: "depth", input: [now], make: (store) => store.depth(now) },
      { name: "dueTimers", input: [now, limit, timer], make: (store) => store.dueTimers(now, limit, timer) },
      { name: "nextDue", input: [now], make: (store) => store.nextDue(now) },
    ]);
  }

  #runCall(): RandomCall {
    const id = this.#pick(JOURNALS);
    const prefix = this.#pick(["", "r", "ré", "🚀", "x"]);
    const key = this.#pick(["k1", "k2", "k3", "k4"]);
    const filter = {
      limit: this.#int(6),
      ...(this.#chance(0.4) ? { status: this.#pick(STATUSES) } : {}),
      ...(this.#chance(0.3) ? { workflow: this.#pick(QUEUES) } : {}),
      ...(this.#chance(0.4) ? { before: { createdAt: NOON + this.#int(3), id } } : {}),
    };
    return this.#pick<RandomCall>([
      { name: "run", input: [id], make: (store) => store.run(id) },
      { name: "runs", input: [filter], make: (store) => store.runs(filter) },
      {
        name: "runIdsByPrefix",
        input: [prefix, filter.limit],
        make: (store) => store.runIdsByPrefix(prefix, filter.limit),
      },
      { name: "runByIdempotencyKey", input: [key], make: (store) => store.runByIdempotencyKey(key) },
    ]);
  }

  #recordCall(): RandomCall {
    const limit = this.#int(6);
    const ids = this.#some(3, () => this.#int(80));
    const letter = `d${this.#int(8)}`;
    const hash = this.#pick(BLOBS).hash;
    const [queue, worker] = [this.#pick(QUEUES), this.#pick(WORKERS)];
    const [now, before] = [this.now, this.now - this.#int(4)];
    const filter = {
      limit,
      ...(this.#chance(0.4) ? { run: this.#pick(JOURNALS) } : {}),
      ...(this.#chance(0.4) ? { kind: this.#pick(KINDS) } : {}),
    };
    return this.#pick<RandomCall>([
      {
        name: "account",
        input: [queue, worker],
        make: (store) => store.account(queue, worker),
      },
      { name: "outbox", input: [limit], make: (store) => store.outbox(limit) },
      { name: "outboxSent", input: [ids], make: (store) => store.outboxSent(ids) },
      { name: "deadLetters", input: [filter], make: (store) => store.deadLetters(filter) },
      { name: "deadLetter", input: [letter], make: (store) => store.deadLetter(letter) },
      { name: "deadLetterRemove", input: [letter], make: (store) => store.deadLetterRemove(letter) },
      { name: "blob", input: [hash], make: (store) => store.blob(hash) },
      { name: "sweepBlobs", input: [now, before], make: (store) => store.sweepBlobs(now, before) },
    ]);
  }

  #journalCall(): RandomCall {
    const journal = this.#pick(JOURNALS);
    const [after, limit] = [this.#int(12), this.#int(9)];
    const versions = this.#some(3, () => 1 + this.#int(12));
    const version = this.#chance(0.5) ? this.#int(12) : undefined;
    const blobs = this.#some(2, () => this.#pick(BLOBS).hash);
    return this.#pick<RandomCall>([
      { name: "events", input: [journal, after, limit], make: (store) => store.events(journal, after, limit) },
      { name: "head", input: [journal], make: (store) => store.head(journal) },
      {
        name: "erasePayloads",
        input: [journal, versions, blobs],
        make: (store) => store.erasePayloads(journal, versions, blobs),
      },
      { name: "snapshot", input: [journal, version], make: (store) => store.snapshot(journal, version) },
    ]);
  }

  #time(): number {
    return this.now + this.#int(12) - 5;
  }

  #some<T>(max: number, make: () => T): T[] {
    return Array.from({ length: 1 + this.#int(max) }, make);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#int(from.length)] as T;
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #int(below: number): number {
    return Math.floor(this.#random() * below);
  }

  /** Mulberry32: small, and the same everywhere. */
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }
}
