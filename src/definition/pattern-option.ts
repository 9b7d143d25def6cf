import { z } from "zod";
import { findCycle } from "../core/graph.ts";
import { workflowIn } from "../core/seat.ts";
import type { Json } from "../core/json.ts";
import { asJson } from "./as-json.ts";
import { type Finding, missingReference, type Path } from "./finding.ts";
import type { Pattern } from "../pattern/pattern.ts";
import { isRecord, zodFindings } from "./zod-problem.ts";

export interface CheckedOptions {
  /** As the pattern's schema parsed them; null when it did not take them. */
  options: Json | null;
  /** Agents that the workflow may give work to. */
  agents: readonly string[];
  /** Paths start at `workflows.NAME`. */
  findings: readonly Finding[];
}

/** A pattern's schema as a definition applies it: a key that the pattern does not know is a mistake, never ignored. */
export function strictOptions(pattern: Pattern): z.ZodType {
  return pattern.options instanceof z.ZodObject && pattern.options._zod.def.catchall === undefined
    ? pattern.options.strict()
    : pattern.options;
}

/** Checks a workflow's options against its pattern. `agents`: also the workflows that may stand in an agent's place, as
 *  `workflow:NAME`. Checked are form, agents, tasks and cycles (C1), all mistakes at once. */
export function checkPatternOptions(
  workflow: string,
  pattern: Pattern,
  given: unknown,
  agents: ReadonlySet<string>,
  { extraAgents = [], alsoKnown = [] }: { extraAgents?: readonly string[]; alsoKnown?: readonly string[] } = {},
): CheckedOptions {
  const base: Path = ["workflows", workflow];
  const schema = strictOptions(pattern);
  const first = schema.safeParse(given);
  const form = first.success ? [] : zodFindings(first.error.issues, { schema, input: given, base, alsoKnown });
  // What is wrong in form is told of; what the rest refers to is checked all the same.
  const parsed = first.success ? first : schema.safeParse(withoutFaults(given, first.error.issues));
  if (!parsed.success) return { options: null, agents: [], findings: form };
  const options = parsed.data as never;
  const used = [...new Set([...pattern.agents(options), ...extraAgents])];
  const unknown = used
    .filter((name) => !agents.has(name))
    .map((name): Finding => {
      const seat = workflowIn(name);
      const path = pathOf(given, seat ?? name) ?? [];
      const [kind, known] = seat === null ? ["agent", seatsOf(agents).agents] : ["workflow", seatsOf(agents).workflows];
      return {
        ...missingReference(user(workflow, path), kind, seat ?? name, known),
        path: [...base, ...path],
        part: "value",
      };
    });
  return {
    options: asJson(parsed.data),
    agents: used,
    findings: [...form, ...unknown, ...taskFindings(workflow, pattern.tasks?.(options) ?? [], given)],
  };
}

/** The names of agents, and of workflows that may stand in their place. */
function seatsOf(seats: ReadonlySet<string>): { agents: readonly string[]; workflows: readonly string[] } {
  const all = [...seats];
  return {
    agents: all.filter((seat) => workflowIn(seat) === null),
    workflows: all.flatMap((seat) => workflowIn(seat) ?? []),
  };
}

/** `value` without unknown keys and without what is wrong inside its named entries. Entries themselves stay, since
 *  others may refer to them, and so do the items of lists, which have their places. */
function withoutFaults(value: unknown, issues: readonly z.core.$ZodIssue[]): unknown {
  const copy: unknown = structuredClone(value);
  for (const issue of issues) {
    if (issue.code === "unrecognized_keys") remove(copy, issue.path, issue.keys);
    else if (issue.path.length !== ENTRY_DEPTH) remove(copy, issue.path.slice(0, -1), [String(issue.path.at(-1))]);
  }
  return copy;
}

/** Of `tasks.ID`. */
const ENTRY_DEPTH = 2;

function remove(value: unknown, path: Path, keys: readonly string[]): void {
  const owner = path.reduce<unknown>(
    (at, key) => (typeof at === "object" && at !== null ? Reflect.get(at, key) : at),
    value,
  );
  if (isRecord(owner)) for (const key of keys) delete owner[key];
}

function taskFindings(
  workflow: string,
  tasks: readonly { id: string; needs: readonly string[] }[],
  given: unknown,
): Finding[] {
  const base: Path = ["workflows", workflow];
  const needs = new Map(tasks.map(({ id, needs }) => [id, needs]));
  const unknown = tasks.flatMap(({ id, needs: wanted }) =>
    wanted
      .filter((need) => !needs.has(need))
      .map((need): Finding => {
        const path = pathOf(given, need, id) ?? [];
        return {
          ...missingReference(`task "${id}"`, "task", need, needs.keys()),
          path: [...base, ...path],
          part: "value",
        };
      }),
  );
  const cycle = findCycle(needs, () => []);
  if (cycle === null) return unknown;
  const [from = "", to = ""] = cycle;
  const arrows = cycle.join(" → ");
  return [
    ...unknown,
    {
      code: "DEFINITION_CYCLE",
      message:
        cycle.length === 2
          ? `task "${from}" of workflow "${workflow}" needs itself`
          : `tasks of workflow "${workflow}" need each other: ${arrows}`,
      ...placeOfNeed(given, from, to, base),
      ...(cycle.length === 2 ? {} : { notes: [`${arrows}  (each needs the next)`] }),
      hint: "remove one of these needs",
    },
  ];
}

/** Where `from` needs `to`: written out, or by an expression somewhere in `from`. */
function placeOfNeed(given: unknown, from: string, to: string, base: Path): Pick<Finding, "path" | "part"> {
  const written = pathOf(given, to, from);
  if (written !== null) return { path: [...base, ...written], part: "value" };
  const tasks = isRecord(given) && isRecord(given.tasks) && Object.hasOwn(given.tasks, from);
  return { path: tasks ? [...base, "tasks", from] : base, part: "key" };
}

function user(workflow: string, path: Path): string {
  const task = path[0] === "tasks" && typeof path[1] === "string" ? path[1] : null;
  return task === null ? `workflow "${workflow}"` : `task "${task}" of workflow "${workflow}"`;
}

/** Where in `value` the text `wanted` stands as a value, `inside` a key of that name if one is given. */
function pathOf(value: unknown, wanted: string, inside?: string): Path | null {
  const search = (current: unknown, path: Path, entered: boolean): Path | null => {
    if (current === wanted) return entered ? path : null;
    if (!Array.isArray(current) && !isRecord(current)) return null;
    for (const [key, item] of Object.entries(current)) {
      const step = Array.isArray(current) ? Number(key) : key;
      const found = search(item, [...path, step], entered || key === inside || idOf(item) === inside);
      if (found !== null) return found;
    }
    return null;
  };
  return search(value, [], inside === undefined);
}

function idOf(value: unknown): unknown {
  return isRecord(value) ? (value.id ?? null) : null;
}
