import type { Accounts } from "../../src/core/account.ts";
import type { Command, DecideContext, StepRecord } from "../../src/core/command.ts";
import { decide } from "../../src/core/decide.ts";
import {
  type ApprovalPolicy,
  DEFAULT_LIMITS,
  DEFAULT_RETRY,
  type EscalationPolicy,
  type Limits,
  type RetryPolicy,
} from "../../src/core/definition.ts";
import type { RunEvent } from "../../src/core/event.ts";
import type { Json } from "../../src/core/json.ts";
import type { Change, Edit, Planner, RunView, TaskSpec } from "../../src/core/planner.ts";
import { emptyRun, type RunState, type TaskState, taskOf } from "../../src/core/state.ts";
import type { ErrorRecord } from "../../src/error.ts";
import { expectFoldsTo } from "../pattern/engine.ts";

export interface Desk {
  state: RunState;
  events: RunEvent[];
  /** The clock of the next commands, milliseconds. */
  now: number;
  /** Decides and returns the types of the events that came of it. */
  send(command: Command): string[];
  assign(task: string): string[];
  /** Ends the current attempt. */
  complete(task: string, output?: Json): string[];
  fail(task: string, error: ErrorRecord): string[];
  release(task: string, suspect: boolean): string[];
  step(task: string, step: Partial<StepRecord> & Pick<StepRecord, "phase" | "key">): string[];
  task(id: string): TaskState;
  /** The journal folds to the state. */
  check(): void;
}

export interface DeskOptions {
  limits?: Partial<Limits>;
  retry?: Partial<RetryPolicy>;
  input?: Json;
  onCorrection?: "flag" | "rerun";
  /** Agents whose failed tasks wait for a person. */
  escalation?: Record<string, EscalationPolicy>;
  /** Tools whose calls need a person. */
  approval?: Record<string, ApprovalPolicy>;
  accounts?: Accounts;
  /** Windows of agents whose results may be taken over, in milliseconds. */
  reuse?: Record<string, number>;
}

/** A started run under a planner of the test's own. */
export function desk(
  planner: Planner | readonly TaskSpec[],
  {
    limits = {},
    retry = {},
    input = null,
    onCorrection = "rerun",
    approval = {},
    escalation = {},
    reuse = {},
    accounts,
  }: DeskOptions = {},
): Desk {
  const state = emptyRun("r-1");
  const events: RunEvent[] = [];
  const used = "plan" in planner ? planner : adding(planner);
  const at: Desk = {
    state,
    events,
    now: 1_000,
    send(command) {
      const context: DecideContext = {
        now: at.now,
        roll: 0.5,
        planner: used,
        options: null,
        retry: () => ({ ...DEFAULT_RETRY, ...retry }),
        ...(accounts === undefined ? {} : { accounts }),
        facts: { may: (agent) => agent !== "stranger", onCorrection },
        escalation: (agent) => escalation[agent ?? ""] ?? null,
        approval: (_, tool) => approval[tool] ?? null,
        reuseMs: (agent) => reuse[agent] ?? null,
        hasAgent: (agent) => agent !== "nobody",
        workflow: (name) => (name === "none" ? null : { pattern: "p", limits: DEFAULT_LIMITS, problems }),
        grant: (caller, agent) =>
          agent === "nobody" ? null : { handover: true, tools: [`tool of ${caller}`, "common"] },
      };
      const decided = decide(state, command, context);
      events.push(...decided);
      return decided.map((event) => event.type);
    },
    assign: (task) => at.send({ type: "tasks.assign", tasks: [task], worker: "w-1", why: "test" }),
    complete: (task, output = null) => at.send({ type: "task.complete", task, attempt: at.task(task).attempt, output }),
    fail: (task, error) => at.send({ type: "task.fail", task, attempt: at.task(task).attempt, error }),
    release: (task, suspect) =>
      at.send({ type: "task.release", task, attempt: at.task(task).attempt, why: "host died", suspect }),
    step(task, step) {
      const record: StepRecord = { kind: "tool", name: step.key, inputHash: "h", ...step };
      return at.send({ type: "step.record", task, attempt: at.task(task).attempt, step: record });
    },
    task: (id) => taskOf(state, id),
    check: () => expectFoldsTo(state, events),
  };
  at.send({
    type: "run.start",
    workflow: "w",
    pattern: "p",
    definition: "d",
    priority: 2,
    limits: { ...DEFAULT_LIMITS, ...limits },
    input,
    queue: "q",
    by: "test",
  });
  return at;
}

const problems = (input: Json) => (input === "bad" ? ["it is bad"] : []);

/** Adds these tasks at the start and finishes when all have settled. */
export function adding(tasks: readonly TaskSpec[]): Planner {
  return {
    plan: (view: RunView, change: Change): Edit[] => {
      if (change.type === "started") return tasks.map((task) => ({ edit: "add", task }));
      return view.open === 0 ? [{ edit: "finish", output: null }] : [];
    },
  };
}

export const work = (id: string, more: Partial<TaskSpec> = {}): TaskSpec => ({ id, agent: "x", input: null, ...more });
