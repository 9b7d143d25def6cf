import type { z } from "zod";
import type { ErrorCode } from "../error.ts";
import { expressionFindings } from "./expression-finding.ts";
import { type Finding, type Path, withoutEchoes } from "./finding.ts";
import { list } from "./name-list.ts";
import { nearest } from "./nearest.ts";

export interface ZodContext {
  schema: z.ZodType;
  /** What was parsed. */
  input: unknown;
  /** Where in the definition that is. */
  base?: Path;
  /** Keys that may stand beside those of the schema at its root. */
  alsoKnown?: readonly string[];
  /** Names the whole, when there is no file to point into: `tool()`. */
  subject?: string;
}

type Issue = z.core.$ZodIssue;

/** zod's issues as findings: one for each mistake. A key that is missing because it was misspelt is told once. */
export function zodFindings(issues: readonly Issue[], context: ZodContext): Finding[] {
  const flat = issues.flatMap((issue) => choose(issue, context));
  return withoutEchoes(flat.flatMap((issue) => toFindings(issue, context)));
}

/** The issue itself, or the issues of the branch of a union that was probably meant. */
function choose(issue: Issue, context: ZodContext): Issue[] {
  if (issue.code !== "invalid_union" || isMissing(issue, context)) return [issue];
  const fitting = issue.errors.filter(
    (branch) => !branch.some((inner) => inner.path.length === 0 && isMismatch(inner)),
  );
  const best = fitting.toSorted((a, b) => a.length - b.length)[0];
  if (best === undefined) return [issue];
  return best.flatMap((inner) => choose({ ...inner, path: [...issue.path, ...inner.path] } as Issue, context));
}

function isMismatch(issue: Issue): boolean {
  return issue.code === "invalid_type" || issue.code === "invalid_value" || issue.code === "invalid_union";
}

/** Keys that the schema knows at `path` and that are not used there: what an unknown key may have been meant to be. */
function absentKeys(path: Path, context: ZodContext): string[] {
  const present = valueAt(context.input, path);
  return knownKeys(path, context).filter((key) => !(isRecord(present) && Object.hasOwn(present, key)));
}

function knownKeys(path: Path, context: ZodContext): string[] {
  return [...keysAt(context.schema, path), ...(path.length === 0 ? (context.alsoKnown ?? []) : [])];
}

function isMissing(issue: Issue, context: ZodContext): boolean {
  if (issue.code === "unrecognized_keys" || issue.code === "custom") return false;
  return issue.path.length > 0 && valueAt(context.input, issue.path) === undefined;
}

function toFindings(issue: Issue, context: ZodContext): Finding[] {
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(issue.path, key, context));
  if (isMissing(issue, context)) return [missingKey(issue.path, context)];
  if (issue.code === "invalid_key") return [invalidKey(issue, context)];
  return invalidValue(issue, context);
}

function unknownKey(path: Path, key: string, context: ZodContext): Finding {
  const known = knownKeys(path, context);
  const suggestion = nearest(key, absentKeys(path, context)) ?? nearest(key, known);
  return {
    code: "DEFINITION_UNKNOWN_KEY",
    message: `${subject(context)}unknown key "${key}"`,
    path: full([...path, key], context),
    part: "key",
    ...(suggestion === null ? { notes: [`known here: ${list(known)}`] } : { suggestion }),
    hint: suggestion === null ? `remove "${key}"` : fixHint(context, `rename it to "${suggestion}"`),
  };
}

function missingKey(path: Path, context: ZodContext): Finding {
  const key = String(path.at(-1));
  const parent = full(path.slice(0, -1), context);
  return {
    code: "DEFINITION_MISSING_KEY",
    message: `${subject(context)}key "${key}" is missing${parent.length === 0 ? "" : ` in ${dotted(parent)}`}`,
    path: parent,
    part: "key",
    missing: [key],
    hint: `add ${key}: ${expectedAt(context.schema, path)}`,
  };
}

