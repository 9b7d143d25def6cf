import type { ErrorRecord } from "../error.ts";
import type { JsonSchema, Priority } from "./definition.ts";
import type { Candidate, Need } from "./event.ts";
import type { Json } from "./json.ts";
import type { TaskStatus } from "./state.ts";

/** A task as a planner sees it. */
export interface TaskView {
  readonly id: string;
  readonly agent: string | null;
  readonly kind: "agent" | "group" | "plan" | "run";
  readonly status: TaskStatus;
  readonly priority: Priority;
  readonly attempt: number;
  readonly group: string | null;
  readonly input: Json | undefined;
  /** Set when completed. */
  readonly output: Json | undefined;
  /** Set when failed. */
  readonly error: ErrorRecord | undefined;
}

/** A run as a planner sees it. Look-ups are O(1); `tasks()` walks all of them. */
export interface RunView {
  readonly id: string;
  readonly input: Json;
  /** The workflow's options, as the pattern's schema parsed them. */
  readonly options: Json;
  /** Tasks that have not settled. */
  readonly open: number;
  task(id: string): TaskView | undefined;
  tasks(): Iterable<TaskView>;
  /** Tasks that wait for the planner's word: an input (`bind` said `later`), or an agent; in the order in which they
   *  began to. */
  awaiting(): Iterable<TaskView>;
  /** Tasks of an agent in this run that are ready or being done. */
  load(agent: string): number;
  /** Tasks that the planner ever added. */
  readonly size: number;
  /** Settled members of a group, in the order in which they were added. */
  members(group: string): readonly TaskView[];
  /** What an agent is for, in the words of its declaration; absent where no declaration is at hand. */
  describe?(agent: string): string;
  /** What an agent can do and may use; absent as `describe` is (C4). */
  profile?(agent: string): AgentProfile | undefined;
  /** What the run may still add and spend; absent as `describe` is. */
  left?(): RunLeft;
}

/** What an agent can do and may use for one task. */
export interface AgentProfile {
  readonly tools: readonly string[];
  readonly domains: readonly string[];
  readonly taskTypes: readonly string[];
  readonly tokensMax: number;
}

/** Of a run's limits, what is not used yet. */
export interface RunLeft {
  readonly tasks: number;
  readonly tokens: number;
  /** Null: there is no limit. */
  readonly costMicroUsd: number | null;
}

export interface TaskSpec {
  /** Unique in the run; adding one that exists is a no-op, so planners may say things twice. */
  id: string;
  /** `group` is a task without an agent: it completes with the list of its members' outputs. */
  kind?: "agent" | "group";
  /** An agent's name, or `workflow:NAME`: the task is then the work of a child run, and ends as that does. Null: an edit
   *  `route` names it, once the task is ready for one and the planner was told so (`unrouted`). */
  agent?: string | null;
  /** Absent: `bind` gives it when all needs are met. */
  input?: Json;
  needs?: readonly (string | Need)[];
  priority?: Priority;
  group?: string;
  /** The schema of this task's output, in place of its agent's. */
  output?: JsonSchema;
  why?: string;
}

export type Edit =
  | { edit: "add"; task: TaskSpec }
  /** Answers for a task for which `bind` said `later`. */
  | { edit: "bind"; task: string; binding: Binding }
  /** Names who does a task that was added with `agent: null`. `candidates`: who else was considered, for the record
   *  (C6, O1); `output`: the schema of its output, in place of the agent's. */
  | { edit: "route"; task: string; agent: string; why: string; candidates?: readonly Candidate[]; output?: JsonSchema }
  | { edit: "cancel"; task: string; why: string }
  /** The reason for these edits, in place of the engine's own words. */
  | { edit: "explain"; why: string }
  /** Ends the run with this output; what is still open is cancelled. */
  | { edit: "finish"; output: Json }
  /** Ends the run as failed, because of `task` if one is named. */
  | { edit: "fail"; error: ErrorRecord; task?: string };

export type Change =
  /** Only for a planner whose `bind` answered `later`. */
  | { type: "unbound"; task: TaskView }
  /** Only for tasks that were added with `agent: null`. */
  | { type: "unrouted"; task: TaskView }
  | { type: "started" }
  | { type: "settled"; task: TaskView };

export type Binding =
  | { input: Json }
  /** The task becomes a group of these. */
  | { members: readonly TaskSpec[] }
  /** The task completes with this; nobody does it. */
  | { output: Json }
  | { skip: string }
  /** An edit gives it, sooner or later. A planner that says so is told of the task once more, as a change. */
  | { later: true }
  /** Nobody does it: a person says what its output is, in the inbox (C9, F9). */
  | { person: PersonAsk }
  | { fail: ErrorRecord };

/** A question that agents could not settle. */
export interface PersonAsk {
  /** Why they could not, and what the task fails with when the person does not decide either. */
  error: ErrorRecord;
  /** All that the person is shown; the task's input. */
  input: Json;
  /** What can be chosen, by unique name, the default first; the person may also give another output. */
  choices: readonly { name: string; output: Json }[];
  /** Milliseconds; null: as long as the run lasts. */
  deadlineMs: number | null;
  onDeadline: "fail" | "choose";
  /** Names of those who are asked; none: anybody. */
  to: readonly string[];
}

/** A pattern at work: a pure function from what just happened to edits of the task graph (design: patterns are
 *  planners). It holds nothing: all that it knows is the view. */
export interface Planner {
  plan(view: RunView, change: Change): readonly Edit[];
  /** Input for a task that was added without one, asked when its needs are met. */
  bind?(view: RunView, task: TaskView): Binding;
  /** Set when `bind` may answer `later`: a run that waits for nothing but such answers is ended. */
  readonly mayDefer?: true;
}
