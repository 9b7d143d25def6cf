import type { JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { type SchemaCheck, schemaCheck } from "../definition/json-schema.ts";
import { FlotillaError } from "../error.ts";
import { canonicalJson } from "../message/canonical.ts";

const KEPT_MAX = 1_000;
const PROBLEMS_MAX = 10;

/** Equal schemas arrive as different objects, with each assignment and from each MCP server. */
const byText = new Map<string, SchemaCheck>();
const byIdentity = new WeakMap<JsonSchema, SchemaCheck>();

/** What is wrong with `value` by a JSON Schema (2020-12), one sentence for each place, at most ten; empty when it is
 *  valid. Compiled validators are kept. @throws {FlotillaError} DEFINITION_INVALID for a schema that is none */
export function problemsOf(schema: JsonSchema, value: Json): readonly string[] {
  const problems = checkOf(schema)(value) ?? [];
  return [...new Set(problems)].slice(0, PROBLEMS_MAX);
}

function checkOf(schema: JsonSchema): SchemaCheck {
  const known = byIdentity.get(schema);
  if (known !== undefined) return known;
  const text = canonicalJson(schema);
  const check = byText.get(text) ?? compile(schema);
  if (byText.size >= KEPT_MAX) byText.delete(byText.keys().next().value ?? "");
  byText.set(text, check);
  byIdentity.set(schema, check);
  return check;
}

function compile(schema: JsonSchema): SchemaCheck {
  try {
    return schemaCheck(schema);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new FlotillaError("DEFINITION_INVALID", `not a JSON Schema (draft 2020-12): ${why}`, { cause });
  }
}
