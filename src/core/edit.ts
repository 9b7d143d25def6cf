import { checkCandidates, checkError, type Need } from "./event.ts";
import type { Edit, TaskSpec } from "./planner.ts";

/** What planners answer, checked before any of it becomes an event: patterns are users' code, and may be JavaScript. */

const EDITS = new Set(["add", "bind", "route", "cancel", "explain", "finish", "fail"]);
const ON = new Set<unknown>(["completed", "settled", "failed"]);

/** The agent name of tasks in which a user's own pattern plans, in a worker host. */
export const PLAN_AGENT = "$plan";

/** What is wrong with a list of edits, in words; null when it is sound. */
export function editsProblem(edits: unknown): string | null {
  if (!Array.isArray(edits)) return `a pattern must return a list of edits, not ${kindOf(edits)}`;
  for (const [index, edit] of edits.entries()) {
    const problem = editProblem(edit);
    if (problem !== null) return edits.length === 1 ? problem : `edit ${index + 1} of ${edits.length}: ${problem}`;
  }
  return null;
}

/** As `editsProblem`, for what a user's pattern answered: the names of our own tasks and agents are not for it. */
export function usersEditsProblem(edits: unknown): string | null {
  return (
    editsProblem(edits) ?? (edits as readonly Edit[]).map(reservedProblem).find((problem) => problem !== null) ?? null
  );
}

function reservedProblem(edit: Edit): string | null {
  if (edit.edit === "bind") return "members" in edit.binding ? reservedName(edit.binding.members) : null;
  if (edit.edit === "route") return reservedName([{ id: edit.task, agent: edit.agent }]);
  return edit.edit === "add" ? reservedName([edit.task]) : null;
}

function reservedName(tasks: readonly TaskSpec[]): string | null {
  const name = tasks.flatMap(({ id, agent }) => [id, agent ?? ""]).find((one) => one.startsWith("$"));
  return name === undefined ? null : `"${name}" starts with $, as only names of our own do`;
}

function editProblem(edit: unknown): string | null {
  if (!isFields(edit)) return `an edit must be an object with \`edit\`, not ${kindOf(edit)}`;
  if (!EDITS.has(String(edit.edit)))
    return `there is no edit ${JSON.stringify(edit.edit) ?? "without `edit`"}; there are ${[...EDITS].join(", ")}`;
  switch (edit.edit as Edit["edit"]) {
    case "add":
      return specProblem(edit.task);
    case "bind":
      return isText(edit.task) ? bindingProblem(edit.binding) : "`bind` needs the id of a task";
    case "route":
      return routeProblem(edit);
    case "explain":
      return isText(edit.why) ? null : "`explain` needs words";
    case "cancel":
      return isText(edit.task) && typeof edit.why === "string" ? null : "`cancel` needs the id of a task, and why";
    case "fail":
      return checkError(edit.error);
    default:
      return edit.output === undefined ? "`finish` needs an output" : null;
  }
}

function routeProblem({ task, agent, why, candidates, output }: Record<string, unknown>): string | null {
  if (!isText(task) || !isText(agent) || !isText(why)) return "`route` needs the id of a task, an agent, and why";
  if (output !== undefined && !isFields(output)) return "`route`: output must be a JSON Schema";
  return candidates === undefined ? null : checkCandidates(candidates);
}

/** What is wrong with a binding; null when it is sound. */
export function bindingProblem(binding: unknown): string | null {
  if (!isFields(binding))
    return `a binding must be an object with input, output, members, skip or fail, not ${kindOf(binding)}`;
  if ("later" in binding) return null;
  if ("skip" in binding) return typeof binding.skip === "string" ? null : "`skip` needs a reason";
  if ("fail" in binding) return checkError(binding.fail);
  if ("person" in binding) return personProblem(binding.person);
  if ("members" in binding) {
    if (!Array.isArray(binding.members)) return "`members` must be a list of tasks";
    return binding.members.map(specProblem).find((problem) => problem !== null) ?? null;
  }
  if ("output" in binding && binding.output !== undefined) return null;
  return binding.input === undefined ? "a binding needs input, output, members, skip or fail" : null;
}

function personProblem(ask: unknown): string | null {
  if (!isFields(ask)) return "`person` needs what is asked";
  const { choices, deadlineMs, input, onDeadline, to } = ask;
  const sound =
    input !== undefined &&
    Array.isArray(choices) &&
    choices.length > 0 &&
    choices.every((one) => isFields(one) && isText(one.name) && one.output !== undefined) &&
    new Set(choices.map(({ name }) => name as string)).size === choices.length &&
    (deadlineMs === null || (Number.isSafeInteger(deadlineMs) && (deadlineMs as number) > 0)) &&
    (onDeadline === "fail" || onDeadline === "choose") &&
    Array.isArray(to) &&
    to.every(isText);
  return sound ? checkError(ask.error) : "`person` needs error, input, choices, deadlineMs, onDeadline and to";
}

function specProblem(task: unknown): string | null {
  if (!isFields(task) || !isText(task.id)) return "a task needs an id";
  const { id, kind, agent, needs, priority, group, output, why } = task;
  const problem =
    (kind !== undefined && kind !== "agent" && kind !== "group" && "kind must be agent or group") ||
    (agent !== undefined && agent !== null && typeof agent !== "string" && "agent must be a name") ||
    (needs !== undefined && !(Array.isArray(needs) && needs.every(isNeed)) && "needs must be a list of task ids") ||
    (priority !== undefined && ![0, 1, 2, 3].includes(priority as number) && "priority must be 0, 1, 2 or 3") ||
    (group !== undefined && !isText(group) && "group must be a task id") ||
    (output !== undefined && !isFields(output) && "output must be a JSON Schema") ||
    (why !== undefined && typeof why !== "string" && "why must be text");
  return problem === false ? null : `task ${id}: ${problem}`;
}

function isNeed(need: unknown): need is string | Need {
  return isText(need) || (isFields(need) && isText(need.task) && ON.has(need.on));
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  return Array.isArray(value) ? "a list" : typeof value === "object" ? "an object" : `a ${typeof value}`;
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
