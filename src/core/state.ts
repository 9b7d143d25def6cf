import { type ErrorRecord, invariant } from "../error.ts";
import { keptSteps } from "./escalation.ts";
import type { EscalationPolicy, JsonSchema, Limits, Priority } from "./definition.ts";
import { type ChildRequest, type ChildShare, type ChildUsage, NOTHING, withShare } from "./child-share.ts";
import type { Ask, EventData, Need, RunEvent, SettlePolicy, StepKind, TaskSpecData, Usage } from "./event.ts";
import { type FactVersion, forgetReads, noteRead } from "./fact.ts";
import type { RunHold, Stretch } from "./hold.ts";
import type { Handed } from "./handover.ts";
import type { Json } from "./json.ts";
import { returned } from "./account.ts";
import {
  budgetAlerted,
  budgetExceeded,
  callRecorded,
  callReserved,
  callSettled,
  callsSaved,
  childCharged,
  childReserved,
  emptyMoney,
  type Money,
} from "./money.ts";
import type { TaskView } from "./planner.ts";
import { follows, forgetDone, inherit, lead, leave, settleShared, type SharedWork } from "./reuse.ts";
import { workflowIn } from "./seat.ts";

export type TaskStatus =
  /** Needs are open. */
  | "waiting"
  /** Needs are met, the planner has yet to give the input. */
  | "unbound"
  /** Has its input, and nobody to do it yet. */
  | "unrouted"
  | "ready"
  /** An attempt is with a worker. */
  | "assigned"
  /** Ready again from `readyAt` (F2). */
  | "delayed"
  /** Waits for a timer, for answers, or for a child run; holds no process. */
  | "suspended"
  /** A write's outcome is unknown and only a person can say (F13). */
  | "blocked"
  /** It failed for good, and a person says what is done about it (F9). */
  | "escalated"
  /** A group with open members. */
  | "open"
  | "completed"
  | "failed"
  | "skipped"
  | "cancelled";

export type StepStatus = "started" | "asked" | "completed" | "failed" | "unknown" | "settled";

export interface StepState {
  key: string;
  kind: StepKind;
  name: string;
  inputHash: string;
  status: StepStatus;
  settle: SettlePolicy;
  idempotencyKey: string | null;
  input: Json | undefined;
  output: Json | undefined;
  error: ErrorRecord | undefined;
  outcome: "done" | "not-done" | null;
  /** Set on a question that others answer, with the time at which it was asked. */
  asked: { ask: Ask; at: number } | null;
  /** What a person allowed when it asked for that, and the step that made use of it (F9). */
  approved?: { argumentsHash: string; usedBy: string | null };
}

/** A task that waits for a person. */
export interface Escalated {
  at: number;
  deadline: number | null;
  onDeadline: EscalationPolicy["onDeadline"] | "choose";
  to: string[];
  /** What agents answered, where they did not agree; absent for a task that failed. */
  choices?: { name: string; output: Json }[];
}

export interface TaskState {
  id: string;
  /** `run`: it is the work of a child run. */
  kind: "agent" | "group" | "plan" | "run";
  agent: string | null;
  status: TaskStatus;
  needs: readonly Need[];
  /** Needs that have not settled. */
  openNeeds: number;
  priority: Priority;
  group: string | null;
  members: string[] | null;
  openMembers: number;
  depth: number;
  deferred: boolean;
  /** The route that names its agent; null when an agent was named, or the pattern names one. */
  route: string | null;
  input: Json | undefined;
  /** The schema of its output, in place of the agent's. */
  outputSchema: JsonSchema | null;
  output: Json | undefined;
  error: ErrorRecord | undefined;
  /** Attempts made; the current one while assigned. Only grows: it fences. */
  attempt: number;
  /** Attempts that count for the retry policy; a lost host does not. */
  tries: number;
  worker: string | null;
  /** Infinity while it waits for answers alone. */
  readyAt: number;
  /** Steps for whose answers it is suspended. */
  waits: readonly string[];
  /** The step that asked for this task. */
  asker: { task: string; key: string } | null;
  /** The tools that it may use at most; null: those of its agent. */
  tools: readonly string[] | null;
  /** What came with it from the agent that handed it over; null: nobody did. */
  handed: Handed | null;
  /** Tasks that its steps asked for and that have not settled. */
  asked: string[];
  /** The child run that does its work, from when it was asked for. */
  child: ChildRequest | null;
  /** Whether the child has told its end. */
  childEnded: boolean;
  /** Deaths of hosts while this task was among the running ones: it is a suspect from the first one on. */
  crashes: number;
  /** Those of them with the task alone in its host and no step finished in between: they convict it. */
  crashesAlone: number;
  steps: Map<string, StepState>;
  /** The task whose result met the last need, for causation ids. */
  cause: string | null;
  why: string | null;
  /** A write to the outside was begun: it is not done anew by rule. */
  wrote: boolean;
  /** How many facts had been committed when it was first given out: what it sees of them (S2). */
  snapshot: number | null;
  /** Versions of facts that it read, 0 for one that was absent (C10). */
  reads: Map<string, number>;
  /** Set while it waits for a person because it failed. */
  escalated: Escalated | null;
  /** How often a person gave it to another agent, whose writes have keys of their own. */
  reassigned: number;
  /** How often it was done anew. */
  reruns: number;
  /** Milliseconds for which its result may be taken over by tasks that do the same (C11); null: not at all. */
  reuseMs: number | null;
  /** It waits for the result of another task that does the same. */
  follows: boolean;
  /** Its outcome before it was done anew. */
  before: { output: Json | undefined } | null;
}

