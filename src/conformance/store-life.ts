import { expect } from "vitest";
import { isFlotillaError } from "../error.ts";
import type { CommitResult, Store } from "../store/store.ts";
import { FLEET_JOURNAL } from "../store/store.ts";
import type { StoreTest } from "./store.ts";
import { append, contents, create, deadLetter, lease, NOON, ready, sampleBlob, utf8 } from "./store-sample.ts";

/** Opening, closing, concurrency. */
export function lifeTests(test: StoreTest): void {
  test("after close every call rejects with STORE_CLOSED, and closing again is no error", async ({ open }) => {
    const store = await open();
    await store.close();
    await store.close();
    for (const [name, call] of Object.entries(everyCall(store))) {
      const outcome = await call().then(
        () => "resolved",
        (error: unknown) => (isFlotillaError(error) ? error.code : error),
      );
      expect([name, outcome]).toEqual([name, "STORE_CLOSED"]);
    }
  });

  test(
    "calls under way when the store is closed either take effect or reject",
    async ({ open }) => {
      const store = await open();
      const calls = Array.from({ length: 20 }, (_, i) => store.commit([create(`r${i}`)]));
      const closing = store.close();
      const late = Array.from({ length: 5 }, (_, i) => store.commit([create(`late${i}`)]));
      const outcomes = await Promise.all([...calls, ...late].map((call) => call.then(applied, closed)));
      await closing;
      const again = await open();
      const there = await again.runIdsByPrefix("", 99);
      const acknowledged = [...calls.keys()].filter((i) => outcomes[i]).map((i) => `r${i}`);
      expect(there).toEqual(acknowledged.toSorted());
      expect(outcomes.slice(calls.length)).toEqual(late.map(() => false));
    },
    ["durable"],
  );

  test(
    "everything is there when the store is opened again",
    async ({ open }) => {
      const store = await open();
      const blob = sampleBlob("kept");
      const journals = ["r1", "r2", FLEET_JOURNAL];
      await store.commit([
        create(
          "r1",
          {
            tasks: [ready("t1"), lease("t2", { attempt: 4 }), ready("t3", { readyAt: NOON + 9, expiresAt: NOON + 99 })],
            timers: [{ op: "set", name: "n", dueAt: NOON + 5 }],
            outbox: [{ topic: "a", bytes: utf8("1") }],
            deadLetters: [deadLetter("d", { run: "r1" })],
            blobs: [blob],
            snapshot: { version: 1, bytes: utf8("s1") },
          },
          { idempotencyKey: "k", inputDigest: "in" },
        ),
        create("r2", { run: { status: "failed", summary: utf8("{}") }, outbox: [{ topic: "b", bytes: utf8("2") }] }),
        append(FLEET_JOURNAL, 0, {}, 3),
        append("r1", 1, { tasks: [ready("t2", { attempt: 4 })], snapshot: { version: 2, bytes: utf8("s2") } }),
      ]);
      const [sent] = await store.outbox(1);
      await store.outboxSent([sent?.id ?? 0]);
      const before = await contents(store, journals, [blob.hash], NOON);
      await store.close();

      const again = await open();
      expect(await contents(again, journals, [blob.hash], NOON)).toEqual(before);
      expect(await again.runByIdempotencyKey("k")).toEqual({ run: "r1", inputDigest: "in" });
      const old = append("r1", 2, { tasks: [lease("t2", { attempt: 4 })] });
      expect(await again.commit([old, append("r1", 1), append("r1", 2)])).toEqual([
        { ok: false, reason: "fenced", task: "t2" },
        { ok: false, reason: "conflict", version: 2 },
        { ok: true },
      ]);
      // Ids of the outbox are not given twice, also when it was empty.
      const last = (await again.outbox(9)).at(-1)?.id ?? 0;
      await again.outboxSent([last]);
      await again.close();
      const third = await open();
      await third.commit([append("r2", 1, { outbox: [{ topic: "c", bytes: utf8("3") }] })]);
      expect((await third.outbox(9))[0]?.id).toBeGreaterThan(last);
    },
    ["durable"],
  );

  test(
    "handles of one fleet see what the others committed",
    async ({ open }) => {
      const [one, two] = [await open(), await open()];
      await one.commit([create("r", { tasks: [lease("t")] })]);
      expect(await two.run("r")).toMatchObject({ version: 1 });
      expect(await two.commit([append("r", 1)])).toEqual([{ ok: true }]);
      expect(await one.commit([append("r", 1)])).toEqual([{ ok: false, reason: "conflict", version: 2 }]);
      expect(await one.commit([append("r", 2, { run: { status: "completed" } })])).toEqual([{ ok: true }]);
      expect(
        await two.commit([append(FLEET_JOURNAL, 0, { remove: ["r"] }), create("s"), append("s", 1)]),
      ).toMatchObject([{ ok: true }, { ok: true }, { ok: true }]);
      // The first handle has nothing left of the run that the second one removed.
      expect(await one.commit([append("r", 3), create("r"), append("r", 1), append("s", 2)])).toMatchObject([
        { reason: "conflict", version: 0 },
        { ok: true },
        { ok: true },
        { ok: true },
      ]);
      expect(await two.events("r", 0, 9)).toHaveLength(2);
      expect(await two.events("s", 0, 9)).toHaveLength(3);
    },
    ["shared"],
  );

  test("many callers at once lose no update and make no gap", async ({ open }) => {
    const store = await open();
    const journals = ["j0", "j1", "j2"];
    const writers = Array.from({ length: 12 }, async (_, i) => {
      const journal = journals[i % 3] ?? "j0";
      for (let done = 0; done < 10; ) {
        const { version } = await store.head(journal);
        const [result] = await store.commit([
          append(journal, version, { outbox: [{ topic: journal, bytes: utf8(`${i}`) }] }),
        ]);
        if (result?.ok) done++;
      }
    });
    const readers = Array.from({ length: 4 }, async (_, i) => {
      for (let look = 0; look < 20; look++) {
        const events = await store.events(journals[i % 3] ?? "j0", 0, 999);
        expect(events.map((event) => event.version)).toEqual(events.map((_, at) => at + 1));
      }
    });
    await Promise.all([...writers, ...readers]);
    for (const journal of journals) expect(await store.head(journal)).toMatchObject({ version: 40 });
    expect(await store.outbox(999)).toHaveLength(120);
  });
}

