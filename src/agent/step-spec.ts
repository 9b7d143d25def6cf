import type { RetryPolicy } from "../core/definition.ts";
import type { Ask, SettlePolicy, StepKind, Usage } from "../core/event.ts";
import type { Json } from "../core/json.ts";
import type { Gated } from "./port.ts";

/** What a step does, and how its failures are met. */
export interface StepSpec {
  kind: StepKind;
  name: string;
  /** What the step is asked: its hash is what a resumed agent must repeat. */
  input: Json;
  /** What goes on record as the input when it is not `input` itself. */
  shown?: Json;
  /** Milliseconds for one try; null for steps that take no time. */
  timeoutMs: number | null;
  /** Tries within the step (F2); null: one. */
  retry: RetryPolicy | null;
  /** The step under whose approval it is made (F9). */
  approval?: string;
  /** Present for a write (F13): how an unknown outcome is settled. */
  write?: WriteSpec;
  /** Asked before each try: the call is made when it is permitted. The wait does not count as the try's time. */
  gate?: () => Gated;
  /** `output` may be whatever JSON can hold; the agent gets it as it will be read back from the record. */
  perform(attempt: Attempt): Promise<Performed>;
}

/** A question that others answer. */
export interface AskSpec {
  kind: StepKind;
  name: string;
  /** As in `StepSpec`. */
  input: Json;
  /** Made when it is asked for the first time, at that time. */
  ask(now: number): Ask;
  /** Learns the step's key when its place in the record is taken. */
  key?(key: string): void;
}

export interface WriteSpec {
  settle: SettlePolicy;
  /** The other side deduplicates by the idempotency key. */
  idempotent: boolean;
  /** Finds out whether an interrupted write happened; null when the tool cannot tell. */
  check: ((attempt: Attempt) => Promise<unknown>) | null;
}

export interface Attempt {
  /** Aborted on time-out, stop and kill. */
  signal: AbortSignal;
  /** The same for every try of this step, in every attempt at the task. */
  idempotencyKey: string;
}

export interface Performed {
  output: unknown;
  usage?: Usage;
}

/** A step that has its place in the record. */
export interface Call {
  spec: StepSpec;
  key: string;
  inputHash: string;
  idempotencyKey: string;
  startedAt: number;
  signal: AbortSignal;
}