/** What a run knows of being a fork. */
export interface Fork {
  from: string;
  at: number;
  effects: EventData["run.forked"]["effects"];
  /** Outputs of the other run's writes, by tool and hash of the input. */
  stubs: { readonly [call: string]: Json };
}

export type RunOutcome = "running" | "completed" | "failed" | "stopped";

export interface RunUsage {
  steps: number;
  inputTokens: number;
  outputTokens: number;
  costMicroUsd: number;
  /** Steps whose model has no price. */
  unpriced: number;
  simulated: boolean;
}

/** The task whose work a run is, and who is at work there, up to the first run of all: agents, and workflows as
 *  `workflow:NAME`. */
export interface ParentTask {
  run: string;
  task: string;
  line: readonly string[];
}

/** A run, folded from its journal. `evolve` mutates it: whoever folds owns it. */
export interface RunState {
  id: string;
  version: number;
  status: RunOutcome;
  workflow: string;
  pattern: string;
  definition: string;
  queue: string;
  priority: Priority;
  limits: Limits;
  input: Json;
  output: Json | undefined;
  error: ErrorRecord | undefined;
  startedAt: number;
  endedAt: number | null;
  tasks: Map<string, TaskState>;
  dependents: Map<string, { task: string; on: Need["on"] }[]>;
  openTasks: number;
  /** Tasks that the pattern ever added; what agents asked each other is not among them. */
  planned: number;
  /** Tasks that wait for the planner's word: an input, or an agent. */
  awaiting: Set<string>;
  /** Open tasks of each agent that has some, from when they are ready. */
  loads: Map<string, number>;
  /** The sum of the loads: what goes on without the planner. */
  underWay: number;
  counts: { completed: number; failed: number; skipped: number; cancelled: number; late: number; revisions: number };
  usage: RunUsage;
  /** All versions of the shared facts, oldest first, by key. */
  facts: Map<string, FactVersion[]>;
  /** Set in a fork: what it does where a tool would write, and what the other run was answered. */
  fork: Fork | null;
  factsCommitted: number;
  /** Tasks by the keys and prefixes that they read. */
  readers: Map<string, Set<string>>;
  /** Work that may be shared, by what it is. */
  shared: Map<string, SharedWork>;
  money: Money;
  /** Set while the run itself is paused; holds of its workflow, its agents and the fleet are in the fleet's journal. */
  hold: RunHold | null;
  /** Times in which it was paused, the current one included. */
  held: readonly Stretch[];
  /** The task whose work this run is. */
  parent: ParentTask | null;
  /** The tools that its agents may use at most; null: each agent's own. */
  tools: readonly string[] | null;
  /** Child runs that were asked for. */
  children: number;
  /** Tasks of children that ended. */
  childTasks: number;
  /** What children that are under way hold of the run's limits, beside what they hold in `money.reserved`. */
  allotted: ChildShare;
  /** What the last commands left to do or to project; emptied by whoever acts on it, never stored. */
  scratch: Scratch;
}

export interface Scratch {
  /** Settled, the planner has yet to hear of it. */
  settled: string[];
  /** A need can no longer be met as its edge demands. */
  doomed: { task: string; because: string }[];
  unbound: string[];
  unrouted: string[];
  /** Groups whose members have all settled. */
  full: string[];
  /** Tasks whose child run is to be asked for. */
  childless: string[];
  /** Followers whose first may have ended. */
  repeated: string[];
  /** Tasks whose place in the queue or timers may have changed since the last commit. */
  touched: Set<string>;
  /** Tasks whose timers alone may have changed. */
  timed: Set<string>;
}

