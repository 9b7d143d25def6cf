import type { JsonSchema } from "../core/definition.ts";
import { type Conformance, conformance } from "./conform.ts";
import type { Envelope, Payloads } from "./envelope.ts";
import { jsonFault } from "./json-bound.ts";

/** Characters of an id or a name. */
const NAME_MAX = 512;

/** Times to live beyond this are refused: replay is refused by a window of age, which must end (M3). Seven days. */
export const TTL_MS_MAX = 7 * 86_400_000;

const name: JsonSchema = { type: "string", minLength: 1, maxLength: NAME_MAX };
const text: JsonSchema = { type: "string" };
const count: JsonSchema = { type: "integer", minimum: 0 };
const time: JsonSchema = { type: "integer", minimum: 0 };
const attempt: JsonSchema = { type: "integer", minimum: 1 };
const anything: JsonSchema = {};

/** An object with exactly these properties; those in `optional` may be absent. */
function strict(properties: Record<string, JsonSchema>, optional: readonly string[] = []): JsonSchema {
  const required = Object.keys(properties).filter((key) => !optional.includes(key));
  return { type: "object", properties, required, additionalProperties: false };
}

function nullable(schema: JsonSchema): JsonSchema {
  return { ...schema, type: [schema.type as string, "null"] };
}

const errorRecord = strict(
  {
    code: name,
    class: { enum: ["transient", "permanent", "business"] },
    message: text,
    hint: text,
    details: { type: "object" },
    retryAfterMs: { type: "number", minimum: 0 },
  },
  ["hint", "details", "retryAfterMs"],
);

const usage = strict({ steps: count, inputTokens: count, outputTokens: count, costMicroUsd: count });

/** The payload of each type of message (M2). Domain events carry whatever their fleet declares. */
export const payloadSchemas: { readonly [type in keyof Payloads]: JsonSchema } = {
  "task.request": strict({ run: name, task: name, attempt, agent: name, input: anything, deadline: nullable(time) }),
  "task.response": strict({ run: name, task: name, attempt, output: anything, usage }),
  error: strict({ run: name, task: name, attempt, error: errorRecord }),
  "status.update": strict({ run: name, task: name, attempt, text, data: anything }, ["data"]),
  heartbeat: strict({ at: time, load: { type: "number", minimum: 0 } }),
  "clarification.request": strict({ run: name, task: name, question: text }),
  "clarification.response": strict({ run: name, task: name, answer: anything }),
};

const retry = strict({
  attemptsMax: attempt,
  initialDelayMs: { type: "number", minimum: 0 },
  factor: { type: "number", minimum: 1 },
  delayMsMax: { type: "number", minimum: 0 },
  jitter: { type: "array", prefixItems: [{ type: "number" }, { type: "number" }], items: false, minItems: 2 },
});

const trace = strict({
  traceId: { type: "string", pattern: "^[0-9a-f]{32}$" },
  spanId: { type: "string", pattern: "^[0-9a-f]{16}$" },
  sampled: { type: "boolean" },
});

/** The key of `messageSchemas` for domain events. */
export const EVENT_SCHEMA = "event.*";

/** The strict JSON Schema (draft 2020-12) of each type of message, envelope and payload together (M1, M2). */
export const messageSchemas: { readonly [type: string]: JsonSchema } = {
  ...Object.fromEntries(
    Object.entries(payloadSchemas).map(([type, payload]) => [type, envelopeSchema({ const: type }, payload)]),
  ),
  [EVENT_SCHEMA]: envelopeSchema({ type: "string", pattern: "^event\\.[A-Za-z0-9_.-]{1,200}$" }, anything),
};

function envelopeSchema(type: JsonSchema, payload: JsonSchema): JsonSchema {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    ...strict({
      id: name,
      correlationId: name,
      causationId: nullable(name),
      timestamp: time,
      ttlMs: { type: "integer", minimum: 1, maximum: TTL_MS_MAX },
      sender: name,
      recipient: name,
      priority: { enum: [0, 1, 2, 3] },
      type,
      payload,
      needsAck: { type: "boolean" },
      retry: nullable(retry),
      trace: nullable(trace),
    }),
  };
}

export type EnvelopeCheck = { ok: true; envelope: Envelope } | { ok: false; reason: string };

/** Bytes of a message, when the caller names no other bound: 16 MiB. */
export const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

/** Whether a value from outside is a message that conforms to the schema of its type (M2); whatever is not is refused
 *  with a sentence that says where. Bounds size and depth first, so that no schema walks a hostile value. Sizes count
 *  characters and are a lower bound of the bytes on the wire. */
export function checkEnvelope(value: unknown, options: { bytesMax?: number } = {}): EnvelopeCheck {
  if (typeof value !== "object" || value === null) return { ok: false, reason: "a message is an object" };
  const type: unknown = (value as { type?: unknown }).type;
  const validate = typeof type === "string" ? validatorOf(type) : undefined;
  if (validate === undefined)
    return { ok: false, reason: `${JSON.stringify(type) ?? "nothing"} is no type of message`.slice(0, 200) };
  const unbounded = jsonFault(value, options.bytesMax ?? MESSAGE_BYTES_MAX);
  if (unbounded !== null) return { ok: false, reason: unbounded };
  const fault = validate(value);
  return fault === null ? { ok: true, envelope: value as Envelope } : { ok: false, reason: `the envelope${fault}` };
}

const validators = new Map<string, Conformance>();

function validatorOf(type: string): Conformance | undefined {
  const key = type.startsWith("event.") ? EVENT_SCHEMA : type;
  const known = validators.get(key);
  if (known !== undefined) return known;
  const schema = Object.hasOwn(messageSchemas, key) ? messageSchemas[key] : undefined;
  if (schema === undefined) return undefined;
  const validate = conformance(schema);
  validators.set(key, validate);
  return validate;
}
