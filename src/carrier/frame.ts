import type { Spared } from "../core/fork.ts";
import type { StepRecord } from "../core/command.ts";
import type { JsonSchema } from "../core/definition.ts";
import type { HoldScope } from "../core/hold.ts";
import type { Handed } from "../core/handover.ts";
import type { Json } from "../core/json.ts";
import type { CallRequest } from "../core/money.ts";
import type { StepState } from "../core/state.ts";
import type { ErrorRecord } from "../error.ts";
import type { Envelope } from "../message/envelope.ts";
import type { Seal } from "../message/seal.ts";

/** The worker protocol: one set of frames over every carrier (design: processes). Plain JSON. */

export interface TaskRef {
  run: string;
  task: string;
  attempt: number;
}

/** Where an attempt belongs, for the gate of its host. */
export interface Place {
  workflow: string;
  /** Its agent, and those on whose behalf it works. */
  line: string[];
  /** Holds placed and lifted when it was given out. */
  epoch: number;
}

/** A step that earlier attempts left on record, for a resumed agent. */
export type RecordedStep = Pick<
  StepState,
  "key" | "kind" | "name" | "inputHash" | "status" | "settle" | "idempotencyKey" | "output" | "error" | "outcome"
>;

/** What a question of an agent was answered with. */
export type StepAnswer = { output: Json } | { error: ErrorRecord };

/** Characters of one step or result, as canonical JSON without its escapes. However it is escaped, it then fits into a
 *  record of any carrier. */
export const SAID_CHARACTERS_MAX = 10 * 1024 * 1024;

/** A call that an attempt wants to make. */
export type PermitCall =
  | ({ kind: "model" } & Omit<CallRequest, "task" | "attempt">)
  | { kind: "tool"; call: string; tool: string };

/** How a permitted call ended. */
export interface CallOutcome {
  /** Null when it succeeded; the code of its failure else. */
  code: string | null;
  /** Whether it may cost something of which nobody knows how much. */
  billed: "none" | "unknown" | "recorded";
  /** What it used, in and out. */
  tokens?: number;
  /** When the other side asked to be left alone for a while. */
  retryAfterMs?: number;
}

export type CoordinatorFrame =
  /** Recorded steps that do not fit into the assignment, which follows. */
  | ({ f: "steps"; steps: RecordedStep[] } & TaskRef)
  /** The envelope is a task.request whose payload holds input and deadline. `tools`: those that the agent may use at
   *  most; absent: all of its own. */
  | ({
      f: "assign";
      agent: string;
      envelope: Envelope;
      steps: RecordedStep[];
      output: JsonSchema | null;
      tools?: readonly string[];
      /** How often a person gave the task to another agent; absent: never. */
      reassigned?: number;
      /** The working context of a task that was handed over; absent: it was not. */
      handed?: Handed;
      effects?: Spared;
    } & Place &
      TaskRef)
  /** The step is durable (or was refused: the attempt is not current any more). A question may have its answer at once. */
  | ({ f: "ack"; key: string; phase: StepRecord["phase"]; ok: boolean; answer?: StepAnswer } & TaskRef)
  | { f: "permit"; id: number; error: ErrorRecord | null }
  | ({ f: "cancel"; why: string } & TaskRef)
  /** `held`: what the scope covers and was given out up to `epoch` is aborted, and not begun when it comes; else, what
   *  was given out before `epoch`. Frames may come late, and out of their order on some carriers (X5). */
  | { f: "hold"; scope: HoldScope; name: string | null; held: boolean; epoch: number; why: string }
  /** Take no more work; exit when what runs has ended. */
  | { f: "drain" };

export type WorkerFrame =
  | { f: "ready"; slots: number }
  /** `seq` and the digest of the frame's canonical record are covered by the agent's next seal. */
  | ({ f: "step"; agent: string; step: StepRecord; seq: number } & TaskRef)
  /** task.response or error. */
  | ({ f: "result"; agent: string; envelope: Envelope; seq: number } & TaskRef)
  /** `waits`: steps whose answers it waits for. */
  | ({ f: "suspend"; agent: string; wakeAt: number | null; waits?: string[]; seq: number } & TaskRef)
  /** Asks whether a call may be made that uses this much at worst; granted once that is on record. */
  | ({ f: "permit"; id: number } & PermitCall & TaskRef)
  /** What became of a call that was permitted and has no step on record to say so. */
  | ({ f: "outcome"; call: string } & CallOutcome & TaskRef)
  | { f: "heartbeat"; at: number; running: number }
  | { f: "seal"; seals: Seal[] }
  /** Not journaled (I10). */
  | ({ f: "token"; agent: string; text: string } & TaskRef)
  | ({ f: "log"; level: "debug" | "info" | "warn" | "error"; message: string; data: Json | null } & TaskRef)
  | ({ f: "status"; agent: string; text: string } & TaskRef);
