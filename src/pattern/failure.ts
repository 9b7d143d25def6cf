import type { Edit, TaskView } from "../core/planner.ts";
import { ExpressionFailure } from "../expression/expression.ts";
import { type ErrorCode, type ErrorRecord, FlotillaError, toErrorRecord } from "../error.ts";

/** An error of the catalogue as a task or run ends with it. */
export function failure(code: ErrorCode, message: string, details?: Record<string, unknown>): ErrorRecord {
  return toErrorRecord(new FlotillaError(code, message, details === undefined ? {} : { details }));
}

/** Ends the run because of a task that did not complete. */
export function lost(task: TaskView): Edit {
  const error = task.error ?? failure("DEPENDENCY_FAILED", `task ${task.id} was ${task.status}`);
  return { edit: "fail", error, task: task.id };
}

/** Edits; an expression among what makes them that has no value ends the run, and is named. */
export function expressive(what: string, edits: () => readonly Edit[]): readonly Edit[] {
  try {
    return edits();
  } catch (error) {
    if (!(error instanceof ExpressionFailure)) throw error;
    return [{ edit: "fail", error: failure("EXPRESSION_FAILED", `${what}: ${error.message}`) }];
  }
}