/** Deaths of its host that a task shares with neighbours: with all at first, then with the few other suspects of a
 *  ward. From then on it runs alone. */
export const CRASHES_SHARED = 2;

export const SETTLED: ReadonlySet<TaskStatus> = new Set(["completed", "failed", "skipped", "cancelled"]);

/** The timers that a task needs, by name: pure, so that the store's rows follow from the state alone. */
export function timersOf(task: TaskState): ReadonlyMap<string, number> {
  // What a run that ended was waiting for keeps its steps in memory, and waits for nothing.
  if (SETTLED.has(task.status)) return NO_TIMERS;
  if (task.status !== "suspended" && task.escalated === null && task.steps.size === 0) return NO_TIMERS;
  const timers = new Map<string, number>();
  if (task.status === "escalated" && task.escalated?.deadline != null)
    timers.set(escalationTimer(task.id), task.escalated.deadline);
  if (task.status === "suspended" && Number.isFinite(task.readyAt)) timers.set(wakeTimer(task.id), task.readyAt);
  for (const { key, asked, status } of task.steps.values()) {
    if (status === "asked" && asked !== null && asked.ask.deadline !== null)
      timers.set(askTimer(task.id, key), asked.ask.deadline);
  }
  return timers;
}

const NO_TIMERS: ReadonlyMap<string, number> = new Map();
export const escalationTimer = (task: string) => `escalation/${task}`;
export const wakeTimer = (task: string) => `wake/${task}`;
/** Keys hold no line break: what follows the last one is the key. */
export const askTimer = (task: string, key: string) => `ask/${task}\n${key}`;

export function emptyScratch(): Scratch {
  const lists = { settled: [], doomed: [], unbound: [], unrouted: [], full: [], childless: [], repeated: [] };
  return { ...lists, touched: new Set(), timed: new Set() };
}

export function emptyRun(id: string): RunState {
  return {
    id,
    version: 0,
    status: "running",
    workflow: "",
    pattern: "",
    definition: "",
    queue: "",
    priority: 2,
    limits: { stepsMax: 0, tasksMax: 0, depthMax: 0, tokensMax: 0, timeMs: 0, queueMs: null, costMicroUsdMax: null },
    input: null,
    output: undefined,
    error: undefined,
    startedAt: 0,
    endedAt: null,
    tasks: new Map(),
    dependents: new Map(),
    openTasks: 0,
    planned: 0,
    awaiting: new Set(),
    loads: new Map(),
    underWay: 0,
    counts: { completed: 0, failed: 0, skipped: 0, cancelled: 0, late: 0, revisions: 0 },
    usage: { steps: 0, inputTokens: 0, outputTokens: 0, costMicroUsd: 0, unpriced: 0, simulated: false },
    facts: new Map(),
    fork: null,
    factsCommitted: 0,
    readers: new Map(),
    shared: new Map(),
    money: emptyMoney(),
    hold: null,
    held: [],
    parent: null,
    tools: null,
    children: 0,
    childTasks: 0,
    allotted: NOTHING,
    scratch: emptyScratch(),
  };
}

const NO_TASKS: ReadonlySet<string> = new Set();

/** What the last command touched, taken out of the scratch, which is empty afterwards. */
export function takeTouched({ scratch }: RunState): { touched: ReadonlySet<string>; timed: ReadonlySet<string> } {
  const { touched, timed } = scratch;
  scratch.settled.length = 0;
  scratch.doomed.length = 0;
  scratch.unbound.length = 0;
  scratch.full.length = 0;
  scratch.repeated.length = 0;
  // Most commands touch one task and no timer; sets are too dear to be made for each.
  if (touched.size > 0) scratch.touched = new Set();
  if (timed.size > 0) scratch.timed = new Set();
  return { touched: touched.size > 0 ? touched : NO_TASKS, timed: timed.size > 0 ? timed : NO_TASKS };
}

export function taskOf(state: RunState, id: string): TaskState {
  const task = state.tasks.get(id);
  invariant(task, `run ${state.id} has no task ${id}`);
  return task;
}

/** Tasks are views of themselves: the planner's interface is a read-only subset. */
export function viewOf(task: TaskState): TaskView {
  return task;
}

