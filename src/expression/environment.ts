import { createRequire } from "node:module";
import type { Environment } from "@marcbachmann/cel-js";
import { asText, unbind } from "./value.ts";

/** CEL with what work on JSON needs beside the standard: mixed arithmetic, and functions on lists.
 *  `list.sum()`, `min()`, `max()`, `sort()`, `sortBy(key)`, `reverse()`, `take(n)`, `distinct()`, `flatten()`,
 *  `range(n)`, `round(x)`, `round(x, digits)`, `json(value)`. */
export function celEnvironment(variables: readonly string[]): Environment {
  const environment = newEnvironment({ homogeneousAggregateLiterals: false, enableOptionalTypes: true });
  for (const name of variables) environment.registerVariable(name, "dyn");
  registerMixedArithmetic(environment);
  registerListFunctions(environment);
  environment.registerFunction("round(dyn, int): dyn", (value: Numeric, digits: bigint) =>
    round(Number(value), Number(digits)),
  );
  environment.registerFunction("round(dyn): dyn", (value: Numeric) => BigInt(Math.round(Number(value))));
  environment.registerFunction("json(dyn): string", (value: unknown) => JSON.stringify(unbind(value)));
  return environment;
}

/** CEL is loaded with the first expression: a fleet without any starts sooner (W4). */
function newEnvironment(options: ConstructorParameters<typeof Environment>[0]): Environment {
  const require = createRequire(import.meta.url);
  const cel = require("@marcbachmann/cel-js") as typeof import("@marcbachmann/cel-js");
  return new cel.Environment(options);
}

type Numeric = number | bigint;

/** JSON does not tell 1 from 1.0, so integers and doubles mix. */
function registerMixedArithmetic(environment: Environment): void {
  const operations: Record<string, (a: number, b: number) => number> = {
    "+": (a, b) => a + b,
    "-": (a, b) => a - b,
    "*": (a, b) => a * b,
    "/": (a, b) => a / b,
  };
  for (const [sign, operate] of Object.entries(operations)) {
    environment.registerOperator(`int ${sign} double`, (a: bigint, b: number) => operate(Number(a), b));
    environment.registerOperator(`double ${sign} int`, (a: number, b: bigint) => operate(a, Number(b)));
  }
}

const LIST_LENGTH_MAX = 1_000_000;

function registerListFunctions(environment: Environment): void {
  type List = readonly unknown[];
  const sorted = (list: List) => [...list].sort(compare);
  environment.registerFunction("list.sum(): dyn", (list: readonly Numeric[]) => list.reduce(add, 0n));
  environment.registerFunction("list.min(): dyn", (list: List) => sorted(list)[0] ?? null);
  environment.registerFunction("list.max(): dyn", (list: List) => sorted(list).at(-1) ?? null);
  environment.registerFunction("list.sort(): list", sorted);
  environment.registerFunction("list.sortBy(string): list", (list: List, key: string) =>
    [...list].sort((a, b) => compare(field(a, key), field(b, key))),
  );
  environment.registerFunction("list.reverse(): list", (list: List) => [...list].reverse());
  environment.registerFunction("list.take(int): list", (list: List, count: bigint) => list.slice(0, Number(count)));
  environment.registerFunction("list.distinct(): list", (list: List) => distinct(list));
  environment.registerFunction("list.flatten(): list", (list: List) => list.flat());
  environment.registerFunction("range(int): list", range);
}

/** 0 to `count` - 1. Bounded, since an expression must not use up memory. */
function range(count: bigint): bigint[] {
  if (count < 0n || count > LIST_LENGTH_MAX) throw new Error(`range(${count}) is not between 0 and ${LIST_LENGTH_MAX}`);
  return Array.from({ length: Number(count) }, (_, index) => BigInt(index));
}

function add(a: Numeric, b: Numeric): Numeric {
  return typeof a === "bigint" && typeof b === "bigint" ? a + b : Number(a) + Number(b);
}

function round(value: number, digits: number): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}

function field(item: unknown, key: string): unknown {
  return typeof item === "object" && item !== null ? (item as Record<string, unknown>)[key] : undefined;
}

function compare(a: unknown, b: unknown): number {
  const [left, right] = [sortable(a), sortable(b)];
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function sortable(value: unknown): string | number {
  return typeof value === "bigint" || typeof value === "number" ? Number(value) : String(value);
}

function distinct(list: readonly unknown[]): unknown[] {
  const seen = new Map<string, unknown>();
  for (const item of list) {
    const key = `${typeof item}:${asText(item)}`;
    if (!seen.has(key)) seen.set(key, item);
  }
  return [...seen.values()];
}
