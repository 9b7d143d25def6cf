import { bind, ExpressionFailure, language } from "../expression/expression.ts";
import type { RunRow } from "../store/store.ts";
import { usageError } from "./failure.ts";

/** Which runs somebody means by a CEL expression over `run`, such as `run.workflow == "mail" && run.ageMs > 3600000`.
 *  @throws {FlotillaError} USAGE when it is no expression, or for a run that it says neither true nor false of */
export function runFilter(source: string): (row: RunRow) => boolean {
  const compiled = language(["run"]).expression(source);
  if (!compiled.ok) throw usageError(`--where: ${compiled.problem}`, FIELDS);
  const now = Date.now();
  return (row) => {
    const answer = evaluated(source, () => compiled.value.evaluate({ run: bind(fieldsOf(row, now)) }));
    if (typeof answer === "boolean") return answer;
    throw usageError(`--where "${source}" says neither true nor false of run ${row.id}`, FIELDS);
  };
}

const FIELDS =
  "It is CEL over run.id, run.workflow, run.definition, run.startedAt and run.ageMs (milliseconds), and run.events.";

function fieldsOf({ id, workflow, definition, createdAt, version }: RunRow, now: number) {
  return { id, workflow, definition, startedAt: createdAt, ageMs: now - createdAt, events: version };
}

function evaluated<T>(source: string, evaluate: () => T): T {
  try {
    return evaluate();
  } catch (error) {
    if (!(error instanceof ExpressionFailure)) throw error;
    throw usageError(`--where "${source}": ${error.message}`, FIELDS);
  }
}
