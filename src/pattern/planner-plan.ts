import type { Binding, Edit, TaskSpec, TaskView } from "../core/planner.ts";
import type { Json } from "../core/json.ts";
import { failure, lost } from "./failure.ts";
import { actsFor, type Bounds, issuesOf, type Patch, planProblems, type PlannedTask } from "./planner-act.ts";
import {
  type Deviation,
  lastRevision,
  patched,
  type Plan,
  planAfter,
  type Standing,
  standingOf,
  type View,
  workOf,
} from "./planner-state.ts";

type Again = { problems?: string[]; previous?: Json };

export function askForPlan(view: View, number: number, again: Again = {}): Edit {
  const { planner, workers } = view.options;
  const todo = "Split the request into tasks for the workers. Tasks without open needs run in parallel.";
  const input = { act: "plan", todo, request: view.input, ...offerOf(view), ...again };
  const why = number === 1 ? "plan" : "plan again: the last one was invalid";
  return {
    edit: "add",
    task: { id: `plan/${number}`, agent: planner, input, output: actsFor(workers).planSchema, why },
  };
}

/** A sound plan becomes tasks, all at once; the problems of another go back to the planner, so often (C4). */
export function planned(view: View, task: TaskView, number: number): readonly Edit[] {
  if (task.status !== "completed") return [lost(task)];
  const { attemptsMax, workers } = view.options;
  const parsed = actsFor(workers).plan.safeParse(task.output);
  const problems = parsed.success ? planProblems(parsed.data.tasks, boundsOf(view)) : issuesOf(parsed.error);
  if (parsed.success && problems.length === 0) {
    const add = parsed.data.tasks.map((one) => workTask(one, 1, () => 1));
    return [{ edit: "explain", why: `the plan of ${task.id}` }, ...toAdd(add)];
  }
  if (number < attemptsMax) return [askForPlan(view, number + 1, { problems, previous: task.output ?? null })];
  const message = `the plan is invalid after ${attemptsMax} attempts: ${problems.join("; ")}`;
  return [{ edit: "fail", error: failure("PLAN_INVALID", message, { problems }), task: task.id }];
}

/** A task has ended, or a review of it: the plan is revised, or goes on. */
export function worked(view: View, task: TaskView, id: string, generation: number): readonly Edit[] {
  const number = lastRevision(view);
  const isReview = task.id.startsWith("review/");
  if (workOf(view, id).generation !== generation) return [];
  const plan = planNow(view, number);
  const standing = standingOf(view, plan, id);
  if (standing.state === "deviates") return isRevising(view, number) ? [] : [askForPatch(view, plan, number + 1, 1)];
  if (standing.state === "reviewing" && !isReview) return [askForReview(view, plan, task, id, generation)];
  return goOn(view, plan);
}

/** A sound patch is applied; the problems of another go back to the planner, so often (C5). */
export function revised(view: View, task: TaskView, number: number, attempt: number): readonly Edit[] {
  if (task.status !== "completed") return [lost(task)];
  const { attemptsMax, workers } = view.options;
  const plan = planAfter(view, number - 1);
  const { because } = task.input as unknown as { because: Deviation[] };
  const parsed = actsFor(workers).patch.safeParse(task.output);
  const problems = parsed.success ? patchProblems(view, plan, parsed.data, because) : issuesOf(parsed.error);
  if (parsed.success && problems.length === 0) return applied(view, plan, parsed.data, number, because);
  const again = { problems, previous: task.output ?? null };
  if (attempt < attemptsMax) return [askForPatch(view, plan, number, attempt + 1, { again })];
  const message = `revision ${number} is invalid after ${attemptsMax} attempts: ${problems.join("; ")}`;
  return [{ edit: "fail", error: failure("PLAN_INVALID", message, { problems }), task: task.id }];
}

export function concluded(task: TaskView): readonly Edit[] {
  return [task.status === "completed" ? { edit: "finish", output: task.output ?? null } : lost(task)];
}

/** The input of a task whose needs have ended: it waits while one of them is in question. */
export function bindWork(view: View, { id: work }: TaskView): Binding {
  const [, id = ""] = work.split("/");
  return inputOf(view, planNow(view, lastRevision(view)), id) ?? { later: true };
}

/** The plan as it stands, without a patch that is still being made. */
function planNow(view: View, number: number): Plan {
  return planAfter(view, isRevising(view, number) ? number - 1 : number);
}

function isRevising(view: View, number: number): boolean {
  let attempt = 1;
  while (view.task(`revise/${number}/${attempt + 1}`) !== undefined) attempt += 1;
  const { status = "completed" } = view.task(`revise/${number}/${attempt}`) ?? {};
  return status !== "completed" && status !== "failed";
}

