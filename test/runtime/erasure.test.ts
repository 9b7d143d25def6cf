import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { openFleet } from "../../src/runtime/open-fleet.ts";
import { open } from "../../src/open.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { recordedStore, sums, verified } from "./altered-store.ts";

const journal = "SELECT no FROM journal WHERE id = ?";

/** Contents of a run that are there. */
function contentsOf(path: string, run: string): number {
  const db = new DatabaseSync(path, { readOnly: true });
  const { n } = db.prepare(`SELECT count(payload) AS n FROM event WHERE journal = (${journal})`).get(run) ?? {};
  db.close();
  return Number(n);
}

test("S6: content is erased through the owner, on record and signed; the run verifies and says so where it is read", async () => {
  const store = await recordedStore();
  const [first = "", , , talk = ""] = store.runs;
  const word = "it is ";
  const traces = () =>
    readdirSync(store.folder).filter((name) => name.startsWith("store.db") && readable(join(store.folder, name), word));
  await using app = await open(sums, { store: `sqlite:${store.path}` });
  const erased = await app.run(first).erase({ reason: "request of 3 May" });
  expect(erased).toBeGreaterThan(4);
  expect(await app.run(first).erase({ reason: "again" })).toBe(0);
  await expect(app.run(first).result()).rejects.toMatchObject({ code: "PAYLOAD_ERASED", details: { run: first } });
  expect(await app.run(talk).erase({ reason: "long words", by: "Ada" })).toBeGreaterThan(0);
  for (const run of store.runs.slice(1, 3)) await app.run(run).erase({ reason: "all of them" });
  expect(traces()).toEqual([]);
  await app.close();
  const { problems, result } = await verified(store.path);
  expect(problems).toEqual({});
  expect(result.erased).toBeGreaterThan(erased);
  const db = new DatabaseSync(store.path, { readOnly: true });
  expect(
    db
      .prepare(
        "SELECT count(*) AS n FROM blob WHERE hash NOT IN (SELECT definition FROM journal WHERE definition IS NOT NULL)",
      )
      .get(),
  ).toEqual({ n: 0 });
  db.close();
});

const readable = (path: string, text: string): boolean => {
  try {
    return readFileSync(path).includes(text);
  } catch {
    return false; // A folder.
  }
};

test("S6: single events can be erased; content that goes missing beside them is named", async () => {
  const store = await recordedStore();
  const [run = ""] = store.runs;
  await using app = await openFleet({ fleet: sums, store: `sqlite:${store.path}` });
  expect(await app.control.erase({ run, versions: [1, 2], reason: "input", by: "test" })).toBe(2);
  await app.close();
  expect((await verified(store.path)).problems).toEqual({});
  const { problems } = await store.verifyAltered((db) => {
    db.prepare(`UPDATE event SET payload = NULL WHERE journal = (${journal}) AND type = 'run.completed'`).run(run);
  });
  expect(problems[run]).toMatchObject({ kind: "altered" });
  expect(problems[run]?.message).toContain("its content is missing, and no erasure of it is on record");
});

test("S6: an erasure that the coordinator did not sign erases nothing and excuses nothing", async () => {
  const store = await recordedStore();
  const [run = ""] = store.runs;
  const forged = { run, versions: [[1, 99]], reason: "none", by: "nobody", signature: "AAAA" };
  const before = contentsOf(store.path, run);
  const db = new DatabaseSync(store.path);
  db.prepare("INSERT INTO outbox (fleet, topic, bytes) VALUES (1, 'erase', ?)").run(
    Buffer.from(JSON.stringify(forged)),
  );
  db.close();
  const app = await openFleet({ fleet: sums, store: `sqlite:${store.path}` });
  await app.close();
  expect(contentsOf(store.path, run)).toBe(before);
});

test("S6: an erasure that is on record and was not carried out is carried out at the next start", async () => {
  const store = await recordedStore();
  const [run = ""] = store.runs;
  const content = new DatabaseSync(store.path, { readOnly: true });
  const rows = content.prepare(`SELECT version, payload FROM event WHERE journal = (${journal})`).all(run);
  content.close();
  const app = await openFleet({ fleet: sums, store: `sqlite:${store.path}` });
  await app.control.erase({ run, versions: null, reason: "request", by: "test" });
  await app.close();
  // As a crash after the record leaves it: the note is there, and so is the content.
  const db = new DatabaseSync(store.path);
  for (const { version, payload } of rows)
    db.prepare(`UPDATE event SET payload = ? WHERE journal = (${journal}) AND version = ?`).run(
      payload as Uint8Array | null,
      run,
      Number(version),
    );
  const bytes = db.prepare("SELECT bytes FROM event WHERE type = 'content.erased'").get()?.bytes as Uint8Array;
  const { data } = JSON.parse(Buffer.from(bytes).toString()) as { data: object };
  db.prepare("INSERT INTO outbox (fleet, topic, bytes) VALUES (1, 'erase', ?)").run(Buffer.from(JSON.stringify(data)));
  db.close();
  expect(contentsOf(store.path, run)).toBeGreaterThan(0);
  const again = await openFleet({ fleet: sums, store: `sqlite:${store.path}` });
  await again.close();
  expect(contentsOf(store.path, run)).toBe(0);
  const reader = await openSqliteStore(store.path, { fleet: "sums" });
  expect(await reader.outbox(9)).toEqual([]);
  await reader.close();
  expect((await verified(store.path)).problems).toEqual({});
});

test("S6: what cannot be erased is said", async () => {
  const store = await recordedStore();
  const [run = ""] = store.runs;
  await using app = await open(sums, { store: `sqlite:${store.path}` });
  await expect(app.run("r-none").erase({ reason: "x" })).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
  await expect(app.run(run).erase({ reason: "x", versions: [999] })).rejects.toMatchObject({ code: "ERASE_REFUSED" });
  await expect(app.run(run).erase({ reason: "" })).rejects.toMatchObject({ code: "OPTION_INVALID" });
  await expect(app.run(run).erase(undefined as never)).rejects.toMatchObject({ code: "OPTION_INVALID" });
});
