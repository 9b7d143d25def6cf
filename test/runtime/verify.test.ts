import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { chain, genesis } from "../../src/runtime/journal.ts";
import { openFleet } from "../../src/runtime/open-fleet.ts";
import { type AlteredStore, recordedStore, sums, verified } from "./altered-store.ts";

let store: AlteredStore;
const undo: (() => void)[] = [];

beforeAll(async () => {
  store = await recordedStore((work) => undo.push(work));
});
afterAll(() => {
  for (const work of undo) work();
});

const journal = "SELECT no FROM journal WHERE id = ?";
const verifyAltered: AlteredStore["verifyAltered"] = (alter, which) => store.verifyAltered(alter, which);
const run = (index: number): string => store.runs[index] ?? "";

/** Changes the first event of a type in its own bytes, the number of characters kept. */
function alterBytes(db: DatabaseSync, id: string, version: number, from: string, to: string): void {
  const row = db.prepare(`SELECT bytes FROM event WHERE journal = (${journal}) AND version = ?`).get(id, version);
  const text = Buffer.from(row?.bytes as Uint8Array).toString("utf8");
  expect(text).toContain(from);
  db.prepare(`UPDATE event SET bytes = ? WHERE journal = (${journal}) AND version = ?`).run(
    Buffer.from(text.replace(from, to)),
    id,
    version,
  );
}

function versionOf(db: DatabaseSync, id: string, type: string): number {
  return Number(
    db.prepare(`SELECT version FROM event WHERE journal = (${journal}) AND type = ? ORDER BY version`).get(id, type)
      ?.version,
  );
}

test("X6: an untouched store verifies, signatures of agents and coordinator included", async () => {
  const { result, problems } = await verifyAltered(() => {});
  expect(problems).toEqual({});
  expect(result).toMatchObject({
    journals: 5,
    broken: 0,
    signatures: { keys: "given", messages: 13, sealed: 13, sealsInPart: 0, unsignedRuns: 0 },
  });
  expect(result.signatures.heads).toBeGreaterThanOrEqual(3);
});

test("X6: one run can be verified alone", async () => {
  const { reports, result } = await verifyAltered(() => {}, [run(1)]);
  expect(reports.map(({ journal: id }) => id)).toEqual([run(1), "fleet"]);
  expect(result.broken).toBe(0);
});

test("X6: an event whose bytes were altered is named, and no other journal is", async () => {
  const { problems } = await verifyAltered((db) => alterBytes(db, run(1), 4, '"attempt":1', '"attempt":2'));
  expect(problems).toEqual({ [run(1)]: expect.objectContaining({ kind: "altered", version: 4 }) });
  expect(problems[run(1)]?.message).toContain(`event 4 of ${run(1)} was altered`);
});

test("X6: altered content is named although the chain does not hold it", async () => {
  let version = 0;
  const { problems } = await verifyAltered((db) => {
    version = versionOf(db, run(0), "task.completed");
    const found = `journal = (${journal}) AND version = ?`;
    const payload = db.prepare(`SELECT payload FROM event WHERE ${found}`).get(run(0), version)?.payload as Uint8Array;
    const altered = Buffer.from(
      Buffer.from(payload).toString("latin1").replace('{"output":2}', '{"output":9}'),
      "latin1",
    );
    db.prepare(`UPDATE event SET payload = ? WHERE ${found}`).run(altered, run(0), version);
  });
  expect(problems).toEqual({ [run(0)]: expect.objectContaining({ kind: "altered", version }) });
  expect(problems[run(0)]?.message).toContain("its content is not what was recorded");
});

test("X6: content that is missing without an erasure on record is named", async () => {
  const { result, problems } = await verifyAltered((db) => {
    db.prepare(`UPDATE event SET payload = NULL WHERE journal = (${journal}) AND version <= 5`).run(run(0));
  });
  expect(problems).toEqual({ [run(0)]: expect.objectContaining({ kind: "altered", version: 1 }) });
  expect(result.erased).toBeGreaterThan(0);
});

test("X6: a removed event is named", async () => {
  const { problems } = await verifyAltered((db) =>
    db.prepare(`DELETE FROM event WHERE journal = (${journal}) AND version = 3`).run(run(2)),
  );
  expect(problems).toEqual({ [run(2)]: expect.objectContaining({ kind: "missing", version: 3 }) });
});

