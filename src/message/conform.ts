import type { JsonSchema } from "../core/definition.ts";
import { FlotillaError } from "../error.ts";

/** Checks a value; null when it conforms, else where and why, as `/path must be …`. */
export type Conformance = (value: unknown) => string | null;

/** Compiles a JSON Schema of ours into a check. It knows just the keywords that our own messages use, which takes
 *  microseconds where loading and running a general compiler takes 60 ms of every cold start. Schemas of users go
 *  through Ajv; a test holds the two against each other.
 *  @throws {FlotillaError} INVARIANT for any other keyword, so that nothing goes unchecked */
export function conformance(schema: JsonSchema): Conformance {
  const checks = Object.keys(schema).flatMap((keyword) => compileKeyword(keyword, schema));
  if (checks.length === 1) return checks[0] as Conformance;
  const inFull: Conformance = (value) => {
    for (let i = 0; i < checks.length; i++) {
      const fault = (checks[i] as Conformance)(value);
      if (fault !== null) return fault;
    }
    return null;
  };
  const sound = atOnce(schema);
  return sound === null ? inFull : (value) => (sound(value) ? null : inFull(value));
}

/** Texts and integers within bounds, which most fields of messages are, in one look; null for other schemas. */
function atOnce({ type, ...bounds }: JsonSchema): ((value: unknown) => boolean) | null {
  const only = (keywords: readonly string[]) => Object.keys(bounds).every((keyword) => keywords.includes(keyword));
  if (type === "string" && only(["minLength", "maxLength"])) {
    const { minLength = 0, maxLength = Number.POSITIVE_INFINITY } = bounds as { [keyword: string]: number };
    return (value) => typeof value === "string" && value.length >= minLength && value.length <= maxLength;
  }
  if (type === "integer" && only(["minimum", "maximum"])) {
    const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = bounds as {
      [keyword: string]: number;
    };
    return (value) => Number.isInteger(value) && (value as number) >= minimum && (value as number) <= maximum;
  }
  return null;
}

function compileKeyword(keyword: string, schema: JsonSchema): Conformance[] {
  switch (keyword) {
    case "$schema":
    case "required":
    case "additionalProperties":
    case "items":
    case "minItems":
      return []; // Read with `properties` and `prefixItems`.
    case "type":
      return [typeCheck([schema.type as string | readonly string[]].flat())];
    case "const":
      return [oneOf([schema.const])];
    case "enum":
      return [oneOf(schema.enum as readonly unknown[])];
    case "minimum":
      return [atLeast(schema.minimum as number)];
    case "maximum":
      return [atMost(schema.maximum as number)];
    case "minLength":
      return [lengthAtLeast(schema.minLength as number)];
    case "maxLength":
      return [lengthAtMost(schema.maxLength as number)];
    case "pattern":
      return [matching(new RegExp(schema.pattern as string, "u"))];
    case "properties":
      return [exactObject(schema)];
    case "prefixItems":
      return [exactTuple(schema)];
    default:
      throw new FlotillaError("INVARIANT", `Schemas of messages do not use the keyword ${keyword}.`);
  }
}

const TYPES: { readonly [type: string]: (value: unknown) => boolean } = {
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  integer: (value) => Number.isInteger(value),
  boolean: (value) => typeof value === "boolean",
  null: (value) => value === null,
  object: isObject,
  array: (value) => Array.isArray(value),
};

function typeCheck(types: readonly string[]): Conformance {
  const fault = ` must be ${types.join(" or ")}`;
  const tests = types.map((type) => TYPES[type] as (value: unknown) => boolean);
  const [first, second = first] = tests as [(value: unknown) => boolean];
  return (value) => (first(value) || second(value) ? null : fault);
}

function oneOf(values: readonly unknown[]): Conformance {
  const fault = ` must be ${values.map((value) => JSON.stringify(value)).join(" or ")}`;
  return (value) => (values.includes(value) ? null : fault);
}

// As JSON Schema has it, each of these says nothing about values of another type.

function atLeast(minimum: number): Conformance {
  return (value) => (typeof value === "number" && value < minimum ? ` must be at least ${minimum}` : null);
}

function atMost(maximum: number): Conformance {
  return (value) => (typeof value === "number" && value > maximum ? ` must be at most ${maximum}` : null);
}

/** Lengths count UTF-16 code units, not characters: they bound memory. */
function lengthAtLeast(length: number): Conformance {
  return (value) => (typeof value === "string" && value.length < length ? " must not be empty" : null);
}

function lengthAtMost(length: number): Conformance {
  return (value) =>
    typeof value === "string" && value.length > length ? ` must have at most ${length} characters` : null;
}

function matching(pattern: RegExp): Conformance {
  return (value) => (typeof value === "string" && !pattern.test(value) ? ` must match ${pattern.source}` : null);
}

/** All of `properties` that are `required`, and nothing that is not in `properties`. */
function exactObject(schema: JsonSchema): Conformance {
  if (schema.additionalProperties !== false) throw new FlotillaError("INVARIANT", "Schemas of messages are strict.");
  const required = schema.required as readonly string[];
  const properties = Object.entries(schema.properties as { readonly [key: string]: JsonSchema }).map(
    ([key, property]) => ({
      key,
      check: conformance(property),
      isRequired: required.includes(key),
    }),
  );
  return (value) => {
    if (!isObject(value)) return null;
    let present = 0;
    for (let i = 0; i < properties.length; i++) {
      const { key, check, isRequired } = properties[i] as (typeof properties)[number];
      const property = value[key];
      if (property === undefined) {
        if (isRequired) return ` must have ${key}`;
        continue;
      }
      present++;
      const fault = check(property);
      if (fault !== null) return `/${key}${fault}`;
    }
    return hasMoreKeys(value, present) ? ` must not have ${unknownKey(value, properties)}` : null;
  };
}

function hasMoreKeys(value: object, count: number): boolean {
  for (const _ in value) if (--count < 0) return true;
  return false;
}

function unknownKey(value: object, properties: readonly { key: string }[]): string {
  const extra = Object.keys(value).find((key) => !properties.some((property) => property.key === key));
  return extra === undefined ? "undefined values" : JSON.stringify(extra.slice(0, 100));
}

/** An array of exactly `prefixItems`. */
function exactTuple(schema: JsonSchema): Conformance {
  const items = (schema.prefixItems as readonly JsonSchema[]).map(conformance);
  if (schema.items !== false || schema.minItems !== items.length) {
    throw new FlotillaError("INVARIANT", "Tuples of messages have a fixed length.");
  }
  return (value) => {
    if (!Array.isArray(value)) return null;
    if (value.length !== items.length) return ` must have ${items.length} items`;
    for (let i = 0; i < items.length; i++) {
      const fault = (items[i] as Conformance)(value[i]);
      if (fault !== null) return `/${i}${fault}`;
    }
    return null;
  };
}

function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
