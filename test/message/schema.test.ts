import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JsonSchema } from "../../src/core/definition.ts";
import type { Json } from "../../src/core/json.ts";
import { canonicalJson, JSON_DEPTH_MAX } from "../../src/message/canonical.ts";
import { conformance } from "../../src/message/conform.ts";
import { createEnvelope, type Envelope, envelopeDigest, type MessageType } from "../../src/message/envelope.ts";
import { checkEnvelope, EVENT_SCHEMA, messageSchemas } from "../../src/message/schema.ts";

const task = { run: "r1", task: "t1", attempt: 1 };
const usage = { steps: 2, inputTokens: 10, outputTokens: 5, costMicroUsd: 0 };
const failure = {
  code: "TOOL_FAILED",
  class: "permanent",
  message: "no",
  hint: "h",
  details: {},
  retryAfterMs: 5,
} as const;

/** A valid message of each type, with every optional part present. */
const VALID: { readonly [type: string]: Envelope } = Object.fromEntries(
  [
    message("task.request", { ...task, agent: "reader", input: { topic: "tides" }, deadline: 5 }),
    message("task.response", { ...task, output: null, usage }),
    message("error", { ...task, error: failure }),
    message("status.update", { ...task, text: "half way", data: [1] }),
    message("heartbeat", { at: 5, load: 0.5 }),
    message("clarification.request", { run: "r1", task: "t1", question: "Which log?" }),
    message("clarification.response", { run: "r1", task: "t1", answer: "the second" }),
    message("event.order.paid", { order: 7 }),
  ].map((envelope) => [envelope.type, envelope]),
);

function message<T extends MessageType>(type: T, payload: Envelope<T>["payload"]): Envelope {
  return createEnvelope<T>({
    id: "m1",
    correlationId: "c1",
    causationId: "m0",
    type,
    payload,
    sender: "reader",
    recipient: "coordinator",
    timestamp: 1_000,
    retry: { attemptsMax: 5, initialDelayMs: 1_000, factor: 2, delayMsMax: 60_000, jitter: [0.5, 1.5] },
    trace: { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", sampled: true },
  }) as unknown as Envelope;
}

const cases = Object.entries(VALID);

test("there is a schema for every type, and a message of each conforms", () => {
  expect(cases.map(([type]) => (type.startsWith("event.") ? EVENT_SCHEMA : type)).sort()).toEqual(
    Object.keys(messageSchemas).sort(),
  );
  for (const [, envelope] of cases) expect(checkEnvelope(envelope)).toEqual({ ok: true, envelope });
});

// Ajv is the judge of what the schemas mean; ours must say the same of every value.
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: false });
const judges = Object.entries(messageSchemas).map(([type, schema]) => ({
  type,
  judge: ajv.compile(schema),
  check: conformance(schema),
}));

/** Every place in a value, as the keys that lead to it. */
function places(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, child]) => places(child, [...path, key]))];
}

function replaced(value: unknown, path: readonly string[], change: (old: unknown) => unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return change(value);
  const copy = Array.isArray(value) ? [...value] : { ...(value as object) };
  (copy as Record<string, unknown>)[key] = replaced((value as Record<string, unknown>)[key], rest, change);
  return copy;
}

function without(value: unknown, path: readonly string[]): unknown {
  return replaced(value, path.slice(0, -1), (parent) => {
    const key = path.at(-1) as string;
    if (Array.isArray(parent)) return parent.filter((_, index) => String(index) !== key);
    return Object.fromEntries(Object.entries(parent as object).filter(([name]) => name !== key));
  });
}

const ODD: readonly Json[] = [
  null,
  true,
  -1,
  0,
  1,
  1.5,
  4,
  1e300,
  "",
  "x",
  "x".repeat(513),
  "x".repeat(512),
  [],
  [1],
  {},
  { a: 1 },
];

