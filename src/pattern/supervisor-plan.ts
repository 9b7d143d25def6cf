import type { Edit, TaskView } from "../core/planner.ts";
import type { Json } from "../core/json.ts";
import { invariant } from "../error.ts";
import { failure, lost } from "./failure.ts";
import type { PatternView } from "./pattern.ts";
import type { SupervisorOptions } from "./supervisor.ts";
import { actsFor, checkPlan, checkReview, type Plan, type Review, type Subtask } from "./supervisor-act.ts";

type View = PatternView<SupervisorOptions>;

/** How often the lead is asked for a plan before an invalid one fails the run. */
const PLANS_MAX = 3;

export function askForPlan(view: View, number: number, again: { problems?: string[]; previous?: Json } = {}): Edit {
  const { lead, workers, tasksMax } = view.options;
  const input = {
    act: "plan",
    todo: "Split the request into tasks for the workers. Tasks without open needs run in parallel.",
    request: view.input,
    workers: workers.map((name) => ({ name, description: view.describe?.(name) ?? "" })),
    tasksMax,
    ...again,
  };
  const why = number === 1 ? "plan" : "plan again: the last one was invalid";
  return { edit: "add", task: { id: `plan/${number}`, agent: lead, input, output: actsFor(workers).planSchema, why } };
}

/** A sound plan starts; the problems of another go back to the lead (C4). */
export function planned(view: View, task: TaskView, number: number): Edit[] {
  if (task.status !== "completed") return [lost(task)];
  const { workers, tasksMax } = view.options;
  const plan = checkPlan(task.output, workers, tasksMax);
  if (!("problems" in plan))
    return plan.tasks.filter(({ needs }) => needs.length === 0).map((one) => start(view, one, [task.id]));
  if (number < PLANS_MAX)
    return [askForPlan(view, number + 1, { problems: plan.problems, previous: task.output ?? null })];
  const message = `the lead's plan is invalid after ${PLANS_MAX} attempts: ${plan.problems.join("; ")}`;
  return [{ edit: "fail", error: failure("PLAN_INVALID", message, { problems: plan.problems }), task: task.id }];
}

/** Every result goes to the lead, a worker's failure too: it may give the work to another. */
export function worked(view: View, task: TaskView, id: string, round: number): Edit[] {
  const { lead, workers, roundsMax } = view.options;
  const input = {
    act: "review",
    todo: "Judge the result: accept it, or retry with feedback, or reassign to another worker.",
    request: view.input,
    task: { id, agent: task.agent, instruction: assignmentOf(task).instruction },
    round,
    roundsMax,
    ...resultOf(task),
  };
  const needs = [{ task: task.id, on: "settled" as const }];
  const output = actsFor(workers).reviewSchema;
  return [
    { edit: "add", task: { id: `review/${id}/${round}`, agent: lead, needs, input, output, why: `review ${id}` } },
  ];
}

export function reviewed(view: View, task: TaskView, id: string, round: number): Edit[] {
  if (task.status !== "completed") return [lost(task)];
  const { workers, roundsMax, onRejected } = view.options;
  const review = checkReview(task.output, workers);
  if ("problems" in review) {
    return [
      {
        edit: "fail",
        error: failure("OUTPUT_INVALID", `review of ${id}: ${review.problems.join("; ")}`),
        task: task.id,
      },
    ];
  }
  if (review.verdict === "accept") return advance(view);
  if (round < roundsMax) return [again(view, id, round, review)];
  if (onRejected === "synthesise") return advance(view);
  const message = `subtask ${id} was not accepted in ${roundsMax} rounds: ${review.feedback ?? "no feedback was given"}`;
  return [{ edit: "fail", error: failure("REVIEW_REJECTED", message), task: task.id }];
}

export function synthesised(task: TaskView): Edit[] {
  return [task.status === "completed" ? { edit: "finish", output: task.output ?? null } : lost(task)];
}

function start(view: View, subtask: Subtask, needs: string[]): Edit {
  const { id, agent, instruction } = subtask;
  const results = Object.fromEntries(subtask.needs.map((need) => [need, standing(view, need).work?.output ?? null]));
  return {
    edit: "add",
    task: { id: `work/${id}/1`, agent, needs, input: { instruction, results }, why: `first attempt at ${id}` },
  };
}

