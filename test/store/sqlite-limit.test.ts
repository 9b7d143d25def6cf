import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { append, create, lease, NOON, ready, remove, sampleEvents } from "../../src/conformance/store-sample.ts";
import { openSqliteReader, openSqliteStore } from "../../src/store/sqlite.ts";
import { FLEET_JOURNAL } from "../../src/store/store.ts";
import { fingerprint, newFolder } from "./sqlite-place.ts";

const options = { fleet: "f" };
const OK = { ok: true };

describe("a disk that is full", () => {
  const large = (run: string) => ({
    ...create(run, { tasks: [ready("t")], run: { status: "completed" } }),
    events: sampleEvents(run, 0, 3, new Uint8Array(20_000).fill(0x41)),
  });

  it("F14: refuses what does not fit, whole, acknowledges nothing that is not kept, and works again with space", async () => {
    const path = join(newFolder(), "store.db");
    const store = await openSqliteStore(path, { ...options, pagesMax: 200 });
    const acknowledged: string[] = [];
    const fill = async () => {
      for (let i = 0; i < 99; i++) {
        await store.commit([large(`a${i}`), large(`b${i}`)]);
        acknowledged.push(`a${i}`, `b${i}`);
      }
    };
    await expect(fill()).rejects.toMatchObject({ code: "STORE_FULL", class: "transient", details: { path } });
    expect(acknowledged.length).toBeGreaterThan(4);
    expect(await store.runIdsByPrefix("", 999)).toEqual(acknowledged.toSorted());
    expect((await store.depth(NOON))[0]?.ready).toBe(acknowledged.length);

    // What fits is still taken, then retention makes space for the rest.
    expect(await store.commit([append(FLEET_JOURNAL, 0, { remove: acknowledged.slice(0, 4) })])).toEqual([OK]);
    expect(await store.commit([large("again"), large("and again")])).toEqual([OK, OK]);
    await store.close();

    const reopened = await openSqliteStore(path, options);
    expect(await reopened.runIdsByPrefix("", 999)).toEqual([...acknowledged.slice(4), "again", "and again"].toSorted());
    expect(await reopened.events("again", 0, 9)).toEqual(large("again").events);
    await reopened.close();
  });

  it("counts the queue right after what was rolled back", async () => {
    const store = await openSqliteStore(join(newFolder(), "store.db"), { ...options, pagesMax: 60, queueDepthMax: 3 });
    await store.commit([create("r", { tasks: [ready("t1"), ready("t2")] })]);
    const more = append("r", 1, { tasks: [remove("t1"), ready("t3"), ready("t4")] });
    const tooLarge = { journal: "j", expectedVersion: 0, events: sampleEvents("j", 0, 1, new Uint8Array(300_000)) };
    await expect(store.commit([more, tooLarge])).rejects.toMatchObject({ code: "STORE_FULL" });
    expect(await store.commit([create("s", { tasks: [ready("t")] }), create("u", { tasks: [ready("t")] })])).toEqual([
      OK,
      { ok: false, reason: "full", depth: 3 },
    ]);
    await store.close();
  });
});

/** Takes the right to write a folder away until the test is over; false where that cannot be done. */
function forbidWriting(folder: string): boolean {
  const isRoot = process.getuid?.() === 0;
  try {
    // Root writes where it likes, except into what is immutable.
    if (isRoot) execFileSync("chattr", ["+i", folder], { stdio: "ignore" });
    else chmodSync(folder, 0o500);
  } catch {
    return false;
  }
  onTestFinished(() => {
    if (isRoot) execFileSync("chattr", ["-i", folder]);
    else chmodSync(folder, 0o700);
  });
  return true;
}

