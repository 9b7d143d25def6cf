import { expect } from "vitest";
import { FLEET_JOURNAL } from "../store/store.ts";
import type { StoreTest } from "./store.ts";
import { append, create, lease, NOON, ready, sampleEvents, utf8 } from "./store-sample.ts";

/** Runs: rows, lists, idempotency keys, retention. */
export function runTests(test: StoreTest): void {
  test("a run's row follows its commits", async ({ open }) => {
    const store = await open();
    await store.commit([create("r", {}, { workflow: "w", definition: "d1", createdAt: NOON - 5 })]);
    const first = {
      id: "r",
      workflow: "w",
      definition: "d1",
      status: "running",
      createdAt: NOON - 5,
      updatedAt: NOON + 1,
      version: 1,
      head: sampleEvents("r", 0)[0]?.hash,
      summary: null,
      idempotencyKey: null,
      inputDigest: null,
    };
    expect(await store.run("r")).toEqual(first);
    await store.commit([append("r", 1, { run: { status: "completed", summary: utf8('{"tokens":3}') } }, 2)]);
    const head = sampleEvents("r", 2)[0]?.hash;
    expect(await store.run("r")).toEqual({
      ...first,
      status: "completed",
      updatedAt: NOON + 3,
      version: 3,
      head,
      summary: utf8('{"tokens":3}'),
    });
    await store.commit([append("r", 3)]);
    expect(await store.run("r")).toMatchObject({ status: "completed", summary: utf8('{"tokens":3}'), version: 4 });
  });

  test("journals that no commit created as runs are in no list of runs", async ({ open }) => {
    const store = await open();
    const finished = { run: { status: "completed", summary: utf8("{}") } } as const;
    await store.commit([append(FLEET_JOURNAL, 0, finished), append("bare", 0), create("r")]);
    expect(await store.run(FLEET_JOURNAL)).toBeNull();
    expect(await store.head(FLEET_JOURNAL)).toMatchObject({ version: 1 });
    expect((await store.runs({ limit: 9 })).map((run) => run.id)).toEqual(["r"]);
    expect(await store.runIdsByPrefix("", 9)).toEqual(["r"]);
    expect(await store.runIdsByPrefix("fl", 9)).toEqual([]);
  });

  test("runs are listed newest first, filtered, in pages", async ({ open }) => {
    const store = await open();
    const ids = Array.from({ length: 30 }, (_, i) => `run-${String(i).padStart(2, "0")}`);
    // Three at each time, so that a page ends in the middle of one.
    const commits = ids.map((id, i) =>
      create(
        id,
        { run: { status: i % 2 === 0 ? "running" : "failed" } },
        { createdAt: NOON + Math.floor(i / 3), workflow: i % 5 === 0 ? "five" : "w" },
      ),
    );
    await store.commit(commits);
    const wanted = ids.toReversed();
    expect((await store.runs({ limit: 99 })).map((run) => run.id)).toEqual(wanted);
    const list = async (filter: { status?: "running" | "failed"; workflow?: string }) => {
      const seen: string[] = [];
      let before: { createdAt: number; id: string } | undefined;
      for (;;) {
        const page = await store.runs({ ...filter, ...(before ? { before } : {}), limit: 4 });
        seen.push(...page.map((run) => run.id));
        before = page.at(-1);
        if (!before) return seen;
      }
    };
    const number = (id: string) => Number(id.slice(4));
    expect(await list({})).toEqual(wanted);
    expect(await list({ status: "failed" })).toEqual(wanted.filter((id) => number(id) % 2 === 1));
    expect(await list({ workflow: "five" })).toEqual(wanted.filter((id) => number(id) % 5 === 0));
    expect(await list({ status: "running", workflow: "five" })).toEqual(wanted.filter((id) => number(id) % 10 === 0));
    expect(await list({ workflow: "none" })).toEqual([]);
    expect(await store.runs({ limit: 0 })).toEqual([]);
  });

  test("ids are found by their beginning, taken literally, in order of their bytes", async ({ open }) => {
    const store = await open();
    const ids = ["ab", "abc", "aB", "b", "a%", "a%b", "a_", "a\u{10ffff}", "a\uffee", "a"];
    await store.commit(ids.map((id) => create(id)));
    expect(await store.runIdsByPrefix("ab", 9)).toEqual(["ab", "abc"]);
    expect(await store.runIdsByPrefix("a%", 9)).toEqual(["a%", "a%b"]);
    expect(await store.runIdsByPrefix("a_", 9)).toEqual(["a_"]);
    expect(await store.runIdsByPrefix("a", 99)).toEqual([
      "a",
      "a%",
      "a%b",
      "aB",
      "a_",
      "ab",
      "abc",
      "a\uffee",
      "a\u{10ffff}",
    ]);
    expect(await store.runIdsByPrefix("a", 2)).toEqual(["a", "a%"]);
    expect(await store.runIdsByPrefix("c", 9)).toEqual([]);
  });

  test("C11: an idempotency key starts one run, in one batch and in concurrent ones", async ({ open }) => {
    const store = await open();
    const keyed = (id: string, key: string, inputDigest = "in") =>
      create(id, { tasks: [ready("t")] }, { idempotencyKey: key, inputDigest });
    const duplicate = { ok: false, reason: "duplicate", run: "r1", inputDigest: "in" };
    expect(await store.commit([keyed("r1", "k"), keyed("r2", "k", "other")])).toEqual([{ ok: true }, duplicate]);
    expect(await store.commit([keyed("r3", "k"), keyed("r4", "k4")])).toEqual([duplicate, { ok: true }]);
    expect(await store.runByIdempotencyKey("k")).toEqual({ run: "r1", inputDigest: "in" });
    expect(await store.runByIdempotencyKey("nothing")).toBeNull();
    expect((await store.runs({ limit: 9 })).map((run) => run.id)).toEqual(["r4", "r1"]);
    expect((await store.peek("q", NOON, 9)).map((row) => row.run)).toEqual(["r1", "r4"]);

    const results = await Promise.all(["x1", "x2", "x3", "x4"].map((id) => store.commit([keyed(id, "kx")])));
    expect(results.flat().filter((result) => result.ok)).toHaveLength(1);
  });

  test("a conflict is told before a duplicate, and a duplicate before a full queue", async ({ open }) => {
    const store = await open({ queueDepthMax: 1 });
    const keyed = (id: string) => create(id, { tasks: [ready("t")] }, { idempotencyKey: "k", inputDigest: "in" });
    await store.commit([keyed("r")]);
    expect(await store.commit([keyed("r"), keyed("s")])).toEqual([
      { ok: false, reason: "conflict", version: 1 },
      { ok: false, reason: "duplicate", run: "r", inputDigest: "in" },
    ]);
    expect(await store.commit([create("r", { tasks: [ready("t")] }), create("s", { tasks: [ready("t")] })])).toEqual([
      { ok: false, reason: "conflict", version: 1 },
      { ok: false, reason: "full", depth: 1 },
    ]);
  });

  test("S6: retention removes finished runs with all that is theirs", async ({ open }) => {
    const store = await open();
    const full = {
      tasks: [ready("t1"), lease("t2")],
      timers: [{ op: "set", name: "n", dueAt: NOON }] as const,
      outbox: [{ topic: "stays", bytes: utf8("x") }],
      snapshot: { version: 1, bytes: utf8("s") },
    };
    const keyed = { idempotencyKey: "k", inputDigest: "in" };
    await store.commit([create("old", { ...full, run: { status: "completed" } }, keyed), create("kept", full)]);
    const kept = [await store.events("kept", 0, 9), await store.run("kept"), await store.snapshot("kept")];
    expect(await store.commit([append(FLEET_JOURNAL, 0, { remove: ["old", "unknown"] })])).toEqual([{ ok: true }]);

    expect(await store.head("old")).toEqual({ version: 0, head: new Uint8Array(0) });
    expect(await store.events("old", 0, 9)).toEqual([]);
    expect([await store.run("old"), await store.snapshot("old"), await store.runByIdempotencyKey("k")]).toEqual([
      null,
      null,
      null,
    ]);
    expect((await store.peek("q", NOON, 9)).map((row) => row.run)).toEqual(["kept"]);
    expect((await store.leases(null, 9)).map((row) => row.run)).toEqual(["kept"]);
    expect((await store.dueTimers(NOON, 9)).map((row) => row.run)).toEqual(["kept"]);
    expect(await store.outbox(9)).toHaveLength(2);
    expect([await store.events("kept", 0, 9), await store.run("kept"), await store.snapshot("kept")]).toEqual(kept);
    // Its id and its key are free again, and nothing of the old run shows in the new one.
    expect(await store.commit([create("old", {}, keyed)])).toEqual([{ ok: true }]);
    expect(await store.events("old", 0, 9)).toEqual(sampleEvents("old", 0));
    expect(await store.snapshot("old")).toBeNull();
  });

  test("retention never removes a run that has not ended, or a journal that is no run", async ({ open }) => {
    const store = await open();
    await store.commit([create("r"), create("done", { run: { status: "failed" } }), append("bare", 0)]);
    for (const remove of [["done", "r"], ["bare"], [FLEET_JOURNAL]]) {
      await expect(store.commit([append(FLEET_JOURNAL, 0, { remove })])).rejects.toMatchObject({ code: "INVARIANT" });
    }
    expect(await store.commit([append(FLEET_JOURNAL, 7, { remove: ["done"] })])).toMatchObject([
      { reason: "conflict" },
    ]);
    expect(await store.runIdsByPrefix("", 9)).toEqual(["done", "r"]);
    expect(await store.events("done", 0, 9)).toHaveLength(1);
    expect(await store.head(FLEET_JOURNAL)).toMatchObject({ version: 0 });
  });

  test("a journal that went, by retention or with a rejected batch, is never taken for the next one", async ({
    open,
  }) => {
    const store = await open();
    await store.commit([append(FLEET_JOURNAL, 0), create("old", { run: { status: "completed" } })]);
    await store.commit([append(FLEET_JOURNAL, 1, { remove: ["old"] }), create("next")]);
    const gone = { ok: false, reason: "conflict", version: 0 };
    expect(await store.commit([append("old", 1)])).toEqual([gone]);

    const missing = "0".repeat(64);
    await expect(store.commit([create("rejected"), append("next", 1, { blobRefs: [missing] })])).rejects.toMatchObject({
      code: "BLOB_MISSING",
    });
    await store.commit([create("after")]);
    expect(await store.commit([append("rejected", 1)])).toEqual([gone]);
    for (const run of ["next", "after"]) expect(await store.events(run, 0, 9)).toEqual(sampleEvents(run, 0));
  });
}
