import { messageSchemas } from "../../src/message/schema.ts";
import { code, table } from "./markdown.ts";

interface Schema {
  properties: Record<string, Schema>;
  required?: readonly string[];
  type?: string | readonly string[];
  enum?: readonly unknown[];
  pattern?: string;
}

/** Who sends each type today; the others are defined, checked, and sent by nobody. */
const SENT: Readonly<Record<string, string>> = {
  "task.request": "coordinator to agent: an attempt at a task",
  "task.response": "agent to coordinator: its result",
  error: "agent to coordinator: why it failed",
};

/** Every type of message with the fields of its payload, and the fields of every envelope. */
export function messageTables(): string {
  const types = Object.entries(messageSchemas as unknown as Record<string, Schema>);
  const rows = types.map(([type, { properties }]) => [
    code(type),
    SENT[type] ?? "nobody yet",
    fieldsOf(properties.payload),
  ]);
  const [, first] = types[0] ?? [];
  const envelope = Object.entries(first?.properties ?? {})
    .filter(([name]) => name !== "payload" && name !== "type")
    .map(([name, schema]) => [code(name), typeOf(schema)]);
  return [
    "## Types",
    table(["Type", "Who sends it", "Payload"], rows),
    "## Envelope",
    table(["Field", "Form"], [...envelope, [code("type"), "one of the types above"], [code("payload"), "by type"]]),
  ].join("\n\n");
}

function fieldsOf(payload: Schema | undefined): string {
  const { properties, required = [] } = payload ?? { properties: undefined };
  if (properties === undefined) return "any JSON";
  return Object.keys(properties)
    .map((name) => code(required.includes(name) ? name : `${name}?`))
    .join(" ");
}

function typeOf({ type, enum: values }: Schema): string {
  if (values !== undefined) return values.map((value) => code(String(value))).join(", ");
  return [type ?? "any"].flat().join(" or ");
}
