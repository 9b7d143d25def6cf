import { Environment } from "@marcbachmann/cel-js";
import type { Json } from "../core/json.ts";

/** A compiled CEL expression over named JSON values. */
export interface Expression {
  readonly source: string;
  /** The value as JSON. @throws {ExpressionFailure} when it has none for these values */
  evaluate(bindings: Bindings): Json;
}

/** JSON in which strings may hold `${ CEL }`. A string that is one `${ }` and nothing else keeps the value's type;
 *  in a longer text strings are put in as they are and everything else as JSON. */
export interface Template {
  render(bindings: Bindings): Json;
}

/** Values by the names of `VARIABLES`. Convert them once per request with `bind`. */
export type Bindings = { readonly [name: string]: unknown };

/** What expressions of a script can speak of. */
export const VARIABLES = [
  "input",
  "turn",
  "results",
  "last",
  "messages",
  "feedback",
  "agent",
  "tools",
  "vars",
] as const;

export type Compiled<T> = { ok: true; value: T } | { ok: false; problem: string };

/** An expression had no value: what it asked for is not there (`absent`), or an operation does not fit its operands. */
export class ExpressionFailure extends Error {
  readonly source: string;
  readonly absent: boolean;
  constructor(source: string, problem: string, absent: boolean, cause: unknown) {
    super(`${source}: ${problem}`, { cause });
    this.name = "ExpressionFailure";
    this.source = source;
    this.absent = absent;
  }
}

/** Compiles one expression; an unknown name, function or a wrong syntax is a `problem` that says so. */
export function compileExpression(source: string): Compiled<Expression> {
  const parsed = attempt(() => environment().parse(source));
  if (!parsed.ok) return parsed;
  const check = parsed.value.check();
  if (!check.valid) return { ok: false, problem: check.error?.summary ?? "not a valid expression" };
  return { ok: true, value: { source, evaluate: (bindings) => evaluate(source, parsed.value, bindings) } };
}

/** Compiles every `${ }` inside a JSON value. */
export function compileTemplate(value: Json): Compiled<Template> {
  if (typeof value === "string") return compileText(value);
  if (value === null || typeof value !== "object") return { ok: true, value: { render: () => value } };
  if (Array.isArray(value)) {
    return combine(value.map(compileTemplate), (items) => (bindings) => items.map((item) => item.render(bindings)));
  }
  const keys = Object.keys(value);
  return combine(Object.values(value).map(compileTemplate), (items) => (bindings) => {
    return Object.fromEntries(items.map((item, index) => [keys[index] ?? "", item.render(bindings)]));
  });
}

/** JSON as CEL sees it: whole numbers are integers, so that `size(list) - 1` and `list[n]` work as written. */
export function bind(value: Json): unknown {
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(bind);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, bind(item)]));
}

/** A rendered value as words. */
export function asText(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

type Program = ReturnType<Environment["parse"]>;

function evaluate(source: string, program: Program, bindings: Bindings): Json {
  try {
    return unbind(program(bindings));
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    throw new ExpressionFailure(
      source,
      problemOf(error),
      code === "no_such_key" || code === "index_out_of_bounds",
      error,
    );
  }
}

function compileText(text: string): Compiled<Template> {
  const split = splitText(text);
  if (!split.ok) return split;
  const parts = split.value.map((part): Compiled<string | Expression> => {
    return typeof part === "string" ? { ok: true, value: part } : compileExpression(part.expression);
  });
  return combine(parts, (pieces) => {
    const [only] = pieces;
    if (pieces.length === 1 && only !== undefined && typeof only !== "string")
      return (bindings) => only.evaluate(bindings);
    return (bindings) =>
      pieces.map((part) => (typeof part === "string" ? part : asText(part.evaluate(bindings)))).join("");
  });
}

/** Splits at `${` and its matching `}`; braces of CEL maps and quoted strings inside are skipped. */
function splitText(text: string): Compiled<(string | { expression: string })[]> {
  const parts: (string | { expression: string })[] = [];
  let rest = 0;
  for (let start = text.indexOf("${"); start !== -1; start = text.indexOf("${", rest)) {
    const end = closingBrace(text, start + 2);
    if (end === -1) return { ok: false, problem: `"\${" has no "}": ${text.slice(start, start + 40)}` };
    if (start > rest) parts.push(text.slice(rest, start));
    parts.push({ expression: text.slice(start + 2, end).trim() });
    rest = end + 1;
  }
  if (rest < text.length || parts.length === 0) parts.push(text.slice(rest));
  return { ok: true, value: parts };
}

function closingBrace(text: string, from: number): number {
  let depth = 1;
  let quote = "";
  for (let index = from; index < text.length; index++) {
    const char = text.charAt(index);
    if (quote !== "") {
      if (char === "\\") index++;
      else if (char === quote) quote = "";
    } else if (char === '"' || char === "'") quote = char;
    else if (char === "{") depth++;
    else if (char === "}" && --depth === 0) return index;
  }
  return -1;
}

function combine<T>(parts: readonly Compiled<T>[], render: (values: T[]) => Template["render"]): Compiled<Template> {
  const problems = parts.flatMap((part) => (part.ok ? [] : [part.problem]));
  if (problems.length > 0) return { ok: false, problem: problems.join("; ") };
  return { ok: true, value: { render: render(parts.flatMap((part) => (part.ok ? [part.value] : []))) } };
}

function attempt<T>(work: () => T): Compiled<T> {
  try {
    return { ok: true, value: work() };
  } catch (error) {
    return { ok: false, problem: problemOf(error) };
  }
}

function problemOf(error: unknown): string {
  if (error instanceof Error && "summary" in error && typeof error.summary === "string") return error.summary;
  return error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
}

/** A CEL value as JSON; times as ISO 8601, durations and bytes as their text. */
function unbind(value: unknown): Json {
  if (typeof value === "bigint") return Number(value);
  if (value === null || value === undefined) return null;
  if (typeof value !== "object") return typeof value === "number" || typeof value === "boolean" ? value : String(value);
  if (Array.isArray(value)) return value.map(unbind);
  if (value instanceof Date) return value.toISOString();
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return String(value);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unbind(item)]));
}

