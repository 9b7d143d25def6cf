import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Finding, Path } from "./finding.ts";
import { nearest } from "./nearest.ts";

/** Files larger than this are not what a definition is made of. */
const BYTES_MAX = 16 * 1024 * 1024;

export type FileText = { ok: true; text: string } | { ok: false; finding: Finding };

/** Reads a text file that a definition names at `path`, relative to its folder. */
export async function readNamedFile(folder: string, file: string, path: Path): Promise<FileText> {
  try {
    const bytes = await readFile(resolve(folder, file));
    if (bytes.length > BYTES_MAX) return unreadable(file, path, `it is larger than ${BYTES_MAX / 1024 / 1024} MiB`);
    return { ok: true, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch (error) {
    return unreadable(file, path, reason(error), similar(folder, file));
  }
}

function unreadable(file: string, path: Path, why: string, suggestion: string | null = null): FileText {
  const finding: Finding = {
    code: "DEFINITION_FILE",
    message: `file "${file}" cannot be read: ${why}`,
    path,
    part: "value",
    ...(suggestion === null ? {} : { suggestion }),
  };
  return { ok: false, finding };
}

function reason(error: unknown): string {
  if (error instanceof TypeError) return "it is not UTF-8 text";
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "ENOENT":
      return "there is no such file";
    case "EISDIR":
      return "it is a folder";
    case "EACCES":
    case "EPERM":
      return "permission is denied";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

/** A file beside the one that is not there, of nearly its name. */
export function similar(folder: string, file: string): string | null {
  try {
    const found = nearest(basename(file), readdirSync(dirname(resolve(folder, file))));
    return found === null || found === basename(file) ? null : rejoin(file, found);
  } catch {
    return null; // The folder is not there either: nothing to suggest.
  }
}

function rejoin(file: string, name: string): string {
  const joined = join(dirname(file), name);
  return file.startsWith("./") ? `./${joined}` : joined;
}
