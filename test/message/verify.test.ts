import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { COORDINATOR, createEnvelope, type Envelope, EVERYONE, type MessageType } from "../../src/message/envelope.ts";
import { CLOCK_TOLERANCE_MS, type VerifyContext, verifyMessage } from "../../src/message/verify.ts";

const NOW = 1_000_000_000;
const task = { run: "r1", task: "t1", attempt: 1 };
const usage = { steps: 0, inputTokens: 0, outputTokens: 0, costMicroUsd: 0 };

const PAYLOADS = {
  "task.request": { ...task, agent: "writer", input: null, deadline: null },
  "task.response": { ...task, output: null, usage },
  error: { ...task, error: { code: "TOOL_FAILED", class: "permanent", message: "no" } },
  "status.update": { ...task, text: "half way" },
  heartbeat: { at: 5, load: 0 },
  "clarification.request": { run: "r1", task: "t1", question: "?" },
  "clarification.response": { run: "r1", task: "t1", answer: "!" },
  "event.order.paid": {},
} as const;

type Type = keyof typeof PAYLOADS;

function message(type: Type, sender: string, recipient: string, fields: Partial<Envelope> = {}): Envelope {
  const payload = PAYLOADS[type] as Envelope["payload"];
  return createEnvelope<MessageType>({
    id: "m1",
    type,
    payload,
    sender,
    recipient,
    timestamp: NOW,
    ttlMs: 5_000,
    ...fields,
  });
}

const anyone: VerifyContext = { now: NOW, maySend: () => true, isRecipient: () => true, seen: () => false };
const verdict = (value: unknown, context: Partial<VerifyContext> = {}) => {
  const verified = verifyMessage(value, { ...anyone, ...context });
  return verified.ok ? "ok" : verified.check;
};

/** The whole table: what may go from whom to whom. */
const MAY: { readonly [type in Type]: readonly string[] } = {
  "task.request": ["coordinator > agent"],
  "task.response": ["agent > coordinator"],
  error: ["coordinator > agent", "agent > coordinator"],
  "status.update": ["agent > agent", "agent > coordinator", "agent > everyone"],
  heartbeat: ["agent > coordinator"],
  "clarification.request": ["agent > agent", "agent > coordinator", "coordinator > agent"],
  "clarification.response": ["agent > agent", "agent > coordinator", "coordinator > agent"],
  "event.order.paid": [
    "agent > agent",
    "agent > coordinator",
    "agent > everyone",
    "coordinator > agent",
    "coordinator > everyone",
  ],
};

const SENDERS = { agent: "reader", coordinator: COORDINATOR };
const RECIPIENTS = { agent: "writer", coordinator: COORDINATOR, everyone: EVERYONE };

describe.each(Object.keys(MAY) as Type[])("%s", (type) => {
  for (const [from, sender] of Object.entries(SENDERS)) {
    for (const [to, recipient] of Object.entries(RECIPIENTS)) {
      const allowed = MAY[type].includes(`${from} > ${to}`);
      test(`${allowed ? "may" : "may not"} go from ${from} to ${to}`, () => {
        expect(verdict(message(type, sender, recipient))).toBe(allowed ? "ok" : "type");
      });
    }
  }
});

const response = (fields: Partial<Envelope> = {}) => message("task.response", "reader", COORDINATOR, fields);

test("M3: a sender that did not certify the channel is refused", () => {
  expect(verdict(response(), { maySend: (sender) => sender !== "reader" })).toBe("sender");
  expect(verdict(message("task.request", COORDINATOR, "writer"), { maySend: (sender) => sender === "reader" })).toBe(
    "sender",
  );
});

test("M3: a recipient that is not here is refused; everyone is always here", () => {
  const isRecipient = (recipient: string) => recipient === "writer";
  expect(verdict(response(), { isRecipient })).toBe("recipient");
  expect(verdict(message("status.update", "reader", "writer"), { isRecipient })).toBe("ok");
  expect(verdict(message("status.update", "reader", EVERYONE), { isRecipient })).toBe("ok");
});

test("M3: a task for one agent that is addressed to another is refused", () => {
  expect(verdict(message("task.request", COORDINATOR, "reader"))).toBe("recipient");
});

test("X2: an edge that the fleet does not declare does not exist", () => {
  const isEdge = (sender: string, recipient: string) => sender === "reader" && recipient === "writer";
  expect(verdict(message("status.update", "reader", "writer"), { isEdge })).toBe("ok");
  expect(verdict(message("status.update", "writer", "reader"), { isEdge })).toBe("type");
});

test("M3: age counts from the sender's timestamp, with tolerance for its clock", () => {
  const at = (timestamp: number) => verdict(response({ timestamp }));
  expect(at(NOW - 5_000 - CLOCK_TOLERANCE_MS)).toBe("ok");
  expect(at(NOW - 5_001 - CLOCK_TOLERANCE_MS)).toBe("age");
  expect(at(NOW + CLOCK_TOLERANCE_MS)).toBe("ok");
  expect(at(NOW + CLOCK_TOLERANCE_MS + 1)).toBe("age");
  expect(verdict(response({ timestamp: NOW - 5_001 }), { toleranceMs: 0 })).toBe("age");
});

test("M3: what was acted on before is refused, and only asked about when all else holds", () => {
  const asked: string[] = [];
  const seen = (envelope: Envelope) => asked.push(envelope.id) > 0;
  expect(verdict(response(), { seen })).toBe("replay");
  expect(verdict(response({ timestamp: 0 }), { seen })).toBe("age");
  expect(asked).toEqual(["m1"]);
});

test("M2: what does not conform to its schema is refused before anything is asked", () => {
  const never = () => expect.unreachable("asked about a malformed message");
  const context = { maySend: never, isRecipient: never, seen: never };
  expect(verdict({ ...response(), payload: { ...task, output: null } }, context)).toBe("schema");
  expect(
    verdict(response({ payload: { ...task, output: "x".repeat(2_000), usage } }), { ...context, bytesMax: 1_000 }),
  ).toBe("schema");
});

test("no value makes it throw", () => {
  const anything = fc.oneof(
    fc.anything(),
    fc.record({ type: fc.constantFrom(...Object.keys(PAYLOADS)), payload: fc.anything() }),
  );
  fc.assert(
    fc.property(anything, (value) => {
      expect(verifyMessage(value, anyone).ok).toBe(false);
    }),
  );
});
