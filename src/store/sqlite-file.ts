import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { FlotillaError } from "../error.ts";
import { isHeld } from "./sqlite-held.ts";
import { APPLICATION_ID } from "./sqlite-schema.ts";

const MAGIC = "SQLite format 3\0";
/** Between the name of a store and the process that makes it. */
const DRAFT = "-new-";
const HEADER_BYTES = 100;
/** First byte of page 1 after the header: a leaf or interior page of the table that holds the schema. */
const SCHEMA_PAGE_KINDS = [0x0d, 0x05];

/** What the header of a database file says (https://sqlite.org/fileformat2.html). */
interface Header {
  pageBytes: number;
  pages: number;
  userVersion: number;
  applicationId: number;
  schemaPageKind: number;
}

/** Looks at a store file without SQLite, which would recover a -wal and so write. Returns how many migrations the file
 *  has had, or null when there is no file, or an empty one. The header in the file is always true for a store of ours:
 *  files are born whole (`createDatabase`), and `migrate` leaves WAL mode while it changes the version.
 *  @throws {FlotillaError} STORE_DAMAGED, STORE_NEWER; the file and its folder are left untouched */
export function inspectFile(path: string, versionMax: number): number | null {
  // What this process has open was looked at when it was opened, and must not be touched but by SQLite.
  if (isHeld(path)) return openVersion(path);
  const header = readHeader(path);
  if (header === null) return null;
  const { pageBytes, pages, applicationId, userVersion, schemaPageKind } = header;
  if (applicationId !== APPLICATION_ID) throw damaged(path, "it is an SQLite database of another program");
  if (userVersion > versionMax) {
    throw new FlotillaError(
      "STORE_NEWER",
      `The store ${path} has schema ${userVersion}; this Flotilla knows ${versionMax}.`,
      {
        details: { path, version: userVersion, versionMax },
      },
    );
  }
  if (userVersion < 1 || !SCHEMA_PAGE_KINDS.includes(schemaPageKind)) throw damaged(path, "its first page is damaged");
  if (!isInterrupted(path) && statSync(path).size < pages * pageBytes)
    throw damaged(path, "it is shorter than it says");
  return userVersion;
}

/** Whether the last process that wrote the file was killed, or still runs: SQLite completes the file from the -wal, or
 *  takes back an upgrade that was cut short, when it opens it; until then its pages need not fit together. */
export function isInterrupted(path: string): boolean {
  return ["-wal", "-journal"].some((end) => (statSync(`${path}${end}`, { throwIfNoEntry: false })?.size ?? 0) > 0);
}

/** Opens a file that nobody writes, without creating -wal or -shm beside it and without taking a lock. */
export function openImmutable(path: string): DatabaseSync {
  const url = pathToFileURL(resolve(path));
  url.searchParams.set("immutable", "1");
  return new DatabaseSync(url, { readOnly: true });
}

function openVersion(path: string): number {
  const db = openImmutable(path);
  try {
    return Number(db.prepare("PRAGMA user_version").get()?.user_version);
  } finally {
    db.close();
  }
}

/** Makes a database of ours at `path`, readable by the user alone, with what `fill` puts into it; whole or not at all,
 *  and never over a file that is there. Folders are made as needed. */
export function createDatabase(path: string, fill: (db: DatabaseSync) => void): void {
  const folder = dirname(resolve(path));
  makeFolder(folder);
  const draft = `${path}${DRAFT}${process.pid}`;
  removeDrafts(path);
  try {
    closeSync(openSync(draft, "wx", 0o600));
    const db = new DatabaseSync(draft);
    try {
      fill(db);
    } finally {
      db.close();
    }
    place(draft, path);
    syncFolder(folder);
  } finally {
    rmSync(draft, { force: true });
    rmSync(`${draft}-journal`, { force: true });
  }
}

/** One folder after the other: `recursive` of `mkdirSync` never returns where a file system makes no folders (/proc). */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    // Another process may have made it just now.
    if (!existsSync(folder)) throw error;
  }
}

/** Removes what a process that was killed while it made the store left beside it. */
export function removeDrafts(path: string): void {
  const folder = dirname(resolve(path));
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(`${basename(path)}${DRAFT}`)) continue;
    const pid = Number.parseInt(name.slice(basename(path).length + DRAFT.length), 10);
    if (pid === process.pid || !isAlive(pid)) rmSync(join(folder, name), { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives and is another user's.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Links rather than renames, which would replace a store that another process made in the meantime; but some file
 *  systems have no links. */
function place(draft: string, path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.size === 0) rmSync(path);
  try {
    linkSync(draft, path);
  } catch {
    if (!existsSync(path)) renameSync(draft, path);
  }
}

function syncFolder(folder: string): void {
  if (process.platform === "win32") return; // Windows can neither open nor flush a folder.
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function readHeader(path: string): Header | null {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return null;
  if (!stat.isFile()) throw damaged(path, "it is no file");
  if (stat.size === 0) return null;
  const bytes = readStart(path, HEADER_BYTES + 1);
  if (bytes.toString("latin1", 0, MAGIC.length) !== MAGIC) throw damaged(path, "it is no SQLite database");
  if (bytes.length <= HEADER_BYTES) throw damaged(path, "it is shorter than its header");
  const size = bytes.readUInt16BE(16);
  return {
    pageBytes: size === 1 ? 65_536 : size,
    pages: bytes.readUInt32BE(28),
    userVersion: bytes.readUInt32BE(60),
    applicationId: bytes.readUInt32BE(68),
    schemaPageKind: bytes.readUInt8(HEADER_BYTES),
  };
}

function readStart(path: string, length: number): Buffer {
  const handle = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(handle, bytes, 0, length, 0));
  } finally {
    closeSync(handle);
  }
}

export function damaged(path: string, why: string): FlotillaError {
  return new FlotillaError("STORE_DAMAGED", `${path} is no usable Flotilla store: ${why}. It was left untouched.`, {
    details: { path, why },
  });
}
