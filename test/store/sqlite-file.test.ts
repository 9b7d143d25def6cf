import {
  closeSync,
  cpSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { append, create, inboxRow, sampleEvents, utf8 } from "../../src/conformance/store-sample.ts";
import { openSqliteReader, openSqliteStore } from "../../src/store/sqlite.ts";
import { APPLICATION_ID, MIGRATIONS } from "../../src/store/sqlite-schema.ts";
import { fingerprint, newFolder } from "./sqlite-place.ts";

const options = { fleet: "f" };
const LATER = "CREATE TABLE later (id INTEGER PRIMARY KEY, note TEXT)";

/** A store with one run, closed. */
async function made(path: string, migrations = MIGRATIONS): Promise<string> {
  const store = await openSqliteStore(path, { ...options, migrations });
  await store.commit([create("r")]);
  await store.close();
  return path;
}

/** Both ways to open must refuse the file with `code` and touch nothing. */
async function refusedUntouched(folder: string, path: string, code: string): Promise<void> {
  const before = fingerprint(folder);
  await expect(openSqliteStore(path, options)).rejects.toMatchObject({ code, message: expect.stringContaining(path) });
  await expect(openSqliteReader(path, options)).rejects.toMatchObject({ code });
  expect(fingerprint(folder)).toEqual(before);
}

function overwrite(path: string, at: number, bytes: Uint8Array): void {
  const file = openSync(path, "r+");
  writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}

describe("files that are no store of this Flotilla are refused and left untouched", () => {
  it("a newer store", async () => {
    const folder = newFolder();
    await refusedUntouched(folder, await made(join(folder, "store.db"), [...MIGRATIONS, LATER]), "STORE_NEWER");
  });

  it("a newer store whose owner was killed, with a -wal that waits", async () => {
    const [live, folder] = [newFolder(), newFolder()];
    const owner = await openSqliteStore(join(live, "store.db"), { ...options, migrations: [...MIGRATIONS, LATER] });
    await owner.commit([create("r")]);
    cpSync(live, folder, { recursive: true });
    await owner.close();
    expect(statSync(join(folder, "store.db-wal")).size).toBeGreaterThan(0);
    await refusedUntouched(folder, join(folder, "store.db"), "STORE_NEWER");
  });

  it.each([
    ["text", (path: string) => writeFileSync(path, "name: newsroom\n".repeat(500))],
    [
      "random bytes",
      (path: string) => writeFileSync(path, Buffer.from(Array.from({ length: 9000 }, (_, i) => (i * 7919) % 251))),
    ],
    ["a few bytes", (path: string) => writeFileSync(path, "SQLite format 3\0")],
    ["a folder", (path: string) => mkdirSync(path)],
    ["a database of another program", (path: string) => foreign(path, 0)],
    ["a database with another application's id", (path: string) => foreign(path, 0x12345678)],
    ["a database with our id and none of our tables", (path: string) => foreign(path, APPLICATION_ID)],
  ])("%s", async (_what, make) => {
    const folder = newFolder();
    make(join(folder, "store.db"));
    await refusedUntouched(folder, join(folder, "store.db"), "STORE_DAMAGED");
  });

  it.each([
    ["cut short", (path: string) => truncateSync(path, statSync(path).size - 4096)],
    ["cut in the middle of a page", (path: string) => truncateSync(path, 6000)],
    ["with a header of zeros", (path: string) => overwrite(path, 0, new Uint8Array(100))],
    [
      "with a first page of garbage after its header",
      (path: string) => overwrite(path, 100, new Uint8Array(3996).fill(0xab)),
    ],
    [
      "with garbage where its tables are described",
      (path: string) => overwrite(path, 104, new Uint8Array(3992).fill(0x5a)),
    ],
    ["without version", (path: string) => overwrite(path, 60, new Uint8Array(4))],
    ["without one of its tables", (path: string) => inSqlite(path, "DROP TABLE timer")],
    ["without one of its indexes", (path: string) => inSqlite(path, "DROP INDEX journal_by_id")],
  ])("a store %s", async (_what, damage) => {
    const folder = newFolder();
    const path = await made(join(folder, "store.db"));
    damage(path);
    await refusedUntouched(folder, path, "STORE_DAMAGED");
  });

  function foreign(path: string, applicationId: number): void {
    inSqlite(
      path,
      `CREATE TABLE bookmark (url TEXT); PRAGMA user_version = ${MIGRATIONS.length}; PRAGMA application_id = ${applicationId}`,
    );
  }
});

function inSqlite(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA journal_mode = DELETE; ${sql}`);
  db.close();
}

describe("the file of a store", () => {
  it("is readable by the user alone, with what stands beside it", async () => {
    const folder = newFolder();
    const store = await openSqliteStore(join(folder, "state", "store.db"), options);
    await store.commit([create("r")]);
    const state = join(folder, "state");
    expect(readdirSync(state).toSorted()).toEqual(["store.db", "store.db-shm", "store.db-wal"]);
    if (process.platform !== "win32") {
      for (const name of readdirSync(state)) expect(statSync(join(state, name)).mode & 0o777).toBe(0o600);
      expect(statSync(state).mode & 0o777).toBe(0o700);
    }
    await store.close();
    expect(readdirSync(state)).toEqual(["store.db"]);
  });

  it("says in its header from birth whose it is", async () => {
    const folder = newFolder();
    const store = await openSqliteStore(join(folder, "store.db"), options);
    const header = readFileSync(join(folder, "store.db"));
    expect([header.readUInt32BE(60), header.readUInt32BE(68)]).toEqual([MIGRATIONS.length, APPLICATION_ID]);
    await store.close();
  });

  it("is made anew over an empty file, and what a killed maker left is removed", async () => {
    const folder = newFolder();
    const path = join(folder, "store.db");
    writeFileSync(path, "");
    // No process has a number this large.
    writeFileSync(`${path}-new-99999999`, "half a store");
    writeFileSync(`${path}-new-99999999-journal`, "half a journal");
    await made(path);
    expect(readdirSync(folder)).toEqual(["store.db"]);
  });

  it("is opened as it is when its owner was killed right after making it", async () => {
    const [live, folder] = [newFolder(), newFolder()];
    const owner = await openSqliteStore(join(live, "store.db"), options);
    cpSync(live, folder, { recursive: true });
    await owner.close();
    const store = await openSqliteStore(join(folder, "store.db"), options);
    expect(await store.commit([create("r")])).toEqual([{ ok: true }]);
    await store.close();
  });

  it("S6: holds no trace of content that was erased", async () => {
    const folder = newFolder();
    const store = await openSqliteStore(join(folder, "store.db"), options);
    const secret = "Ada Lovelace, 12 St James's Square";
    const traces = () => readdirSync(folder).filter((name) => readFileSync(join(folder, name)).includes(secret));
    const small = sampleEvents("r", 0, 2, utf8(secret));
    const large = sampleEvents("r", 2, 1, utf8(secret.repeat(1000)));
    await store.commit([{ journal: "r", expectedVersion: 0, events: [...small, ...large] }]);
    expect(traces()).not.toEqual([]);
    await store.erasePayloads("r", [1, 2, 3]);
    expect(traces()).toEqual([]);
    await store.close();
    expect(traces()).toEqual([]);
  });

  it("F14: with a damaged page names the damage where it is met, and serves everything else", async () => {
    const path = join(newFolder(), "store.db");
    const store = await openSqliteStore(path, options);
    const filler = new Uint8Array(2000).fill(0x21);
    for (const run of ["first", "broken", "last"]) {
      await store.commit([{ ...create(run), events: sampleEvents(run, 0, 200, filler) }]);
    }
    await store.close();
    const content = readFileSync(path);
    for (let page = 4096; page < content.length; page += 4096) {
      const text = content.subarray(page, page + 4096).toString("latin1");
      const isBroken =
        text.includes('"journal":"broken"') &&
        !text.includes('"journal":"first"') &&
        !text.includes('"journal":"last"');
      if (isBroken) overwrite(path, page, new Uint8Array(4096));
    }
    const damaged = await openSqliteStore(path, options);
    await expect(damaged.events("broken", 0, 999)).rejects.toMatchObject({ code: "STORE_DAMAGED", details: { path } });
    expect(await damaged.events("first", 0, 999)).toHaveLength(200);
    expect(await damaged.events("last", 0, 999)).toHaveLength(200);
    expect(await damaged.commit([append("last", 200), create("new")])).toEqual([{ ok: true }, { ok: true }]);
    await damaged.close();
  });
});

describe("upgrades of the schema", () => {
  const steps = [
    ...MIGRATIONS,
    `${LATER}; INSERT INTO later (note) SELECT id FROM journal; ALTER TABLE event ADD COLUMN extra TEXT`,
  ];

  it("apply the steps that a file lacks, keep its content, and run once", async () => {
    const path = await made(join(newFolder(), "store.db"));
    for (let opening = 0; opening < 2; opening++) {
      const store = await openSqliteStore(path, { ...options, migrations: steps });
      expect(await store.events("r", 0, 9)).toEqual(sampleEvents("r", 0));
      expect(await store.commit([create(`r${opening}`)])).toEqual([{ ok: true }]);
      await store.close();
    }
    const db = new DatabaseSync(path, { readOnly: true });
    expect(db.prepare("SELECT note FROM later").all()).toEqual([{ note: "r" }]);
    expect(db.prepare("PRAGMA user_version").get()).toEqual({ user_version: steps.length });
    db.close();
  });

  it("take a file of the first version to today's, which lists what waits for people (F9)", async () => {
    const path = await made(join(newFolder(), "store.db"), MIGRATIONS.slice(0, 1));
    const store = await openSqliteStore(path, options);
    const item = inboxRow("a-1", { run: "r" });
    expect(await store.commit([append("r", 1, { inbox: [item] })])).toEqual([{ ok: true }]);
    expect(await store.inbox({ state: "open", limit: 9 })).toEqual([item]);
    await store.close();
  });

  it("make a new file in the same steps", async () => {
    const path = await made(join(newFolder(), "store.db"), steps);
    const db = new DatabaseSync(path, { readOnly: true });
    expect(db.prepare("SELECT count(*) AS rows FROM later").get()).toEqual({ rows: 0 });
    db.close();
  });

  it("that fail leave the file at the step before, in use by the Flotilla that knows it", async () => {
    const path = await made(join(newFolder(), "store.db"));
    const failing = [...steps, "CREATE TABLE half (x); INSERT INTO nowhere VALUES (1)"];
    await expect(openSqliteStore(path, { ...options, migrations: failing })).rejects.toThrow("nowhere");
    const store = await openSqliteStore(path, { ...options, migrations: steps });
    expect(await store.run("r")).toMatchObject({ version: 1 });
    await store.close();
  });

  it("that were cut short are taken back, and done again", async () => {
    const [live, folder] = [newFolder(), newFolder()];
    const path = await made(join(live, "store.db"));
    // An upgrade whose transaction has reached the file, but not its end.
    const db = new DatabaseSync(path);
    db.exec(`PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1; BEGIN EXCLUSIVE; ${steps.at(-1)}; PRAGMA user_version = ${steps.length};
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
      INSERT INTO later (note) SELECT 'some text that fills pages' FROM n`);
    cpSync(live, folder, { recursive: true });
    db.exec("ROLLBACK");
    db.close();
    const copy = join(folder, "store.db");
    expect(statSync(`${copy}-journal`).size).toBeGreaterThan(0);
    expect(statSync(copy).size).toBeGreaterThan(100_000);
    const store = await openSqliteStore(copy, { ...options, migrations: steps });
    expect(await store.events("r", 0, 9)).toEqual(sampleEvents("r", 0));
    await store.close();
    const upgraded = new DatabaseSync(copy, { readOnly: true });
    expect(upgraded.prepare("SELECT note FROM later").all()).toEqual([{ note: "r" }]);
    upgraded.close();
  });

  it("wait for nobody: while another process has the file open they reject, and change nothing", async () => {
    const path = await made(join(newFolder(), "store.db"));
    const reader = await openSqliteReader(path, options);
    await reader.run("r");
    await expect(openSqliteStore(path, { ...options, migrations: steps, busyTimeoutMs: 1 })).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
    });
    expect(await reader.run("r")).toMatchObject({ version: 1 });
    await reader.close();
    await (await openSqliteStore(path, { ...options, migrations: steps })).close();
  });

  it("are not done by a reader, which says what to do", async () => {
    const path = await made(join(newFolder(), "store.db"));
    const refused = { code: "STORE_READONLY", hint: expect.stringContaining("upgrades") };
    await expect(openSqliteReader(path, { ...options, migrations: steps })).rejects.toMatchObject(refused);
  });
});