/** Applies one event. Total over everything that `decide` emits; deterministic; never asks the planner. */
export function evolve(state: RunState, event: RunEvent): RunState {
  state.version += 1;
  switch (event.type) {
    case "run.started":
      startRun(state, event.data, event.at, event.payload?.input ?? null);
      break;
    case "run.forked": {
      const { from, at, effects } = event.data;
      state.fork = { from, at, effects, stubs: (event.payload?.stubs ?? {}) as Fork["stubs"] };
      // It is nobody's task.
      state.parent = null;
      forgetDone(state);
      break;
    }
    case "plan.revised":
      state.counts.revisions += 1;
      for (const spec of event.data.add) addTask(state, spec, event.payload?.[spec.task], event.at);
      for (const spec of event.data.add) joinGroup(state, spec.task);
      for (const spec of event.data.add) openTask(state, spec.task, event.at);
      for (const { task } of event.data.cancel) settle(state, taskOf(state, task), "cancelled", event.at);
      break;
    case "tasks.bound":
      for (const id of event.data.tasks) {
        const task = taskOf(state, id);
        task.input = event.payload?.[id];
        makeReady(state, task, event.at);
      }
      break;
    case "task.routed": {
      const task = taskOf(state, event.data.task);
      task.agent = event.data.agent;
      if (workflowIn(task.agent) !== null) task.kind = "run";
      task.priority = (event.data.priority ?? task.priority) as Priority;
      task.reuseMs = event.data.reuseMs ?? null;
      task.outputSchema = (event.data.output as JsonSchema | undefined) ?? task.outputSchema;
      if (task.status === "unrouted") makeReady(state, task, event.at);
      break;
    }
    case "tasks.assigned":
      for (const id of event.data.tasks) {
        const task = taskOf(state, id);
        task.status = "assigned";
        task.attempt = event.data.attempt;
        task.tries += 1;
        task.snapshot ??= state.factsCommitted;
        task.worker = event.data.worker;
        state.scratch.touched.add(id);
      }
      break;
    case "task.completed": {
      const task = taskOf(state, event.data.task);
      // A group's output is the list of its members', which the journal holds already.
      task.output = event.payload?.output ?? task.members?.map((id) => taskOf(state, id).output ?? null) ?? null;
      settle(state, task, "completed", event.at);
      break;
    }
    case "task.failed": {
      const task = taskOf(state, event.data.task);
      task.error = event.data.error;
      settle(state, task, "failed", event.at);
      break;
    }
    case "task.escalated": {
      const { task: id, error, deadline, onDeadline, to, choices } = event.data;
      const task = taskOf(state, id);
      task.error = error;
      if (task.status === "unbound") {
        state.awaiting.delete(id);
        state.underWay += 1;
        task.input = event.payload?.input ?? null;
      }
      task.status = "escalated";
      task.worker = null;
      task.waits = [];
      task.escalated = { at: event.at, deadline, onDeadline, to };
      if (choices !== undefined) {
        const outputs = (event.payload?.outputs ?? {}) as { [name: string]: Json };
        task.escalated.choices = choices.map((name) => ({ name, output: outputs[name] ?? null }));
      }
      state.scratch.touched.add(task.id);
      break;
    }
    case "escalation.decided":
      takeUp(state, taskOf(state, event.data.task), event.data, event.at);
      break;
    case "task.retried": {
      const task = taskOf(state, event.data.task);
      task.error = event.data.error;
      requeue(state, task, "delayed", event.data.readyAt);
      break;
    }
    case "task.released": {
      const task = taskOf(state, event.data.task);
      // A lost process is no fault of the attempt: the retry policy does not count it.
      task.tries -= 1;
      if (event.data.suspect) {
        if (task.crashes >= CRASHES_SHARED) task.crashesAlone += 1;
        task.crashes += 1;
      }
      requeue(state, task, "ready", event.at);
      break;
    }
    case "task.suspended": {
      const task = taskOf(state, event.data.task);
      task.tries -= 1;
      task.waits = event.data.waits ?? [];
      requeue(
        state,
        task,
        "suspended",
        event.data.wakeAt ?? (task.waits.length > 0 ? Number.POSITIVE_INFINITY : event.at),
      );
      break;
    }
    case "task.woken": {
      const task = taskOf(state, event.data.task);
      if (task.follows) lead(state, task);
      requeue(state, task, "ready", event.at);
      break;
    }
    case "task.reused": {
      const { task: id, from, saved } = event.data;
      inherit(state, taskOf(state, id), taskOf(state, from.task));
      callsSaved(state, id, saved, event.at);
      break;
    }
    case "task.skipped":
      settle(state, taskOf(state, event.data.task), "skipped", event.at);
      break;
    case "task.cancelled":
      settle(state, taskOf(state, event.data.task), "cancelled", event.at);
      break;
    case "task.expired":
      state.scratch.touched.add(event.data.task);
      break;
    case "child.requested": {
      const task = taskOf(state, event.data.task);
      const { child: run, workflow, pattern, limits } = event.data;
      task.child = { run, workflow, pattern, limits };
      state.children += 1;
      state.allotted = withShare(state.allotted, limits, 1);
      childReserved(state, limits, 1);
      state.scratch.touched.add(task.id);
      break;
    }
    case "child.ended":
      endChild(state, taskOf(state, event.data.task), event.data.used);
      break;
    case "step.started":
      taskOf(state, event.data.task).wrote = true;
      putStep(state, event.data, "started", event.data.settle, event.data.idempotencyKey).input = event.payload?.input;
      break;
    case "step.asked": {
      const step = putStep(state, event.data, "asked");
      step.input = event.payload?.input;
      step.asked = { ask: event.data.ask, at: event.at };
      state.scratch.timed.add(event.data.task);
      break;
    }
    case "approval.decided": {
      const { task, key, decision, argumentsHash } = event.data;
      const step = taskOf(state, task).steps.get(key);
      invariant(step, `no step ${key}`);
      if (decision === "approved") step.approved = { argumentsHash, usedBy: null };
      break;
    }
    case "step.completed": {
      const step = putStep(state, event.data, "completed");
      taskOf(state, event.data.task).crashesAlone = 0;
      // A hand-over takes along what tools were asked.
      if (event.data.kind === "tool") step.input ??= event.payload?.input;
      step.output = event.payload?.output ?? null;
      if (step.asked !== null) noteRead(state, taskOf(state, event.data.task), step.asked.ask, step.output);
      countStep(state, event.data.usage);
      callRecorded(state, event.data, event.at);
      break;
    }
    case "step.failed":
      putStep(state, event.data, "failed").error = event.data.error;
      countStep(state, event.data.usage);
      callRecorded(state, event.data, event.at);
      break;
    case "call.reserved":
      callReserved(state, event.data);
      break;
    case "call.settled":
      callSettled(state, event.data, event.at);
      break;
    case "budget.exceeded":
      budgetExceeded(state, event.data);
      break;
    case "budget.returned":
      returned(state, event.data);
      break;
    case "budget.alerted":
      budgetAlerted(state, event.data);
      break;
    case "step.unknown": {
      const task = taskOf(state, event.data.task);
      const step = task.steps.get(event.data.key);
      invariant(step, `no step ${event.data.key}`);
      step.status = "unknown";
      state.scratch.touched.add(task.id);
      break;
    }
    case "step.settled": {
      const task = taskOf(state, event.data.task);
      const step = task.steps.get(event.data.key);
      invariant(step, `no step ${event.data.key}`);
      step.status = "settled";
      step.outcome = event.data.outcome;
      step.output = event.payload?.output ?? null;
      if (task.status === "blocked" && !hasOpenQuestion(task)) requeue(state, task, "ready", event.at);
      break;
    }
    case "fact.committed": {
      const { fact, version, by, task, why, until } = event.data;
      const place = state.factsCommitted;
      const one: FactVersion = {
        version,
        value: event.payload?.value ?? null,
        by,
        task,
        why,
        at: event.at,
        until,
        place,
      };
      state.factsCommitted += 1;
      const versions = state.facts.get(fact);
      if (versions === undefined) state.facts.set(fact, [one]);
      else versions.push(one);
      break;
    }
    case "fact.conflicted":
    case "fact.stale":
      break;
    case "task.reopened":
      reopen(state, taskOf(state, event.data.task), event.payload?.input, event.at);
      break;
    case "task.handed":
      taskOf(state, event.data.task).handed = (event.payload?.handed ?? null) as Handed | null;
      break;
    case "result.late":
      state.counts.late += 1;
      break;
    case "run.completed":
      state.output = event.payload?.output ?? null;
      endRun(state, "completed", event.at);
      break;
    case "run.failed":
      state.error = event.data.error;
      endRun(state, "failed", event.at);
      break;
    case "run.stopped":
      endRun(state, "stopped", event.at);
      break;
    case "run.paused":
      state.hold = { ...event.data, at: event.at };
      state.held = [...state.held, { from: event.at, to: null }];
      touchQueued(state);
      break;
    case "run.resumed":
      state.hold = null;
      state.held = state.held.map(({ from, to }) => ({ from, to: to ?? event.at }));
      touchQueued(state);
      break;
    default:
      event satisfies never;
  }
  return state;
}

