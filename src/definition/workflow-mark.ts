export const WORKFLOW = Symbol.for("flotilla.workflow");

/** A workflow of any types. */
export interface AnyWorkflow {
  readonly [WORKFLOW]: unknown;
}

/** Recognised by mark, since two copies of the package may meet. */
export function isMarkedWorkflow(value: unknown): value is AnyWorkflow {
  return typeof value === "object" && value !== null && WORKFLOW in value;
}
