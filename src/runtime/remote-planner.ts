import { errorRecord } from "../core/decide.ts";
import { PLAN_AGENT } from "../core/edit.ts";
import type { Json } from "../core/json.ts";
import type { Change, Edit, Planner, RunView, TaskView } from "../core/planner.ts";
import { SETTLED, UNDER_WAY } from "../core/state.ts";
import { heldPlanner, taskCopy } from "./held-planner.ts";

/** What changed since the pattern was last asked: the recorded input of a plan task. */
export type PlanChange = { type: "started" } | { type: "settled" | "unbound" | "unrouted"; task: string };
export type PlanRequest = { pattern: string; changes: readonly PlanChange[] };

/** What a host is given to run a user's pattern on: the changes, and a plain copy of the view. The copy is made when
 *  the task is sent and is not recorded, since it follows from the journal. */
export type PlanInput = PlanRequest & { run: string; input: Json; options: Json; tasks: readonly TaskView[] };

const planTask = (n: number) => `${PLAN_AGENT}/${n}`;
const nextOf = (plan: TaskView) => Number(plan.id.slice(PLAN_AGENT.length + 1)) + 1;

/** Stands in for a user's own pattern, whose code never runs where the fleet is coordinated: each change asks for a
 *  plan task, which a worker host runs. One runs after the other; changes that come while one runs are planned for
 *  together in the next. */
export function remotePlanner(pattern: string): Planner {
  return {
    mayDefer: true,
    plan(view, change) {
      const last = lastPlan(view);
      // One that has not started yet will be told of this change too: its input is made when it starts.
      if (last?.status === "waiting" || last?.status === "unbound") return [];
      const n = last === null ? 1 : nextOf(last);
      const needs = last === null ? [] : [{ task: last.id, on: "settled" as const }];
      const why = change.type === "started" ? "the run started" : `${change.task.id} ${change.type}`;
      return [{ edit: "add", task: { id: planTask(n), agent: PLAN_AGENT, needs, why } }];
    },
    bind(view, task) {
      if (task.kind !== "plan") return { later: true };
      return { input: { pattern, changes: changesFor(view, task) } as unknown as Json };
    },
  };
}

/** The newest plan task: they are numbered without a gap, so doubling and halving finds it. */
function lastPlan(view: RunView): TaskView | null {
  const has = (n: number) => view.task(planTask(n)) !== undefined;
  let high = 1;
  while (has(high)) high *= 2;
  let low = Math.floor(high / 2);
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (has(middle)) low = middle;
    else high = middle;
  }
  return view.task(planTask(low)) ?? null;
}

function changesFor(view: RunView, plan: TaskView): PlanChange[] {
  const n = nextOf(plan) - 1;
  const told = toldBefore(view, n);
  const changes: PlanChange[] = n === 1 ? [{ type: "started" }] : [];
  for (const task of view.tasks()) {
    if (task.kind === "plan") continue;
    if (SETTLED.has(task.status)) {
      if (!told.has(`settled ${task.id}`)) changes.push({ type: "settled", task: task.id });
    } else if ((task.status === "unbound" || task.status === "unrouted") && !told.has(`${task.status} ${task.id}`)) {
      changes.push({ type: task.status, task: task.id });
    }
  }
  return changes;
}

function toldBefore(view: RunView, n: number): ReadonlySet<string> {
  const told = new Set<string>();
  for (let i = 1; i < n; i++) {
    const request = view.task(planTask(i))?.input as unknown as PlanRequest | undefined;
    for (const change of request?.changes ?? [])
      if (change.type !== "started") told.add(`${change.type} ${change.task}`);
  }
  return told;
}

/** A plan task's input as the host gets it. */
export function planInput(
  request: PlanRequest,
  run: string,
  input: Json,
  options: Json,
  tasks: Iterable<TaskView>,
): PlanInput {
  const copies: TaskView[] = [];
  for (const task of tasks) if (task.kind !== "plan") copies.push(taskCopy(task));
  return { ...request, run, input, options, tasks: copies };
}

/** Runs a user's pattern on a plan task's input, in a host: returns the edits in order. `describe`: what an agent is
 *  for. @throws {FlotillaError} PLAN_INVALID */
export function runPlanTask(planner: Planner, plan: PlanInput, describe?: (agent: string) => string): Edit[] {
  const held = heldPlanner(plan.pattern, planner);
  const tasks = new Map(plan.tasks.map((task) => [task.id, task]));
  const view: RunView = {
    id: plan.run,
    input: plan.input,
    options: plan.options,
    open: plan.tasks.filter((task) => !SETTLED.has(task.status)).length,
    size: plan.tasks.length,
    load: (agent) => plan.tasks.filter((task) => task.agent === agent && UNDER_WAY.has(task.status)).length,
    awaiting: () => plan.tasks.filter(({ status }) => status === "unbound" || status === "unrouted"),
    task: (id) => tasks.get(id),
    tasks: () => tasks.values(),
    members: (group) => plan.tasks.filter((task) => task.group === group && SETTLED.has(task.status)),
    ...(describe === undefined ? {} : { describe }),
  };
  return plan.changes.flatMap((change): readonly Edit[] => {
    if (change.type === "started") return held.plan(view, change);
    const task = tasks.get(change.task) as TaskView;
    if (change.type !== "unbound") return held.plan(view, { type: change.type, task } satisfies Change);
    return bound(held, view, task);
  });
}

function bound(held: Planner, view: RunView, task: TaskView): readonly Edit[] {
  const none = {
    fail: errorRecord("PLAN_INVALID", `the pattern gives no input for task ${task.id}: it has no bind()`),
  };
  const binding = held.bind?.(view, task) ?? none;
  return "later" in binding ? held.plan(view, { type: "unbound", task }) : [{ edit: "bind", task: task.id, binding }];
}
