import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { z } from "zod";
import { agent, fleet, tool } from "../../src/definition/build.ts";
import { trustedKeys } from "../../src/cli/trusted-key.ts";
import { pipeline } from "../../src/pattern/pipeline.ts";
import { chain } from "../../src/runtime/journal.ts";
import { openFleet } from "../../src/runtime/open-fleet.ts";
import { type JournalReport, verifyJournals } from "../../src/runtime/verify-journals.ts";
import { openSqliteReader } from "../../src/store/sqlite.ts";

const double = tool({
  description: "Doubles",
  effect: "read",
  input: z.object({ n: z.number() }),
  output: z.number(),
  run: ({ n }) => Promise.resolve(2 * n),
});
const doubler = agent({ tools: [double], run: (ctx, input: { n: number }) => ctx.tool(double, { n: input.n }) });
const teller = agent({ run: (ctx, input) => ctx.step("tell", () => `it is ${JSON.stringify(input)}`) });
const sums = fleet({
  name: "sums",
  tools: { double },
  agents: { doubler, teller },
  workflows: { sum: pipeline({ stages: [doubler, teller] }) },
});

let original: string;
let runs: string[];

beforeAll(async () => {
  original = mkdtempSync(join(tmpdir(), "flotilla-verify-"));
  await using app = await openFleet({ fleet: sums, store: `sqlite:${join(original, "store.db")}` });
  runs = [];
  for (const n of [1, 2, 3]) {
    const run = await app.control.start({ workflow: "sum", input: { n } });
    await app.result(run);
    runs.push(run);
  }
  // Agents sign what they sent soon after they sent it.
  await vi.waitFor(async () => {
    const keys = await trustedKeys(join(original, "store.db"));
    const { signatures } = await verifyJournals(app.store, keys === null ? {} : { keys }, () => {});
    expect(signatures.sealed).toBe(signatures.messages);
  });
});
afterAll(() => rmSync(original, { recursive: true }));

const journal = "SELECT no FROM journal WHERE id = ?";

/** Verifies a copy of the store after `alter` has been at it with a database tool. */
async function verifyAltered(alter: (db: DatabaseSync) => void, which?: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-verify-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  cpSync(original, folder, { recursive: true });
  const path = join(folder, "store.db");
  const db = new DatabaseSync(path);
  alter(db);
  db.close();
  const store = await openSqliteReader(path, { fleet: "sums" });
  const keys = await trustedKeys(path);
  const reports: JournalReport[] = [];
  const result = await verifyJournals(store, { ...(keys && { keys }), ...(which && { runs: which }) }, (report) =>
    reports.push(report),
  );
  await store.close();
  const problems = Object.fromEntries(
    reports.flatMap(({ journal: id, problem }) => (problem === null ? [] : [[id, problem]])),
  );
  return { result, reports, problems };
}

const run = (index: number): string => runs[index] ?? "";

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
    journals: 4,
    broken: 0,
    signatures: { keys: "given", messages: 12, sealed: 12, sealsInPart: 0, unsignedRuns: 0 },
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

test("X6: content that was erased on request leaves a sound journal", async () => {
  const { result, problems } = await verifyAltered((db) => {
    db.prepare(`UPDATE event SET payload = NULL WHERE journal = (${journal}) AND version <= 5`).run(run(0));
  });
  expect(problems).toEqual({});
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
  const { problems } = await verifyAltered((db) => {
    version = versionOf(db, run(0), "step.completed");
    alterBytes(db, run(0), version, '"durationMs":', '"durationMs":1');
    rechain(db, run(0), version);
    // Without signed heads only the agents' own signatures are left.
    const heads = versionOf(db, "fleet", "heads.signed");
    db.prepare(`DELETE FROM event WHERE journal = (${journal}) AND version >= ?`).run("fleet", heads);
    db.prepare(
      `UPDATE journal SET version = ?, head = (SELECT hash FROM event WHERE journal = journal.no AND version = ?) WHERE id = 'fleet'`,
    ).run(heads - 1, heads - 1);
  });
  expect(problems).toEqual({ [run(0)]: expect.objectContaining({ kind: "signature", version }) });
  expect(problems[run(0)]?.message).toContain("is not what doubler sent");
});

test("F14: a journal with a damaged event does not keep the others from being verified", async () => {
  const { problems, result } = await verifyAltered((db) => {
    db.prepare(`UPDATE event SET bytes = x'00ff' WHERE journal = (${journal}) AND version = 1`).run(run(0));
  });
  expect(problems).toEqual({ [run(0)]: expect.objectContaining({ kind: "altered", version: 1 }) });
  expect(result.journals).toBe(4);
});

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
