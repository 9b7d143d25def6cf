import { describe, expect, it } from "vitest";
import { append, contents, create, lease, NOON, ready, sampleBlob, utf8 } from "../../src/conformance/store-sample.ts";
import { FlotillaError } from "../../src/error.ts";
import { MemoryDisk, openMemoryStore } from "../../src/store/memory.ts";
import { FLEET_JOURNAL } from "../../src/store/store.ts";

const OK = [{ ok: true }];

/** Holds calls at chosen moments until they are let go, or fails them there. */
function gate() {
  const held = new Map<string, { go: () => void; fail: (error: unknown) => void }[]>();
  const closed = new Set<string>();
  const failing = new Map<string, unknown>();
  return {
    close: (moment: string) => closed.add(moment),
    open(moment: string): void {
      closed.delete(moment);
      for (const { go } of held.get(moment) ?? []) go();
      held.delete(moment);
    },
    /** Lets the call go on that came to this moment as the given one, from 0. */
    letGo: (moment: string, index: number) => held.get(moment)?.[index]?.go(),
    fail: (moment: string, index: number, error: unknown) => held.get(moment)?.[index]?.fail(error),
    failAlways: (moment: string, error: unknown) => failing.set(moment, error),
    heal: (moment: string) => failing.delete(moment),
    turn: (moment: string): Promise<void> => {
      if (failing.has(moment)) return Promise.reject(failing.get(moment));
      if (!closed.has(moment)) return Promise.resolve();
      return new Promise<void>((go, fail) => held.set(moment, [...(held.get(moment) ?? []), { go, fail }]));
    },
  };
}

function setUp() {
  const [disk, doors] = [new MemoryDisk(), gate()];
  const store = openMemoryStore({ fleet: "f", disk, turn: doors.turn });
  return { disk, doors, store, plainStore: openMemoryStore({ fleet: "f", disk }) };
}

/** Lets every microtask run that is due. */
const settle = () => new Promise<void>((done) => setImmediate(done));

const unavailable = { code: "STORE_UNAVAILABLE" };

