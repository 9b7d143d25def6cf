import { formatProblems, type Problem, problemsOf } from "../definition/problem.ts";
import { catalogue, FlotillaError, isFlotillaError } from "../error.ts";
import type { Paint } from "./paint.ts";
import { plain } from "./paint.ts";
import type { Terminal } from "./terminal.ts";

/** Exit codes of ux.md, section 2; those of errors are in the catalogue. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  definition: 3,
  waiting: 4,
  stopped: 5,
  unreachable: 6,
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface FailureOptions {
  json: boolean;
  /** Shows causes and stacks. */
  debug: boolean;
}

/** Tells of an error on stderr, in words or as one JSON document, and returns the exit code that belongs to it. */
export function reportFailure(thrown: unknown, terminal: Terminal, { json, debug }: FailureOptions): ExitCode {
  const error = isFlotillaError(thrown) ? thrown : (systemFailure(thrown) ?? defect(thrown));
  if (json)
    terminal.note(
      JSON.stringify({ error: { ...failureDocument(error), ...(debug ? { stack: stackOf(thrown) } : {}) } }),
    );
  else terminal.note(failureText(error, terminal.notePaint));
  if (debug && !json) terminal.note(terminal.notePaint.dim(stackOf(thrown)));
  return catalogue[error.code].exit;
}

/** What the system refuses at a path that the user named or works in. */
function systemFailure(thrown: unknown): FlotillaError | null {
  if (!(thrown instanceof Error) || !("code" in thrown) || !("path" in thrown)) return null;
  const { code, path, message } = thrown as NodeJS.ErrnoException;
  switch (code) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new FlotillaError("USAGE", `${path} cannot be used: permission denied`, {
        hint: "Give permission, or name another place.",
        cause: thrown,
      });
    case "ENOSPC":
      return new FlotillaError("STORE_FULL", `${path} cannot be written: the disk is full`, { cause: thrown });
    case "ENOENT":
    case "ENOTDIR":
    case "EISDIR":
      return new FlotillaError("USAGE", message.replace(/^\w+: /, ""), { hint: "Correct the path.", cause: thrown });
    default:
      return null;
  }
}

/** Whatever is thrown and is no error of ours is a defect of ours. */
function defect(thrown: unknown): FlotillaError {
  const message = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  return new FlotillaError("INVARIANT", message, {
    hint: "Repeat the command with --debug and report what it prints.",
    cause: thrown,
  });
}

/** `FLTnnn statement`, then what to do; definitions with their places (ux.md, section 5). */
export function failureText(error: FlotillaError, paint: Paint): string {
  const problems = problemsOf(error);
  if (problems.length > 0) return formatProblems(problems, { color: paint !== plain });
  const [statement = "", ...more] = error.message.split("\n");
  const hint =
    error.hint === ""
      ? []
      : error.hint.split("\n").map((line, index) => (index === 0 ? `  fix: ${line}` : `  ${line}`));
  return [`${paint.red(error.id)} ${paint.bold(statement)}`, ...more, ...hint].join("\n");
}

export interface FailureDocument {
  code: string;
  id: string;
  message: string;
  hint: string;
  /** The command that prints what this error means, offline. */
  docs: string;
  location: { file: string; line: number | null; column: number | null } | null;
  /** Definitions: every mistake, the first one included. */
  problems?: readonly (Omit<FailureDocument, "problems"> & { suggestion: string | null })[];
}

export function failureDocument(error: FlotillaError): FailureDocument {
  const problems = problemsOf(error).map(problemDocument);
  const { code, id, message, hint } = error;
  const location = problems[0]?.location ?? null;
  return { code, id, message, hint, docs: docsOf(id), location, ...(problems.length === 0 ? {} : { problems }) };
}

export function problemDocument({ code, id, message, hint, file, line, column, suggestion }: Problem) {
  const location = file === undefined ? null : { file, line: line ?? null, column: column ?? null };
  return { code, id, message, hint, docs: docsOf(id), location, suggestion: suggestion ?? null };
}

const docsOf = (id: string): string => `flotilla help ${id}`;

function stackOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const cause = thrown.cause === undefined ? "" : `\ncaused by: ${stackOf(thrown.cause)}`;
  return `${thrown.stack ?? thrown.message}${cause}`;
}

/** A mistake on the command line. */
export function usageError(message: string, hint?: string): FlotillaError {
  return new FlotillaError("USAGE", message, hint === undefined ? {} : { hint });
}
