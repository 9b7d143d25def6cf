import { invariant } from "../error.ts";
import { canonicalJson } from "../message/canonical.ts";
import type { RunEvent } from "./event.ts";
import { coversFact, newest } from "./fact.ts";
import type { RunState, TaskState } from "./state.ts";

/**
 * Equal work of one run is done once (C11, K3). Tasks of an agent that declares `reuse` share their result when they
 * have the same input: the first of them does the work, those that become ready meanwhile follow it, and those that
 * become ready within the window afterwards take what is there. Who follows whom is folded from the events there are;
 * what is decided, and on record, is that a result is taken over, or that a follower has to do the work itself.
 */

/** Tasks of a run that do the same. */
export interface SharedWork {
  /** Who does it, or did; empty when it is done by nobody any more and followers have yet to hear of it. */
  first: string;
  /** When the first completed; null while it is under way. */
  doneAt: number | null;
  /** Tasks that wait for its result. */
  followers: string[];
}

/** Tasks with one key do the same: one agent, of the one definition that a run has, with the same input, for the same
 *  output, with the same tools. */
function keyOf({ agent, input, outputSchema, tools }: TaskState): string {
  return canonicalJson([agent, input ?? null, outputSchema, tools]);
}

/** Whether a task that has become ready follows another one; otherwise it is the first to do its work. */
export function follows(state: RunState, task: TaskState, at: number): boolean {
  if (task.reuseMs === null || task.kind !== "agent") return false;
  const shared = state.shared.get(keyOf(task));
  const standing = shared === undefined ? "none" : standingOf(state, shared, task, at);
  if (shared === undefined || standing === "none") {
    lead(state, task);
    return false;
  }
  shared.followers.push(task.id);
  task.follows = true;
  if (standing === "done") state.scratch.repeated.push(task.id);
  return true;
}

/** The task does the work that others may be waiting for. */
export function lead(state: RunState, task: TaskState): void {
  const key = keyOf(task);
  const followers = (state.shared.get(key)?.followers ?? []).filter((id) => id !== task.id);
  state.shared.set(key, { first: task.id, doneAt: null, followers });
  task.follows = false;
}

/** A task has settled: those that follow it are to be told, and its result stands for the window. */
export function settleShared(state: RunState, task: TaskState, status: TaskState["status"], at: number): void {
  if (status !== "completed") return leave(state, task);
  if (task.reuseMs === null) return;
  const shared = state.shared.get(keyOf(task));
  if (shared === undefined) return;
  if (task.follows) return unfollow(shared, task);
  if (shared.first !== task.id) return;
  shared.doneAt = at;
  state.scratch.repeated.push(...shared.followers);
}

/** What a task does, or did, is nobody else's any more. Before its agent or its input changes. */
export function leave(state: RunState, task: TaskState): void {
  if (task.reuseMs === null) return;
  const key = keyOf(task);
  const shared = state.shared.get(key);
  if (shared === undefined) return;
  if (task.follows) return unfollow(shared, task);
  if (shared.first !== task.id) return;
  if (shared.followers.length === 0) return void state.shared.delete(key);
  shared.first = "";
  state.scratch.repeated.push(...shared.followers);
}

function unfollow(shared: SharedWork, task: TaskState): void {
  shared.followers = shared.followers.filter((id) => id !== task.id);
  task.follows = false;
}

/** What was done before a fork was done by other agents, perhaps: none of it is taken over after. */
export function forgetDone(state: RunState): void {
  for (const [key, { doneAt, followers }] of state.shared)
    if (doneAt !== null && followers.length === 0) state.shared.delete(key);
    else if (doneAt !== null) state.shared.set(key, { first: "", doneAt: null, followers });
}

/** A task takes over what another one read, so that a correction finds both (C10). */
export function inherit(state: RunState, task: TaskState, from: TaskState): void {
  task.reads = new Map(from.reads);
  for (const readers of state.readers.values()) if (readers.has(from.id)) readers.add(task.id);
}

/** What a decision on shared work may use of the decider. */
interface ReuseDecision {
  readonly state: RunState;
  readonly context: { readonly now: number };
  emit(event: RunEvent): void;
}

/** Gives a follower the result that it waits for. When there is none to be had it does the work itself, and the other
 *  followers wait for it. */
export function decideReuse(decision: ReuseDecision, task: TaskState): void {
  if (!task.follows) return;
  const { state } = decision;
  const at = decision.context.now;
  const shared = state.shared.get(keyOf(task));
  const standing = shared === undefined ? "none" : standingOf(state, shared, task, at);
  if (standing === "open") return;
  if (shared === undefined || standing === "none")
    return decision.emit({ type: "task.woken", at, data: { task: task.id } });
  const first = state.tasks.get(shared.first);
  invariant(first, `run ${state.id} has no task ${shared.first}`);
  const { tokens, costMicroUsd } = state.money.tasks.get(first.id) ?? { tokens: 0, costMicroUsd: 0 };
  const from = { run: state.id, task: first.id };
  decision.emit({ type: "task.reused", at, data: { from, saved: { costMicroUsd, tokens }, task: task.id } });
  const data = { attempt: task.attempt, task: task.id };
  decision.emit({ type: "task.completed", at, data, payload: { output: first.output ?? null } });
}

/** Whether the result of shared work is to come (`open`), is there for `task` (`done`), or has to be made (`none`). */
function standingOf(
  state: RunState,
  { first: id, doneAt }: SharedWork,
  task: TaskState,
  at: number,
): "open" | "done" | "none" {
  const first = state.tasks.get(id);
  if (first === undefined || first.id === task.id) return "none";
  if (doneAt === null) return "open";
  if (at - doneAt > (task.reuseMs ?? 0)) return "none";
  // What it did outside it would have to do again.
  return first.wrote || isCorrected(state, first, at) ? "none" : "done";
}

/** Whether a fact that a task read, or looked for in vain, says something else now. */
function isCorrected(state: RunState, { id, reads }: TaskState, at: number): boolean {
  const changed = (fact: string) => (newest(state, fact, at)?.version ?? 0) !== (reads.get(fact) ?? 0);
  if ([...reads.keys()].some(changed)) return true;
  for (const [pattern, readers] of state.readers) {
    if (!readers.has(id)) continue;
    for (const fact of state.facts.keys()) if (coversFact(pattern, fact) && changed(fact)) return true;
  }
  return false;
}
