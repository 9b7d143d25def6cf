import { createRequire } from "node:module";
import type { Ajv2020 as Ajv, ValidateFunction } from "ajv/dist/2020.js";
import type { JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { DEFAULTS } from "./default.ts";
import type { Finding, Path } from "./finding.ts";
import { nearest } from "./nearest.ts";
import { describe, isRecord } from "./zod-problem.ts";

/** Checks a value against a user's schema: null when it conforms, else each fault as `/path must be …`. */
export type SchemaCheck = (value: unknown) => readonly string[] | null;

const compiled = new WeakMap<JsonSchema, SchemaCheck>();
let runtime: Ajv | undefined;
let checker: Ajv | undefined;

/** Compiles a user's JSON Schema (draft 2020-12, with formats), once for each schema object; `checkJsonSchema` has
 *  accepted it before. Ajv is loaded at the first call. @throws {Error} when the schema is not valid */
export function schemaCheck(schema: JsonSchema): SchemaCheck {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  // The form was checked with the definition; checking it again would compile the meta-schema, which takes 30 ms.
  runtime ??= newAjv({ validateSchema: false });
  const validate = compileOnce(runtime, schema);
  const check: SchemaCheck = (value) => {
    if (validate(value)) return null;
    return (validate.errors ?? []).map(({ instancePath, message, params }) => {
      const key: unknown = params.additionalProperty ?? params.unevaluatedProperty;
      return `${instancePath}${instancePath === "" ? "it" : ""} ${message ?? "is not valid"}${typeof key === "string" ? ` ("${key}")` : ""}`;
    });
  };
  compiled.set(schema, check);
  return check;
}

let keywords: ReadonlySet<string> | undefined;
let formats: ReadonlySet<string> | undefined;

/** What is wrong with a JSON Schema, each fault with its path: form, unknown keywords and formats, patterns,
 *  references. Keywords that start with `x-` are for others; remote references are refused. */
export function checkJsonSchema(schema: unknown, base: Path): Finding[] {
  if (!isRecord(schema)) return [fault(base, "value", `must be a JSON Schema (a map), not ${describe(schema)}`)];
  checker ??= newAjv({});
  const ajv = checker;
  keywords ??= new Set([...Object.keys(ajv.RULES.keywords), "example", "id"]);
  formats ??= new Set(Object.keys(ajv.formats));
  const dialect = schema.$schema;
  if (typeof dialect === "string" && !/json-schema\.org\/draft\/2020-12\/schema#?$/.test(dialect)) {
    return [
      fault(
        [...base, "$schema"],
        "value",
        `must be draft 2020-12, not "${dialect}"`,
        "remove $schema, or write the schema for 2020-12",
      ),
    ];
  }
  const findings = walk(schema, base, 0);
  const form = formFaults(ajv, schema, base).filter((one) => !findings.some((other) => samePath(one.path, other.path)));
  if (findings.length + form.length > 0) return [...findings, ...form];
  return compileFaults(ajv, schema as JsonSchema, base);
}

function newAjv(options: { validateSchema?: boolean }): Ajv {
  const require = createRequire(import.meta.url);
  const { Ajv2020 } = require("ajv/dist/2020.js") as typeof import("ajv/dist/2020.js");
  const { default: addFormats } = require("ajv-formats") as { default: (ajv: Ajv) => Ajv };
  const ajv = new Ajv2020({ strict: false, allErrors: true, logger: false, ...options });
  addFormats(ajv);
  return ajv;
}

/** Compiles without keeping the schema: two may bear one `$id`, and what is not used any more must go. */
function compileOnce(ajv: Ajv, schema: JsonSchema): ValidateFunction {
  try {
    return ajv.compile(schema);
  } finally {
    ajv.removeSchema(schema);
  }
}

const SCHEMA_MAPS = new Set(["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"]);
const SCHEMA_LISTS = new Set(["allOf", "anyOf", "oneOf", "prefixItems"]);
const SCHEMAS = new Set([
  ...["items", "contains", "not", "if", "then", "else", "additionalProperties", "propertyNames"],
  ...["unevaluatedItems", "unevaluatedProperties", "contentSchema"],
]);

/** What the meta-schema does not say: misspelt keywords and formats, patterns that are none, depth. */
function walk(schema: unknown, path: Path, depth: number): Finding[] {
  if (!isRecord(schema)) return [];
  if (depth > DEFAULTS.schemaDepthMax)
    return [fault(path, "key", `is nested more than ${DEFAULTS.schemaDepthMax} levels deep`)];
  return Object.entries(schema).flatMap(([key, value]) => {
    const here = [...path, key];
    if (SCHEMA_MAPS.has(key) && isRecord(value)) {
      return Object.entries(value).flatMap(([name, inner]) => walk(inner, [...here, name], depth + 1));
    }
    if (SCHEMA_LISTS.has(key) && Array.isArray(value)) {
      return value.flatMap((inner, index) => walk(inner, [...here, index], depth + 1));
    }
    if (SCHEMAS.has(key)) return walk(value, here, depth + 1);
    return checkKeyword(key, value, here);
  });
}

function checkKeyword(key: string, value: unknown, path: Path): Finding[] {
  if (keywords?.has(key) === false && !key.startsWith("x-")) return [unknownKeyword(key, path)];
  if (key === "format" && typeof value === "string" && formats?.has(value) === false) {
    const suggestion = nearest(value, formats);
    return [
      { ...fault(path, "value", `is not a known format: "${value}"`), ...(suggestion === null ? {} : { suggestion }) },
    ];
  }
  if (key === "pattern" && typeof value === "string") {
    const wrong = patternFault(value);
    return wrong === null ? [] : [fault(path, "value", `is not a regular expression: ${wrong}`)];
  }
  if (key === "$ref" && typeof value === "string" && !value.startsWith("#")) {
    return [
      fault(path, "value", `must point into this schema, not to "${value}"`, "copy what it refers to into $defs"),
    ];
  }
  return [];
}

function unknownKeyword(key: string, path: Path): Finding {
  const suggestion = nearest(key, keywords ?? []);
  return {
    code: "DEFINITION_UNKNOWN_KEY",
    message: `unknown JSON Schema keyword "${key}"`,
    path,
    part: "key",
    ...(suggestion === null ? {} : { suggestion }),
    hint: suggestion === null ? `remove it, or call it x-${key} when it is a note` : "flotilla check --fix",
  };
}

function patternFault(pattern: string): string | null {
  try {
    new RegExp(pattern, "u");
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Faults by the meta-schema, the most telling one for each place. */
function formFaults(ajv: Ajv, schema: Record<string, unknown>, base: Path): Finding[] {
  if (ajv.validateSchema(schema) === true) return [];
  const found = new Map<string, Finding>();
  for (const { instancePath, keyword, message, params } of ajv.errors ?? []) {
    if (found.has(instancePath) || keyword === "anyOf") continue;
    const path = pointer(instancePath);
    const value = path.reduce<unknown>(
      (at, key) => (isRecord(at) || Array.isArray(at) ? Reflect.get(at, key) : undefined),
      schema,
    );
    const allowed: string[] = Array.isArray(params.allowedValues) ? params.allowedValues.map(String) : [];
    const suggestion = typeof value === "string" ? nearest(value, allowed) : null;
    const must = allowed.length > 0 ? `must be one of ${allowed.join(", ")}` : (message ?? "is not valid");
    found.set(instancePath, {
      ...fault([...base, ...path], "value", `${must}, not ${describe(value)}`),
      ...(suggestion === null ? {} : { suggestion }),
    });
  }
  return [...found.values()];
}

function pointer(text: string): (string | number)[] {
  return text
    .split("/")
    .slice(1)
    .map((part) => decodeURIComponent(part.replaceAll("~1", "/").replaceAll("~0", "~")))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

function compileFaults(ajv: Ajv, schema: JsonSchema, base: Path): Finding[] {
  try {
    compileOnce(ajv, schema);
    return [];
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const [, ref] = /^can't resolve reference (\S+)/.exec(message) ?? [];
    if (ref === undefined) return [fault(base, "value", `is not a JSON Schema: ${message}`)];
    return [
      fault(
        [...base, ...(pathOfRef(schema, ref) ?? [])],
        "value",
        `points to nothing: "${ref}"`,
        "define it under $defs",
      ),
    ];
  }
}

function pathOfRef(value: Json, ref: string): Path | null {
  if (typeof value !== "object" || value === null) return null;
  for (const [key, inner] of Object.entries(value)) {
    if (key === "$ref" && inner === ref) return [key];
    const below = pathOfRef(inner as Json, ref);
    if (below !== null) return [Array.isArray(value) ? Number(key) : key, ...below];
  }
  return null;
}

function samePath(a: Path, b: Path): boolean {
  return a.length === b.length && a.every((key, index) => key === b[index]);
}

function fault(path: Path, part: Finding["part"], what: string, hint = "change the schema"): Finding {
  const key = path.findLastIndex((step) => typeof step === "string");
  const name = path.slice(Math.max(0, key)).map(String).join("/");
  return { code: "DEFINITION_INVALID", message: `${name} ${what}`, path, part, hint };
}
