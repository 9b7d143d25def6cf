import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { FlotillaError } from "../error.ts";

/** Who owns the store of a folder, for those who want to reach him. */
export interface OwnerRecord {
  pid: number;
  /** `thisProcess` of the owner. */
  process: string;
  socket: string;
}

export interface OwnerLock {
  /** Tells others how to reach this process. */
  publish(record: OwnerRecord): void;
  release(): void;
  /** Gives it back without having been the owner. */
  letGo(): void;
}

/** Tells this process from every other, the same for all copies of the package in it. In containers that share a
 *  folder each process may be number 1. */
export const thisProcess = `${process.pid}@${performance.timeOrigin}`;

const LOCK_FILE = "owner.lock";
const RECORD_FILE = "owner.json";
const SQLITE_BUSY = 5;

/** Where what the owner of a store file needs lies: lock, address and keys. `.flotilla/` is all ours; any other folder
 *  may be open to others and hold more than one store, so there each file has a folder of its own: `FILE.owner/`. */
export function ownerFolder(store: string): string {
  const folder = dirname(store);
  return basename(folder) === ".flotilla" && basename(store) === "store.db" ? folder : `${store}.owner`;
}

/** Takes the ownership of the store whose owner's folder it is: an operating-system lock, which dies with the process, so that a
 *  `kill -9` leaves nothing to remove. It is SQLite's own lock on a file of its own, the one lock that Node brings.
 *  Returns null when another process, or another app in this one, owns it.
 *  @throws {FlotillaError} STORE_READONLY when the folder cannot be written */
export function takeOwnership(folder: string): OwnerLock | null {
  const db = openLockFile(folder);
  try {
    db.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    if (isBusy(error)) return null;
    throw unwritable(folder, error);
  }
  const record = join(folder, RECORD_FILE);
  return {
    publish(owner) {
      const temporary = `${record}.${owner.pid}`;
      writeFileSync(temporary, JSON.stringify(owner), { mode: 0o600 });
      renameSync(temporary, record);
    },
    release() {
      rmSync(record, { force: true });
      db.close();
    },
    letGo: () => db.close(),
  };
}

/** Whether nobody owns the store of a folder at this moment; takes nothing, makes nothing. */
export function isUnowned(folder: string): boolean {
  if (!existsSync(join(folder, LOCK_FILE))) return true;
  const lock = takeOwnership(folder);
  lock?.letGo();
  return lock !== null;
}

/** The last owner that published how to reach it; it may be gone. */
export function readOwner(folder: string): OwnerRecord | null {
  try {
    return JSON.parse(readFileSync(join(folder, RECORD_FILE), "utf8")) as OwnerRecord;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    if (["ENOENT", "EISDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw error;
  }
}

function openLockFile(folder: string): DatabaseSync {
  refuseFolders(folder);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return new DatabaseSync(join(folder, LOCK_FILE), { timeout: 0 });
  } catch (error) {
    throw unwritable(folder, error);
  }
}

/** A folder at the place of a file of ours is somebody's mistake, such as a volume that was mounted there. */
function refuseFolders(folder: string): void {
  for (const name of [LOCK_FILE, RECORD_FILE]) {
    const path = join(folder, name);
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) continue;
    throw new FlotillaError("STORE_READONLY", `${path} is a folder, where a file of Flotilla's belongs`, {
      hint: "Remove that folder; the file is made anew.",
      details: { path },
    });
  }
}

function unwritable(folder: string, error: unknown): FlotillaError {
  const why = error instanceof Error ? error.message : String(error);
  return new FlotillaError("STORE_READONLY", `the folder ${folder} cannot be written: ${why}`, { cause: error });
}

function isBusy(error: unknown): boolean {
  return (error as { errcode?: number }).errcode === SQLITE_BUSY;
}
