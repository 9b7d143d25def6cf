import { catalogue, type ErrorCode, FlotillaError } from "../error.ts";

/** One mistake in a definition, as people and programs are told of it (ux.md, section 5). */
export interface Problem {
  code: ErrorCode;
  /** The number for people, `FLTnnn`. */
  id: string;
  /** What is wrong, in one line, naming the value. */
  message: string;
  /** Where, as far as known: path relative to the definition's folder, line and column from 1, length in characters. */
  file?: string;
  line?: number;
  column?: number;
  length?: number;
  /** The line itself, as `printable` makes it. */
  excerpt?: string;
  /** What was probably meant: the replacement for the marked text. */
  suggestion?: string;
  /** What to do. */
  hint: string;
  /** Further lines: what is defined, what was expected. */
  notes?: readonly string[];
}

export type ProblemPlace = Pick<Problem, "file" | "line" | "column" | "length" | "excerpt">;

export function problem(
  code: ErrorCode,
  message: string,
  more: Partial<Omit<Problem, "code" | "id" | "message">> = {},
): Problem {
  return { code, id: catalogue[code].id, message, ...more, hint: more.hint ?? catalogue[code].fix };
}

/** The error that stands for all of `problems`: code, message and hint of the first one, and `details.problems`. */
export function definitionError(problems: readonly [Problem, ...Problem[]], cause?: unknown): FlotillaError {
  const [first, ...rest] = problems;
  const place = first.line === undefined ? (first.file ?? "") : `${first.file}:${first.line}:${first.column}`;
  const more = rest.length === 0 ? "" : ` (and ${rest.length} more)`;
  const meant =
    first.suggestion === undefined || first.hint.includes(first.suggestion)
      ? ""
      : `, did you mean "${first.suggestion}"?`;
  return new FlotillaError(first.code, `${first.message}${place === "" ? "" : ` at ${place}`}${meant}${more}`, {
    hint: first.hint,
    details: { problems },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Throws `definitionError(problems)` if there are any. */
export function refuse(problems: readonly Problem[]): void {
  const [first, ...rest] = problems;
  if (first !== undefined) throw definitionError([first, ...rest]);
}

/** The problems that an error carries; none when it is about something else. */
export function problemsOf(error: FlotillaError): readonly Problem[] {
  const problems = error.details.problems;
  // Other errors tell of their problems in words.
  return Array.isArray(problems) && problems.every((one) => typeof one === "object") ? (problems as Problem[]) : [];
}

/** A line of a file as it may be printed: control characters, tabs too, become single spaces. */
export function printable(line: string): string {
  return line.replaceAll(/\p{Cc}/gu, " ");
}

const WIDTH = 72;

/** Problems as text for a terminal, each with its place, its line, a caret, and what to do; a blank line between. */
export function formatProblems(problems: readonly Problem[], { color }: { color: boolean }): string {
  const paint = color ? ansi : plain;
  return problems.map((one) => formatProblem({ ...one, message: printable(one.message) }, paint)).join("\n\n");
}

function formatProblem(one: Problem, paint: Paint): string {
  const place =
    one.file === undefined ? "" : one.line === undefined ? one.file : `${one.file}:${one.line}:${one.column}`;
  const head = `${one.id} ${one.message}`;
  const gap = place === "" ? "" : " ".repeat(Math.max(2, WIDTH - head.length - place.length));
  const lines = [`${paint.red(one.id)} ${paint.bold(one.message)}${gap}${paint.dim(place)}`];
  if (one.excerpt !== undefined && one.line !== undefined) lines.push(...excerpt(one, one.excerpt, paint));
  else if (one.suggestion !== undefined) lines.push(`  did you mean "${one.suggestion}"?`);
  for (const note of one.notes ?? []) lines.push(`  ${note}`);
  if (one.hint !== "") lines.push(`  fix: ${one.hint}`);
  return lines.join("\n");
}

function excerpt(one: Problem, text: string, paint: Paint): string[] {
  const number = String(one.line);
  const blank = " ".repeat(number.length);
  const { shown, start } = clip(text, (one.column ?? 1) - 1);
  const caret = "^".repeat(Math.max(1, Math.min(one.length ?? 1, shown.length - start)));
  const meant = one.suggestion === undefined ? "" : ` did you mean "${one.suggestion}"?`;
  return [
    `  ${paint.dim(`${number} |`)} ${shown}`,
    `  ${paint.dim(`${blank} |`)} ${" ".repeat(start)}${paint.red(caret)}${meant}`,
  ];
}

/** A line that fits a terminal, with the marked place in it. */
function clip(text: string, start: number): { shown: string; start: number } {
  const max = 100;
  if (text.length <= max) return { shown: text, start };
  const from = Math.max(0, Math.min(start - 20, text.length - max));
  const shown = `${from > 0 ? "…" : ""}${text.slice(from, from + max)}${from + max < text.length ? "…" : ""}`;
  return { shown, start: start - from + (from > 0 ? 1 : 0) };
}

type Paint = Record<"red" | "bold" | "dim", (text: string) => string>;
const plain: Paint = { red: (text) => text, bold: (text) => text, dim: (text) => text };
const ansi: Paint = {
  red: (text) => `\u001b[31m${text}\u001b[39m`,
  bold: (text) => `\u001b[1m${text}\u001b[22m`,
  dim: (text) => `\u001b[2m${text}\u001b[22m`,
};