function again(view: View, id: string, round: number, { verdict, feedback, agent }: Review): Edit {
  const last = view.task(`work/${id}/${round}`);
  invariant(last, `no attempt ${round} at ${id}`);
  const { instruction, results } = assignmentOf(last);
  const before = last.agent ?? "";
  const next = verdict === "retry" ? before : (agent ?? another(view.options.workers, before));
  const input = { instruction, results, feedback: feedback ?? "", previous: last.output ?? null };
  const why = verdict === "retry" ? `retry ${id} with feedback` : `reassign ${id} from ${before} to ${next}`;
  return {
    edit: "add",
    task: { id: `work/${id}/${round + 1}`, agent: next, needs: [`review/${id}/${round}`], input, why },
  };
}

/** The next worker of the list, when the lead names none. */
function another(workers: readonly string[], before: string): string {
  return workers[(workers.indexOf(before) + 1) % workers.length] ?? before;
}

/** Starts what waited for an acceptance; when nothing is left to start or to wait for, the lead concludes. */
function advance(view: View): Edit[] {
  const { tasks } = planOf(view);
  const standings = new Map(tasks.map((task) => [task.id, standing(view, task.id)]));
  const accepted = (id: string) => standings.get(id)?.state === "accepted";
  const startable = tasks.filter(({ id, needs }) => standings.get(id)?.state === "waiting" && needs.every(accepted));
  if (startable.length > 0) {
    return startable.map((task) =>
      start(
        view,
        task,
        task.needs.flatMap((need) => standings.get(need)?.review?.id ?? []),
      ),
    );
  }
  return [...standings.values()].some(({ state }) => state === "open") ? [] : [synthesise(view, tasks, standings)];
}

function synthesise(view: View, tasks: readonly Subtask[], standings: ReadonlyMap<string, Standing>): Edit {
  const results = tasks.map(({ id, instruction, agent }) => {
    const { state, work } = standings.get(id) ?? { state: "waiting" };
    const result = work === undefined ? { result: null } : resultOf(work);
    return { id, agent: work?.agent ?? agent, instruction, accepted: state === "accepted", ...result };
  });
  const todo = "Make the final answer to the request from the results.";
  const input = { act: "synthesise", todo, request: view.input, results };
  const needs = [...standings.values()].flatMap(({ review }) => (review === undefined ? [] : [review.id]));
  return {
    edit: "add",
    task: { id: "synthesise", agent: view.options.lead, needs, input, why: "all subtasks are reviewed" },
  };
}

/** Where a subtask stands: `waiting` for its needs, `open`, or reviewed for good. */
interface Standing {
  state: "waiting" | "open" | "accepted" | "rejected";
  work?: TaskView;
  review?: TaskView;
}

function standing(view: View, id: string): Standing {
  let round = 1;
  while (view.task(`work/${id}/${round + 1}`) !== undefined) round += 1;
  const work = view.task(`work/${id}/${round}`);
  if (work === undefined) return { state: "waiting" };
  const review = view.task(`review/${id}/${round}`);
  if (review?.status !== "completed") return { state: "open", work };
  const answer = checkReview(review.output, view.options.workers);
  if (!("problems" in answer) && answer.verdict === "accept") return { state: "accepted", work, review };
  return { state: round < view.options.roundsMax ? "open" : "rejected", work, review };
}

function planOf(view: View): Plan {
  let number = PLANS_MAX;
  while (number > 1 && view.task(`plan/${number}`) === undefined) number -= 1;
  return actsFor(view.options.workers).plan.parse(view.task(`plan/${number}`)?.output);
}

/** What a worker was given, by `start` or `again`. */
function assignmentOf(task: TaskView): { instruction: string; results: Json } {
  return task.input as { instruction: string; results: Json };
}

function resultOf(task: TaskView): { result: Json } | { result: null; error: { code: string; message: string } } {
  if (task.status === "completed") return { result: task.output ?? null };
  const { code, message } = task.error ?? failure("DEPENDENCY_FAILED", `task ${task.id} was ${task.status}`);
  return { result: null, error: { code, message } };
}
