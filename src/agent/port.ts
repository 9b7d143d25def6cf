import type { CallOutcome, PermitCall, RecordedStep, StepAnswer } from "../carrier/frame.ts";
import type { StepRecord } from "../core/command.ts";
import type { JsonSchema } from "../core/definition.ts";
import type { Spared } from "../core/fork.ts";
import type { Handed } from "../core/handover.ts";
import type { Json } from "../core/json.ts";
import type { ErrorRecord } from "../error.ts";
import type { Clock } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";

/** One attempt of one task, as the worker hands it to the agent loop. */
export interface Assignment {
  run: string;
  task: string;
  attempt: number;
  agent: string;
  input: Json;
  /** The schema of the output in place of the agent's own; null: the agent's. */
  output: JsonSchema | null;
  /** The tools that it may use at most, having been hired (X3); absent: all of the agent's own. */
  tools?: readonly string[];
  /** In a fork: what is done in place of writes (F11). */
  effects?: Spared;
  /** How often a person gave the task to another agent: what this one writes is not what those before it wrote. */
  reassigned?: number;
  /** What came with it from whoever handed it over; absent: nobody did (C14). */
  handed?: Handed;
  /** Steps that earlier attempts left on record, by key. */
  steps: ReadonlyMap<string, RecordedStep>;
}

/** A call as an agent asks for it. */
export type PermitRequest = PermitCall;
/** Without its name, which is the try's. */
export type Gated = PermitCall extends infer T ? (T extends unknown ? Omit<T, "call"> : never) : never;

/** All that an agent's execution can reach of the outside: no clock, randomness or channel of its own. */
export interface TaskPort {
  readonly assignment: Assignment;
  /** Aborted on time-out, cancellation, kill and loss of the coordinator. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly random: Random;
  /** Resolves when the step is durable; with the answer to a question that was answered at once. Rejects with CANCELLED
   *  when the attempt is not current any more. */
  record(step: StepRecord): Promise<StepAnswer | undefined>;
  /** Resolves when a call may be made: what it uses at worst is then reserved, durably (K2). Waits for its turn.
   *  @throws LIMIT_TOKENS, LIMIT_COST, CANCELLED */
  permit(request: PermitRequest): Promise<void>;
  /** Says how a permitted call ended. */
  outcome(call: string, outcome: CallOutcome): void;
  token(text: string): void;
  log(level: "debug" | "info" | "warn" | "error", message: string, data?: Json): void;
  status(text: string): void;
}

export type AgentOutcome =
  | { type: "completed"; output: Json }
  | { type: "failed"; error: ErrorRecord }
  /** Only durable waits are outstanding: the task holds nothing until `wakeAt`, or an answer to one of the steps that it
   *  `waits` for. */
  | { type: "suspended"; wakeAt: number | null; waits: readonly string[] };
