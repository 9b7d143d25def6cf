import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { inspect } from "node:util";
import { expect, test } from "vitest";
import { isFlotillaError } from "../../src/error.ts";
import { type AlteredStore, recordedStore } from "./altered-store.ts";

/** Columns that are no record: what stands there, and why an edit changes nothing that happened. The page for users is
 *  docs/explain/security.md, "What an edit of the store can do". */
const NO_RECORD: Readonly<Record<string, string>> = {
  "task.*": "the queue: what waits; each assignment is decided on the journal, which refuses what does not fit it",
  "timer.*": "when to look at a run again; what is due is decided on the journal",
  "outbox.*": "what is yet to be sent",
  "inbox.*": "what people are shown; a decision is held against the journal, by the hash of what it is about",
  "dead_letter.*": "a copy of what the journal of its run holds",
  "blob.refs": "how many journals refer to it; when it is swept, its absence is named",
  "blob.unreferenced_at": "as refs",
  "blob_ref.*": "as refs",
};

/** The first journal is the fleet's own: it is no run, and nobody reads what only runs have. */
const ONLY_OF_RUNS: ReadonlySet<string> = new Set(
  "created_at updated_at status workflow definition idempotency_key input_digest summary".split(" "),
);

const isNoRecord = (table: string, column: string, at: number): boolean =>
  `${table}.*` in NO_RECORD ||
  `${table}.${column}` in NO_RECORD ||
  (table === "journal" && at === 0 && ONLY_OF_RUNS.has(column));

interface Column {
  table: string;
  column: string;
}

function columnsOf(db: DatabaseSync): Column[] {
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").all();
  return tables.flatMap(({ name }) =>
    db
      .prepare(`SELECT name FROM pragma_table_info('${String(name)}')`)
      .all()
      .map((column) => ({ table: String(name), column: String(column.name) })),
  );
}

const VALUES: readonly SQLInputValue[] = [
  null,
  0,
  -1.5,
  7n,
  9_223_372_036_854_775_807n,
  "x",
  Buffer.from([]),
  Buffer.from([0xff, 0x00]),
];

/** The first row, which in the table of journals is the fleet's, and one of the others. */
function rowsOf(db: DatabaseSync, { table }: Column): number[] {
  const count = Number(db.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n);
  return [...new Set([0, Math.floor((2 * count) / 3)])].filter((at) => at < count);
}

/** Changes one column of one row; false when the database refuses, or when nothing is changed by it. */
function edit(db: DatabaseSync, { table, column }: Column, at: number, value: SQLInputValue): boolean {
  const keys = db.prepare(`SELECT name FROM pragma_table_info('${table}') WHERE pk > 0`).all();
  const key = keys.length === 0 ? "rowid" : `(${keys.map(({ name }) => String(name)).join(", ")})`;
  const which = `${key} = (SELECT ${key.replace(/[()]/g, "")} FROM ${table} LIMIT 1 OFFSET ${at})`;
  try {
    return (
      db.prepare(`UPDATE ${table} SET ${column} = ?1 WHERE ${which} AND ${column} IS NOT ?1`).run(value).changes === 1
    );
  } catch (error) {
    // A constraint of the schema.
    expect(String((error as Error).message)).toMatch(/constraint|unique|datatype/i);
    return false;
  }
}

test("X6: whatever one column of one row is changed to, it is named or it is no record; nothing is thrown", async () => {
  const store: AlteredStore = await recordedStore();
  const probe = new DatabaseSync(store.path);
  const columns = columnsOf(probe).flatMap((column) => rowsOf(probe, column).map((at) => ({ ...column, at })));
  probe.close();
  const unnamed: string[] = [];
  let edits = 0;
  for (const { table, column, at } of columns) {
    for (const value of VALUES) {
      let changed = false;
      const broken = await store
        .verifyAltered((db) => {
          changed = edit(db, { table, column }, at, value);
        })
        .then(({ result }) => result.broken, refusedAsDamaged);
      if (!changed) continue;
      edits += 1;
      if (broken === 0 && !isNoRecord(table, column, at)) unnamed.push(`${table}.${column}[${at}] = ${inspect(value)}`);
    }
  }
  expect(unnamed).toEqual([]);
  expect(edits).toBeGreaterThan(300);
}, 120_000);

/** A store whose very fleets cannot be read is refused as a whole. */
function refusedAsDamaged(error: unknown): number {
  if (!isFlotillaError(error) || error.code !== "STORE_DAMAGED") throw error;
  return 1;
}
