import { type ErrorCode, FlotillaError, isFlotillaError } from "../error.ts";

/** Primary result codes (https://sqlite.org/rescode.html); the low byte of what `node:sqlite` gives as `errcode`. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  5: "STORE_UNAVAILABLE", // SQLITE_BUSY: another process holds the write lock longer than the time-out
  6: "STORE_UNAVAILABLE", // SQLITE_LOCKED
  7: "STORE_UNAVAILABLE", // SQLITE_NOMEM
  8: "STORE_READONLY", // SQLITE_READONLY
  10: "STORE_UNAVAILABLE", // SQLITE_IOERR, a failed flush among others: whether it reached the disk is unknown
  11: "STORE_DAMAGED", // SQLITE_CORRUPT
  13: "STORE_FULL", // SQLITE_FULL
  14: "STORE_READONLY", // SQLITE_CANTOPEN
  26: "STORE_DAMAGED", // SQLITE_NOTADB
};

/** SQLITE_IOERR_SHMSIZE: the -shm could not be given its size, which is what a full disk does at opening. */
const EXTENDED: Readonly<Record<number, ErrorCode>> = { 4874: "STORE_FULL" };

const SYSTEM_CODES: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: "STORE_FULL",
  EDQUOT: "STORE_FULL",
  EACCES: "STORE_READONLY",
  EPERM: "STORE_READONLY",
  EROFS: "STORE_READONLY",
  ENOTDIR: "STORE_READONLY",
  EEXIST: "STORE_READONLY",
  ENOENT: "STORE_READONLY",
  ERR_OUT_OF_RANGE: "STORE_DAMAGED", // a number that no process of ours wrote: it is larger than JavaScript's
};

const MESSAGES: Partial<Record<ErrorCode, string>> = {
  STORE_UNAVAILABLE: "cannot be used now",
  STORE_READONLY: "cannot be written",
  STORE_DAMAGED: "is damaged",
  STORE_FULL: "cannot grow: the disk is full",
};

interface Foreign {
  code?: unknown;
  errcode?: unknown;
  message?: unknown;
}

/** What SQLite or the file system threw, as an error of ours; anything else is returned as it is (a defect). */
export function translate(error: unknown, path: string): unknown {
  if (isFlotillaError(error) || typeof error !== "object" || error === null) return error;
  const { code, errcode, message } = error as Foreign;
  const ours = typeof errcode === "number" ? (EXTENDED[errcode] ?? CODES[errcode & 0xff]) : SYSTEM_CODES[String(code)];
  if (!ours) return error;
  const details = { path, ...(typeof errcode === "number" ? { sqlite: errcode } : { system: code }) };
  return new FlotillaError(ours, `The store ${path} ${MESSAGES[ours]} (${String(message)}).`, {
    cause: error,
    details,
  });
}

/** Runs `work`, translating what it throws. */
export function translated<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw translate(error, path);
  }
}
