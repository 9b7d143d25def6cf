import { workflowSeat } from "./seat.ts";
import type { RunState, TaskState } from "./state.ts";

/** What is paused, and resumed: one run, all runs of a workflow, all work of an agent, or everything (X5). */
export type HoldTarget = { run: string } | { workflow: string } | { agent: string } | { fleet: true };

export type HoldScope = "fleet" | "workflow" | "agent";

/** A hold of the fleet's journal. While it is in force nothing that it covers starts. */
export interface Hold {
  readonly scope: HoldScope;
  /** The workflow or agent; null for the fleet. */
  readonly name: string | null;
  readonly why: string;
  readonly by: string;
  /** An emergency stop: worker processes were killed too. */
  readonly kill: boolean;
  readonly at: number;
  /** When it was lifted; null while it is in force. */
  readonly liftedAt: number | null;
}

/** A hold of one run, in that run's own journal. */
export interface RunHold {
  readonly why: string;
  readonly by: string;
  readonly at: number;
}

/** A stretch of time; `to` is null while it lasts. */
export interface Stretch {
  readonly from: number;
  readonly to: number | null;
}

export const holdKey = ({ scope, name }: Pick<Hold, "scope" | "name">): string =>
  name === null ? scope : `${scope}/${name}`;

/** Scope and name of a target that is no run. */
export function scopeOf(target: Exclude<HoldTarget, { run: string }>): { scope: HoldScope; name: string | null } {
  if ("workflow" in target) return { scope: "workflow", name: target.workflow };
  if ("agent" in target) return { scope: "agent", name: target.agent };
  return { scope: "fleet", name: null };
}

export function targetOf({ scope, name }: Pick<Hold, "scope" | "name">): HoldTarget {
  if (name === null || scope === "fleet") return { fleet: true };
  return scope === "workflow" ? { workflow: name } : { agent: name };
}

/** What a target is called in sentences. */
export function targetName(target: HoldTarget): string {
  if ("run" in target) return `run ${target.run}`;
  if ("workflow" in target) return `workflow ${target.workflow}`;
  return "agent" in target ? `agent ${target.agent}` : "the fleet";
}

/** Agents that work on a task: its own, and those on whose behalf it is done, in the runs above it too. A hold of any of
 *  them covers it. */
export function lineOf(state: RunState, task: TaskState): string[] {
  const line: string[] = [];
  for (let one: TaskState | undefined = task; one !== undefined; ) {
    if (one.agent !== null) line.push(one.agent);
    one = one.asker === null ? undefined : state.tasks.get(one.asker.task);
  }
  return [...line, ...(state.parent?.line ?? [])];
}

/** Whether a hold covers a task, or, with null, the whole run. */
export function covers(hold: Pick<Hold, "scope" | "name">, state: RunState, task: TaskState | null): boolean {
  if (hold.scope === "fleet") return true;
  if (hold.scope === "workflow" && hold.name !== null)
    return hold.name === state.workflow || (state.parent?.line.includes(workflowSeat(hold.name)) ?? false);
  if (hold.name === null) return false;
  return task === null ? (state.parent?.line.includes(hold.name) ?? false) : lineOf(state, task).includes(hold.name);
}

/** The hold of the fleet's journal that keeps a task from starting; null when there is none. */
export function holdOn(holds: readonly Hold[], state: RunState, task: TaskState | null): Hold | null {
  for (const hold of holds) if (hold.liftedAt === null && covers(hold, state, task)) return hold;
  return null;
}

/** Whether anything keeps a task, or with null the whole run, from going on. */
export function isHeld(holds: readonly Hold[], state: RunState, task: TaskState | null): boolean {
  return state.hold !== null || holdOn(holds, state, task) !== null;
}

/** Milliseconds between `from` and `to` in which a task, or with null the whole run, was held: no limit of time counts
 *  them. Holds that overlap count once. */
export function heldMs(
  holds: readonly Hold[],
  state: RunState,
  task: TaskState | null,
  from: number,
  to: number,
): number {
  if (holds.length === 0 && state.held.length === 0) return 0;
  const stretches: Stretch[] = [...state.held];
  for (const hold of holds) {
    if (covers(hold, state, task)) stretches.push({ from: hold.at, to: hold.liftedAt });
  }
  return unionMs(stretches, from, to);
}

/** How much of a time the stretches cover. */
export function unionMs(stretches: readonly Stretch[], from: number, to: number): number {
  const inside = stretches
    .map((stretch) => ({ from: Math.max(from, stretch.from), to: Math.min(to, stretch.to ?? to) }))
    .filter((stretch) => stretch.to > stretch.from)
    .sort((a, b) => a.from - b.from);
  let total = 0;
  let reached = from;
  for (const stretch of inside) {
    total += Math.max(0, stretch.to - Math.max(stretch.from, reached));
    reached = Math.max(reached, stretch.to);
  }
  return total;
}