let shared: Environment | undefined;

/** One environment for all scripts: expensive to build, never changed afterwards. */
function environment(): Environment {
  if (shared !== undefined) return shared;
  const env = new Environment({ homogeneousAggregateLiterals: false, enableOptionalTypes: true });
  for (const name of VARIABLES) env.registerVariable(name, "dyn");
  registerMixedArithmetic(env);
  registerListFunctions(env);
  env.registerFunction("round(dyn, int): dyn", (value: Numeric, digits: bigint) =>
    round(Number(value), Number(digits)),
  );
  env.registerFunction("round(dyn): dyn", (value: Numeric) => BigInt(Math.round(Number(value))));
  env.registerFunction("json(dyn): string", (value: unknown) => JSON.stringify(unbind(value)));
  shared = env;
  return env;
}

type Numeric = number | bigint;

/** JSON does not tell 1 from 1.0, so integers and doubles mix. */
function registerMixedArithmetic(env: Environment): void {
  const operations: Record<string, (a: number, b: number) => number> = {
    "+": (a, b) => a + b,
    "-": (a, b) => a - b,
    "*": (a, b) => a * b,
    "/": (a, b) => a / b,
  };
  for (const [sign, operate] of Object.entries(operations)) {
    env.registerOperator(`int ${sign} double`, (a: bigint, b: number) => operate(Number(a), b));
    env.registerOperator(`double ${sign} int`, (a: number, b: bigint) => operate(a, Number(b)));
  }
}

function registerListFunctions(env: Environment): void {
  env.registerFunction("list.sum(): dyn", (list: readonly Numeric[]) => list.reduce(add, 0n));
  env.registerFunction("list.min(): dyn", (list: readonly unknown[]) => [...list].sort(compare)[0] ?? null);
  env.registerFunction("list.max(): dyn", (list: readonly unknown[]) => [...list].sort(compare).at(-1) ?? null);
  env.registerFunction("list.sort(): list", (list: readonly unknown[]) => [...list].sort(compare));
  env.registerFunction("list.sortBy(string): list", (list: readonly unknown[], key: string) => {
    return [...list].sort((a, b) => compare(field(a, key), field(b, key)));
  });
  env.registerFunction("list.reverse(): list", (list: readonly unknown[]) => [...list].reverse());
  env.registerFunction("list.take(int): list", (list: readonly unknown[], count: bigint) =>
    list.slice(0, Number(count)),
  );
  env.registerFunction("list.distinct(): list", (list: readonly unknown[]) => distinct(list));
  env.registerFunction("list.flatten(): list", (list: readonly unknown[]) => list.flat());
  env.registerFunction("range(int): list", (count: bigint) =>
    Array.from({ length: Number(count) }, (_, index) => BigInt(index)),
  );
}

function add(a: Numeric, b: Numeric): Numeric {
  return typeof a === "bigint" && typeof b === "bigint" ? a + b : Number(a) + Number(b);
}

function round(value: number, digits: number): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}

const field = (item: unknown, key: string): unknown => {
  return typeof item === "object" && item !== null ? (item as Record<string, unknown>)[key] : undefined;
};

function compare(a: unknown, b: unknown): number {
  const [left, right] = [sortable(a), sortable(b)];
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

const sortable = (value: unknown): string | number => {
  return typeof value === "bigint" || typeof value === "number" ? Number(value) : String(value);
};

function distinct(list: readonly unknown[]): unknown[] {
  const seen = new Map<string, unknown>();
  for (const item of list) {
    const key = JSON.stringify(unbind(item));
    if (!seen.has(key)) seen.set(key, item);
  }
  return [...seen.values()];
}
