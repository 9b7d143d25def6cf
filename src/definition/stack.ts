import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type ProblemPlace, printable } from "./problem.ts";

const FRAME = /^\s*at (?:async )?(?:.*\()?(file:\/\/.+?|\/.+?|[A-Za-z]:\\.+?):(\d+):(\d+)\)?$/;

/** The innermost place of `error`'s stack that is neither Node, a dependency nor Flotilla itself. */
export function userFrame(error: Error, folder = process.cwd()): ProblemPlace | null {
  for (const line of (error.stack ?? "").split("\n")) {
    const [, where, row, column] = FRAME.exec(line) ?? [];
    if (where === undefined || row === undefined || column === undefined) continue;
    const file = filePath(where);
    if (isOurs(file) || file.includes("/node_modules/")) continue;
    return place(file, Number(row), Number(column), folder);
  }
  return null;
}

/** The place at which a module does not parse or link, from the lines with which Node begins such a stack:
 *  `file:line`, the line itself, and carets. */
export function syntaxPlace(error: Error, folder: string): ProblemPlace | null {
  const [where = "", source = "", carets = ""] = (error.stack ?? "").split("\n");
  const [, file, row] = /^(.+):(\d+)$/.exec(where) ?? [];
  if (file === undefined || row === undefined) return null;
  const column = carets.search(/\^/) + 1;
  const length = carets.trim().length;
  return {
    file: display(filePath(file), folder),
    line: Number(row),
    column: Math.max(1, column),
    length: Math.max(1, length),
    excerpt: printable(source),
  };
}

/** A path as people are shown it: relative to `folder` when it lies inside. */
export function display(file: string, folder: string): string {
  const path = relative(folder, file);
  return path === "" || path.startsWith("..") ? file : path;
}

function place(file: string, line: number, column: number, folder: string): ProblemPlace {
  const excerpt = existsSync(file) ? readFileSync(file, "utf8").split(/\r?\n/)[line - 1] : undefined;
  return {
    file: display(file, folder),
    line,
    column,
    length: 1,
    ...(excerpt === undefined ? {} : { excerpt: printable(excerpt) }),
  };
}

function filePath(where: string): string {
  return where.startsWith("file:") ? fileURLToPath(where.replace(/\?.*$/, "")) : where;
}

const HERE = fileURLToPath(new URL("..", import.meta.url));

function isOurs(file: string): boolean {
  return file.startsWith(HERE);
}