test("X6: of two events that changed places the first is named", async () => {
  const { problems } = await verifyAltered((db) => {
    const move = db.prepare(`UPDATE event SET version = ? WHERE journal = (${journal}) AND version = ?`);
    for (const [to, from] of [
      [99, 4],
      [4, 6],
      [6, 99],
    ] as const)
      move.run(to, run(0), from);
  });
  expect(problems).toEqual({ [run(0)]: expect.objectContaining({ kind: "reordered", version: 4 }) });
  expect(problems[run(0)]?.message).toContain("it is event 6");
});

test("X6: a cut tail is named although the run's row was cut to fit", async () => {
  let last = 0;
  const { problems } = await verifyAltered((db) => {
    last = Number(db.prepare("SELECT version FROM journal WHERE id = ?").get(run(1))?.version);
    db.prepare(`DELETE FROM event WHERE journal = (${journal}) AND version > ?`).run(run(1), last - 2);
    db.prepare(`UPDATE journal SET version = version - 2, status = 'running',
      head = (SELECT hash FROM event WHERE journal = journal.no AND version = journal.version - 2) WHERE id = ?`).run(
      run(1),
    );
  });
  expect(problems).toEqual({ [run(1)]: expect.objectContaining({ kind: "truncated", version: last - 1 }) });
  expect(problems[run(1)]?.message).toBe(
    `event ${last - 1} of ${run(1)} is missing: the signed head says version ${last}`,
  );
});

test("X6: a cut tail is named when the run's row was left as it was", async () => {
  const { problems } = await verifyAltered((db) => {
    db.prepare(`DELETE FROM event WHERE journal = (${journal}) AND version > 6`).run(run(1));
  });
  expect(problems).toEqual({ [run(1)]: expect.objectContaining({ kind: "truncated", version: 7 }) });
});

test("X6: a run that vanished as a whole is named", async () => {
  const { problems } = await verifyAltered((db) => {
    db.prepare(`DELETE FROM event WHERE journal = (${journal})`).run(run(2));
    db.prepare("DELETE FROM journal WHERE id = ?").run(run(2));
  });
  expect(problems).toEqual({ [run(2)]: expect.objectContaining({ kind: "truncated", version: 1 }) });
});

test("X6: an operator who alters an event and computes the whole chain anew is found out by the signed head", async () => {
  const { problems } = await verifyAltered((db) => {
    alterBytes(db, run(0), 3, '"attempt":1', '"attempt":7');
    rechain(db, run(0), 3);
  });
  expect(problems).toEqual({ [run(0)]: expect.objectContaining({ kind: "altered" }) });
  expect(problems[run(0)]?.message).toContain("signed head");
  expect(problems[run(0)]?.version).toBeLessThanOrEqual(3);
});

test("X6: what the row of a run says must be what its journal says", async () => {
  const { problems } = await verifyAltered((db) =>
    db.prepare("UPDATE journal SET status = 'failed' WHERE id = ?").run(run(0)),
  );
  expect(problems).toEqual({ [run(0)]: expect.objectContaining({ kind: "row", version: null }) });
  expect(problems[run(0)]?.message).toContain("its row says status failed, its events say completed");
});

test("X6: an event that was removed from the fleet's own journal is named", async () => {
  const { problems } = await verifyAltered((db) =>
    db.prepare(`DELETE FROM event WHERE journal = (${journal}) AND version = 2`).run("fleet"),
  );
  expect(problems.fleet).toMatchObject({ kind: "missing", version: 2 });
});

test("X6: a cut tail of the fleet's own journal is named", async () => {
  let last = 0;
  const { problems } = await verifyAltered((db) => {
    last = Number(db.prepare("SELECT version FROM journal WHERE id = 'fleet'").get()?.version);
    db.prepare(`DELETE FROM event WHERE journal = (${journal}) AND version = ?`).run("fleet", last);
  });
  expect(problems.fleet).toMatchObject({ kind: "truncated", version: last });
});

