import type { TaskView } from "../core/planner.ts";
import type { Json } from "../core/json.ts";
import { bind, ExpressionFailure } from "../expression/expression.ts";
import type { PatternView } from "./pattern.ts";
import type { PlannerOptions } from "./planner.ts";
import { actsFor, expectation, type Patch, type PlannedTask } from "./planner-act.ts";

/** Where a plan stands: all of it follows from the run's tasks and their outputs. */

export type View = PatternView<PlannerOptions>;

/** A plan after its revisions. */
export interface Plan {
  tasks: ReadonlyMap<string, PlannedTask>;
  /** Tasks whose results the planner took although they were not expected. */
  accepted: ReadonlySet<string>;
}

/** Something that the plan did not foresee. */
export interface Deviation {
  task: string;
  kind: "failure" | "unexpected" | "objection";
  why: string;
}

export type Standing =
  | { state: "open" | "reviewing" | "gone" }
  | { state: "accepted"; output: Json }
  | { state: "deviates"; deviation: Deviation; output: Json | undefined };

/** The number of the last revision that was asked for; 0: none was. */
export function lastRevision(view: View): number {
  let number = 0;
  while (view.task(`revise/${number + 1}/1`) !== undefined) number += 1;
  return number;
}

/** The newest of tasks that are numbered from 1; null when there is none. */
export function newest(view: View, prefix: string): TaskView | null {
  let number = 0;
  while (view.task(`${prefix}/${number + 1}`) !== undefined) number += 1;
  return number === 0 ? null : (view.task(`${prefix}/${number}`) ?? null);
}

/** The plan with the first `revisions` patches, whose last answers are those that were found sound. */
export function planAfter(view: View, revisions: number): Plan {
  const { plan, patch } = actsFor(view.options.workers);
  const first = plan.parse(newest(view, "plan")?.output);
  let current: Plan = { tasks: new Map(first.tasks.map((task) => [task.id, task])), accepted: new Set() };
  for (let number = 1; number <= revisions; number++) {
    const answer = newest(view, `revise/${number}`);
    if (answer?.status === "completed") current = patched(current, patch.parse(answer.output));
  }
  return current;
}

export function patched({ tasks, accepted }: Plan, { add, replace, cancel, accept }: Patch): Plan {
  const next = new Map(tasks);
  for (const id of cancel) next.delete(id);
  for (const task of [...replace, ...add]) next.set(task.id, task);
  const taken = new Set([...accepted, ...accept]);
  for (const { id } of replace) taken.delete(id);
  return { tasks: next, accepted: taken };
}

/** How often a task was started anew, and the newest of its tasks in the run. */
export function workOf(view: View, id: string): { work: TaskView | null; generation: number } {
  const work = newest(view, `do/${id}`);
  return { work, generation: Number(work?.id.split("/").at(-1) ?? 0) };
}

export function standingOf(view: View, plan: Plan, id: string): Standing {
  const { work, generation } = workOf(view, id);
  if (work === null) return { state: "gone" };
  if (work.status === "cancelled" || work.status === "skipped") return { state: "gone" };
  const deviates = (kind: Deviation["kind"], why: string): Standing => {
    return { state: "deviates", deviation: { task: id, kind, why }, output: work.output };
  };
  if (work.status === "failed") {
    const { code, message } = work.error ?? { code: "", message: "it failed" };
    return code === "OBJECTION" ? deviates("objection", message) : deviates("failure", `${code}: ${message}`);
  }
  if (work.status !== "completed") return { state: "open" };
  const { output = null } = work;
  if (plan.accepted.has(id)) return { state: "accepted", output };
  const objection = objectionIn(output);
  if (objection !== null) return deviates("objection", objection);
  const surprise = surpriseIn(view, plan.tasks.get(id), output);
  if (surprise !== null) return deviates("unexpected", surprise);
  if (view.options.reviewer === undefined) return { state: "accepted", output };
  const review = view.task(`review/${id}/${generation}`);
  if (review?.status === "completed") {
    const { expected, why = "" } = review.output as { expected: boolean; why?: string };
    return expected ? { state: "accepted", output } : deviates("unexpected", why);
  }
  return review?.status === "failed" ? deviates("unexpected", "its reviewer failed") : { state: "reviewing" };
}

/** A worker objects with an error OBJECTION, or with a field `objection` of its output. */
function objectionIn(output: Json): string | null {
  if (typeof output !== "object" || output === null || !("objection" in output)) return null;
  return typeof output.objection === "string" && output.objection !== "" ? output.objection : null;
}

function surpriseIn(view: View, task: PlannedTask | undefined, output: Json): string | null {
  for (const source of [view.options.expect, task?.expect]) {
    if (source === undefined) continue;
    const compiled = expectation(source);
    if (compiled.ok && !holds(() => compiled.value.evaluate({ output: bind(output) }))) return `not ${source}`;
  }
  return null;
}

/** A result of which an expectation cannot even speak does not meet it. */
function holds(question: () => Json): boolean {
  try {
    return question() === true;
  } catch (error) {
    if (error instanceof ExpressionFailure) return false;
    throw error;
  }
}
