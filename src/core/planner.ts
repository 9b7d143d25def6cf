import type { ErrorRecord } from "../error.ts";
import type { JsonSchema, Priority } from "./definition.ts";
import type { Need } from "./event.ts";
import type { Json } from "./json.ts";
import type { TaskStatus } from "./state.ts";

/** A task as a planner sees it. */
export interface TaskView {
  readonly id: string;
  readonly agent: string | null;
  readonly kind: "agent" | "group" | "plan";
  readonly status: TaskStatus;
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
  /** Settled members of a group, in the order in which they were added. */
  members(group: string): readonly TaskView[];
  /** What an agent is for, in the words of its declaration; absent where no declaration is at hand. */
  describe?(agent: string): string;
}

export interface TaskSpec {
  /** Unique in the run; adding one that exists is a no-op, so planners may say things twice. */
  id: string;
  /** `group` is a task without an agent: it completes with the list of its members' outputs. */
  kind?: "agent" | "group";
  agent?: string;
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
  | { edit: "cancel"; task: string; why: string }
  /** Ends the run with this output; what is still open is cancelled. */
  | { edit: "finish"; output: Json }
  /** Ends the run as failed, because of `task` if one is named. */
  | { edit: "fail"; error: ErrorRecord; task?: string };

export type Change =
  /** Only for a planner whose `bind` answered `later`. */
  { type: "unbound"; task: TaskView } | { type: "started" } | { type: "settled"; task: TaskView };

export type Binding =
  | { input: Json }
  /** The task becomes a group of these. */
  | { members: readonly TaskSpec[] }
  | { skip: string }
  /** An edit gives it, sooner or later. A planner that says so is told of the task once more, as a change. */
  | { later: true }
  | { fail: ErrorRecord };

/** A pattern at work: a pure function from what just happened to edits of the task graph (design: patterns are
 *  planners). It holds nothing: all that it knows is the view. */
export interface Planner {
  plan(view: RunView, change: Change): readonly Edit[];
  /** Input for a task that was added without one, asked when its needs are met. */
  bind?(view: RunView, task: TaskView): Binding;
  /** Set when `bind` may answer `later`: a run that waits for nothing but such answers is ended. */
  readonly mayDefer?: true;
}
