import { join } from "node:path";
import { expect, it } from "vitest";
import { contents, plain } from "../../src/conformance/store-sample.ts";
import { isFlotillaError } from "../../src/error.ts";
import { openMemoryStore } from "../../src/store/memory.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import type { CommitResult, Store } from "../../src/store/store.ts";
import { BLOBS, JOURNALS, type RandomCall, RandomCalls } from "./random-call.ts";
import { newFolder } from "./sqlite-place.ts";

const CALLS_MIN = 1_500;
const CALLS_MAX = 6_000;
const hashes = BLOBS.map((blob) => blob.hash);

/** What must have happened before a sequence counts: each call answered with something, and each refusal given. */
const WANTED = [
  ...[
    "commit",
    "events",
    "head",
    "erasePayloads",
    "run",
    "runs",
    "runIdsByPrefix",
    "runByIdempotencyKey",
    "peek",
    "leases",
  ],
  ...[
    "heartbeat",
    "expiredLeases",
    "expiredTasks",
    "depth",
    "dueTimers",
    "nextDue",
    "outbox",
    "outboxSent",
    "deadLetters",
  ],
  ...["inbox", "inboxItem", "inboxIdsByPrefix", "inboxItem: not found", "deadLetter"],
  ...["deadLetterRemove", "blob", "sweepBlobs", "snapshot"],
  ...["account", "deadLetterRemove", "blob", "sweepBlobs", "snapshot"],
  ...[
    "commit: conflict",
    "commit: duplicate",
    "commit: fenced",
    "commit: overdrawn",
    "commit: full",
    "commit: INVARIANT",
    "commit: BLOB_MISSING",
  ],
  ...[
    "run: not found",
    "runByIdempotencyKey: not found",
    "blob: not found",
    "snapshot: not found",
    "deadLetterRemove: not found",
  ],
  ...["head: not found", "heartbeat: lost", "sweepBlobs: none"],
];

it.each([1, 2, 3])(
  "one random sequence of calls has the same answers and leaves the same state in memory and SQLite (seed %i)",
  async (seed) => {
    const calls = new RandomCalls(seed);
    const options = { fleet: "f", queueDepthMax: 12 };
    const path = join(newFolder(), "store.db");
    const memory = openMemoryStore(options);
    let sqlite = await openSqliteStore(path, options);
    const seen = new Map<string, number>(WANTED.map((name) => [name, 0]));
    const missing = () => WANTED.filter((name) => seen.get(name) === 0);

    let made = 0;
    for (; made < CALLS_MIN || (missing().length > 0 && made < CALLS_MAX); made++) {
      const versions = new Map<string, number>();
      for (const journal of JOURNALS) versions.set(journal, (await memory.head(journal)).version);
      const call = calls.next((journal) => versions.get(journal) ?? 0);
      const expected = await outcome(call, memory);
      const what = `call ${made} of seed ${seed}: ${call.name} ${JSON.stringify(plain(call.input))}`;
      expect(await outcome(call, sqlite), what).toEqual(expected);
      for (const name of classify(call.name, expected)) seen.set(name, (seen.get(name) ?? 0) + 1);
      if (made % 100 === 0) {
        if (made % 500 === 0) {
          await sqlite.close();
          sqlite = await openSqliteStore(path, options);
        }
        expect(await contents(sqlite, JOURNALS, hashes, calls.now), `state after ${what}`).toEqual(
          await contents(memory, JOURNALS, hashes, calls.now),
        );
      }
    }
    expect(missing(), `never happened in ${made} calls`).toEqual([]);
    await sqlite.close();
  },
  60_000,
);

type Outcome = { value: unknown } | { error: string };

async function outcome(call: RandomCall, store: Store): Promise<Outcome> {
  try {
    return { value: plain((await call.make(store)) ?? null) };
  } catch (error) {
    if (!isFlotillaError(error)) throw error;
    return { error: error.code };
  }
}

/** The names under which an outcome counts. */
function classify(name: RandomCall["name"], outcome: Outcome): string[] {
  if ("error" in outcome) return [`${name}: ${outcome.error}`];
  const { value } = outcome;
  switch (name) {
    case "commit":
      return (value as CommitResult[]).map((result) => (result.ok ? name : `${name}: ${result.reason}`));
    case "heartbeat":
      return [(value as unknown[]).length > 0 ? `${name}: lost` : name];
    case "sweepBlobs":
      return [value === 0 ? `${name}: none` : name];
    case "head":
      return [(value as { version: number }).version === 0 ? `${name}: not found` : name];
    case "erasePayloads":
    case "outboxSent":
      return [name];
    default:
      return value === null || value === false
        ? [`${name}: not found`]
        : Array.isArray(value) && value.length === 0
          ? []
          : [name];
  }
}
