import { nearest } from "./nearest.ts";
import { type Problem, type ProblemPlace, problem } from "./problem.ts";
import { list } from "./zod-problem.ts";

/** Keys and indices from the root of a definition. */
export type Path = readonly PropertyKey[];

/** A problem that does not know its place in a file yet, only its path in the definition. */
export interface Finding extends Pick<Problem, "code" | "message" | "suggestion" | "notes"> {
  path: Path;
  /** What to point at: the key at `path` or its value. */
  part: "key" | "value";
  hint?: string;
  /** Characters of the value to point at, when not all of it. */
  within?: { start: number; length: number };
}

export function located(finding: Finding, place: ProblemPlace): Problem {
  const { path: _, part: __, within: ___, code, message, ...rest } = finding;
  return problem(code, message, { ...rest, ...place });
}

/** A name that is not among those that are defined. */
export function missingReference(
  subject: string,
  kind: string,
  name: string,
  defined: Iterable<string>,
): Pick<Finding, "code" | "message" | "suggestion" | "notes" | "hint"> {
  const names = [...defined];
  const suggestion = nearest(name, names);
  return {
    code: "DEFINITION_REFERENCE",
    message: `${subject} uses ${kind} "${name}", which is not defined`,
    ...(suggestion === null ? {} : { suggestion }),
    notes: [`defined: ${list(names)}`],
    hint:
      suggestion === null
        ? `define ${kind} "${name}", or use one that is defined`
        : `use "${suggestion}", or define "${name}"`,
  };
}