/** Tasks that wait for a worker leave the queue while their run is paused. */
function touchQueued(state: RunState): void {
  for (const { id, status } of state.tasks.values())
    if (status === "ready" || status === "delayed") state.scratch.touched.add(id);
}

/** Whether a write's outcome has to be found out by a person before the task may go on (F13). */
export function hasOpenQuestion(task: TaskState): boolean {
  for (const step of task.steps.values()) if (step.status === "unknown" && step.settle === "person") return true;
  return false;
}

function startRun(state: RunState, data: EventData["run.started"], at: number, input: Json): void {
  state.workflow = data.workflow;
  state.pattern = data.pattern;
  state.definition = data.definition;
  state.queue = data.queue;
  state.priority = data.priority as Priority;
  state.limits = data.limits;
  state.input = input;
  state.startedAt = at;
  state.parent = data.parent ?? null;
  state.tools = data.tools ?? null;
}

/** What the child held comes back, what it used counts. */
function endChild(state: RunState, task: TaskState, used: ChildUsage): void {
  freeShare(state, task);
  task.childEnded = true;
  const { usage } = state;
  state.childTasks += used.tasks;
  usage.steps += used.steps;
  usage.inputTokens += used.inputTokens;
  usage.outputTokens += used.outputTokens;
  usage.costMicroUsd += used.costMicroUsd;
  usage.unpriced += used.unpriced;
  usage.simulated ||= used.simulated;
  childCharged(state, task.id, used);
}