describe("the memory store's disk", () => {
  it("keeps what was flushed through a crash, and drops all that was not", async () => {
    const { disk, doors, store, plainStore } = setUp();
    const blob = sampleBlob("b");
    await plainStore.commit([create("done", { tasks: [lease("t")], run: { status: "completed" }, blobs: [blob] })]);
    const flushed = await contents(plainStore, ["done", "new", FLEET_JOURNAL], [blob.hash], NOON);

    for (const write of ["commit", "heartbeat", "erasePayloads", "outboxSent", "deadLetterRemove", "sweepBlobs"])
      doors.close(`${write}.flush`);
    const writes = [
      store.commit([
        create("new", {
          tasks: [ready("t")],
          timers: [{ op: "set", name: "n", dueAt: 1 }],
          outbox: [{ topic: "t", bytes: utf8("x") }],
        }),
      ]),
      store.heartbeat("w", [{ run: "done", task: "t", attempt: 1 }], NOON + 99_999),
      store.commit([append(FLEET_JOURNAL, 0, { remove: ["done"] })]),
      store.sweepBlobs(NOON, NOON),
      store.erasePayloads("new", [1]),
    ];
    const outcomes = Promise.allSettled(writes);
    await settle();
    // Applied for all to see, on no disk yet.
    expect((await plainStore.runs({ limit: 9 })).map((run) => run.id)).toEqual(["new"]);
    disk.crash();
    expect(await contents(plainStore, ["done", "new", FLEET_JOURNAL], [blob.hash], NOON)).toEqual(flushed);
    for (const write of ["commit", "heartbeat", "erasePayloads", "sweepBlobs"]) doors.open(`${write}.flush`);
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ status: "rejected", reason: unavailable });
    expect(await contents(plainStore, ["done", "new", FLEET_JOURNAL], [blob.hash], NOON)).toEqual(flushed);
  });

  it("acknowledges a commit only when it is flushed", async () => {
    const { doors, store } = setUp();
    doors.close("commit.flush");
    let acknowledged = false;
    const commit = store.commit([append("j", 0)]).then((results) => {
      acknowledged = true;
      return results;
    });
    await settle();
    expect(acknowledged).toBe(false);
    doors.open("commit.flush");
    expect(await commit).toEqual(OK);
  });

  it("flushes with a commit all that was applied before it", async () => {
    const { disk, doors, store, plainStore } = setUp();
    doors.close("commit.flush");
    const first = store.commit([append("j", 0)]);
    await settle();
    expect(await plainStore.commit([append("j", 1)])).toEqual(OK);
    disk.crash();
    expect(await plainStore.head("j")).toMatchObject({ version: 2 });
    // Its own flush cannot fail any more.
    doors.fail("commit.flush", 0, new FlotillaError("STORE_FULL", "full"));
    expect(await first).toEqual(OK);
  });

  it("F14: a flush that fails loses what was not flushed, whole, with what was built on it", async () => {
    const { doors, store, plainStore } = setUp();
    await plainStore.commit([append("j", 0)]);
    doors.close("commit.flush");
    const torn = store.commit([append("j", 1), create("r")]);
    const after = store.commit([append("j", 2)]);
    const outcomes = Promise.allSettled([torn, after]);
    await settle();
    doors.fail("commit.flush", 0, new FlotillaError("STORE_FULL", "The disk is full."));
    doors.letGo("commit.flush", 1);
    expect(await outcomes).toMatchObject([{ reason: { code: "STORE_FULL" } }, { reason: unavailable }]);
    expect(await plainStore.head("j")).toMatchObject({ version: 1 });
    expect(await plainStore.run("r")).toBeNull();
  });

  it("F14: a disk that is full applies nothing, and works again when there is space", async () => {
    const { doors, store, plainStore } = setUp();
    doors.failAlways("commit.apply", new FlotillaError("STORE_FULL", "The disk is full."));
    await expect(store.commit([append("j", 0)])).rejects.toMatchObject({ code: "STORE_FULL", class: "transient" });
    expect(await plainStore.head("j")).toMatchObject({ version: 0 });
    doors.heal("commit.apply");
    expect(await store.commit([append("j", 0)])).toEqual(OK);
  });

  it("leaves the outcome unknown when only the answer is lost: the commit stands", async () => {
    const { disk, doors, store, plainStore } = setUp();
    doors.failAlways("commit.answer", new FlotillaError("STORE_UNAVAILABLE", "connection lost"));
    await expect(store.commit([append("j", 0)])).rejects.toMatchObject(unavailable);
    disk.crash();
    expect(await plainStore.head("j")).toMatchObject({ version: 1 });
  });

  it("lets concurrent calls be reordered", async () => {
    const { doors, store } = setUp();
    doors.close("commit.apply");
    const [first, second] = [store.commit([append("j", 0)]), store.commit([append("j", 0, {}, 2)])];
    await settle();
    doors.letGo("commit.apply", 1);
    expect(await second).toEqual(OK);
    doors.letGo("commit.apply", 0);
    expect(await first).toEqual([{ ok: false, reason: "conflict", version: 2 }]);
  });

  it("lets what a dead process applied be flushed by others, or lost", async () => {
    for (const power of ["stays", "goes"]) {
      const { disk, doors, store, plainStore } = setUp();
      doors.close("commit.flush");
      // Never let go: its process died here.
      void store.commit([append("j", 0)]);
      await settle();
      if (power === "goes") disk.crash();
      await plainStore.commit([append("other", 0)]);
      disk.crash();
      expect(await plainStore.head("j")).toMatchObject({ version: power === "goes" ? 0 : 1 });
    }
  });

  it("asks for its turn at each moment of each call", async () => {
    const moments: string[] = [];
    const turn = async (moment: string) => {
      moments.push(moment);
    };
    const store = openMemoryStore({ fleet: "f", turn });
    await store.commit([append("j", 0)]);
    await store.head("j");
    expect(moments).toEqual(["commit.apply", "commit.flush", "commit.answer", "head.apply", "head.answer"]);
  });
});
