import { expect } from "vitest";
import type { Commit } from "../store/store.ts";
import { FLEET_JOURNAL } from "../store/store.ts";
import type { StoreTest } from "./store.ts";
import {
  append,
  contents,
  create,
  deadLetter,
  lease,
  NOON,
  sampleBlob,
  sampleEvents,
  sha256,
  utf8,
} from "./store-sample.ts";

const OK = { ok: true };
const MIB = 1024 * 1024;

/** Journals: expected versions, batches, content. */
export function journalTests(test: StoreTest): void {
  test("a journal that does not exist is empty, at version 0", async ({ open }) => {
    const store = await open();
    expect(await store.head("nothing")).toEqual({ version: 0, head: new Uint8Array(0) });
    expect(await store.events("nothing", 0, 10)).toEqual([]);
    expect(await store.run("nothing")).toBeNull();
  });

  test("events come back as they were written, in order, in pages", async ({ open }) => {
    const store = await open();
    const events = sampleEvents("j", 0, 25);
    for (const event of events) event.payload = event.version % 3 === 0 ? utf8(`payload ${event.version}`) : null;
    const first = events[0];
    if (first) first.payload = new Uint8Array(0);
    await store.commit([{ journal: "j", expectedVersion: 0, events }]);
    expect(await store.events("j", 0, 100)).toEqual(events);
    expect(await store.events("j", 10, 10)).toEqual(events.slice(10, 20));
    expect(await store.events("j", 20, 10)).toEqual(events.slice(20));
    expect(await store.events("j", 25, 10)).toEqual([]);
    expect(await store.events("j", 3, 0)).toEqual([]);
  });

  test("a commit moves version and head to its last event", async ({ open }) => {
    const store = await open();
    expect(await store.commit([append("j", 0, {}, 3)])).toEqual([OK]);
    expect(await store.commit([append("j", 3)])).toEqual([OK]);
    expect(await store.head("j")).toEqual({ version: 4, head: sampleEvents("j", 3)[0]?.hash });
  });

  test("a commit at a wrong version is refused with the right one", async ({ open }) => {
    const store = await open();
    await store.commit([append("j", 0, {}, 2)]);
    const conflict = { ok: false, reason: "conflict", version: 2 };
    expect(await store.commit([append("j", 0), append("j", 1), append("j", 3), append("other", 5)])).toEqual([
      conflict,
      conflict,
      conflict,
      { ok: false, reason: "conflict", version: 0 },
    ]);
  });

  test("of concurrent commits at one version exactly one wins", async ({ open }) => {
    const store = await open();
    for (let version = 0; version < 5; version++) {
      const results = await Promise.all(Array.from({ length: 8 }, () => store.commit([append("j", version)])));
      expect(results.flat().filter((result) => result.ok)).toHaveLength(1);
    }
    expect(await store.head("j")).toMatchObject({ version: 5 });
  });

  test(
    "of concurrent commits through several handles exactly one wins",
    async ({ open }) => {
      const stores = [await open(), await open(), await open()];
      for (let version = 0; version < 5; version++) {
        const results = await Promise.all(stores.map((store) => store.commit([append("j", version)])));
        expect(results.flat().filter((result) => result.ok)).toHaveLength(1);
      }
      for (const store of stores) expect(await store.head("j")).toMatchObject({ version: 5 });
    },
    ["shared"],
  );

  test("a refused commit changes nothing, and the others of its batch are applied", async ({ open }) => {
    const store = await open();
    await store.commit([create("r1"), create("r2", { tasks: [lease("held", { attempt: 3 })] })]);
    const blob = sampleBlob("refused");
    const everything: Partial<Commit> = {
      run: { status: "failed", summary: utf8("{}") },
      timers: [{ op: "set", name: "t", dueAt: NOON }],
      outbox: [{ topic: "refused", bytes: utf8("x") }],
      deadLetters: [deadLetter("refused")],
      blobs: [blob],
      snapshot: { version: 1, bytes: utf8("s") },
    };
    const before = await contents(store, ["r1", "r2"], [blob.hash], NOON);
    const refused = await store.commit([
      { ...append("r1", 0, everything), tasks: [lease("new")] },
      // Its first lease and its events would be good.
      { ...append("r2", 1, everything), tasks: [lease("new"), lease("held", { attempt: 3 })] },
    ]);
    expect(refused).toEqual([
      { ok: false, reason: "conflict", version: 1 },
      { ok: false, reason: "fenced", task: "held" },
    ]);
    expect(await contents(store, ["r1", "r2"], [blob.hash], NOON)).toEqual(before);

    const mixed = await store.commit([
      append("r1", 1, { outbox: [{ topic: "first", bytes: utf8("1") }] }),
      { ...append("r2", 1, everything), tasks: [lease("held", { attempt: 3 })] },
      append("r1", 0, everything),
      append("r1", 2, { outbox: [{ topic: "last", bytes: utf8("2") }] }),
    ]);
    expect(mixed.map((result) => result.ok)).toEqual([true, false, false, true]);
    expect(await store.head("r1")).toMatchObject({ version: 3 });
    expect(await store.head("r2")).toMatchObject({ version: 1 });
    expect((await store.outbox(9)).map((row) => row.topic)).toEqual(["first", "last"]);
    expect(await store.deadLetters({ limit: 9 })).toEqual([]);
    expect(await store.blob(blob.hash)).toBeNull();
  });

  test("a commit sees what the ones before it in its batch left", async ({ open }) => {
    const store = await open();
    const results = await store.commit([append("j", 0), append("j", 1, {}, 2), append("j", 1), append("j", 3)]);
    expect(results).toEqual([OK, OK, { ok: false, reason: "conflict", version: 3 }, OK]);
    expect(await store.events("j", 0, 9)).toEqual(sampleEvents("j", 0, 4));
  });

  test("an empty batch is no error, and a commit without events still checks the version", async ({ open }) => {
    const store = await open();
    expect(await store.commit([])).toEqual([]);
    await store.commit([create("r")]);
    const timers = [{ op: "set", name: "t", dueAt: NOON }] as const;
    expect(await store.commit([append("r", 1, { timers, run: { status: "stopped" } }, 0)])).toEqual([OK]);
    expect(await store.commit([append("r", 2, { timers }, 0)])).toEqual([
      { ok: false, reason: "conflict", version: 1 },
    ]);
    expect(await store.commit([append(FLEET_JOURNAL, 0, { timers }, 0)])).toEqual([OK]);
    expect(await store.run("r")).toMatchObject({ version: 1, status: "stopped", updatedAt: NOON + 1 });
    expect(await store.dueTimers(NOON, 9)).toHaveLength(2);
  });

  test("a malformed commit rejects, and nothing of its batch is applied", async ({ open }) => {
    const store = await open();
    const [one, two] = sampleEvents("j", 0, 2);
    if (!one || !two) throw new Error("two events were asked for");
    const malformed: Commit[] = [
      { journal: "j", expectedVersion: 0, events: [two] },
      { journal: "j", expectedVersion: 0, events: [one, one] },
      { journal: "j", expectedVersion: 0, events: [{ ...one, hash: utf8("short") }] },
      { journal: "j", expectedVersion: -1, events: [] },
      append("j", 3, { run: { create: { workflow: "w", definition: "d", createdAt: NOON } } }),
      append("j", 0, { run: { create: { workflow: "w", definition: "d", createdAt: NOON } } }, 0),
    ];
    for (const commit of malformed) {
      await expect(store.commit([append("good", 0), commit])).rejects.toMatchObject({ code: "INVARIANT" });
    }
    expect(await store.head("good")).toMatchObject({ version: 0 });
    expect(await store.head("j")).toMatchObject({ version: 0 });
  });

  test("payloads, blobs and snapshots of 1 MiB come back whole", async ({ open }) => {
    const store = await open();
    const bytes = Uint8Array.from({ length: MIB }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
    const hash = Buffer.from(sha256(bytes)).toString("hex");
    const events = sampleEvents("j", 0, 2, bytes);
    await store.commit([
      { journal: "j", expectedVersion: 0, events, blobs: [{ hash, bytes }], snapshot: { version: 2, bytes } },
    ]);
    const back = [
      (await store.events("j", 0, 9))[1]?.payload,
      await store.blob(hash),
      (await store.snapshot("j"))?.bytes,
    ];
    for (const one of back) expect(Buffer.compare(one ?? new Uint8Array(0), bytes)).toBe(0);
  });

  test("a store shares no bytes with its callers", async ({ open }) => {
    const store = await open();
    const commit = append("j", 0, {
      outbox: [{ topic: "t", bytes: utf8("abc") }],
      snapshot: { version: 1, bytes: utf8("abc") },
    });
    const want = structuredClone(commit);
    await store.commit([commit]);
    const spoil = (bytes: Uint8Array | null | undefined) => bytes?.fill(0);
    for (const event of [...commit.events, ...(await store.events("j", 0, 9))])
      [event.bytes, event.hash].forEach(spoil);
    for (const row of [...(commit.outbox ?? []), ...(await store.outbox(9))]) spoil(row.bytes);
    spoil(commit.snapshot?.bytes);
    spoil((await store.snapshot("j"))?.bytes);
    spoil((await store.head("j")).head);
    expect(await store.events("j", 0, 9)).toEqual(want.events);
    expect(await store.outbox(9)).toMatchObject(want.outbox ?? []);
    expect(await store.snapshot("j")).toEqual(want.snapshot);
    expect(await store.head("j")).toEqual({ version: 1, head: want.events[0]?.hash });
  });

  test("S6: erasing takes the content of events and leaves bytes and chain", async ({ open }) => {
    const store = await open();
    const events = sampleEvents("j", 0, 4, utf8("personal"));
    await store.commit([{ journal: "j", expectedVersion: 0, events }, append("other", 0)]);
    await store.erasePayloads("j", [2, 4, 99]);
    await store.erasePayloads("nothing", [1]);
    const want = events.map((event) => (event.version % 2 === 0 ? { ...event, payload: null } : event));
    expect(await store.events("j", 0, 9)).toEqual(want);
    expect(await store.head("j")).toEqual({ version: 4, head: events[3]?.hash });
  });

  test("S6: erasing takes copies with it, and blobs that nobody else refers to", async ({ open }) => {
    const store = await open();
    const [own, shared] = [sampleBlob("own"), sampleBlob("shared")];
    await store.commit([
      create("j", {
        blobs: [own, shared],
        deadLetters: [deadLetter("d", { run: "j" }), deadLetter("e", { run: "k" })],
      }),
      create("k", { blobs: [shared] }),
    ]);
    await store.erasePayloads("j", [1], [own.hash, shared.hash, sampleBlob("unknown").hash]);
    expect(await store.blob(own.hash)).toBeNull();
    expect(await store.blob(shared.hash)).toEqual(shared.bytes);
    expect((await store.deadLetters({ limit: 9 })).map(({ id }) => id)).toEqual(["e"]);
    await store.erasePayloads("j", [1], [shared.hash]);
    expect(await store.blob(shared.hash)).toEqual(shared.bytes);
    await store.erasePayloads("k", [], [shared.hash]);
    expect(await store.blob(shared.hash)).toBeNull();
  });

  test("ids of any script are kept apart and exact", async ({ open }) => {
    const store = await open();
    const ids = ["é", "e\u0301", "日本", "🚀", "a b", "a'b", 'a"b', "a%b", "a_b", "A", "a", "a/b", " a", "a\\"];
    await store.commit(
      ids.map((id) => create(id, { tasks: [lease(`task ${id}`)], timers: [{ op: "set", name: id, dueAt: NOON }] })),
    );
    for (const id of ids) {
      expect(await store.run(id)).toMatchObject({ id, version: 1 });
      expect(await store.events(id, 0, 9)).toEqual(sampleEvents(id, 0));
    }
    const leases = await store.leases(null, 99);
    const byRun = ([a = ""]: string[], [b = ""]: string[]) => (a < b ? -1 : 1);
    const held = leases.map((row) => [row.run, row.task]);
    expect(held.sort(byRun)).toEqual(ids.map((id) => [id, `task ${id}`]).sort(byRun));
    expect((await store.dueTimers(NOON, 99)).every((timer) => timer.run === timer.name)).toBe(true);
  });

  test(
    "two fleets at one place never see each other",
    async ({ open }) => {
      const [a, b] = [await open({ fleet: "fleet-a" }), await open({ fleet: "fleet-b" })];
      const blob = sampleBlob("shared by chance");
      const fill = (workflow: string): Commit =>
        create(
          "r",
          {
            tasks: [lease("t", { worker: workflow })],
            timers: [{ op: "set", name: "n", dueAt: NOON }],
            outbox: [{ topic: workflow, bytes: utf8("x") }],
            deadLetters: [deadLetter("d", { reason: workflow })],
            blobs: [blob],
            snapshot: { version: 1, bytes: utf8(workflow) },
          },
          { workflow, idempotencyKey: "key", inputDigest: workflow },
        );
      expect(await a.commit([fill("in a")])).toEqual([OK]);
      const before = await contents(b, ["r", FLEET_JOURNAL], [blob.hash], NOON);
      expect(before).toMatchObject({
        runs: [],
        leases: [],
        depth: [],
        outbox: [],
        deadLetters: [],
        dueTimers: [],
        blobs: [null],
      });
      expect(await b.commit([fill("in b")])).toEqual([OK]);
      expect(await b.runByIdempotencyKey("key")).toEqual({ run: "r", inputDigest: "in b" });
      expect(await a.runs({ limit: 9 })).toMatchObject([{ workflow: "in a" }]);

      const inB = await contents(b, ["r"], [blob.hash], NOON);
      await a.commit([append("r", 1, { run: { status: "completed" }, tasks: [{ op: "remove", task: "t" }] })]);
      await a.commit([append(FLEET_JOURNAL, 0, { remove: ["r"] })]);
      await a.outboxSent((await b.outbox(9)).map((row) => row.id));
      await a.deadLetterRemove("d");
      await a.sweepBlobs(NOON, NOON);
      await a.sweepBlobs(NOON + 9, NOON + 9);
      expect(await a.blob(blob.hash)).toBeNull();
      expect(await contents(b, ["r"], [blob.hash], NOON)).toEqual(inB);
    },
    ["shared"],
  );
}
