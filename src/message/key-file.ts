import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { FlotillaError, isFlotillaError } from "../error.ts";
import { type FormerKeys, KeyRing, parseKeyData, type RandomBytes } from "./keys.ts";

/** The name of the key file in its folder. */
export const KEY_FILE = "keys.json";

const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;

export interface KeyFileOptions {
  /** Who must have keys: the coordinator and every agent of the definition. */
  readonly names: Iterable<string>;
  readonly randomBytes: RandomBytes;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Public keys that names had before, for those whose keys are made now. */
  readonly former?: FormerKeys;
}

/** Those of `names` for whom the file in `folder` has no key: all of them when there is no file.
 *  @throws {FlotillaError} as `openKeyFile` */
export function namesWithoutKey(folder: string, names: Iterable<string>): string[] {
  return translate(folder, () => (readKeyRing(join(folder, KEY_FILE)) ?? new KeyRing()).missing(names));
}

/** The key ring kept in `folder`, made at first start, with keys added for names that are new. When this returns, the
 *  keys are on disk; a crash leaves the old file or the new one. Folder and file are the user's alone (0700, 0600);
 *  two processes that start at once end with the same keys.
 *  @throws {FlotillaError} KEYS_EXPOSED when others can read them, KEYS_DAMAGED when the file is not one of ours,
 *  STORE_READONLY or STORE_FULL when it cannot be written */
export function openKeyFile(folder: string, options: KeyFileOptions): KeyRing {
  const { names, randomBytes, now, former } = options;
  return translate(folder, () => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    refuseWritable(folder);
    const wanted = [...names];
    const file = join(folder, KEY_FILE);
    const ring = readKeyRing(file);
    if (ring !== null) {
      if (ring.ensure(wanted, randomBytes, now, former).length > 0) saveKeyRing(folder, ring, randomBytes);
      return ring;
    }
    const fresh = new KeyRing();
    fresh.ensure(wanted, randomBytes, now, former);
    if (createFile(folder, text(fresh), randomBytes)) return fresh;
    return openKeyFile(folder, { ...options, names: wanted });
  });
}

/** Replaces the key file by what the ring holds now, after a rotation for instance. Atomic and durable.
 *  @throws {FlotillaError} STORE_READONLY, STORE_FULL */
export function saveKeyRing(folder: string, ring: KeyRing, randomBytes: RandomBytes): void {
  translate(folder, () => {
    const temporary = writeTemporary(folder, text(ring), randomBytes);
    renameSync(temporary, join(folder, KEY_FILE));
    syncFolder(folder);
  });
}

function readKeyRing(file: string): KeyRing | null {
  const content = readIfThere(file);
  if (content === null) return null;
  refuseExposed(file);
  const data = parseKeyData(parseJson(content));
  if (data !== null) return new KeyRing(data);
  throw new FlotillaError("KEYS_DAMAGED", `${file} is not a key file, or a key in it was altered.`, {
    details: { file },
  });
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}

function parseJson(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch (error) {
    // The parser's message quotes the text, which is secret: it must not get into logs.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** What file systems without hard links answer; there the lock of the store is what keeps two starts apart. */
const NO_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]);

/** Creates the key file unless another process was faster; returns whether it did. */
function createFile(folder: string, content: string, randomBytes: RandomBytes): boolean {
  const temporary = writeTemporary(folder, content, randomBytes);
  try {
    // A link fails where a rename would replace the other's keys.
    linkSync(temporary, join(folder, KEY_FILE));
    syncFolder(folder);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    if (!NO_LINKS.has(codeOf(error) ?? "")) throw error;
    renameSync(temporary, join(folder, KEY_FILE));
    syncFolder(folder);
    return true;
  } finally {
    rmSync(temporary, { force: true });
  }
}

function writeTemporary(folder: string, content: string, randomBytes: RandomBytes): string {
  const temporary = join(folder, `.${KEY_FILE}.${Buffer.from(randomBytes(8)).toString("hex")}`);
  const file = openSync(temporary, "wx", 0o600);
  try {
    writeFileSync(file, content);
    fsyncSync(file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  return temporary;
}

function syncFolder(folder: string): void {
  // Windows cannot flush a folder, and has no need to.
  if (process.platform === "win32") return;
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Others may look at the names in the folder, which may be any that a store was put into, yet not replace the file. */
function refuseWritable(folder: string): void {
  if (process.platform === "win32") return;
  const { mode } = statSync(folder);
  if ((mode & OTHERS_WRITE) === 0) return;
  const shown = (mode & 0o777).toString(8);
  throw new FlotillaError("KEYS_EXPOSED", `${folder} holds secret keys and others can write to it (mode ${shown}).`, {
    hint: `Put the store into a folder of its own, or: chmod go-w ${folder}`,
    details: { path: folder, mode: shown },
  });
}

function refuseExposed(path: string): void {
  if (process.platform === "win32") return;
  const { mode } = statSync(path);
  if ((mode & OTHERS) === 0) return;
  const shown = (mode & 0o777).toString(8);
  throw new FlotillaError("KEYS_EXPOSED", `${path} holds secret keys and others can read it (mode ${shown}).`, {
    hint: `If nobody else has read them: chmod go= ${path}. If in doubt, remove the file (${KEY_FILE}): new keys are made at the next start, on record, and old signatures stay checkable.`,
    details: { path, mode: shown },
  });
}

function text(ring: KeyRing): string {
  return `${JSON.stringify(ring.data, null, 2)}\n`;
}

const WRITE_ERRORS: { readonly [code: string]: "STORE_READONLY" | "STORE_FULL" } = {
  EACCES: "STORE_READONLY",
  EPERM: "STORE_READONLY",
  EROFS: "STORE_READONLY",
  EEXIST: "STORE_READONLY",
  ENOTDIR: "STORE_READONLY",
  ENOSPC: "STORE_FULL",
  EDQUOT: "STORE_FULL",
};

/** File system errors in the catalogue's terms; others pass. */
function translate<T>(folder: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const code = isFlotillaError(error) ? undefined : WRITE_ERRORS[codeOf(error) ?? ""];
    if (code === undefined) throw error;
    throw new FlotillaError(code, `The keys in ${folder} cannot be read or written.`, {
      cause: error,
      details: { folder },
    });
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
