import type { Edit, TaskView } from "../core/planner.ts";
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
