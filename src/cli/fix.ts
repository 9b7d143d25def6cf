import { readFile, rename, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Problem } from "../definition/problem.ts";
import type { Looked } from "./command/check.ts";

/** A correction that was written. */
export interface Fixed {
  file: string;
  line: number;
  from: string;
  to: string;
}

/** Writes what has one obvious correction: a misspelt key or name is replaced by the nearest one, at the place that the
 *  problem names, and nothing else of the file changes. */
export async function fixProblems(definition: string, looked: Looked): Promise<Fixed[]> {
  if (!("problems" in looked)) return [];
  const byFile = new Map<string, Problem[]>();
  for (const problem of looked.problems) {
    if (!isFixable(problem)) continue;
    const file = resolve(dirname(definition), problem.file ?? "");
    byFile.set(file, [...(byFile.get(file) ?? []), problem]);
  }
  const fixed: Fixed[] = [];
  for (const [file, problems] of byFile) fixed.push(...(await fixFile(file, problems)));
  return fixed;
}

function isFixable({ file, line, column, length, suggestion }: Problem): boolean {
  return [file, line, column, length, suggestion].every((part) => part !== undefined);
}

async function fixFile(file: string, problems: readonly Problem[]): Promise<Fixed[]> {
  const text = await readFile(file, "utf8");
  const lines = text.split("\n");
  const fixed: Fixed[] = [];
  // From the right, so that earlier columns of a line stay where they are.
  for (const problem of problems.toSorted((a, b) => (b.column ?? 0) - (a.column ?? 0))) {
    const { line = 1, column = 1, length = 0, suggestion = "" } = problem;
    const row = lines[line - 1] ?? "";
    const from = row.slice(column - 1, column - 1 + length);
    const to = quotedLike(from, suggestion);
    lines[line - 1] = row.slice(0, column - 1) + to + row.slice(column - 1 + length);
    fixed.push({ file: problem.file ?? file, line, from, to });
  }
  await replaceFile(file, lines.join("\n"));
  return fixed.toSorted((a, b) => a.line - b.line);
}

/** The marked text may include its quotes. */
function quotedLike(from: string, suggestion: string): string {
  const [quote] = from;
  return (quote === '"' || quote === "'") && from.endsWith(quote) && from.length > 1
    ? `${quote}${suggestion}${quote}`
    : suggestion;
}

/** The old file or the new one, whatever happens. */
export async function replaceFile(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, text);
  await rename(temporary, file);
}
