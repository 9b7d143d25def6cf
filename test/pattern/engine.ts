import { expect } from "vitest";
import type { Command, DecideContext } from "../../src/core/command.ts";
import { decide } from "../../src/core/decide.ts";
import { DEFAULT_LIMITS, type FleetDefinition, type Limits, type RetryPolicy } from "../../src/core/definition.ts";
import { checkEventData, type RunEvent } from "../../src/core/event.ts";
import type { AgentProfile } from "../../src/core/planner.ts";
import type { Json } from "../../src/core/json.ts";
import { emptyRun, evolve, type RunState, SETTLED, type TaskState, taskOf } from "../../src/core/state.ts";
import type { ErrorRecord } from "../../src/error.ts";
import { routerOf } from "../../src/route/route.ts";
import type { Pattern } from "../../src/pattern/pattern.ts";

export type Outcome = { output: Json } | { error: ErrorRecord };

/** What a task comes to, from what its agent is given. */
export type Script = (task: { id: string; agent: string; input: Json; attempt: number }) => Outcome;

export interface Scenario {
  pattern: Pattern;
  options: unknown;
  input?: Json;
  script: Script;
  /** Default: every agent exists. */
  agents?: readonly string[];
  limits?: Partial<Limits>;
  retry?: Partial<RetryPolicy>;
  /** What agents can do (C4). */
  profiles?: Readonly<Record<string, AgentProfile>>;
  /** Routes by name, and what their agents are (C6). */
  routes?: Pick<FleetDefinition, "routes" | "agents">;
  /** Which of the tasks at work ends next. Default: the first. */
  pick?: (count: number) => number;
}

export interface Outline {
  state: RunState;
  events: RunEvent[];
  /** Ids of tasks in the order in which they were given to a worker, one for each attempt. */
  started: string[];
  inputs: Map<string, Json>;
}

/** One attempt and no delay, unless a test asks for more. */
const RETRY: RetryPolicy = { attemptsMax: 1, initialDelayMs: 1_000, factor: 2, delayMsMax: 60_000, jitter: [1, 1] };

/** A run in memory: every ready task is given to a worker at once, the script says what comes of it. Checks at each
 *  step that no task starts before its needs allow it, and at the end that the journal folds to the decided state. */
export function run(scenario: Scenario): Outline {
  const { pattern, script, agents, pick = () => 0 } = scenario;
  const state = emptyRun("r-1");
  const outline: Outline = { state, events: [], started: [], inputs: new Map() };
  const context: DecideContext = {
    now: 1_000,
    roll: 0.5,
    planner: pattern,
    options: pattern.options.parse(scenario.options) as Json,
    retry: () => ({ ...RETRY, ...scenario.retry }),
    hasAgent: (agent) => agents?.includes(agent) ?? true,
    profile: (name) => scenario.profiles?.[name],
    router: (name) => {
      const route = scenario.routes?.routes?.[name];
      return route && routerOf(name, route, { agents: scenario.routes?.agents ?? {} });
    },
    describe: (agent) => `what ${agent} does`,
  };
  const apply = (command: Command) => outline.events.push(...decide(state, command, context));
  apply(startCommand(pattern.name, scenario.input ?? null, scenario.limits));
  const atWork: TaskState[] = [];
  const seen = new Set<string>();
  const giveOut = () => {
    for (const id of state.scratch.touched) if (isReady(taskOf(state, id))) seen.add(id);
    state.scratch.touched.clear();
    for (const id of seen) {
      seen.delete(id);
      const task = taskOf(state, id);
      if (!isReady(task)) continue;
      context.now = Math.max(context.now, task.readyAt);
      expectNeedsMet(state, task);
      apply({ type: "tasks.assign", tasks: [id], worker: "w-1", why: "test" });
      outline.started.push(id);
      outline.inputs.set(id, task.input ?? null);
      atWork.push(task);
    }
  };
  for (giveOut(); atWork.length > 0 && state.status === "running"; giveOut()) {
    context.now += 1;
    const [task] = atWork.splice(pick(atWork.length), 1);
    if (task === undefined || task.status !== "assigned") continue;
    const { id, attempt } = task;
    const outcome = script({ id, agent: task.agent ?? "", input: task.input ?? null, attempt });
    if ("output" in outcome) apply({ type: "task.complete", task: id, attempt, output: outcome.output });
    else apply({ type: "task.fail", task: id, attempt, error: outcome.error });
  }
  expectFoldsTo(state, outline.events);
  return outline;
}

export function startCommand(pattern: string, input: Json, limits: Partial<Limits> = {}): Command {
  return {
    type: "run.start",
    workflow: "w",
    pattern,
    definition: "d",
    priority: 2,
    limits: { ...DEFAULT_LIMITS, ...limits },
    input,
    queue: "q",
    by: "test",
  };
}

/** Folding the journal, as read back from bytes, gives the state that was decided (design: state is a fold). */
export function expectFoldsTo(state: RunState, events: readonly RunEvent[]): void {
  const folded = emptyRun(state.id);
  for (const event of events) {
    const stored = JSON.parse(JSON.stringify(event)) as RunEvent;
    expect(checkEventData(stored.type, stored.data)).toBeNull();
    evolve(folded, stored);
  }
  const { scratch: _, ...decided } = state;
  const { scratch: __, ...rebuilt } = folded;
  expect(rebuilt).toEqual(decided);
}

export const permanent = (message: string): ErrorRecord => ({ code: "AGENT_FAILED", class: "permanent", message });
export const transient = (message: string): ErrorRecord => ({ code: "MODEL_UNAVAILABLE", class: "transient", message });

function isReady(task: TaskState): boolean {
  return task.status === "ready" || task.status === "delayed";
}

function expectNeedsMet(state: RunState, task: TaskState): void {
  for (const need of task.needs) {
    const { status } = taskOf(state, need.task);
    if (!SETTLED.has(status) || (need.on !== "settled" && need.on !== status)) {
      throw new Error(`${task.id} starts although ${need.task} is ${status}, not ${need.on}`);
    }
  }
}
