import type { Priority, RetryPolicy } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import type { ErrorRecord } from "../error.ts";
import { canonicalJson, sha256 } from "./canonical.ts";

/** The name under which the coordinator sends and receives; no agent may have it. */
export const COORDINATOR = "coordinator";

/** The recipient of a broadcast (M1). */
export const EVERYONE = "*";

/** What one attempt of a task consumed. Money in integer micro-USD. */
export type Usage = { steps: number; inputTokens: number; outputTokens: number; costMicroUsd: number };

/** The payload of each type of message (M2). `deadline` is a time in milliseconds; `load` is work in hand over slots. */
export type Payloads = {
  "task.request": { run: string; task: string; attempt: number; agent: string; input: Json; deadline: number | null };
  "task.response": { run: string; task: string; attempt: number; output: Json; usage: Usage };
  error: { run: string; task: string; attempt: number; error: ErrorRecord };
  "status.update": { run: string; task: string; attempt: number; text: string; data?: Json };
  heartbeat: { at: number; load: number };
  "clarification.request": { run: string; task: string; question: string };
  "clarification.response": { run: string; task: string; answer: Json };
};

/** A domain event, whose payload belongs to the fleet's own domain. */
export type EventType = `event.${string}`;
export type MessageType = keyof Payloads | EventType;
export type PayloadOf<T extends MessageType> = T extends keyof Payloads ? Payloads[T] : Json;

/** Where a message belongs in a trace (W3C ids, lower-case hex). */
export type TraceContext = { traceId: string; spanId: string; sampled: boolean };

/** All that travels between agents (M1). The signature is not inside: an envelope is authenticated by its channel at
 *  once, and its digest is covered by its sender's signed Merkle root (`seal.ts`) soon after. */
export interface Envelope<T extends MessageType = MessageType> {
  /** The message that caused this one; null for the first of a conversation. */
  readonly causationId: string | null;
  /** Shared by all messages of one conversation: a request and what answers it. */
  readonly correlationId: string;
  readonly id: string;
  readonly needsAck: boolean;
  readonly payload: PayloadOf<T>;
  readonly priority: Priority;
  /** An agent, `COORDINATOR` or `EVERYONE`. */
  readonly recipient: string;
  readonly retry: RetryPolicy | null;
  readonly sender: string;
  /** Milliseconds since the epoch, by the sender's clock. */
  readonly timestamp: number;
  readonly trace: TraceContext | null;
  /** Milliseconds after `timestamp` for which acting on it makes sense. */
  readonly ttlMs: number;
  readonly type: T;
}

/** What a sender has to say; the rest has defaults. */
export type EnvelopeFields<T extends MessageType> = Pick<
  Envelope<T>,
  "id" | "type" | "sender" | "recipient" | "timestamp" | "payload"
> &
  Partial<Envelope<T>>;

/** An hour, when the sender names no time to live. */
export const DEFAULT_TTL_MS = 3_600_000;

/** An envelope with defaults: a conversation of its own, no cause, normal priority, one hour, no acknowledgement.
 *  Its keys are in canonical order, which makes digests cheap (see `canonicalJson`). */
export function createEnvelope<T extends MessageType>(fields: EnvelopeFields<T>): Envelope<T> {
  return {
    causationId: fields.causationId ?? null,
    correlationId: fields.correlationId ?? fields.id,
    id: fields.id,
    needsAck: fields.needsAck ?? false,
    payload: fields.payload,
    priority: fields.priority ?? 2,
    recipient: fields.recipient,
    retry: fields.retry ?? null,
    sender: fields.sender,
    timestamp: fields.timestamp,
    trace: fields.trace ?? null,
    ttlMs: fields.ttlMs ?? DEFAULT_TTL_MS,
    type: fields.type,
  };
}

/** SHA-256 of the canonical JSON: what is journaled in place of the envelope and signed by its sender (X1).
 *  @throws {FlotillaError} EVENT_INVALID when the envelope holds what is not JSON */
export function envelopeDigest(envelope: Envelope): Buffer {
  return sha256(canonicalJson(envelope));
}