test("X6: the end of the fleet's journal cannot be cut off, though its row is cut to fit", async () => {
  let last = 0;
  const { problems } = await verifyAltered((db) => {
    last = Number(db.prepare("SELECT version FROM journal WHERE id = 'fleet'").get()?.version);
    cutFleet(db, last - 1);
  });
  expect(problems.fleet).toMatchObject({ kind: "truncated", version: last });
  expect(problems.fleet?.message).toContain("signed-head.json says");
});

test("X6: an event of the fleet's journal that was altered with all hashes after it is found by the next signature", async () => {
  let version = 0;
  const { problems } = await verifyAltered((db, folder) => {
    rmSync(keptHead(folder));
    version = versionOf(db, "fleet", "key.created");
    alterBytes(db, "fleet", version, '"name":"', '"name":"x');
    rechain(db, "fleet", version);
  });
  expect(problems.fleet).toMatchObject({ kind: "altered" });
  expect(problems.fleet?.version).toBeLessThanOrEqual(version);
});

test("X6: the fleet's journal that was removed as a whole is named, and so are the runs that it does not know", async () => {
  const removeFleet = (db: DatabaseSync) => {
    db.prepare(`DELETE FROM event WHERE journal = (${journal})`).run("fleet");
    db.prepare("DELETE FROM journal WHERE id = 'fleet'").run();
  };
  const { problems, result } = await verifyAltered(removeFleet);
  expect(problems.fleet).toMatchObject({ kind: "truncated", version: 1 });
  expect(result.broken).toBe(5);
  const without = await verifyAltered((db, folder) => {
    removeFleet(db);
    rmSync(keptHead(folder));
  });
  expect(without.problems.fleet).toMatchObject({ kind: "truncated", version: 1 });
  expect(without.problems[run(0)]?.message).toContain("the fleet's journal has no record of it");
});

test("X6: a run that was put in beside the record is named", async () => {
  const { problems } = await verifyAltered((db) => {
    db.exec(
      "INSERT INTO journal SELECT 999, fleet, 'r-forged', version, head, updated_at, created_at, status, workflow, definition, NULL, NULL, summary FROM journal WHERE no = 2",
    );
    db.exec("INSERT INTO event SELECT 999, version, at, type, bytes, hash, payload FROM event WHERE journal = 2");
    rechainAll(db, "r-forged");
  });
  expect(Object.keys(problems)).toEqual(["r-forged"]);
});

test("X6: a kept head that was altered or belongs to others is named", async () => {
  const altered = await verifyAltered((_, folder) => {
    const text = readFileSync(keptHead(folder), "utf8");
    writeFileSync(keptHead(folder), text.replace(/"at": (\d)/, '"at": 9$1'));
  });
  expect(altered.problems.fleet?.message).toContain("signed-head.json was not signed by the coordinator");
  const damaged = await verifyAltered((_, folder) => writeFileSync(keptHead(folder), "\0"));
  expect(damaged.problems.fleet?.message).toContain("signed-head.json was altered or is damaged");
  const others = await verifyAltered((_, folder) => writeFileSync(keptHead(folder), '{"version":1,"heads":[]}'));
  expect(others.problems.fleet?.message).toContain("knows other fleets");
  expect((await verifyAltered((_, folder) => rmSync(keptHead(folder)))).problems).toEqual({});
});

test("X6: a fleet that is opened on a journal that was cut says so, on record and at once, and works on", async () => {
  const folder = store.copy();
  const path = join(folder, "store.db");
  const db = new DatabaseSync(path);
  const last = Number(db.prepare("SELECT version FROM journal WHERE id = 'fleet'").get()?.version);
  cutFleet(db, last - 2);
  db.close();
  const alarms: string[] = [];
  await using app = await openFleet({ fleet: sums, store: `sqlite:${path}`, alarm: (text) => alarms.push(text) });
  expect(alarms).toEqual([expect.stringContaining(`it was signed up to event ${last}`)]);
  const later = await app.control.start({ workflow: "sum", input: { n: 5 } });
  expect((await app.result(later)).status).toBe("completed");
  await app.close();
  const { problems } = await verified(path);
  expect(problems.fleet).toMatchObject({ kind: "truncated", version: last - 1 });
  expect(problems[later]).toBeUndefined();
});

