import type { ApprovalDecision } from "./approval.ts";
import type { ErrorRecord } from "../error.ts";
import type { ApprovalPolicy, EscalationPolicy, Limits, Priority, RetryPolicy } from "./definition.ts";
import type { ChildUsage } from "./child-share.ts";
import type { ChildWorkflow } from "./child.ts";
import type { Ask, EventData, Proof, SettlePolicy, StepKind, Usage } from "./event.ts";
import type { FactPolicy } from "./fact.ts";
import type { EscalationDecision } from "./escalation.ts";
import type { Grant } from "./hire.ts";
import type { Hold } from "./hold.ts";
import type { Json } from "./json.ts";
import type { CallRequest, MoneyContext } from "./money.ts";
import type { AgentProfile, Planner } from "./planner.ts";
import type { Router } from "./route.ts";
import type { Fork } from "./state.ts";

/** A step as a worker reports it: an intent before a write, or an outcome. */
export interface StepRecord {
  /** `asked`: a question that others answer. */
  phase: "started" | "asked" | "completed" | "failed";
  key: string;
  kind: StepKind;
  name: string;
  inputHash: string;
  input?: Json;
  output?: Json;
  error?: ErrorRecord;
  durationMs?: number;
  usage?: Usage;
  idempotencyKey?: string;
  settle?: SettlePolicy;
  ask?: Ask;
  /** The call that `usage` settles. */
  call?: string;
  /** A tool call that a person had to allow: the step that asked for that. */
  approval?: string;
  proof?: Proof;
}

export type Command =
  | {
      type: "run.start";
      workflow: string;
      pattern: string;
      definition: string;
      priority: Priority;
      limits: Limits;
      input: Json;
      queue: string;
      by: string;
      idempotencyKey?: string;
      parent?: { run: string; task: string; line: string[] };
      tools?: string[];
      /** Its parent is paused. */
      paused?: { why: string; by: string };
    }
  /** A child run says how it ended. */
  | {
      type: "child.end";
      task: string;
      child: string;
      status: "completed" | "failed" | "stopped";
      output: Json;
      error: ErrorRecord | null;
      used: ChildUsage;
    }
  | { type: "tasks.assign"; tasks: readonly string[]; worker: string; why: string }
  | { type: "step.record"; task: string; attempt: number; step: StepRecord }
  /** A model is about to be asked (K2). Changes nothing when it may not be. */
  | ({ type: "call.reserve" } & CallRequest)
  /** Others need what this run has drawn and does not use. */
  | { type: "budget.return" }
  /** A call ended without a step on record. */
  | { type: "call.settle"; task: string; attempt: number; call: string; outcome: "free" | "unsettled" }
  | { type: "task.complete"; task: string; attempt: number; output: Json; proof?: Proof }
  | { type: "task.fail"; task: string; attempt: number; error: ErrorRecord; proof?: Proof }
  | {
      type: "task.suspend";
      task: string;
      attempt: number;
      wakeAt: number | null;
      waits?: readonly string[];
      proof?: Proof;
    }
  /** The worker is gone, or gave the task back. `suspect`: its process died with this task in it. */
  | { type: "task.release"; task: string; attempt: number; why: string; suspect: boolean }
  | { type: "task.expire"; task: string }
  /** Something came from a worker that does not hold the task (any more). */
  | { type: "late.record"; task: string; attempt: number; what: string; why: string }
  | { type: "timer.fire"; name: string }
  | {
      type: "step.settle";
      task: string;
      key: string;
      outcome: "done" | "not-done";
      output?: Json;
      by: string;
      note: string;
    }
  /** A person or a program commits a new version of a fact; on `base` if it is given, else on the newest (C10). */
  | {
      type: "fact.set";
      fact: string;
      value: Json;
      by: string;
      why: string;
      until: number | null;
      base?: number;
    }
  /** A person decides on a call that waits for approval (F9). */
  | ({ type: "approval.decide" } & ApprovalDecision)
  /** Goes on from the events of another run, as `planFork` planned it. */
  | {
      type: "run.fork";
      from: string;
      at: number;
      changed: readonly string[];
      changes: readonly string[];
      effects: EventData["run.forked"]["effects"];
      stubs: Fork["stubs"];
      by: string;
    }
  /** A person says what is done about a task that failed for good (F9). */
  | ({ type: "escalation.decide" } & EscalationDecision)
  | { type: "run.stop"; why: string; by: string }
  | { type: "run.pause"; why: string; by: string }
  | { type: "run.resume"; why: string; by: string };

/** What a decision may look at beside the state: all of it passed in. */
export interface DecideContext extends MoneyContext {
  /** A random number in [0, 1), for jitter. */
  roll: number;
  planner: Planner;
  options: Json;
  /** Retry policy of an agent. */
  retry(agent: string | null): RetryPolicy;
  /** Whether the run's workflow may give work to an agent. */
  hasAgent(agent: string): boolean;
  /** What one agent passes on to another that it calls; null: it may not call it (X3). Absent: nobody may call anybody. */
  grant?: Grant;
  /** Whether failed tasks of an agent wait for a person. Default: none does. */
  escalation?(agent: string | null): EscalationPolicy | null;
  /** Whether calls of a tool by an agent wait for a person. Default: none does. */
  approval?(agent: string | null, tool: string): ApprovalPolicy | null;
  /** A workflow of the run's definition, to start as a child. Absent: there are none. */
  workflow?(name: string): ChildWorkflow | null;
  /** What is wrong with an output by the workflow's own schema; none when it has no schema. */
  outputProblems?(output: Json): readonly string[];
  /** The route of this name; absent or undefined: there is none (C6). */
  router?(name: string): Router | undefined;
  /** Open tasks of an agent in other runs, as far as they are known here; absent: none. */
  loadElsewhere?(agent: string): number;
  /** Whether just so many tasks of an agent may be worked on at a time (F4). Default: none is bounded. */
  isBounded?(agent: string): boolean;
  /** Milliseconds for which results of an agent may be taken over by tasks of the same input (C11, K3). Default: null,
   *  none may. */
  reuseMs?(agent: string): number | null;
  /** What an agent is for, in the words of its declaration (C4: plans are made against what workers can do). */
  describe?(agent: string): string;
  /** What an agent can do and may use (C4). */
  profile?(agent: string): AgentProfile | undefined;
  /** Absent: agents may do nothing with facts. */
  facts?: FactPolicy;
  /** Holds of the fleet's journal, those lifted included; none when absent. */
  holds?: readonly Hold[];
  /** How often anything was held or lifted so far; 0 when absent. */
  epoch?: number;
}
