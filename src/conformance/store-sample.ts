import { createHash } from "node:crypto";
import type { Commit, DeadLetter, EventRow, InboxRow, RunWrite, Store, TaskWrite } from "../store/store.ts";

/** A time for samples; the stores that are tested never look at a clock. */
export const NOON = 1_790_000_000_000;

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

export const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};

/** `count` chained events after version `after`. */
export function sampleEvents(journal: string, after: number, count = 1, payload: Uint8Array | null = null): EventRow[] {
  const events: EventRow[] = [];
  let head: Uint8Array = new Uint8Array(0);
  for (let version = 1; version <= after + count; version++) {
    const bytes = utf8(JSON.stringify({ journal, version }));
    head = sha256(head, bytes);
    if (version > after) events.push({ version, at: NOON + version, type: "sample.noted", bytes, hash: head, payload });
  }
  return events;
}

type Rest = Omit<Commit, "journal" | "expectedVersion" | "events">;

/** A commit of `count` events at `expectedVersion`. */
export function append(journal: string, expectedVersion: number, rest: Rest = {}, count = 1): Commit {
  return { journal, expectedVersion, events: sampleEvents(journal, expectedVersion, count), ...rest };
}

/** A commit that creates a run. */
export function create(run: string, rest: Rest = {}, fields: Partial<NonNullable<RunWrite["create"]>> = {}): Commit {
  const created = { workflow: "sample", definition: "d0", createdAt: NOON, ...fields };
  return append(run, 0, { ...rest, run: { create: created, ...rest.run } });
}

export type Ready = Extract<TaskWrite, { op: "ready" }>;
export type Lease = Extract<TaskWrite, { op: "lease" }>;

export function ready(task: string, fields: Partial<Ready> = {}): Ready {
  return { op: "ready", task, queue: "q", attempt: 1, rank: 0, readyAt: NOON, expiresAt: null, ...fields };
}

export function lease(task: string, fields: Partial<Lease> = {}): Lease {
  return {
    op: "lease",
    task,
    queue: "q",
    attempt: 1,
    rank: 0,
    worker: "w",
    leaseUntil: NOON + 1_000,
    expiresAt: null,
    ...fields,
  };
}

export const remove = (task: string): TaskWrite => ({ op: "remove", task });

export function deadLetter(id: string, fields: Partial<DeadLetter> = {}): DeadLetter {
  return {
    id,
    at: NOON,
    kind: "failed",
    reason: "because",
    run: null,
    task: null,
    bytes: utf8(`letter ${id}`),
    ...fields,
  };
}

export function inboxRow(id: string, fields: Partial<InboxRow> = {}): InboxRow {
  return {
    id,
    run: "r1",
    kind: "approval",
    at: NOON,
    deadline: null,
    decidedAt: null,
    bytes: utf8(`item ${id}`),
    ...fields,
  };
}

export function sampleBlob(text: string): { hash: string; bytes: Uint8Array } {
  const bytes = utf8(text);
  return { hash: Buffer.from(sha256(bytes)).toString("hex"), bytes };
}

/** Everything that a store shows of its fleet, with these journals and blobs, at `now`: equal for equal stores. */
export async function contents(
  store: Store,
  journals: readonly string[],
  hashes: readonly string[],
  now: number,
): Promise<unknown> {
  const all = 1_000_000;
  const ofJournals = [];
  for (const journal of journals) {
    ofJournals.push({
      journal,
      head: await store.head(journal),
      events: await store.events(journal, 0, all),
      run: await store.run(journal),
      snapshot: await store.snapshot(journal),
      earlier: await store.snapshot(journal, ((await store.snapshot(journal))?.version ?? 1) - 1),
    });
  }
  const depth = await store.depth(now);
  const peeked = [];
  for (const { queue } of depth) peeked.push(await store.peek(queue, now, all));
  const blobs = [];
  for (const hash of hashes) blobs.push(await store.blob(hash));
  return plain({
    ofJournals,
    depth,
    peeked,
    blobs,
    runs: await store.runs({ limit: all }),
    leases: await store.leases(null, all),
    expiredLeases: await store.expiredLeases(now, all),
    expiredTasks: await store.expiredTasks(now, all),
    dueTimers: await store.dueTimers(Number.MAX_SAFE_INTEGER, all),
    nextDue: await store.nextDue(now),
    outbox: await store.outbox(all),
    deadLetters: await store.deadLetters({ limit: all }),
    inbox: await store.inbox({ state: "open", limit: all }),
    decided: await store.inbox({ state: "decided", limit: all }),
    account: await store.account("q", "w1"),
  });
}

/** The same value with byte arrays in hex and keys in order, so that two stores' rows compare as text. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `hex:${Buffer.from(value).toString("hex")}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]): [string, unknown] => [key, plain(inner)]);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