function invalidKey(issue: Issue & { code: "invalid_key" }, context: ZodContext): Finding {
  const why = issue.issues.map((inner) => inner.message).join("; ");
  return {
    code: "DEFINITION_INVALID",
    message: `${subject(context)}name "${String(issue.path.at(-1))}" ${why}`,
    path: full(issue.path, context),
    part: "key",
    hint: "rename it",
  };
}

function invalidValue(issue: Issue, context: ZodContext): Finding[] {
  const value = valueAt(context.input, issue.path);
  const path = full(issue.path, context);
  const suggestion = meantValue(issue, value, context);
  const finding: Finding = {
    code: customCode(issue) ?? "DEFINITION_INVALID",
    message: `${subject(context)}${path.length === 0 ? "the whole" : dotted(path)} ${complaint(issue, value, context)}`,
    path,
    part: "value",
    ...(suggestion === null ? {} : { suggestion }),
    hint: suggestion === null ? "change the value" : fixHint(context, `write ${suggestion}`),
  };
  return issue.code === "custom" ? expressionFindings(finding, issue.message) : [finding];
}

/** What was probably meant by a value of the wrong form. */
function meantValue(issue: Issue, value: unknown, context: ZodContext): string | null {
  if (typeof value !== "string") return null;
  if (issue.code === "invalid_value") return nearest(value, issue.values.map(String));
  const wanted = schemasAt(context.schema, issue.path).flatMap(branches);
  const kinds = new Set(wanted.map((schema) => (schema as z.core.$ZodTypes)._zod.def.type));
  if (kinds.has("number")) return meantNumber(value, String(issue.path.at(-1)).endsWith("Ms"));
  if (kinds.has("array") && /^[\w-]+$/.test(value)) return `[${value}]`;
  const isSecret = wanted.some((schema) => expectation(schema) === "{ secret }");
  return isSecret && /^[A-Z][A-Z0-9_]*$/.test(value) ? `{ secret: ${value} }` : null;
}

