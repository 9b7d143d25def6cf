import type { RunEvent } from "./event.ts";
import type { Json } from "./json.ts";
import { emptyRun, emptyScratch, evolve, type RunState, SETTLED, type TaskState } from "./state.ts";

/**
 * Forks (F11, I7). A fork is a new run that begins with the events of another one, up to a moment, and goes on from
 * there: what was finished is kept, what was under way is done again, on the definition that holds now. Effects on the
 * outside that the other run had after that moment would happen again: each is allowed, answered from the record, or
 * left out.
 */

/** What a fork does where a tool would write to the outside. */
export type EffectPolicy = "allow" | "stub" | "skip";

/** What a task of a fork is told of writes. */
export interface Spared {
  default: EffectPolicy;
  /** By the name of the tool. */
  tools: { readonly [tool: string]: EffectPolicy };
  /** What writes returned before, by `stubKey`. */
  stubs: { readonly [call: string]: Json };
}

export const stubKey = (tool: string, inputHash: string): string => `${tool} ${inputHash}`;

/** A write that the other run made, and that the fork may make again. */
export interface Effect {
  task: string;
  tool: string;
  input: Json;
  inputHash: string;
  /** What it returned; undefined when it is not known, or it failed. */
  output: Json | undefined;
}

export interface ForkPlan {
  /** The events that the fork begins with, of which the first is its own. */
  events: RunEvent[];
  /** Writes of the other run that are not among what is kept. */
  effects: Effect[];
  /** Tasks that were finished and stay so. */
  kept: number;
  /** Tasks that are done from their start. */
  redone: string[];
}

/** Why a run cannot be forked there. */
export type ForkProblem = { problem: string };

export interface ForkWish {
  /** Keep the events up to this version. */
  at: number;
  /** Agents that are others than those of the run. */
  changed: ReadonlySet<string>;
}

/** What a fork of a run would begin with and what it would do again. Pure: nothing is started. */
export function planFork(events: readonly RunEvent[], { at, changed }: ForkWish): ForkPlan | ForkProblem {
  const kept = events.slice(0, at);
  const state = foldInto(emptyRun("fork"), kept);
  if (kept[0]?.type !== "run.started") return { problem: "there is nothing before the run's first event" };
  if (state.status !== "running") return { problem: `at event ${at} the run had ended: fork from an earlier one` };
  const redone = [...state.tasks.values()].filter((task) => isRedone(task, changed)).map(({ id }) => id);
  const lost = new Set(redone);
  const effects = effectsOf(events).filter(
    ({ place, step }) =>
      place >= at || (lost.has(step.task) && !SETTLED.has(state.tasks.get(step.task)?.status ?? "waiting")),
  );
  return {
    events: kept,
    effects: effects.map(({ step }) => step),
    kept: [...state.tasks.values()].filter(({ status }) => status === "completed").length,
    redone,
  };
}

/** What was under way and cannot go on from its record: its agent is another one, a write of it is open, or it waits for
 *  an answer that only the other run will get. */
export function isRedone(task: TaskState, changed: ReadonlySet<string>): boolean {
  if (SETTLED.has(task.status)) return false;
  // Its child is the other run's, and tells that one of its end.
  if (task.kind === "run") return task.child !== null;
  if (task.kind === "group" || task.attempt === 0) return false;
  if (changed.has(task.agent ?? "")) return true;
  for (const { status, asked } of task.steps.values()) {
    if (status === "started" || status === "unknown") return true;
    if (status === "asked" && asked?.ask.ask !== "call") return true;
  }
  return false;
}

/** Folds events, and leaves in the scratch what the last decision among them may have left to do. */
export function foldInto(state: RunState, events: readonly RunEvent[]): RunState {
  const last = events.at(-1)?.at ?? 0;
  for (const event of events) {
    // Events of one decision have one time: what came before was followed up.
    if (event.at !== last) {
      const { touched, timed } = state.scratch;
      state.scratch = { ...emptyScratch(), touched, timed };
    }
    evolve(state, event);
  }
  return state;
}

/** Writes by the event that has their intent, with their outcome where there is one. */
function effectsOf(events: readonly RunEvent[]): { place: number; step: Effect }[] {
  const found = new Map<string, { place: number; step: Effect }>();
  for (const [place, { type, data, payload }] of events.entries()) {
    if (type === "step.started") {
      const { task, key, name: tool, inputHash } = data;
      found.set(`${task}/${key}`, {
        place,
        step: { task, tool, input: payload?.input ?? null, inputHash, output: undefined },
      });
    }
    if (type === "step.completed" || type === "step.settled") {
      const effect = found.get(`${data.task}/${data.key}`);
      const done = type === "step.completed" || data.outcome === "done";
      if (effect !== undefined && done) effect.step.output = payload?.output ?? null;
    }
  }
  return [...found.values()];
}
