import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { pathToFileURL } from "node:url";
import { loadFleet } from "../../src/definition/load.ts";
import { type Problem, problemsOf } from "../../src/definition/problem.ts";
import { isFlotillaError } from "../../src/error.ts";

/** A folder with these files, gone when the test is over. In them `FLOTILLA` stands for the library. */
export function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-definition-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(
      join(folder, name),
      text.replaceAll("FLOTILLA", LIBRARY).replaceAll("ZOD", import.meta.resolve("zod")),
    );
  }
  return folder;
}

const LIBRARY = pathToFileURL(join(import.meta.dirname, "../../src/definition/build.ts")).href;

/** All mistakes in `fleet.yaml`, or in the file of that name among `files`. */
export async function problemsIn(files: string | Readonly<Record<string, string>>): Promise<readonly Problem[]> {
  const folder = folderWith(typeof files === "string" ? { "fleet.yaml": files } : files);
  try {
    await loadFleet(folder);
    return [];
  } catch (error) {
    if (!isFlotillaError(error)) throw error;
    const problems = problemsOf(error);
    if (problems.length === 0) throw error;
    return problems;
  }
}

/** A problem in one line: code, file and line, the text that its column and length mark, message, suggestion. */
export function short({ code, file, line, column, length, excerpt, message, suggestion }: Problem): string {
  const marked =
    excerpt === undefined ? "" : ` [${excerpt.slice((column ?? 1) - 1, (column ?? 1) - 1 + (length ?? 0))}]`;
  const place = line === undefined ? (file ?? "") : `${file}:${line}${marked}`;
  return `${code} ${place} ${message}${suggestion === undefined ? "" : ` → ${suggestion}`}`;
}