test("F14: a fleet whose journal lost its end, with a row that says otherwise, is opened and works", async () => {
  const path = join(store.copy(), "store.db");
  const db = new DatabaseSync(path);
  const last = Number(db.prepare("SELECT version FROM journal WHERE id = 'fleet'").get()?.version);
  db.prepare(`DELETE FROM event WHERE journal = (${journal}) AND version > ?`).run("fleet", last - 2);
  db.close();
  await using app = await openFleet({ fleet: sums, store: `sqlite:${path}` });
  const later = await app.control.start({ workflow: "sum", input: { n: 5 } });
  expect((await app.result(later)).status).toBe("completed");
  await app.close();
  expect((await verified(path)).problems.fleet).toMatchObject({ kind: "missing", version: last - 1 });
});

test("F14: a fleet whose journal is longer than its row says is refused with what is damaged, at once", async () => {
  const path = join(store.copy(), "store.db");
  const db = new DatabaseSync(path);
  db.exec("UPDATE journal SET version = version - 2 WHERE id = 'fleet'");
  db.close();
  await expect(openFleet({ fleet: sums, store: `sqlite:${path}` })).rejects.toMatchObject({
    code: "JOURNAL_DAMAGED",
    message: expect.stringContaining("the fleet's journal"),
  });
});

test("X6: a snapshot of the fleet's journal that does not fit its events is named", async () => {
  const forged = (version: number) => (db: DatabaseSync) =>
    db
      .prepare(`INSERT INTO snapshot SELECT no, ?, ? FROM journal WHERE id = 'fleet'`)
      .run(version, Buffer.from('{"holds":[]}'));
  expect((await verifyAltered(forged(3))).problems.fleet?.message).toContain(
    "its snapshot is not what its events fold to",
  );
  expect((await verifyAltered(forged(9_999))).problems.fleet?.message).toContain("its snapshot belongs to no event");
});

test("X6: a definition that was altered or removed is named, with the runs that are pinned to it", async () => {
  const removed = await verifyAltered((db) =>
    db.exec("DELETE FROM blob WHERE hash IN (SELECT definition FROM journal)"),
  );
  expect(removed.problems[run(2)]).toMatchObject({ kind: "definition" });
  expect(removed.problems[run(2)]?.message).toMatch(/its definition [0-9a-f]{12} is missing from the store/);
  expect(removed.problems.fleet).toMatchObject({ kind: "definition" });
  const altered = await verifyAltered((db) =>
    db.exec("UPDATE blob SET bytes = CAST(replace(CAST(bytes AS TEXT), 'Doubles', 'Triples') AS BLOB)"),
  );
  expect(altered.problems[run(0)]?.message).toMatch(/its definition [0-9a-f]{12} was altered/);
});

test("X6: content in a blob that was altered or removed is named", async () => {
  const blob = "hash NOT IN (SELECT definition FROM journal WHERE definition IS NOT NULL)";
  const altered = await verifyAltered((db) => db.exec(`UPDATE blob SET bytes = x'00' WHERE ${blob}`));
  expect(altered.problems).toEqual({ [run(3)]: expect.objectContaining({ kind: "altered" }) });
  const removed = await verifyAltered((db) => db.exec(`DELETE FROM blob WHERE ${blob}`));
  expect(removed.problems[run(3)]?.message).toContain("its blob is missing");
});