const NO_NEEDS: readonly Need[] = [];

/** A need as tasks hold it, from the short form or the long one. */
export function normalNeed(need: string | Need): Need {
  return typeof need === "string" ? { on: "completed", task: need } : { on: need.on, task: need.task };
}

function addTask(state: RunState, spec: TaskSpecData, input: Json | undefined, at: number): void {
  const task: TaskState = {
    id: spec.task,
    kind: spec.kind,
    agent: spec.agent,
    status: "waiting",
    needs: spec.needs.length === 0 ? NO_NEEDS : spec.needs.map(normalNeed),
    openNeeds: 0,
    priority: (spec.priority ?? state.priority) as Priority,
    group: spec.group ?? null,
    members: spec.kind === "group" ? [] : null,
    openMembers: 0,
    depth: spec.depth ?? 0,
    deferred: spec.deferred ?? false,
    route: spec.route ?? null,
    input,
    outputSchema: (spec.output as JsonSchema | undefined) ?? null,
    output: undefined,
    error: undefined,
    attempt: 0,
    tries: 0,
    worker: null,
    readyAt: at,
    waits: [],
    asker: spec.asker ?? null,
    tools: spec.tools ?? state.tools,
    handed: null,
    asked: [],
    child: null,
    childEnded: false,
    crashes: 0,
    crashesAlone: 0,
    steps: new Map(),
    cause: null,
    why: spec.why ?? null,
    wrote: false,
    snapshot: null,
    reads: new Map(),
    escalated: null,
    reassigned: 0,
    reruns: 0,
    reuseMs: spec.reuseMs ?? null,
    follows: false,
    before: null,
  };
  state.tasks.set(task.id, task);
  state.openTasks += 1;
  if (task.asker === null) state.planned += 1;
  else taskOf(state, task.asker.task).asked.push(task.id);
}

/** Counts a new task among its group's members, once all tasks of the same revision are there. */
function joinGroup(state: RunState, id: string): void {
  const task = taskOf(state, id);
  if (task.group === null) return;
  const group = taskOf(state, task.group);
  // A deferred task becomes a group when its members arrive; a group that waits for its own needs goes on waiting.
  group.members ??= [];
  group.kind = "group";
  if (group.status === "unbound") group.status = "open";
  state.awaiting.delete(group.id);
  group.members.push(task.id);
  group.openMembers += 1;
}

/** Counts a new task's open needs once all tasks of the same revision are there. */
function openTask(state: RunState, id: string, at: number): void {
  const task = taskOf(state, id);
  for (const need of task.needs) {
    const needed = taskOf(state, need.task);
    if (SETTLED.has(needed.status)) {
      if (!meets(needed.status, need.on)) doom(state, task, needed.id);
      continue;
    }
    task.openNeeds += 1;
    const dependents = state.dependents.get(need.task);
    if (dependents) dependents.push({ task: id, on: need.on });
    else state.dependents.set(need.task, [{ task: id, on: need.on }]);
  }
  if (task.openNeeds === 0) unblock(state, task, at);
}

function meets(status: TaskStatus, on: Need["on"]): boolean {
  return on === "settled" || status === on;
}

function doom(state: RunState, task: TaskState, because: string): void {
  state.scratch.doomed.push({ task: task.id, because });
}

