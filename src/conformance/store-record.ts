import { expect } from "vitest";
import { FLEET_JOURNAL } from "../store/store.ts";
import type { StoreTest } from "./store.ts";
import { append, create, deadLetter, inboxRow, NOON, sampleBlob, utf8 } from "./store-sample.ts";

/** What goes with a commit beside events and tasks: outbox, dead letters, blobs, snapshots. */
export function recordTests(test: StoreTest): void {
  test("the outbox keeps the order of commit, and its ids grow", async ({ open }) => {
    const store = await open();
    const row = (topic: string) => ({ topic, bytes: utf8(`to ${topic}`) });
    await store.commit([append("b", 0, { outbox: [row("1"), row("2")] }), append("a", 0, { outbox: [row("3")] })]);
    await store.commit([append("a", 1, { outbox: [row("4")] })]);
    const rows = await store.outbox(9);
    expect(rows.map(({ topic, bytes }) => ({ topic, bytes }))).toEqual(["1", "2", "3", "4"].map(row));
    expect(rows.map(({ id }) => id)).toEqual(rows.map(({ id }) => id).toSorted((x, y) => x - y));
    expect(await store.outbox(2)).toEqual(rows.slice(0, 2));

    await store.outboxSent([rows[1]?.id ?? 0, 999_999]);
    expect((await store.outbox(9)).map(({ topic }) => topic)).toEqual(["1", "3", "4"]);
    await store.outboxSent(rows.map(({ id }) => id));
    await store.outboxSent([]);
    expect(await store.outbox(9)).toEqual([]);
    await store.commit([append("a", 2, { outbox: [row("5")] })]);
    expect((await store.outbox(9))[0]?.id).toBeGreaterThan(rows[3]?.id ?? Number.POSITIVE_INFINITY);
  });

  test("M9: dead letters are listed newest first, by run and kind, and taken out", async ({ open }) => {
    const store = await open();
    const letters = [
      deadLetter("a", { at: NOON, kind: "poisoned", run: "r1", task: "t" }),
      deadLetter("b", { at: NOON + 2, kind: "expired", run: "r1" }),
      deadLetter("c", { at: NOON + 2, kind: "poisoned", run: "r2", reason: "日本" }),
      deadLetter("d", { at: NOON + 1, kind: "undeliverable" }),
    ];
    const [a, b, c, d] = letters;
    await store.commit([append(FLEET_JOURNAL, 0, { deadLetters: letters })]);
    expect(await store.deadLetters({ limit: 9 })).toEqual([c, b, d, a]);
    expect(await store.deadLetters({ limit: 2 })).toEqual([c, b]);
    expect(await store.deadLetters({ run: "r1", limit: 9 })).toEqual([b, a]);
    expect(await store.deadLetters({ kind: "poisoned", limit: 9 })).toEqual([c, a]);
    expect(await store.deadLetters({ run: "r1", kind: "poisoned", limit: 9 })).toEqual([a]);
    expect(await store.deadLetters({ run: "r9", limit: 9 })).toEqual([]);

    const again = deadLetter("a", { at: NOON + 9, reason: "again" });
    await store.commit([append(FLEET_JOURNAL, 1, { deadLetters: [again] })]);
    expect(await store.deadLetters({ limit: 9 })).toEqual([again, c, b, d]);
    expect(await store.deadLetter("a")).toEqual(again);
    expect(await store.deadLetter("x")).toBeNull();
    expect(await store.deadLetterRemove("a")).toBe(true);
    expect(await store.deadLetterRemove("a")).toBe(false);
    expect(await store.deadLetters({ limit: 9 })).toEqual([c, b, d]);
    await store.commit([append(FLEET_JOURNAL, 2, { deadLettersRemoved: ["c", "x"] })]);
    expect(await store.deadLetters({ limit: 9 })).toEqual([b, d]);
  });

  test("F9: the inbox lists what waits, oldest first, and what was decided, newest first", async ({ open }) => {
    const store = await open();
    const a = inboxRow("a", { at: NOON + 2, deadline: NOON + 5 });
    const b = inboxRow("b", { at: NOON + 1, run: "r2", kind: "escalation", deadline: NOON + 9 });
    const ab = inboxRow("ab", { at: NOON + 2 });
    await store.commit([create("r1", { inbox: [ab, a] }), create("r2", { inbox: [b] })]);
    const open_ = (more = {}) => store.inbox({ state: "open", limit: 9, ...more });
    expect(await open_()).toEqual([b, a, ab]);
    expect(await open_({ limit: 1 })).toEqual([b]);
    expect(await open_({ run: "r1" })).toEqual([a, ab]);
    expect(await open_({ kind: "escalation" })).toEqual([b]);
    expect(await open_({ dueBefore: NOON + 9 })).toEqual([a]);
    expect(await open_({ after: { at: b.at, id: b.id } })).toEqual([a, ab]);
    expect(await open_({ after: { at: a.at, id: a.id } })).toEqual([ab]);
    expect(await store.inboxItem("a")).toEqual(a);
    expect(await store.inboxItem("x")).toBeNull();
    expect(await store.inboxIdsByPrefix("a", 9)).toEqual(["a", "ab"]);
    expect(await store.inboxIdsByPrefix("a", 1)).toEqual(["a"]);

    const [first, second] = [
      { ...b, decidedAt: NOON + 20 },
      { ...a, decidedAt: NOON + 21, bytes: utf8("by ann") },
    ];
    await store.commit([append("r1", 1, { inbox: [second] }), append("r2", 1, { inbox: [first] })]);
    expect(await open_()).toEqual([ab]);
    expect(await store.inbox({ state: "decided", limit: 9 })).toEqual([second, first]);
    expect(await store.inbox({ state: "decided", run: "r2", limit: 9 })).toEqual([first]);
    expect(await store.inboxItem("a")).toEqual(second);

    await store.commit([append("r1", 2, { run: { status: "completed" } })]);
    await store.commit([append(FLEET_JOURNAL, 0, { remove: ["r1"] })]);
    expect([await open_(), await store.inboxItem("a")]).toEqual([[], null]);
    expect(await store.inbox({ state: "decided", limit: 9 })).toEqual([first]);
  });

  test("K2: an account is drawn on up to its bound, by all together, whole or not at all", async ({ open }) => {
    const store = await open();
    const draw = (tokens: number, costMicroUsd: number, max: number | null = 100) => {
      return { account: "agent/a", window: "day 1", tokens, costMicroUsd, tokensMax: max, costMicroUsdMax: max };
    };
    expect(await store.account("agent/a", "day 1")).toEqual({
      account: "agent/a",
      window: "day 1",
      tokens: 0,
      costMicroUsd: 0,
    });
    const overdrawn = { ok: false, reason: "overdrawn", account: "agent/a", window: "day 1" };
    expect(
      await store.commit([
        append("a", 0, { accounts: [draw(60, 10), draw(40, 10)] }),
        append("b", 0, { accounts: [{ ...draw(7, 7), account: "other" }, draw(1, 0)] }),
        append("c", 0, { accounts: [draw(-10, -20), draw(0, 100)] }),
        append("d", 0, { accounts: [draw(0, 1)] }),
        append("e", 0, { accounts: [draw(500, 500, null), draw(-1, 0), { ...draw(1, 1), window: "day 2" }] }),
      ]),
    ).toEqual([{ ok: true }, overdrawn, { ok: true }, overdrawn, { ok: true }]);
    expect(await store.account("agent/a", "day 1")).toMatchObject({ tokens: 589, costMicroUsd: 600 });
    expect(await store.account("agent/a", "day 2")).toMatchObject({ tokens: 1, costMicroUsd: 1 });
    expect(await store.account("other", "day 1")).toMatchObject({ tokens: 0, costMicroUsd: 0 });
    expect((await store.head("b")).version).toBe(0);
  });

  test("a blob stays as long as a journal refers to it, and until the second sweep", async ({ open }) => {
    const store = await open();
    const [shared, own, unused] = [sampleBlob("shared"), sampleBlob("own"), sampleBlob("unused")];
    const done = { run: { status: "completed" } } as const;
    await store.commit([
      create("a", { ...done, blobs: [shared, own, shared] }),
      create("b", { ...done, blobRefs: [shared.hash] }),
      create("c", { ...done, blobs: [shared] }),
    ]);
    expect(await store.blob(shared.hash)).toEqual(shared.bytes);
    expect(await store.blob(unused.hash)).toBeNull();
    expect(await store.sweepBlobs(NOON, NOON + 9)).toBe(0);

    await store.commit([append(FLEET_JOURNAL, 0, { remove: ["a"] })]);
    expect(await store.sweepBlobs(NOON + 10, NOON + 20)).toBe(0);
    // It was noted as unreferenced at NOON + 10.
    expect(await store.sweepBlobs(NOON + 20, NOON + 10)).toBe(0);
    expect(await store.blob(own.hash)).toEqual(own.bytes);
    expect(await store.sweepBlobs(NOON + 30, NOON + 11)).toBe(1);
    expect([await store.blob(own.hash), await store.blob(shared.hash)]).toEqual([null, shared.bytes]);

    await store.commit([append(FLEET_JOURNAL, 1, { remove: ["b", "c"] })]);
    await store.sweepBlobs(NOON + 40, 0);
    expect(await store.sweepBlobs(NOON + 50, NOON + 41)).toBe(1);
    expect(await store.blob(shared.hash)).toBeNull();
  });

  test("a blob that is referred to again is noted afresh", async ({ open }) => {
    const store = await open();
    const blob = sampleBlob("returning");
    const done = { run: { status: "completed" } } as const;
    await store.commit([create("a", { ...done, blobs: [blob] }), append(FLEET_JOURNAL, 0, { remove: ["a"] })]);
    await store.sweepBlobs(NOON, 0);
    expect(await store.commit([create("b", { ...done, blobRefs: [blob.hash] })])).toEqual([{ ok: true }]);
    expect(await store.sweepBlobs(NOON + 9, NOON + 9)).toBe(0);
    await store.commit([append(FLEET_JOURNAL, 1, { remove: ["b"] })]);
    expect(await store.sweepBlobs(NOON + 10, NOON + 10)).toBe(0);
    expect(await store.sweepBlobs(NOON + 11, NOON + 11)).toBe(1);
  });

  test("a reference to a blob that is not there rejects, and nothing of its batch is applied", async ({ open }) => {
    const store = await open();
    const blob = sampleBlob("good");
    const missing = sampleBlob("missing").hash;
    const batch = [create("a", { blobs: [blob] }), create("b", { blobRefs: [blob.hash, missing] })];
    await expect(store.commit(batch)).rejects.toMatchObject({ code: "BLOB_MISSING" });
    expect(await store.runs({ limit: 9 })).toEqual([]);
    expect(await store.blob(blob.hash)).toBeNull();
    expect(await store.commit(batch.slice(0, 1))).toEqual([{ ok: true }]);
  });

  test("F11: the two newest snapshots of a journal are kept, and found by version", async ({ open }) => {
    const store = await open();
    const at = (version: number, text = `at ${version}`) => ({ version, bytes: utf8(text) });
    expect(await store.snapshot("j")).toBeNull();
    await store.commit([append("j", 0, { snapshot: at(2) }, 9), append("other", 0, { snapshot: at(1) })]);
    for (const version of [4, 6]) await store.commit([append("j", 9, { snapshot: at(version) }, 0)]);
    expect(await store.snapshot("j")).toEqual(at(6));
    expect(await store.snapshot("j", 6)).toEqual(at(6));
    expect(await store.snapshot("j", 5)).toEqual(at(4));
    expect(await store.snapshot("j", 3)).toBeNull();
    await store.commit([append("j", 9, { snapshot: at(6, "replaced") }, 0)]);
    expect(await store.snapshot("j")).toEqual(at(6, "replaced"));
    expect(await store.snapshot("j", 5)).toEqual(at(4));
    expect(await store.snapshot("other")).toEqual(at(1));
  });
}
