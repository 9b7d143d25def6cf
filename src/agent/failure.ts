import { inspect } from "node:util";
import type { Json } from "../core/json.ts";
import { type ErrorRecord, FlotillaError, isFlotillaError, toErrorRecord } from "../error.ts";
import { type Redactor, redactJson } from "../telemetry/redact.ts";
import { networkFailure } from "../tool/network-error.ts";
import { recordable } from "./recordable.ts";

const STACK_LINES_MAX = 6;

/** What a retry cannot mend: mistakes in the code, and what the operating system refuses for good. */
const PROGRAMMING_ERRORS = new Set([
  "TypeError",
  "ReferenceError",
  "SyntaxError",
  "RangeError",
  "ZodError",
  "$ZodError",
]);
const LASTING_SYSTEM_ERRORS = new Set([
  "ENOENT",
  "EACCES",
  "EPERM",
  "EISDIR",
  "ENOTDIR",
  "EEXIST",
  "EINVAL",
  "ENOTEMPTY",
  "EROFS",
]);

/** Whatever users' code threw, as an error of the catalogue with the class that decides the retry (F1). Errors of the
 *  catalogue pass through. A failed connection is transient; a mistake in the code (TypeError and its like) or a file
 *  that is not there is permanent; anything else may pass, so it is transient. Message, cause and the top of the stack
 *  are kept. */
export function failureOf(error: unknown, kind: "agent" | "tool", name: string): FlotillaError {
  if (isFlotillaError(error)) return error;
  const network = networkFailure(error);
  if (network !== null && kind === "tool") {
    return new FlotillaError("TOOL_UNAVAILABLE", `${name}: ${describe(error)}`, {
      cause: error,
      details: { ...network },
    });
  }
  const failure = new FlotillaError(kind === "tool" ? "TOOL_FAILED" : "AGENT_FAILED", `${name}: ${describe(error)}`, {
    class: network === null && isLasting(error) ? "permanent" : "transient",
    cause: error,
    details: { ...stackOf(error), ...(network === null ? {} : network) },
  });
  foreign.add(failure);
  return failure;
}

/** Whether users' code threw something that does not say, as an error of the catalogue does, what it means. */
export function isForeign(error: FlotillaError): boolean {
  return foreign.has(error);
}

const foreign = new WeakSet<FlotillaError>();

/** An error as it goes on record or over the wire: JSON, and without secrets (X8). */
export function recordOf(error: FlotillaError, redact: Redactor): ErrorRecord {
  const { details, ...record } = toErrorRecord(error);
  const plain = { ...record, message: record.message.toWellFormed() };
  const full = details === undefined ? plain : { ...plain, details: plainDetails(details) };
  return redactJson(redact, recordable(full)) as unknown as ErrorRecord;
}

function plainDetails(details: Record<string, unknown>): Json {
  try {
    return recordable(details);
  } catch {
    return { shown: inspect(details, { depth: 3 }) }; // users' code may have put in what JSON cannot hold
  }
}

function isLasting(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = "code" in error ? error.code : undefined;
  return PROGRAMMING_ERRORS.has(error.name) || (typeof code === "string" && LASTING_SYSTEM_ERRORS.has(code));
}

function describe(error: unknown): string {
  if (!(error instanceof Error))
    return typeof error === "string"
      ? error
      : `threw ${inspect(error, { depth: 1, breakLength: Number.POSITIVE_INFINITY })}`;
  const because =
    error.cause instanceof Error && !error.message.includes(error.cause.message) ? `: ${error.cause.message}` : "";
  return `${error.name}: ${error.message}${because}`;
}

function stackOf(error: unknown): { stack?: string } {
  if (!(error instanceof Error) || error.stack === undefined) return {};
  const lines = error.stack.split("\n").filter((line) => line.trimStart().startsWith("at "));
  return lines.length === 0
    ? {}
    : {
        stack: lines
          .slice(0, STACK_LINES_MAX)
          .map((line) => line.trim())
          .join("\n"),
      };
}