/** All needs are met: ready, or waiting for its input or its members. */
function unblock(state: RunState, task: TaskState, at: number): void {
  if (task.status !== "waiting") return;
  if (task.deferred) {
    task.status = "unbound";
    state.awaiting.add(task.id);
    state.scratch.unbound.push(task.id);
  } else if (task.kind === "group") {
    task.status = "open";
    if (task.openMembers === 0) state.scratch.full.push(task.id);
  } else {
    makeReady(state, task, at);
  }
}

/** The task waits for a child run, a new one if it had one before: the last was another run's, or has ended. */
function askForChild(state: RunState, task: TaskState): void {
  freeShare(state, task);
  task.child = null;
  task.childEnded = false;
  task.status = "suspended";
  task.readyAt = Number.POSITIVE_INFINITY;
  task.worker = null;
  state.scratch.touched.add(task.id);
  state.scratch.childless.push(task.id);
}

/** What an open child holds of the run's limits comes back. */
function freeShare(state: RunState, { child, childEnded }: TaskState): void {
  if (child === null || childEnded) return;
  state.allotted = withShare(state.allotted, child.limits, -1);
  childReserved(state, child.limits, -1);
}

/** Has all that it needs but, perhaps, somebody to do it. */
function makeReady(state: RunState, task: TaskState, at: number): void {
  if (task.agent === null) {
    task.status = "unrouted";
    state.awaiting.add(task.id);
    state.scratch.unrouted.push(task.id);
    return;
  }
  state.awaiting.delete(task.id);
  load(state, task);
  if (task.kind === "run") return askForChild(state, task);
  const waits = follows(state, task, at);
  task.status = waits ? "suspended" : "ready";
  task.readyAt = waits ? Number.POSITIVE_INFINITY : at;
  state.scratch.touched.add(task.id);
}

function requeue(state: RunState, task: TaskState, status: "ready" | "delayed" | "suspended", readyAt: number): void {
  if (task.kind === "run" && status !== "suspended") return askForChild(state, task);
  task.status = status !== "suspended" && hasOpenQuestion(task) ? "blocked" : status;
  task.readyAt = readyAt;
  task.worker = null;
  state.scratch.touched.add(task.id);
}

function settle(
  state: RunState,
  task: TaskState,
  status: "completed" | "failed" | "skipped" | "cancelled",
  at: number,
): void {
  invariant(!SETTLED.has(task.status), `task ${task.id} settled twice`);
  unload(state, task);
  task.status = status;
  settleShared(state, task, status, at);
  task.worker = null;
  // What a settled task recorded stays in the journal; memory holds only what may still be needed.
  task.steps.clear();
  task.waits = [];
  state.openTasks -= 1;
  state.counts[status] += 1;
  state.scratch.touched.add(task.id);
  state.scratch.settled.push(task.id);
  for (const dependent of state.dependents.get(task.id) ?? []) {
    const next = taskOf(state, dependent.task);
    if (next.status !== "waiting") {
      // It had what it needed, and what was done anew for it has another end now.
      if (!SETTLED.has(next.status) && !meets(status, dependent.on)) doom(state, next, task.id);
      continue;
    }
    next.openNeeds -= 1;
    next.cause = task.id;
    if (!meets(status, dependent.on)) doom(state, next, task.id);
    else if (next.openNeeds === 0) unblock(state, next, at);
  }
  // Where tasks read facts, what rests on this outcome may have to be found again.
  if (state.readers.size === 0) state.dependents.delete(task.id);
  if (task.asker !== null) {
    const asker = taskOf(state, task.asker.task);
    asker.asked = asker.asked.filter((one) => one !== task.id);
  }
  if (task.group !== null) {
    const group = taskOf(state, task.group);
    group.openMembers -= 1;
    if (group.openMembers === 0 && group.status === "open") state.scratch.full.push(group.id);
  }
}

/** A person said what is done about a failed task: again, by the same agent or by another, or what follows. */
function takeUp(
  state: RunState,
  task: TaskState,
  { choice, agent }: EventData["escalation.decided"],
  at: number,
): void {
  task.escalated = null;
  // What another agent or a person makes of it is no result of this agent.
  if (choice !== "retry") leave(state, task);
  if (choice !== "retry" && choice !== "reassign") return;
  if (choice === "reassign") {
    unload(state, task);
    task.reassigned += 1;
    task.reuseMs = null;
    task.agent = agent;
    load(state, task);
  }
  task.steps = choice === "retry" ? keptSteps(task.steps) : new Map();
  task.tries = 0;
  task.crashes = 0;
  task.crashesAlone = 0;
  requeue(state, task, "ready", at);
}

