import { DatabaseSync } from "node:sqlite";
import { FlotillaError } from "../error.ts";
import { damaged, openImmutable } from "./sqlite-file.ts";
import { APPLICATION_ID } from "./sqlite-schema.ts";

/** Applies the steps that the database lacks, each in one transaction with its version. It does so in rollback mode,
 *  which needs the file for itself: in WAL mode the version would stand in the -wal first, and after a crash a newer
 *  file could not be told from an older one without opening it. Leaves the database in rollback mode.
 *  @throws {FlotillaError} STORE_UNAVAILABLE when another process has the file open */
export function migrate(db: DatabaseSync, migrations: readonly string[], path: string): void {
  const mode = db.prepare("PRAGMA journal_mode = DELETE").get()?.journal_mode;
  if (mode !== "delete")
    throw new FlotillaError("STORE_UNAVAILABLE", `The store ${path} is in use and cannot be upgraded.`);
  db.exec("PRAGMA synchronous = EXTRA");
  for (let version = userVersion(db); version < migrations.length; version++) {
    db.exec("BEGIN EXCLUSIVE");
    try {
      db.exec(migrations[version] as string);
      db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${version + 1}`);
      db.exec("COMMIT");
    } catch (error) {
      if (db.isTransaction) db.exec("ROLLBACK");
      throw error;
    }
  }
}

export function userVersion(db: DatabaseSync): number {
  return Number(db.prepare("PRAGMA user_version").get()?.user_version);
}

/** Checks that a file that nobody writes has the tables and indexes of its version, without touching it and in time
 *  that does not grow with it. @throws {FlotillaError} STORE_DAMAGED */
export function checkFileSchema(path: string, migrations: readonly string[]): void {
  const db = openImmutable(path);
  try {
    checkSchema(db, path, migrations);
  } finally {
    db.close();
  }
}

/** The same for a database that is open. @throws {FlotillaError} STORE_DAMAGED */
export function checkSchema(db: DatabaseSync, path: string, migrations: readonly string[]): void {
  const wanted = new DatabaseSync(":memory:");
  try {
    for (const step of migrations.slice(0, userVersion(db))) wanted.exec(step);
    const there = new Set(schemaOf(db));
    if (!schemaOf(wanted).every((entry) => there.has(entry)))
      throw damaged(path, "its tables are not those of its version");
  } finally {
    wanted.close();
  }
}

function schemaOf(db: DatabaseSync): string[] {
  return db
    .prepare("SELECT type, name, sql FROM sqlite_schema")
    .all()
    .map(({ type, name, sql }) => `${String(type)} ${String(name)}: ${String(sql)}`);
}