describe("a folder that cannot be written", () => {
  it("is named, when it is a file, or a folder that nobody can write", async () => {
    const folder = newFolder();
    writeFileSync(join(folder, "file"), "");
    const before = fingerprint(folder);
    for (const path of [join(folder, "file", "store.db"), join(folder, "file", "a", "store.db")]) {
      await expect(openSqliteStore(path, options)).rejects.toMatchObject({ code: "STORE_READONLY", details: { path } });
    }
    expect(fingerprint(folder)).toEqual(before);
  });

  it.skipIf(process.platform !== "linux")(
    "is named, in a file system without files (skipped: needs /proc)",
    async () => {
      await expect(openSqliteStore("/proc/flotilla/store.db", options)).rejects.toMatchObject({
        code: "STORE_READONLY",
      });
    },
  );

  it("is refused for a new store, and left as it is", async ({ skip }) => {
    const folder = newFolder();
    if (!forbidWriting(folder)) skip("needs chmod, or as root chattr and a file system that knows it");
    await expect(openSqliteStore(join(folder, "store.db"), options)).rejects.toMatchObject({ code: "STORE_READONLY" });
    await expect(openSqliteStore(join(folder, "deeper", "store.db"), options)).rejects.toMatchObject({
      code: "STORE_READONLY",
    });
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is refused for a store that is there, which a reader shows all the same", async ({ skip }) => {
    const folder = newFolder();
    const path = join(folder, "store.db");
    const store = await openSqliteStore(path, options);
    await store.commit([create("r")]);
    await store.close();
    if (!forbidWriting(folder)) skip("needs chmod, or as root chattr and a file system that knows it");
    await expect(openSqliteStore(path, options)).rejects.toMatchObject({ code: "STORE_READONLY" });
    const reader = await openSqliteReader(path, options);
    expect(await reader.run("r")).toMatchObject({ version: 1 });
    await reader.close();
    expect(readdirSync(folder)).toEqual(["store.db"]);
  });
});

describe("two processes on one file", () => {
  it("a writer that waits too long says so, and goes on when it can", async () => {
    const path = join(newFolder(), "store.db");
    const store = await openSqliteStore(path, { ...options, busyTimeoutMs: 1 });
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    await expect(store.commit([create("r")])).rejects.toMatchObject({ code: "STORE_UNAVAILABLE", class: "transient" });
    await expect(store.heartbeat("w", [], NOON)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(await store.run("r")).toBeNull();
    other.exec("COMMIT");
    other.close();
    expect(await store.commit([create("r")])).toEqual([OK]);
    await store.close();
  });

  it("a reader sees what its owner commits, and changes nothing", async () => {
    const path = join(newFolder(), "store.db");
    const owner = await openSqliteStore(path, options);
    const reader = await openSqliteReader(path, options);
    const early = await openSqliteReader(path, { fleet: "later" });
    expect(await reader.runs({ limit: 9 })).toEqual([]);
    await owner.commit([create("r", { tasks: [lease("t")] })]);
    expect(await reader.run("r")).toMatchObject({ version: 1 });
    const later = await openSqliteStore(path, { fleet: "later" });
    await later.commit([create("of the other fleet")]);
    expect((await early.runs({ limit: 9 })).map((run) => run.id)).toEqual(["of the other fleet"]);

    const refused = { code: "STORE_READONLY", details: {} };
    await expect(reader.commit([append("r", 1)])).rejects.toMatchObject(refused);
    await expect(reader.commit([])).rejects.toMatchObject(refused);
    await expect(reader.heartbeat("w", [], NOON)).rejects.toMatchObject(refused);
    await expect(reader.erasePayloads("r", [1])).rejects.toMatchObject(refused);
    await expect(reader.outboxSent([1])).rejects.toMatchObject(refused);
    await expect(reader.deadLetterRemove("d")).rejects.toMatchObject(refused);
    await expect(reader.sweepBlobs(NOON, NOON)).rejects.toMatchObject(refused);
    for (const store of [owner, later, reader, early]) await store.close();
    await expect(reader.run("r")).rejects.toMatchObject({ code: "STORE_CLOSED" });
  });

  it("a reader shows a store that nobody has open, and none that is not there", async () => {
    const folder = newFolder();
    const path = join(folder, "store.db");
    mkdirSync(join(folder, "empty"));
    await expect(openSqliteReader(join(folder, "empty", "store.db"), options)).rejects.toMatchObject({
      code: "STORE_READONLY",
    });
    expect(readdirSync(join(folder, "empty"))).toEqual([]);
    const owner = await openSqliteStore(path, options);
    await owner.commit([create("r")]);
    await owner.close();
    const reader = await openSqliteReader(path, options);
    expect(await reader.events("r", 0, 9)).toEqual(sampleEvents("r", 0));
    await reader.close();
  });
});
