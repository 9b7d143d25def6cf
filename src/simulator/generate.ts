import type { JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { Prng } from "./prng.ts";

type Schema = { readonly [key: string]: Json | undefined };

const DEPTH_MAX = 6;
const ITEMS_MAX = 3;

/** A value that fits a JSON Schema, from a name alone: what a tool returns in a simulation when nobody says. Patterns of
 *  text are not followed; whoever needs them scripts the tool. Without a schema it is `{ simulated: true }`. */
export function generate(schema: JsonSchema | null, name: string): Json {
  if (schema === null) return { simulated: true };
  return valueOf(schema, { root: schema, random: new Prng(`generated ${name}`), depth: 0 });
}

interface Scope {
  root: Schema;
  random: Prng;
  depth: number;
}

function valueOf(given: Json | undefined, scope: Scope): Json {
  const schema = resolved(given, scope.root);
  if (schema.const !== undefined) return schema.const;
  if (Array.isArray(schema.enum)) return scope.random.pick(schema.enum as readonly Json[]);
  const choices = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(choices)) return valueOf(scope.random.pick(choices as readonly Json[]), scope);
  switch (typeOf(schema, scope.random)) {
    case "object":
      return objectOf(schema, scope);
    case "array":
      return arrayOf(schema, scope);
    case "integer":
      return Math.round(numberOf(schema, scope.random));
    case "number":
      return numberOf(schema, scope.random);
    case "boolean":
      return scope.random.chance(0.5);
    case "null":
      return null;
    default:
      return textOf(schema, scope.random);
  }
}

function resolved(schema: Json | undefined, root: Schema): Schema {
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) return {};
  const { $ref } = schema as Schema;
  if (typeof $ref !== "string" || !$ref.startsWith("#/")) return schema as Schema;
  let found: unknown = root;
  for (const part of $ref.slice(2).split("/")) found = (found as Record<string, unknown> | undefined)?.[part];
  return (found ?? {}) as Schema;
}

function typeOf(schema: Schema, random: Prng): string {
  if (typeof schema.type === "string") return schema.type;
  if (Array.isArray(schema.type)) return random.pick(schema.type as readonly string[]);
  if (schema.properties !== undefined) return "object";
  return schema.items === undefined ? "string" : "array";
}

function objectOf(schema: Schema, scope: Scope): Json {
  const required = new Set((schema.required ?? []) as readonly string[]);
  const properties = Object.entries((schema.properties ?? {}) as Record<string, Json>);
  const inner = { ...scope, depth: scope.depth + 1 };
  const chosen = properties.filter(
    ([name]) => required.has(name) || (scope.depth < DEPTH_MAX && scope.random.chance(0.7)),
  );
  return Object.fromEntries(chosen.map(([name, property]) => [name, valueOf(property, inner)]));
}

function arrayOf(schema: Schema, scope: Scope): Json {
  const least = Number(schema.minItems ?? 0);
  const most = scope.depth >= DEPTH_MAX ? least : Math.min(Number(schema.maxItems ?? ITEMS_MAX), least + ITEMS_MAX);
  const count = scope.random.int(least, Math.max(least, most));
  return Array.from({ length: count }, () => valueOf(schema.items, { ...scope, depth: scope.depth + 1 }));
}

function numberOf(schema: Schema, random: Prng): number {
  const least = Number(schema.minimum ?? Number(schema.exclusiveMinimum ?? -1) + 1);
  const most = Math.min(Number(schema.maximum ?? Number(schema.exclusiveMaximum ?? least + 101) - 1), least + 100);
  return random.int(least, Math.max(least, most));
}

const FORMATS: Readonly<Record<string, string>> = {
  "date-time": "2030-01-01T00:00:00.000Z",
  date: "2030-01-01",
  time: "00:00:00Z",
  email: "someone@example.com",
  uri: "https://example.com/",
  url: "https://example.com/",
  uuid: "00000000-0000-4000-8000-000000000000",
};

function textOf(schema: Schema, random: Prng): string {
  const known = typeof schema.format === "string" ? FORMATS[schema.format] : undefined;
  if (known !== undefined) return known;
  const text = `text ${random.int(1, 1_000)}`.padEnd(Number(schema.minLength ?? 0), ".");
  return schema.maxLength === undefined ? text : text.slice(0, Number(schema.maxLength));
}
