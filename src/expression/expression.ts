import type { Environment } from "@marcbachmann/cel-js";
import type { Json } from "../core/json.ts";
import { celEnvironment } from "./environment.ts";
import { type Reference, references } from "./reference.ts";
import { splitText } from "./split.ts";
import { asText, unbind } from "./value.ts";

export { asText, bind } from "./value.ts";

/** A compiled CEL expression over named JSON values. */
export interface Expression {
  readonly source: string;
  /** The value as JSON. @throws {ExpressionFailure} when it has none for these values */
  evaluate(bindings: Bindings): Json;
  /** What it reads of a variable. */
  reads(variable: string): readonly Reference[];
}

/** JSON in which strings may hold `${ CEL }`. A string that is one `${ }` and nothing else keeps the value's type;
 *  in a longer text strings are put in as they are and everything else as JSON. Keys are taken as they are. */
export interface Template {
  /** @throws {ExpressionFailure} when an expression has no value for these values */
  render(bindings: Bindings): Json;
  reads(variable: string): readonly Reference[];
}

/** Values by the names of the language's variables, each converted with `bind`. */
export type Bindings = { readonly [name: string]: unknown };

export type Compiled<T> = { ok: true; value: T } | { ok: false; problem: string };

/** CEL over a fixed set of variables. */
export interface Language {
  /** Compiles one expression; a wrong syntax, unknown variable or function is a `problem` that names the place. */
  expression(source: string): Compiled<Expression>;
  /** Compiles every `${ }` inside a JSON value; problems of all of them are joined. */
  template(value: Json): Compiled<Template>;
}

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

/** A language of its own variables. Building one costs about as much as a hundred evaluations: make it once. */
export function language(variables: readonly string[]): Language {
  let environment: Environment | undefined;
  const parse = (source: string) => {
    environment ??= celEnvironment(variables);
    return environment.parse(source);
  };
  const expression = (source: string) => compile(source, parse);
  return { expression, template: (value) => compileTemplate(value, expression) };
}

type Program = ReturnType<Environment["parse"]>;

function compile(source: string, parse: (source: string) => Program): Compiled<Expression> {
  try {
    const program = parse(source);
    const check = program.check();
    if (!check.valid) return { ok: false, problem: located(source, check.error) };
    return {
      ok: true,
      value: {
        source,
        evaluate: (bindings) => evaluate(source, program, bindings),
        reads: (variable) => references(program.ast, variable),
      },
    };
  } catch (error) {
    return { ok: false, problem: located(source, error) };
  }
}

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

function compileTemplate(value: Json, expression: Language["expression"]): Compiled<Template> {
  if (typeof value === "string") return compileText(value, expression);
  if (value === null || typeof value !== "object") return constant(value);
  const keys = Array.isArray(value) ? null : Object.keys(value);
  const compiled = Object.values(value).map((item: Json) => compileTemplate(item, expression));
  return combine(compiled, (items) => (bindings) => {
    const rendered = items.map((item) => item.render(bindings));
    return keys === null ? rendered : Object.fromEntries(rendered.map((item, index) => [keys[index] ?? "", item]));
  });
}

function compileText(text: string, expression: Language["expression"]): Compiled<Template> {
  const split = splitText(text);
  if (!split.ok) return split;
  if (split.value.every((part) => typeof part === "string")) return constant(text);
  const parts = split.value.map((part) =>
    typeof part === "string" ? constant(part) : asTemplate(expression(part.expression)),
  );
  return combine(parts, (pieces) => {
    const [only] = pieces;
    if (pieces.length === 1 && only !== undefined) return (bindings) => only.render(bindings);
    return (bindings) => pieces.map((piece) => asText(piece.render(bindings))).join("");
  });
}

function constant(value: Json): Compiled<Template> {
  return { ok: true, value: { render: () => value, reads: () => [] } };
}

function asTemplate(compiled: Compiled<Expression>): Compiled<Template> {
  if (!compiled.ok) return compiled;
  const { evaluate, reads } = compiled.value;
  return { ok: true, value: { render: evaluate, reads } };
}

function combine(
  parts: readonly Compiled<Template>[],
  render: (values: Template[]) => Template["render"],
): Compiled<Template> {
  const problems = parts.flatMap((part) => (part.ok ? [] : [part.problem]));
  if (problems.length > 0) return { ok: false, problem: problems.join("; ") };
  const values = parts.flatMap((part) => (part.ok ? [part.value] : []));
  return {
    ok: true,
    value: { render: render(values), reads: (variable) => values.flatMap((value) => value.reads(variable)) },
  };
}

/** A problem with the expression and the character at which it lies. */
function located(source: string, error: unknown): string {
  const range =
    error instanceof Error && "range" in error ? (error.range as { start?: number } | undefined) : undefined;
  const place = range?.start === undefined ? "" : ` at character ${Math.min(range.start, source.length) + 1}`;
  return `${problemOf(error)}${place} of "${source}"`;
}

function problemOf(error: unknown): string {
  if (error instanceof Error && "summary" in error && typeof error.summary === "string") return error.summary;
  return error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
}

/** Whether a condition is true: one that asks for what is not there is not; null never is.
 *  @throws {ExpressionFailure} when it makes no sense */
export function isTrue(condition: Expression | null | undefined, values: Bindings): boolean {
  try {
    return condition?.evaluate(values) === true;
  } catch (error) {
    if (error instanceof ExpressionFailure && error.absent) return false;
    throw error;
  }
}
