import { COORDINATOR, type Envelope, EVERYONE } from "./envelope.ts";
import { checkEnvelope, MESSAGE_BYTES_MAX } from "./schema.ts";

/** What a participant of a fleet is. */
export type ParticipantKind = "coordinator" | "agent";

/** Which check failed; the audit log counts by it. */
export type Check = "schema" | "sender" | "type" | "recipient" | "age" | "replay";

export type Verified = { ok: true; envelope: Envelope } | { ok: false; check: Check; reason: string };

/** What the receiver knows when a message comes. Nothing here reads a clock. */
export interface VerifyContext {
  /** Milliseconds since the epoch, by the receiver's clock. */
  readonly now: number;
  /** Whether the channel that the message came on was certified by this sender. */
  readonly maySend: (sender: string) => boolean;
  /** Whether the recipient is this side, or someone to whom this side relays. Never asked about `EVERYONE`. */
  readonly isRecipient: (recipient: string) => boolean;
  /** Whether a message of this id was acted on already, or is of an attempt that is over. */
  readonly seen: (envelope: Envelope) => boolean;
  /** Whether the fleet declares this edge (X2); absent, every edge of the table below exists. */
  readonly isEdge?: (sender: string, recipient: string, type: string) => boolean;
  /** How far the clocks of two machines may differ. Default 30 s. */
  readonly toleranceMs?: number;
  readonly bytesMax?: number;
}

export const CLOCK_TOLERANCE_MS = 30_000;

type Route = `${ParticipantKind} > ${ParticipantKind | "everyone"}`;

const TO_AGENT: readonly Route[] = ["coordinator > agent"];
const TO_COORDINATOR: readonly Route[] = ["agent > coordinator"];
const ASKING: readonly Route[] = ["agent > agent", "agent > coordinator", "coordinator > agent"];
const TELLING: readonly Route[] = ["agent > agent", "agent > coordinator", "agent > everyone"];

/** Who may send what to whom (M3). Whatever is not here is refused: in particular, agents never give each other
 *  work or results directly, since those are the coordinator's to decide. */
const ROUTES: { readonly [type: string]: readonly Route[] } = {
  "task.request": TO_AGENT,
  "task.response": TO_COORDINATOR,
  error: [...TO_AGENT, ...TO_COORDINATOR],
  "status.update": TELLING,
  heartbeat: TO_COORDINATOR,
  "clarification.request": ASKING,
  "clarification.response": ASKING,
};
const EVENT_ROUTES: readonly Route[] = [...TELLING, "coordinator > agent", "coordinator > everyone"];

/** Checks a message before anyone acts on it (M3, invariant 7): schema, sender, type, recipient, age, replay, in
 *  this order, and says which one failed. Pure; never throws on what the value holds. */
export function verifyMessage(value: unknown, context: VerifyContext): Verified {
  const checked = checkEnvelope(value, { bytesMax: context.bytesMax ?? MESSAGE_BYTES_MAX });
  if (!checked.ok) return { ok: false, check: "schema", reason: checked.reason };
  const { envelope } = checked;
  return (
    checkSender(envelope, context) ??
    checkRoute(envelope, context) ??
    checkRecipient(envelope, context) ??
    checkAge(envelope, context) ??
    checkReplay(envelope, context) ?? { ok: true, envelope }
  );
}

type Refusal = Extract<Verified, { ok: false }>;

function checkSender({ sender }: Envelope, context: VerifyContext): Refusal | null {
  return context.maySend(sender) ? null : refusal("sender", `${sender} did not certify this channel`);
}

function checkRoute({ sender, recipient, type }: Envelope, context: VerifyContext): Refusal | null {
  const route: Route = `${kindOf(sender)} > ${recipient === EVERYONE ? "everyone" : kindOf(recipient)}`;
  const routes = type.startsWith("event.") ? EVENT_ROUTES : (ROUTES[type] ?? []);
  if (!routes.includes(route)) return refusal("type", `${type} may not go from ${sender} to ${recipient}`);
  if (context.isEdge === undefined || context.isEdge(sender, recipient, type)) return null;
  return refusal("type", `the fleet declares no edge for ${type} from ${sender} to ${recipient}`);
}

function checkRecipient({ recipient, payload, type }: Envelope, context: VerifyContext): Refusal | null {
  if (recipient !== EVERYONE && !context.isRecipient(recipient)) {
    return refusal("recipient", `${recipient} cannot be reached on this channel`);
  }
  // A task addressed to one agent that names another would be accounted to the wrong one.
  const agent = type === "task.request" ? (payload as { agent: string }).agent : recipient;
  return agent === recipient ? null : refusal("recipient", `a task for ${agent} was addressed to ${recipient}`);
}

function checkAge(
  { timestamp, ttlMs }: Envelope,
  { now, toleranceMs = CLOCK_TOLERANCE_MS }: VerifyContext,
): Refusal | null {
  const ageMs = now - timestamp;
  if (ageMs > ttlMs + toleranceMs) return refusal("age", `it is ${ageMs} ms old and was good for ${ttlMs} ms`);
  if (ageMs < -toleranceMs) return refusal("age", `it comes ${-ageMs} ms from the future`);
  return null;
}

function checkReplay(envelope: Envelope, context: VerifyContext): Refusal | null {
  return context.seen(envelope) ? refusal("replay", `message ${envelope.id} was acted on already`) : null;
}

function kindOf(participant: string): ParticipantKind {
  return participant === COORDINATOR ? "coordinator" : "agent";
}

function refusal(check: Check, reason: string): Refusal {
  return { ok: false, check, reason };
}
