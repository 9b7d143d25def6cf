import { list } from "./name-list.ts";
import { nearest } from "./nearest.ts";
import { type Problem, type ProblemPlace, problem } from "./problem.ts";

/** Keys and indices from the root of a definition. */
export type Path = readonly PropertyKey[];

/** A problem that does not know its place in a file yet, only its path in the definition. */
export interface Finding extends Pick<Problem, "code" | "message" | "suggestion" | "notes"> {
  path: Path;
  /** What to point at: the key at `path` or its value. */
  part: "key" | "value";
  hint?: string;
  /** DEFINITION_MISSING_KEY: the keys of which one is missing in the map at `path`. */
  missing?: readonly string[];
  /** The part of a text to point at, as it is written, from `offset` on. */
  within?: { text: string; offset: number };
}

export function located(finding: Finding, place: ProblemPlace): Problem {
  const { path: _, part: __, within: ___, missing: ____, code, message, ...rest } = finding;
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

/** Without keys that are missing only because they were misspelt: one mistake, one message. */
export function withoutEchoes(findings: readonly Finding[]): Finding[] {
  const meant = new Set(
    findings
      .filter(({ code, suggestion }) => code === "DEFINITION_UNKNOWN_KEY" && suggestion !== undefined)
      .map(({ path, suggestion }) => pathText([...path.slice(0, -1), suggestion ?? ""])),
  );
  return findings.filter(({ path, missing }) => !missing?.some((key) => meant.has(pathText([...path, key]))));
}

export function pathText(path: Path): string {
  return JSON.stringify(path.map(String));
}
