import type { z } from "zod";
import { PRIORITY } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import type { Change, Edit, TaskView } from "../core/planner.ts";
import { type Workflow, type WorkflowCommon, workflow } from "../definition/workflow.ts";
import { bind, isTrue } from "../expression/expression.ts";
import { type ChoreographyOptions, ChoreographyShape, compiled, type RuleShape } from "./choreography-option.ts";
import { expressive, lost } from "./failure.ts";
import type { AgentRef } from "./option.ts";
import { definePattern, type PatternView } from "./pattern.ts";

/** Agents react to events by rules; nobody plans, and nobody hands out work (C3).
 *
 *  A reaction is a task `RULE/NUMBER`. Its end is an event again, to which rules may react. The run ends when nothing is
 *  open any more, or by its goal. */
export const choreographyPattern = definePattern({
  name: "choreography",
  options: ChoreographyShape,
  agents: ({ rules }) => rules.map(({ agent }) => agent),
  plan: (view, change) =>
    expressive("the choreography", () => {
      const event = eventOf(change);
      const reactions = event === null ? [] : reactionsTo(view, event);
      const { task } = "task" in change ? change : { task: null };
      if (task?.status === "failed" && reactions.length === 0 && view.options.onFailed === "fail") return [lost(task)];
      if (event !== null && isGoal(view, event)) return [conclude(view, "goal")];
      const edits = reactions.slice(0, Math.max(0, view.options.reactionsMax - view.size));
      return edits.length === 0 && view.open === 0 ? [conclude(view, "quiescence")] : edits;
    }),
});

type View = PatternView<ChoreographyOptions>;

/** What happened, as expressions speak of it. */
type Event = { readonly type: "started" | "completed" | "failed"; readonly task: string | null } & {
  readonly [name: string]: Json;
};

/** Null: it is nothing to which anybody reacts. */
function eventOf(change: Change): Event | null {
  if (change.type === "started") return { type: "started", task: null };
  if (change.type !== "settled") return null;
  const { id, agent, input = null, output = null, error, status } = change.task;
  const head = { task: id, rule: ruleOf(id), agent, input };
  if (status === "completed") return { ...head, type: "completed", output };
  if (status !== "failed") return null;
  return { ...head, type: "failed", error: { code: error?.code ?? "", message: error?.message ?? "" } };
}

/** All rules that apply to an event react, in their order. */
function reactionsTo(view: View, event: Event): Edit[] {
  const values = { event: bind(event), input: bind(view.input) };
  const { rules } = compiled(view.options);
  const applying = view.options.rules.flatMap((rule, index) => {
    const made = rules[index];
    return made !== undefined && rule.on === event.type && isTrue(made.when, values) ? [{ ...made, rule }] : [];
  });
  return applying.map(({ id, input, rule: { agent, priority } }, index): Edit => {
    const given = input === null ? (event.output ?? view.input) : input.render(values);
    const ranked = priority === undefined ? {} : { priority: PRIORITY[priority] };
    const why = event.task === null ? "the run started" : `${event.task} ${event.type}`;
    return { edit: "add", task: { id: `${id}/${view.size + index + 1}`, agent, input: given, ...ranked, why } };
  });
}

function isGoal(view: View, event: Event): boolean {
  const { goal } = compiled(view.options);
  if (goal === null) return false;
  const done = goal.reads("done").length > 0 ? logOf(view, "goal").done : [];
  return isTrue(goal, { done: bind(done), event: bind(event), input: bind(view.input) });
}

function conclude(view: View, ended: "quiescence" | "goal"): Edit {
  const log = logOf(view, ended);
  const { result } = compiled(view.options);
  if (result === null) return { edit: "finish", output: log };
  return { edit: "finish", output: result.render({ input: bind(view.input), log: bind(log) }) };
}

type Log = {
  /** `limit`: nothing is open any more, and reactions were dropped since there were `reactionsMax`. */
  ended: "quiescence" | "goal" | "limit";
  done: { task: string; rule: string; agent: string | null; output: Json }[];
  failed: { task: string; rule: string; agent: string | null; error: { code: string; message: string } }[];
  /** Reactions that were dropped. */
  dropped: number;
  /** Tasks that were open when the goal was met. */
  open: number;
};

function logOf(view: View, ended: "quiescence" | "goal"): Log {
  const log: Log = { ended, done: [], failed: [], dropped: 0, open: view.open };
  let wanted = reactionsTo(view, { type: "started", task: null }).length;
  for (const task of view.tasks()) {
    const event = eventOf({ type: "settled", task });
    if (event === null) continue;
    wanted += reactionsTo(view, event).length;
    const head = { task: task.id, rule: ruleOf(task.id), agent: task.agent };
    if (task.status === "completed") log.done.push({ ...head, output: task.output ?? null });
    else log.failed.push({ ...head, error: errorOf(task) });
  }
  // What meets the goal is reacted to no more.
  if (ended === "goal") return log;
  log.dropped = Math.max(0, wanted - view.size);
  return log.dropped > 0 ? { ...log, ended: "limit" } : log;
}

const errorOf = ({ error }: TaskView) => ({ code: error?.code ?? "", message: error?.message ?? "" });
const ruleOf = (task: string): string => task.slice(0, task.lastIndexOf("/"));

type Rule = Omit<z.input<typeof RuleShape>, "agent"> & { agent: AgentRef };

export interface ChoreographyWorkflowOptions<Input, Parsed, Output>
  extends WorkflowCommon<Input, Parsed, Output>,
    Omit<z.input<typeof ChoreographyShape>, "rules"> {
  rules: readonly Rule[];
}

/** A workflow in which agents react to events. Without `output` its result is JSON: see `log` in the docs.
 *  @throws {FlotillaError} DEFINITION_* when an option is wrong */
export function choreography<Input = Json, Parsed = Input, Output = Json>(
  options: ChoreographyWorkflowOptions<Input, Parsed, Output>,
): Workflow<Input, Output> {
  const { rules, goal, reactionsMax, onFailed, result, ...common } = options;
  return workflow<Input, Parsed, Output>({
    ...common,
    pattern: choreographyPattern,
    options: { rules, goal, reactionsMax, onFailed, result },
  });
}
