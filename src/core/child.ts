import { catalogue, type ErrorCode, type ErrorRecord } from "../error.ts";
import type { ChildRequest, ChildUsage } from "./child-share.ts";
import type { Limits, Priority } from "./definition.ts";
import { lineOf } from "./hold.ts";
import type { Json } from "./json.ts";
import { chargedOf } from "./money.ts";
import { workflowSeat } from "./seat.ts";
import { type RunState, SETTLED, type TaskState } from "./state.ts";

/** What deciding must know of a workflow of the run's definition. */
export interface ChildWorkflow {
  pattern: string;
  limits: Limits;
  /** What is wrong with an input, in words. */
  problems(input: Json): readonly string[];
}

/** The limits of a child: at most its workflow's own, at most what its parent has left, shared with those children that
 *  may start yet and with the parent's own agents (X3: authority only shrinks). Time that the parent was held does not count. An error when nothing is left to give. */
export function childLimits(
  state: RunState,
  task: TaskState,
  declared: Limits,
  { now, heldMs }: { now: number; heldMs: number },
): { limits: Limits } | { error: ErrorRecord } {
  const { limits, usage, allotted, startedAt, money } = state;
  const claims = claimsOn(state);
  const share = (max: number, used: number) => Math.max(0, Math.floor((max - used) / claims));
  const depthMax = Math.min(declared.depthMax, limits.depthMax - task.depth - 1);
  if (depthMax < 0) return refused("LIMIT_DEPTH", `${task.id} would be nested deeper than ${limits.depthMax}`);
  const tasksMax = share(limits.tasksMax, state.tasks.size + state.childTasks + allotted.tasks);
  if (tasksMax < 1) return refused("LIMIT_TASKS", `of ${limits.tasksMax} tasks none is left for ${task.id}`);
  const charged = chargedOf(state);
  const own = limits.costMicroUsdMax;
  const cost = own === null ? null : share(own, charged.costMicroUsd + money.reserved.costMicroUsd);
  const leftMs = Math.max(0, startedAt + heldMs + limits.timeMs - now);
  return {
    limits: {
      stepsMax: Math.min(declared.stepsMax, share(limits.stepsMax, usage.steps + allotted.steps)),
      tasksMax: Math.min(declared.tasksMax, tasksMax),
      depthMax,
      tokensMax: Math.min(declared.tokensMax, share(limits.tokensMax, charged.tokens + money.reserved.tokens)),
      timeMs: Math.min(declared.timeMs, leftMs),
      queueMs: declared.queueMs,
      costMicroUsdMax: cost === null ? declared.costMicroUsdMax : Math.min(declared.costMicroUsdMax ?? cost, cost),
    },
  };
}

/** Those who may still want a share of what is left: each child that has not started, and the run's own agents. */
function claimsOn(state: RunState): number {
  let children = 0;
  let agents = 0;
  for (const { kind, status, child } of state.tasks.values()) {
    if (SETTLED.has(status)) continue;
    if (kind === "agent") agents = 1;
    else if (kind === "run" && child === null) children += 1;
  }
  return Math.max(1, children + agents);
}

/** What a run says of its use to its parent. */
export function usageOf({ usage, tasks, childTasks, money }: RunState): ChildUsage {
  return { ...usage, tasks: tasks.size + childTasks, unsettled: { ...money.unsettled } };
}

/** How a child that did not complete fails its parent's task: with what the child failed with. */
export function childError(child: string, status: "failed" | "stopped", error: ErrorRecord | null): ErrorRecord {
  if (status === "stopped" || error === null) return record("CANCELLED", `run ${child} was stopped`);
  // Whatever could be tried again was tried there.
  return {
    ...error,
    class: error.class === "transient" ? "permanent" : error.class,
    message: `run ${child}: ${error.message}`,
  };
}

/** What starts a child, from its parent's record alone. */
export function childStart(state: RunState, task: TaskState, child: ChildRequest) {
  return {
    type: "run.start" as const,
    workflow: child.workflow,
    pattern: child.pattern,
    definition: state.definition,
    priority: task.priority as Priority,
    limits: child.limits,
    input: task.input ?? null,
    queue: state.queue,
    by: `${state.id}/${task.id}`,
    parent: { run: state.id, task: task.id, line: [workflowSeat(state.workflow), ...lineOf(state, task)] },
    ...(state.hold === null ? {} : { paused: { why: state.hold.why, by: state.hold.by } }),
    ...(task.tools === null ? {} : { tools: [...task.tools] }),
  };
}

function refused(code: ErrorCode, message: string): { error: ErrorRecord } {
  return { error: record(code, message) };
}

function record(code: ErrorCode, message: string): ErrorRecord {
  const { class: cls, fix } = catalogue[code];
  return { code, class: cls, message, hint: fix };
}