/** Takes a task back to be done from its start. */
function reopen(state: RunState, task: TaskState, input: Json | undefined, at: number): void {
  if (SETTLED.has(task.status)) {
    state.openTasks += 1;
    load(state, task);
    state.counts.completed -= 1;
    task.before = { output: task.output };
    for (const { task: id } of state.dependents.get(task.id) ?? []) {
      const dependent = taskOf(state, id);
      if (dependent.status === "waiting") dependent.openNeeds += 1;
    }
    const group = task.group === null ? undefined : taskOf(state, task.group);
    if (group !== undefined && !SETTLED.has(group.status)) group.openMembers += 1;
  }
  leave(state, task);
  task.reruns += 1;
  task.escalated = null;
  forgetReads(state, task);
  task.steps.clear();
  task.waits = [];
  task.snapshot = null;
  task.output = undefined;
  task.error = undefined;
  task.tries = 0;
  if (input !== undefined) task.input = input;
  if (follows(state, task, at)) requeue(state, task, "suspended", Number.POSITIVE_INFINITY);
  else requeue(state, task, "ready", at);
}

/** Counts a task among those of its agent. */
function load(state: RunState, { agent }: TaskState): void {
  if (agent === null) return;
  state.loads.set(agent, (state.loads.get(agent) ?? 0) + 1);
  state.underWay += 1;
}

/** Takes a task that is about to settle off its agent, or off the planner's hands. */
function unload(state: RunState, { id, agent, status }: TaskState): void {
  state.awaiting.delete(id);
  if (!UNDER_WAY.has(status)) return;
  state.underWay -= 1;
  if (agent === null) return;
  const load = (state.loads.get(agent) ?? 0) - 1;
  if (load > 0) state.loads.set(agent, load);
  else state.loads.delete(agent);
}

/** What goes on without the planner. */
export const UNDER_WAY: ReadonlySet<TaskStatus> = new Set([
  "ready",
  "assigned",
  "delayed",
  "suspended",
  "blocked",
  "escalated",
]);

function putStep(
  state: RunState,
  data: { task: string; key: string; kind: StepKind; name: string; inputHash: string; approval?: string | undefined },
  status: StepStatus,
  settlePolicy: SettlePolicy = "person",
  idempotencyKey: string | null = null,
): StepState {
  const task = taskOf(state, data.task);
  const approved = data.approval === undefined ? undefined : task.steps.get(data.approval)?.approved;
  if (approved !== undefined) approved.usedBy ??= data.key;
  const known = task.steps.get(data.key);
  if (known) {
    if (known.status === "asked") {
      // Answers are handed to a resumed agent in the order in which they came.
      task.steps.delete(data.key);
      task.steps.set(data.key, known);
      state.scratch.timed.add(task.id);
    }
    known.status = status;
    if (status === "started") {
      known.settle = settlePolicy;
      known.idempotencyKey = idempotencyKey;
      known.outcome = null;
    }
    return known;
  }
  const step: StepState = {
    key: data.key,
    kind: data.kind,
    name: data.name,
    inputHash: data.inputHash,
    status,
    settle: settlePolicy,
    idempotencyKey,
    input: undefined,
    output: undefined,
    error: undefined,
    outcome: null,
    asked: null,
  };
  task.steps.set(data.key, step);
  return step;
}

function countStep(state: RunState, usage: Usage | undefined): void {
  state.usage.steps += 1;
  if (usage === undefined) return;
  state.usage.inputTokens += usage.inputTokens;
  state.usage.outputTokens += usage.outputTokens;
  state.usage.simulated ||= usage.simulated;
  if (usage.costMicroUsd === null) state.usage.unpriced += 1;
  else state.usage.costMicroUsd += usage.costMicroUsd;
}

/** The run is over: whatever was open ends with it. */
function endRun(state: RunState, status: "completed" | "failed" | "stopped", at: number): void {
  state.status = status;
  state.endedAt = at;
  for (const task of state.tasks.values()) {
    if (SETTLED.has(task.status)) continue;
    task.status = "cancelled";
    task.worker = null;
    state.counts.cancelled += 1;
    state.scratch.touched.add(task.id);
  }
  state.openTasks = 0;
  state.awaiting.clear();
  state.loads.clear();
  state.underWay = 0;
  state.dependents.clear();
  state.scratch.settled = [];
  state.scratch.doomed = [];
  state.scratch.unbound = [];
  state.scratch.unrouted = [];
  state.scratch.full = [];
  state.scratch.childless = [];
  state.scratch.repeated = [];
  state.shared.clear();
}