function inputOf(view: View, plan: Plan, id: string): { input: Json } | null {
  const task = plan.tasks.get(id);
  if (task === undefined) return null;
  const results: Record<string, Json> = {};
  for (const need of task.needs) {
    const standing = standingOf(view, plan, need);
    if (standing.state !== "accepted") return null;
    results[need] = standing.output;
  }
  return { input: { instruction: task.instruction, results } };
}

/** Starts what waited for a result that is good now; when all is done, the planner concludes. */
function goOn(view: View, plan: Plan): readonly Edit[] {
  const bound = [...view.awaiting()].flatMap((work): Edit[] => {
    const binding = inputOf(view, plan, work.id.split("/")[1] ?? "");
    return binding === null ? [] : [{ edit: "bind", task: work.id, binding }];
  });
  if (bound.length > 0) return bound;
  const standings = [...plan.tasks.keys()].map((id) => ({ id, ...standingOf(view, plan, id) }));
  if (standings.some(({ state }) => state !== "accepted")) return [];
  const results = standings.map(({ id, ...standing }) => {
    const { instruction = "", agent = "" } = plan.tasks.get(id) ?? {};
    return { id, agent, instruction, result: standing.state === "accepted" ? standing.output : null };
  });
  const todo = "Make the final answer to the request from the results.";
  const input = { act: "conclude", todo, request: view.input, results };
  return [{ edit: "add", task: { id: "conclude", agent: view.options.planner, input, why: "all tasks are done" } }];
}

function askForReview(view: View, plan: Plan, { output = null }: TaskView, id: string, generation: number): Edit {
  const { reviewer = "" } = view.options;
  const todo = "Is this what the plan expects of the task? If not, say why: the plan will be revised.";
  const instruction = plan.tasks.get(id)?.instruction ?? "";
  const input = { act: "review", todo, request: view.input, task: { id, instruction }, result: output };
  return {
    edit: "add",
    task: { id: `review/${id}/${generation}`, agent: reviewer, input, output: REVIEW, why: `review ${id}` },
  };
}

const REVIEW = {
  type: "object",
  required: ["expected"],
  properties: { expected: { type: "boolean" }, why: { type: "string" } },
  additionalProperties: false,
};

/** Asks for a patch because of all that deviates now; the run fails when that was done often enough. */
function askForPatch(
  view: View,
  plan: Plan,
  number: number,
  attempt: number,
  { again = {}, renewed = NONE }: { again?: Again; renewed?: ReadonlySet<string> } = {},
): Edit {
  const { planner, workers, revisionsMax } = view.options;
  const because = deviationsOf(view, plan, renewed);
  const [first] = because;
  if (number > revisionsMax) {
    const message = `the plan was revised ${revisionsMax} times, and still: ${first?.task} ${first?.kind}: ${first?.why}`;
    return { edit: "fail", error: failure("PLAN_FAILED", message, { because }) };
  }
  const tasks = [...plan.tasks.values()].map(({ id, agent, instruction, needs }) => {
    const standing: Standing = renewed.has(id) ? { state: "open" } : standingOf(view, plan, id);
    const result = "output" in standing && standing.output !== undefined ? { result: standing.output } : {};
    return { id, agent, instruction, needs, state: standing.state, ...result };
  });
  const todo =
    "The plan met something unforeseen. Replace, cancel or accept each task of `because`, and add what is missing. Finished tasks stay.";
  const offer = { ...offerOf(view), revision: number, revisionsMax };
  const input = { act: "revise", todo, request: view.input, because, plan: tasks, ...offer, ...again };
  const why = `revise the plan: ${because.map(({ task, kind }) => `${task} ${kind}`).join(", ")}`;
  const output = actsFor(workers).patchSchema;
  return {
    edit: "add",
    task: { id: `revise/${number}/${attempt}`, agent: planner, input: input as unknown as Json, output, why },
  };
}

const NONE: ReadonlySet<string> = new Set();

/** `renewed`: tasks that are added by the same answer, so that what they replace is no matter any more. */
function deviationsOf(view: View, plan: Plan, renewed: ReadonlySet<string>): Deviation[] {
  return [...plan.tasks.keys()].flatMap((id) => {
    if (renewed.has(id)) return [];
    const standing = standingOf(view, plan, id);
    return standing.state === "deviates" ? [standing.deviation] : [];
  });
}

