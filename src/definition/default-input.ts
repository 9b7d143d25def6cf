import type { JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";

type JsonObject = { readonly [key: string]: Json };

/** The input that a workflow offers of itself: its schema's default or first example, else its properties' defaults;
 *  null when it offers nothing. */
export function defaultInput(schema: JsonSchema | null): Json | null {
  if (schema?.default !== undefined) return schema.default;
  if (Array.isArray(schema?.examples) && schema.examples.length > 0) return schema.examples[0] as Json;
  const defaults = propertyDefaults(schema);
  return Object.keys(defaults).length === 0 ? null : defaults;
}

/** The defaults that a schema's properties have, by name. */
export function propertyDefaults(schema: JsonSchema | null): JsonObject {
  const properties = isObject(schema?.properties) ? Object.entries(schema.properties) : [];
  return Object.fromEntries(
    properties.flatMap(([name, property]) =>
      isObject(property) && property.default !== undefined ? [[name, property.default]] : [],
    ),
  );
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