const UNIT_MS: { readonly [unit: string]: number } = {
  "": 1,
  ms: 1,
  s: 1_000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A number in quotes, or a duration with its unit. */
function meantNumber(text: string, isDuration: boolean): string | null {
  const [, number, unit = ""] = /^\s*(\d+(?:\.\d+)?)\s*(\w*)\s*$/.exec(text) ?? [];
  if (number === undefined) return null;
  if (!isDuration) return unit === "" ? number : null;
  const factor = Object.hasOwn(UNIT_MS, unit) ? UNIT_MS[unit] : undefined;
  return factor === undefined ? null : String(Number(number) * factor);
}

function full(path: Path, context: ZodContext): Path {
  return [...(context.base ?? []), ...path];
}

function complaint(issue: Issue, value: unknown, context: ZodContext): string {
  const got = `not ${ofSize(issue.code) && Array.isArray(value) ? `of ${value.length}` : describe(value)}`;
  switch (issue.code) {
    case "invalid_type":
    case "invalid_union":
      return `must be ${expectedAt(context.schema, issue.path)}, ${got}`;
    case "invalid_value":
      return `must be ${or(issue.values.map(String))}, ${got}`;
    case "too_small":
      return `must be ${bound(issue.origin, issue.inclusive === false ? "more than" : "at least", issue.minimum)}, ${got}`;
    case "too_big":
      return `must be ${bound(issue.origin, issue.inclusive === false ? "less than" : "at most", issue.maximum)}, ${got}`;
    case "custom":
      return issue.message;
    default:
      return issue.message.startsWith("must ") ? `${issue.message}, ${got}` : `is not valid: ${issue.message}`;
  }
}

const ofSize = (code: Issue["code"]): boolean => code === "too_small" || code === "too_big";

function bound(origin: string, how: string, limit: number | bigint): string {
  if (origin === "string") return limit === 1 ? "text that is not empty" : `text of ${how} ${limit} characters`;
  if (origin === "array" || origin === "set") return `a list of ${how} ${limit}`;
  return `${how} ${limit}`;
}

function customCode(issue: Issue): ErrorCode | null {
  if (issue.code !== "custom") return null;
  const code: unknown = issue.params?.code;
  return typeof code === "string" ? (code as ErrorCode) : null;
}

function subject(context: ZodContext): string {
  return context.subject === undefined ? "" : `${context.subject}: `;
}

function fixHint(context: ZodContext, otherwise: string): string {
  return context.subject === undefined ? "flotilla check --fix" : otherwise;
}

/** A value as people are told of it. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  if (typeof value === "string") return value.length > 40 ? `the text "${value.slice(0, 40)}…"` : `the text "${value}"`;
  return typeof value === "number"
    ? `the number ${value}`
    : typeof value === "boolean"
      ? String(value)
      : `a ${typeof value}`;
}

/** What the schema expects at `path`, in words. */
function expectedAt(schema: z.ZodType, path: Path): string {
  const expected = new Set(schemasAt(schema, path).flatMap(branches).map(expectation));
  return expected.size === 0 ? "another value" : or([...expected]);
}

function expectation(schema: z.core.$ZodType): string {
  const def = (schema as z.core.$ZodTypes)._zod.def;
  switch (def.type) {
    case "string":
      return "text";
    case "number":
      return "format" in def && def.format === "safeint" ? "a whole number" : "a number";
    case "boolean":
      return "true or false";
    case "array":
    case "tuple":
      return "a list";
    case "enum":
      return or(Object.values(def.entries).map(String));
    case "literal":
      return or(def.values.map(String));
    case "object": {
      const keys = Object.keys(def.shape);
      return keys.length > 0 && keys.length <= 2 ? `{ ${keys.join(", ")} }` : "a map";
    }
    case "record":
      return "a map";
    case "null":
      return "null";
    case "function":
      return "a function";
    default:
      return "a value";
  }
}

/** The keys that maps at `path` may have, over all branches of unions on the way; empty for open records. */
export function keysAt(schema: z.ZodType, path: Path): string[] {
  const keys = schemasAt(schema, path)
    .flatMap(branches)
    .flatMap((one) => {
      const def = (one as z.core.$ZodTypes)._zod.def;
      return def.type === "object" ? Object.keys(def.shape) : [];
    });
  return [...new Set(keys)];
}

function schemasAt(schema: z.core.$ZodType, path: Path): z.core.$ZodType[] {
  let current: z.core.$ZodType[] = [schema];
  for (const key of path) current = current.flatMap(branches).flatMap((one) => step(one, key));
  return current;
}

function step(schema: z.core.$ZodType, key: PropertyKey): z.core.$ZodType[] {
  const def = (schema as z.core.$ZodTypes)._zod.def;
  switch (def.type) {
    case "object": {
      const found = Object.hasOwn(def.shape, key) ? def.shape[String(key)] : def.catchall;
      return found === undefined ? [] : [found];
    }
    case "record":
      return [def.valueType];
    case "array":
      return [def.element];
    case "tuple": {
      const item = def.items[Number(key)] ?? def.rest;
      return item === null || item === undefined ? [] : [item];
    }
    default:
      return [];
  }
}

/** The schemas behind wrappers and unions. */
function branches(schema: z.core.$ZodType): z.core.$ZodType[] {
  const def = (schema as z.core.$ZodTypes)._zod.def;
  switch (def.type) {
    case "optional":
    case "nullable":
    case "default":
    case "prefault":
    case "nonoptional":
    case "readonly":
    case "catch":
      return branches(def.innerType);
    case "lazy":
      return branches(def.getter());
    case "pipe":
      return branches(def.in);
    case "union":
      return def.options.flatMap(branches);
    case "intersection":
      return [...branches(def.left), ...branches(def.right)];
    default:
      return [schema];
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function valueAt(value: unknown, path: Path): unknown {
  let current = value;
  for (const key of path) {
    if (typeof current !== "object" || current === null || !Object.hasOwn(current, key)) return undefined;
    current = (current as Record<PropertyKey, unknown>)[key];
  }
  return current;
}

export function dotted(path: Path): string {
  return path
    .map((key, index) => (typeof key === "number" ? `[${key}]` : `${index === 0 ? "" : "."}${String(key)}`))
    .join("");
}

function or(words: readonly string[]): string {
  const last = words.at(-1) ?? "";
  return words.length <= 1 ? last : `${words.slice(0, -1).join(", ")} or ${last}`;
}