function patchProblems(view: View, plan: Plan, patch: Patch, because: readonly Deviation[]): string[] {
  if (patch.giveUp) return [];
  const { add, replace, cancel, accept } = patch;
  const touched = [...replace.map(({ id }) => id), ...cancel];
  const stateOf = (id: string) => (plan.tasks.has(id) ? standingOf(view, plan, id) : null);
  const problems = [
    ...[...touched, ...accept].filter((id) => stateOf(id) === null).map((id) => `the plan holds no task ${id}`),
    ...touched
      .filter((id) => stateOf(id)?.state === "accepted")
      .map((id) => `task ${id} is finished, and finished work is kept: add a task instead`),
    ...accept
      .filter((id) => workOf(view, id).work?.status !== "completed")
      .map((id) => `task ${id} has no result that could be accepted`),
    ...because
      .filter(({ task }) => !touched.includes(task) && !accept.includes(task))
      .map(({ task, kind }) => `nothing is said of task ${task} (${kind}): replace, cancel or accept it`),
    ...add
      .filter(({ id }) => workOf(view, id).work !== null)
      .map(({ id }) => `there was a task ${id} before: give the new one another id, or replace it`),
  ];
  const next = patched(plan, patch);
  const done = new Set([...next.tasks.keys()].filter((id) => stateOf(id)?.state === "accepted"));
  // Ids that stand twice in the patch would hide each other in the plan that it makes.
  const twice = [...add, ...replace].filter(({ id }, index, all) => all.findIndex((one) => one.id === id) < index);
  return [
    ...problems,
    ...twice.map(({ id }) => `two tasks have the id ${id}`),
    ...planProblems([...next.tasks.values()], boundsOf(view), done),
  ];
}

/** Superseded tasks are cancelled, new ones added, and those that waited for a superseded one wait for its successor. */
function applied(view: View, plan: Plan, patch: Patch, number: number, because: readonly Deviation[]): readonly Edit[] {
  const reasons = because.map(({ task, kind, why }) => `${task} ${kind}: ${why}`).join("; ");
  if (patch.giveUp) {
    const message = `the planner gives up: ${patch.why} (${reasons})`;
    return [{ edit: "fail", error: failure("PLAN_FAILED", message, { because }) }];
  }
  const next = patched(plan, patch);
  const renewed = new Set([...patch.replace, ...patch.add].map(({ id }) => id));
  for (const id of renewed)
    for (const { id: other, needs } of next.tasks.values()) if (needs.includes(id)) renewed.add(other);
  const generation = (id: string) => workOf(view, id).generation + (renewed.has(id) ? 1 : 0);
  const add = [...renewed].flatMap((id) => {
    const task = next.tasks.get(id);
    return task === undefined ? [] : [workTask(task, generation(id), generation)];
  });
  const superseded = [...patch.cancel, ...renewed].flatMap((id): Edit[] => {
    const { work } = workOf(view, id);
    return work === null ? [] : [{ edit: "cancel", task: work.id, why: `superseded by revision ${number}` }];
  });
  const why = `revision ${number}: ${patch.why} (${reasons})`;
  const edits: Edit[] = [{ edit: "explain", why }, ...superseded, ...toAdd(add)];
  if (deviationsOf(view, next, renewed).length > 0)
    return [...edits, askForPatch(view, next, number + 1, 1, { renewed })];
  return add.length > 0 ? [...edits, ...goOnWaiting(view, next, renewed)] : [...edits, ...goOn(view, next)];
}

/** Starts those that waited for a result that was just accepted; new tasks are asked for their inputs by themselves. */
function goOnWaiting(view: View, plan: Plan, renewed: ReadonlySet<string>): Edit[] {
  return goOn(view, plan).filter((edit) => edit.edit === "bind" && !renewed.has(edit.task.split("/")[1] ?? ""));
}

const toAdd = (specs: readonly TaskSpec[]): Edit[] => specs.map((task): Edit => ({ edit: "add", task }));

function workTask(
  { id, agent, instruction, needs }: PlannedTask,
  number: number,
  generation: (id: string) => number,
): TaskSpec {
  const ends = needs.map((need) => ({ task: `do/${need}/${generation(need)}`, on: "settled" as const }));
  return { id: `do/${id}/${number}`, agent, needs: ends, why: instruction };
}

/** What a planner may plan with (C4): who the workers are and can do, and what is left to spend. */
function offerOf(view: View): { [key: string]: Json } {
  const { workers, tasksMax } = view.options;
  const left = view.left?.();
  return {
    workers: workers.map((name) => ({
      name,
      description: view.describe?.(name) ?? "",
      ...view.profile?.(name),
    })) as unknown as Json,
    limits: {
      tasksMax,
      ...(left === undefined
        ? {}
        : { tasksLeft: left.tasks, tokensLeft: left.tokens, costMicroUsdLeft: left.costMicroUsd }),
    },
  };
}

function boundsOf(view: View): Bounds {
  return { tasksMax: view.options.tasksMax, profile: (agent) => view.profile?.(agent), left: view.left?.() };
}
