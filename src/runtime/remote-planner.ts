import { PLAN_AGENT } from "../core/decide.ts";
import type { Json } from "../core/json.ts";
import type { Change, Edit, Planner, RunView, TaskView } from "../core/planner.ts";
import { SETTLED } from "../core/state.ts";

/** What a host is given to run a user's pattern on: a plain copy of the view, and what changed since last time. */
export type PlanInput = {
  pattern: string;
  input: Json;
  options: Json;
  tasks: readonly TaskView[];
  changes: readonly ({ type: "started" } | { type: "settled"; task: string })[];
};

const planTask = (n: number) => `${PLAN_AGENT}/${n}`;

/** Stands in for a user's own pattern, whose code never runs where the fleet is coordinated: each change asks for a
 *  plan task, which a worker host runs. Plan tasks run one after the other, each on the view as it is when it starts,
 *  so that changes which came meanwhile are planned for together. */
export function remotePlanner(pattern: string): Planner {
  return {
    plan(view) {
      let n = 1;
      while (isPast(view.task(planTask(n)))) n += 1;
      // One that has not started yet will see this change too.
      const current = view.task(planTask(n));
      if (current !== undefined && (current.status === "waiting" || current.status === "unbound")) return [];
      const next = current === undefined ? n : n + 1;
      if (view.task(planTask(next)) !== undefined) return [];
      const needs = next === 1 ? [] : [{ task: planTask(next - 1), on: "settled" as const }];
      return [{ edit: "add", task: { id: planTask(next), agent: PLAN_AGENT, needs, why: `pattern ${pattern}` } }];
    },
    bind(view, task) {
      return { input: planInput(pattern, view, task) as unknown as Json };
    },
  };
}

function isPast(task: TaskView | undefined): boolean {
  return task !== undefined && SETTLED.has(task.status);
}

function planInput(pattern: string, view: RunView, plan: TaskView): PlanInput {
  const n = Number(plan.id.slice(PLAN_AGENT.length + 1));
  const seen = seenBefore(view, n);
  const tasks: TaskView[] = [];
  const changes: PlanInput["changes"][number][] = n === 1 ? [{ type: "started" }] : [];
  for (const task of view.tasks()) {
    if (task.kind === "plan") continue;
    tasks.push(copyOf(task));
    if (SETTLED.has(task.status) && !seen.has(task.id)) changes.push({ type: "settled", task: task.id });
  }
  return { pattern, input: view.input, options: view.options, tasks, changes };
}

/** Tasks of whose end an earlier plan task was told. */
function seenBefore(view: RunView, n: number): ReadonlySet<string> {
  const seen = new Set<string>();
  for (let i = 1; i < n; i++) {
    const input = view.task(planTask(i))?.input as unknown as PlanInput | undefined;
    for (const change of input?.changes ?? []) if (change.type === "settled") seen.add(change.task);
  }
  return seen;
}

function copyOf(task: TaskView): TaskView {
  return {
    id: task.id,
    agent: task.agent,
    kind: task.kind,
    status: task.status,
    attempt: task.attempt,
    group: task.group,
    input: task.input,
    ...(task.output === undefined ? {} : { output: task.output }),
    ...(task.error === undefined ? {} : { error: task.error }),
  } as TaskView;
}

/** Runs a user's pattern on a plan task's input, in a host: returns the edits in order. */
export function runPlanTask(planner: Planner, plan: PlanInput): Edit[] {
  const tasks = new Map(plan.tasks.map((task) => [task.id, task]));
  const view: RunView = {
    id: "",
    input: plan.input,
    options: plan.options,
    open: plan.tasks.filter((task) => !SETTLED.has(task.status)).length,
    task: (id) => tasks.get(id),
    tasks: () => tasks.values(),
    members: (group) => plan.tasks.filter((task) => task.group === group && SETTLED.has(task.status)),
  };
  return plan.changes.flatMap((change) => {
    const what: Change = change.type === "started" ? change : { type: "settled", task: tasks.get(change.task) as TaskView };
    return [...planner.plan(view, what)];
  });
}