function applied(results: CommitResult[]): boolean {
  expect(results).toEqual([{ ok: true }]);
  return true;
}

function closed(error: unknown): boolean {
  expect(error).toMatchObject({ code: "STORE_CLOSED" });
  return false;
}

/** Each call of the contract; the compiler sees to it that none is left out. */
function everyCall(store: Store): Record<Exclude<keyof Store, "fleet" | "close">, () => Promise<unknown>> {
  return {
    commit: () => store.commit([create("r")]),
    events: () => store.events("r", 0, 1),
    head: () => store.head("r"),
    erasePayloads: () => store.erasePayloads("r", [1]),
    account: () => store.account("a", "w"),
    run: () => store.run("r"),
    runs: () => store.runs({ limit: 1 }),
    runIdsByPrefix: () => store.runIdsByPrefix("", 1),
    runByIdempotencyKey: () => store.runByIdempotencyKey("k"),
    peek: () => store.peek("q", NOON, 1),
    leases: () => store.leases(null, 1),
    heartbeat: () => store.heartbeat("w", [], NOON),
    expiredLeases: () => store.expiredLeases(NOON, 1),
    expiredTasks: () => store.expiredTasks(NOON, 1),
    depth: () => store.depth(NOON),
    dueTimers: () => store.dueTimers(NOON, 1),
    nextDue: () => store.nextDue(NOON),
    outbox: () => store.outbox(1),
    outboxSent: () => store.outboxSent([]),
    deadLetters: () => store.deadLetters({ limit: 1 }),
    deadLetter: () => store.deadLetter("d"),
    deadLetterRemove: () => store.deadLetterRemove("d"),
    inbox: () => store.inbox({ state: "open", limit: 1 }),
    inboxItem: () => store.inboxItem("a"),
    inboxIdsByPrefix: () => store.inboxIdsByPrefix("a", 1),
    blob: () => store.blob("00"),
    sweepBlobs: () => store.sweepBlobs(NOON, NOON),
    snapshot: () => store.snapshot("r"),
  };
}