describe.each(cases)("%s", (type, valid) => {
  const { judge, check } = judges.find((each) => each.type === (type.startsWith("event.") ? EVENT_SCHEMA : type))!;
  const agrees = (value: unknown): void => {
    expect(check(value) === null, canonicalJson(value)).toBe(judge(value));
  };

  test("every field replaced, removed and added to: the same verdict as Ajv", () => {
    for (const path of places(valid)) {
      for (const odd of ODD) agrees(replaced(valid, path, () => odd));
      agrees(replaced(valid, path, (old) => (isPlain(old) ? { ...old, extra: 1 } : old)));
      agrees(replaced(valid, path, (old) => (Array.isArray(old) ? [...old, 1] : old)));
      if (path.length > 0) agrees(without(valid, path));
    }
  });

  test("any value anywhere: the same verdict as Ajv", () => {
    const place = fc.constantFrom(...places(valid));
    const change = fc.tuple(place, fc.jsonValue());
    fc.assert(fc.property(change, ([path, value]) => agrees(replaced(valid, path, () => value))));
  });

  test("what is refused has a reason that names the place", () => {
    const wrong = { ...valid, timestamp: "now" };
    expect(checkEnvelope(wrong)).toEqual({ ok: false, reason: "the envelope/timestamp must be integer" });
    expect(checkEnvelope({ ...valid, colour: 1 })).toEqual({
      ok: false,
      reason: 'the envelope must not have "colour"',
    });
    expect(checkEnvelope(without(valid, ["id"]))).toEqual({ ok: false, reason: "the envelope must have id" });
  });
});

const isPlain = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const request = VALID["task.request"] as Envelope;
const withInput = (input: unknown) => ({ ...request, payload: { ...(request.payload as object), input } });
const refusal = (value: unknown, bytesMax?: number) => {
  const checked = checkEnvelope(value, bytesMax === undefined ? {} : { bytesMax });
  return checked.ok ? null : checked.reason;
};

test.each([
  null,
  1,
  "text",
  undefined,
  [],
  {},
  { type: 7 },
  { type: "task.explode" },
  { type: "__proto__" },
  { type: EVENT_SCHEMA },
])("what is no message at all is refused: %j", (value) => {
  expect(refusal(value)).not.toBeNull();
});

test("size is bounded before anything else, and needs no more than the bound to find out", () => {
  expect(refusal(withInput("x".repeat(1_000)), 1_000)).toBe("it is larger than 1000 bytes");
  expect(refusal(withInput("x".repeat(1_000)), 2_000)).toBeNull();
  expect(refusal(withInput({ ["k".repeat(1_000)]: 1 }), 1_000)).toBe("it is larger than 1000 bytes");
  expect(refusal(withInput(Array.from({ length: 1_000 }, () => 1)), 1_000)).toBe("it is larger than 1000 bytes");
});

test("depth is bounded", () => {
  const deep = (levels: number) => JSON.parse("[".repeat(levels) + "]".repeat(levels)) as Json;
  expect(refusal(withInput(deep(JSON_DEPTH_MAX - 2)))).toBeNull();
  expect(refusal(withInput(deep(JSON_DEPTH_MAX - 1)))).toContain("nested deeper");
  expect(refusal(withInput(deep(50_000)))).toContain("nested deeper");
});

test("what passes the check always has a digest", () => {
  expect(refusal(withInput(JSON.parse('"\\ud800"')))).toBe("it holds text with a lone surrogate");
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: "binary" }), (input) => {
      const checked = checkEnvelope(withInput(JSON.parse(JSON.stringify(input))));
      expect(checked.ok && envelopeDigest(checked.envelope)).toHaveLength(32);
    }),
  );
});

test("a digest does not depend on the order of keys, and changes with every field", () => {
  const reversed = Object.fromEntries(Object.entries(request).reverse()) as unknown as Envelope;
  expect(envelopeDigest(reversed).equals(envelopeDigest(request))).toBe(true);
  for (const path of places(request).filter((each) => each.length > 0)) {
    const changed = replaced(request, path, () => "changed") as Envelope;
    expect(envelopeDigest(changed).equals(envelopeDigest(request)), path.join("/")).toBe(false);
  }
});

test("createEnvelope fills in defaults, in canonical order", () => {
  const envelope = createEnvelope({
    id: "m1",
    type: "heartbeat",
    sender: "a",
    recipient: "coordinator",
    timestamp: 5,
    payload: { at: 5, load: 0 },
  });
  expect(envelope).toMatchObject({
    correlationId: "m1",
    causationId: null,
    priority: 2,
    needsAck: false,
    ttlMs: 3_600_000,
    retry: null,
    trace: null,
  });
  expect(JSON.stringify(envelope)).toBe(canonicalJson(envelope));
  expect(checkEnvelope(envelope).ok).toBe(true);
});

test.each<JsonSchema>([
  { type: "string", format: "uri" },
  { $ref: "#/x" },
  { type: "object", properties: {}, required: [] },
])("a keyword that is not understood is refused, not ignored: %j", (schema) => {
  expect(() => conformance(schema)).toThrow();
});