test("X6: numbers in lists that are not what the journal says are named, and hidden runs too", async () => {
  const { problems } = await verifyAltered((db) => {
    db.prepare("UPDATE journal SET summary = ? WHERE id = ?").run(Buffer.from('{"tasks":99}'), run(0));
    db.prepare("UPDATE journal SET status = NULL WHERE id = ?").run(run(1));
    db.prepare("UPDATE journal SET idempotency_key = 'another' WHERE id = ?").run(run(2));
  });
  expect(problems[run(0)]?.message).toMatch(/its row says summary \{"tasks":99\}, its events say \{"tasks":2,/);
  expect(problems[run(1)]?.message).toContain("its row is missing, or hides it from lists");
  expect(problems[run(2)]?.message).toContain("its row says idempotency key another, its events say third");
});

test("X6: a column of another type is named with its event", async () => {
  const { problems } = await verifyAltered((db) => {
    db.exec(
      `UPDATE event SET bytes = CAST(bytes AS TEXT) WHERE version = 3 AND journal = (SELECT no FROM journal WHERE id = '${run(0)}')`,
    );
    db.exec(
      `UPDATE event SET version = 'four' WHERE version = 4 AND journal = (SELECT no FROM journal WHERE id = '${run(1)}')`,
    );
    db.exec(
      `UPDATE event SET at = 9223372036854775807 WHERE version = 5 AND journal = (SELECT no FROM journal WHERE id = '${run(2)}')`,
    );
  });
  expect(problems[run(0)]).toMatchObject({ kind: "altered", version: 3 });
  expect(problems[run(0)]?.message).toContain("its bytes are not bytes any more");
  expect(problems[run(1)]).toMatchObject({ kind: "missing", version: 4 });
  expect(problems[run(2)]).toMatchObject({ kind: "unreadable", version: 5 });
  expect(Object.keys(problems)).toHaveLength(3);
});

test("X1: a forged head is not the coordinator's, whoever computed the chain anew", async () => {
  let version = 0;
  const { problems } = await verifyAltered((db) => {
    version = versionOf(db, "fleet", "heads.signed");
    alterBytes(db, "fleet", version, '"signature":"', '"signature":"A');
    rechain(db, "fleet", version);
  });
  expect(problems.fleet).toMatchObject({ kind: "signature", version });
});

test("X1: a step that its agent did not send is named, although every chain and row was computed anew", async () => {
  let version = 0;
  const { problems } = await verifyAltered((db, folder) => {
    rmSync(keptHead(folder));
    version = versionOf(db, run(0), "step.completed");
    alterBytes(db, run(0), version, '"durationMs":', '"durationMs":1');
    rechain(db, run(0), version);
    // Without signed heads only the agents' own signatures are left.
    cutFleet(db, versionOf(db, "fleet", "heads.signed") - 1);
  });
  expect(problems).toEqual({ [run(0)]: expect.objectContaining({ kind: "signature", version }) });
  expect(problems[run(0)]?.message).toContain("is not what doubler sent");
});

test("F14: a journal with a damaged event does not keep the others from being verified", async () => {
  const { problems, result } = await verifyAltered((db) => {
    db.prepare(`UPDATE event SET bytes = x'00ff' WHERE journal = (${journal}) AND version = 1`).run(run(0));
  });
  expect(problems).toEqual({ [run(0)]: expect.objectContaining({ kind: "altered", version: 1 }) });
  expect(result.journals).toBe(5);
});

const keptHead = (folder: string): string => join(folder, "store.db.owner", "signed-head.json");

/** Cuts the fleet's journal after `version`, and its row to fit. */
function cutFleet(db: DatabaseSync, version: number): void {
  db.prepare(`DELETE FROM event WHERE journal = (${journal}) AND version > ?`).run("fleet", version);
  db.prepare(
    `UPDATE journal SET version = ?, head = (SELECT hash FROM event WHERE journal = journal.no AND version = ?) WHERE id = 'fleet'`,
  ).run(version, version);
}

/** Every hash of a journal under another id. */
function rechainAll(db: DatabaseSync, id: string): void {
  let head = genesis(id);
  for (const { version, bytes } of db
    .prepare(`SELECT version, bytes FROM event WHERE journal = (${journal}) ORDER BY version`)
    .all(id)) {
    head = chain(head, bytes as Uint8Array);
    db.prepare(`UPDATE event SET hash = ? WHERE journal = (${journal}) AND version = ?`).run(head, id, Number(version));
  }
  db.prepare("UPDATE journal SET head = ? WHERE id = ?").run(head, id);
}

/** What somebody with the store and its format in hand can do: every hash from `from` on, and the row. */
function rechain(db: DatabaseSync, id: string, from: number): void {
  const rows = db
    .prepare(`SELECT version, bytes, hash FROM event WHERE journal = (${journal}) ORDER BY version`)
    .all(id);
  let head: Uint8Array = new Uint8Array(0);
  for (const row of rows) {
    if (Number(row.version) < from) head = row.hash as Uint8Array;
    else {
      head = chain(head, row.bytes as Uint8Array);
      db.prepare(`UPDATE event SET hash = ? WHERE journal = (${journal}) AND version = ?`).run(
        head,
        id,
        Number(row.version),
      );
    }
  }
  db.prepare("UPDATE journal SET head = ? WHERE id = ?").run(head, id);
}
