import type { AgentDefinition, FleetDefinition } from "../core/definition.ts";
import type { RunEvent } from "../core/event.ts";
import { type Effect, type EffectPolicy, type ForkPlan, planFork, stubKey } from "../core/fork.ts";
import { type Json, sameJson } from "../core/json.ts";
import { FlotillaError } from "../error.ts";
import { nearest } from "../definition/nearest.ts";
import type { Store } from "../store/store.ts";
import { readRun } from "./journal.ts";

/** What a fork is to be (F11, I7). Nothing given but `run`: the fleet's definition of now, from where the run failed. */
export interface ForkRequest {
  run: string;
  /** Keep the run's events up to this version. */
  at?: number;
  /** Or: up to where this task was first given out. */
  task?: string;
  /** What is another about agents, by name. */
  agents?: Readonly<Record<string, Partial<Pick<AgentDefinition, "instructions" | "model" | "tools">>>>;
  /** Another input; only from the run's start. */
  input?: Json;
  effects?: { default: EffectPolicy; tools?: Readonly<Record<string, EffectPolicy>> };
  by?: string;
}

/** What a fork would begin with, and do again; nothing is started. */
export interface ForkPreview {
  run: string;
  /** The version up to which events are kept. */
  at: number;
  /** Finished tasks that stay so. */
  kept: number;
  redone: readonly string[];
  /** Writes of the run that the fork may make again. */
  effects: readonly Effect[];
  /** What is another than in the run, in words. */
  changes: readonly string[];
}

/** All that a coordinator needs to begin a fork. */
export interface PreparedFork extends ForkPreview {
  events: readonly RunEvent[];
  changed: readonly string[];
  stubs: { [call: string]: Json };
  /** Hash of the run's last kept event, base64url. */
  head: string;
}

/** The fleet's definition with what a fork changes of its agents. @throws {FlotillaError} FORK_INVALID */
export function forkedDefinition(definition: FleetDefinition, { agents = {} }: ForkRequest): FleetDefinition {
  const changed = Object.entries(agents).map(([name, change]): [string, AgentDefinition] => {
    const agent = Object.hasOwn(definition.agents, name) ? definition.agents[name] : undefined;
    if (agent === undefined) throw unknown("agent", name, Object.keys(definition.agents));
    for (const tool of change.tools ?? [])
      if (!Object.hasOwn(definition.tools, tool)) throw unknown("tool", tool, Object.keys(definition.tools));
    return [name, { ...agent, ...change, ...(change.model === undefined ? {} : { fallbackModels: [] }) }];
  });
  return changed.length === 0
    ? definition
    : { ...definition, agents: { ...definition.agents, ...Object.fromEntries(changed) } };
}

/** Reads a run and plans its fork. @throws {FlotillaError} FORK_INVALID, RUN_UNKNOWN, JOURNAL_DAMAGED */
export async function prepareFork(
  store: Store,
  request: ForkRequest,
  { before, now }: { before: FleetDefinition; now: FleetDefinition },
): Promise<PreparedFork> {
  const { run, input } = request;
  const events: RunEvent[] = [];
  let missing: number | null = null;
  for await (const { version, event, erased } of readRun(store, run)) {
    if (erased) missing ??= version;
    events.push(event);
  }
  const [first] = events;
  if (first?.type !== "run.started") throw new FlotillaError("RUN_UNKNOWN", `there is no run ${run}`);
  const at = placeOf(events, request);
  if (missing !== null && missing <= at)
    throw new FlotillaError("FORK_INVALID", `${run} cannot be forked: the content of event ${missing} is not here`, {
      hint: "It was erased, or left out when the run was exported.",
    });
  const differing = differences(before, now);
  const plan = planFork(events, { at, changed: new Set(differing) });
  if ("problem" in plan) throw new FlotillaError("FORK_INVALID", `${run} cannot be forked: ${plan.problem}`);
  if (input !== undefined && at > 1)
    throw new FlotillaError("FORK_INVALID", "another input is another run from its start", {
      hint: "Fork with --at 1.",
    });
  const [row] = await store.events(run, at - 1, 1);
  const used = new Set(events.flatMap((event) => agentsIn(event)));
  const changed = differing.filter((name) => used.has(name));
  return {
    run,
    at,
    kept: plan.kept,
    redone: plan.redone,
    effects: plan.effects,
    changes: [...changed.map((name) => `another ${name}`), ...(input === undefined ? [] : ["another input"])],
    changed: differing,
    events: input === undefined ? plan.events : [{ ...first, payload: { input } }, ...plan.events.slice(1)],
    stubs: stubsOf(plan),
    head: Buffer.from(row?.hash ?? []).toString("base64url"),
  };
}

function placeOf(events: readonly RunEvent[], { run, at, task }: ForkRequest): number {
  if (at !== undefined && task !== undefined)
    throw new FlotillaError("FORK_INVALID", "fork at an event or at a task, not both");
  if (at !== undefined) {
    if (Number.isSafeInteger(at) && at >= 1 && at <= events.length) return at;
    throw new FlotillaError("FORK_INVALID", `${run} has events 1 to ${events.length}, not ${at}`);
  }
  const wanted = task ?? failedTask(events);
  if (wanted === null)
    throw new FlotillaError("FORK_INVALID", `${run} did not fail: say where the fork begins`, {
      hint: "Give --at EVENT or --task TASK; flotilla replay RUN shows both.",
    });
  const place = events.findIndex(({ type, data }) => type === "tasks.assigned" && data.tasks.includes(wanted));
  if (place > 0) return place;
  throw unknown("task that was given out", wanted, [...new Set(events.flatMap((event) => tasksIn(event)))]);
}

function failedTask(events: readonly RunEvent[]): string | null {
  const last = events.findLast(({ type }) => type === "run.failed");
  return last?.type === "run.failed" ? last.data.task : null;
}

const tasksIn = (event: RunEvent): readonly string[] => (event.type === "tasks.assigned" ? event.data.tasks : []);

function agentsIn(event: RunEvent): string[] {
  return event.type === "plan.revised" ? event.data.add.flatMap(({ agent }) => (agent === null ? [] : [agent])) : [];
}

/** Agents that are not the same in both, or whose code is not. */
function differences(before: FleetDefinition, now: FleetDefinition): string[] {
  const code = !sameJson(before.modules, now.modules);
  return Object.entries(before.agents).flatMap(([name, agent]) => {
    const other = now.agents[name];
    const same = other !== undefined && sameJson(agent as unknown as Json, other as unknown as Json);
    return same && !(code && agent.module !== null) ? [] : [name];
  });
}

function stubsOf({ effects }: ForkPlan): { [call: string]: Json } {
  const known = effects.flatMap(({ tool, inputHash, output }) =>
    output === undefined ? [] : [[stubKey(tool, inputHash), output] as const],
  );
  return Object.fromEntries(known);
}

function unknown(what: string, name: string, names: readonly string[]): FlotillaError {
  const near = nearest(name, [...names]);
  const hint = near === null ? `There are: ${names.slice(0, 10).join(", ")}.` : `Did you mean ${near}?`;
  return new FlotillaError("FORK_INVALID", `there is no ${what} "${name}"`, { hint });
}
