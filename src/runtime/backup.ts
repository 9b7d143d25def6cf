import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { FlotillaError } from "../error.ts";
import { KEY_FILE } from "../message/key-file.ts";
import { ownerFolder, takeOwnership } from "./owner-lock.ts";
import { SIGNED_HEAD_FILE } from "./signed-head.ts";

/** The store's file in a backup; its keys and signed head lie beside it, as they do for any store. */
export const BACKUP_STORE = "store.db";

const BUSY_TIMEOUT_MS = 30_000;
const PRIVATE = 0o700;

/** Copies a SQLite store with its keys into a new folder, as of one moment, also while it is written (F11). The folder
 *  is there whole or not at all. Run in a process of its own, it holds nobody up but for the disk.
 *  @throws {FlotillaError} BACKUP_EXISTS, STORE_READONLY when there is no store */
export function makeBackup(store: string, folder: string): { bytes: number } {
  if (!existsSync(store)) {
    const hint = "It is made by the first run; or name another store with --store.";
    throw new FlotillaError("STORE_READONLY", `there is no store ${store} to back up`, { hint });
  }
  if (existsSync(folder)) throw exists(folder);
  const draft = join(dirname(resolve(folder)), `.${basename(folder)}-${process.pid}`);
  const copy = join(draft, BACKUP_STORE);
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(ownerFolder(copy), { recursive: true, mode: PRIVATE });
  try {
    // The signed head first and the keys last: it may say less than the store does, and they may know more.
    copyBeside(SIGNED_HEAD_FILE, store, copy);
    copyDatabase(store, copy);
    copyBeside(KEY_FILE, store, copy);
    for (const path of [copy, ownerFolder(copy), draft]) sync(path);
    renameSync(draft, folder);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    throw error;
  }
  sync(dirname(resolve(folder)));
  return { bytes: statSync(join(folder, BACKUP_STORE)).size };
}

/** Puts a backup in the place of a store, which nobody may have open. What was there is kept beside it; its folder is
 *  returned, null when there was none. A crash in between leaves the one or the other, or a folder to move back by hand.
 *  @throws {FlotillaError} STORE_OWNED, STORE_READONLY when the folder holds no backup */
export function restoreBackup(folder: string, store: string, now: number): { kept: string | null } {
  const copy = join(folder, BACKUP_STORE);
  if (!existsSync(copy))
    throw new FlotillaError("STORE_READONLY", `${folder} holds no backup: there is no ${BACKUP_STORE} in it`);
  const beside = ownerFolder(store);
  mkdirSync(beside, { recursive: true, mode: PRIVATE });
  // Nobody may open the store in between.
  const lock = takeOwnership(beside);
  if (lock === null) {
    throw new FlotillaError("STORE_OWNED", `a process has ${store} open`, {
      hint: "End it first: nothing can be put in the place of a store that is in use.",
    });
  }
  try {
    return { kept: putInPlace(copy, store, now) };
  } finally {
    lock.letGo();
  }
}

function putInPlace(copy: string, store: string, now: number): string | null {
  const beside = ownerFolder(store);
  const kept = existsSync(store) ? keep(store, now) : null;
  copyBeside(SIGNED_HEAD_FILE, copy, store);
  copyBeside(KEY_FILE, copy, store);
  // Under another name until it is whole: a store is there or it is not.
  const draft = `${store}-restoring`;
  copyFileSync(copy, draft);
  sync(draft);
  renameSync(draft, store);
  for (const path of [beside, dirname(store)]) sync(path);
  return kept;
}

/** A consistent copy in one read transaction; writers go on meanwhile. */
function copyDatabase(from: string, to: string): void {
  const db = new DatabaseSync(from, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
  try {
    db.prepare("VACUUM INTO ?").run(to);
  } finally {
    db.close();
  }
}

function copyBeside(name: string, from: string, to: string): void {
  const file = join(ownerFolder(from), name);
  const target = join(ownerFolder(to), name);
  if (!existsSync(file)) return rmSync(target, { force: true });
  copyFileSync(file, target);
  sync(target);
}

/** Moves all of a store aside. */
function keep(store: string, now: number): string {
  const stamp = new Date(now).toISOString().replaceAll(/[:.]/g, "-");
  const beside = ownerFolder(store);
  const kept = beside === dirname(store) ? `${beside}-before-${stamp}` : `${store}-before-${stamp}`;
  mkdirSync(kept, { mode: PRIVATE });
  for (const end of ["-wal", "-shm", ""])
    if (existsSync(`${store}${end}`)) renameSync(`${store}${end}`, join(kept, `${basename(store)}${end}`));
  for (const name of [KEY_FILE, SIGNED_HEAD_FILE]) {
    if (existsSync(join(beside, name))) renameSync(join(beside, name), join(kept, name));
  }
  return kept;
}

function exists(folder: string): FlotillaError {
  return new FlotillaError("BACKUP_EXISTS", `${folder} is there already`, { details: { folder } });
}

function sync(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
