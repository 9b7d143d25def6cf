import { z } from "zod";
import type { Json } from "../core/json.ts";
import { FlotillaError } from "../error.ts";
import { type Compiled, type Expression, language, type Template } from "../expression/expression.ts";

/** What expressions of a script can speak of. */
const cel = language(["input", "turn", "results", "last", "messages", "feedback", "agent", "tools", "facts", "vars"]);

const expression = z.string().superRefine((source, context) => report(cel.expression(source), context));
const text = z.string().superRefine((value, context) => report(cel.template(value), context));
const json = z.json().superRefine((value, context) => report(cel.template(value), context));
const milliseconds = z.number().min(0).max(600_000);
const takeMs = z.union([
  milliseconds,
  z.tuple([milliseconds, milliseconds]).refine(([from, to]) => from <= to, "the first number is the smaller one"),
]);
const call = z.strictObject({ tool: text, input: json.default({}) });

const Rule = z
  .strictObject({
    /** CEL; the rule applies when it is true. A key that is not there makes it false. Without it, it always applies. */
    when: expression.optional(),
    /** Values by name, CEL, computed in order once the rule applies: later ones and templates see `vars.name`. */
    let: z
      .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "a name of letters, digits and _"), expression)
      .optional(),
    /** What is given as the model's reasoning. */
    think: text.optional(),
    call: call.optional(),
    calls: z.array(call).min(1).optional(),
    say: text.optional(),
    /** Answers with this value as one JSON document. */
    output: json.optional(),
    /** How long the answer takes; of a range, the request picks. */
    takeMs: takeMs.optional(),
  })
  .refine((rule) => rule.call === undefined || rule.calls === undefined, "use call or calls, not both")
  .refine((rule) => rule.say === undefined || rule.output === undefined, "use say or output, not both")
  .refine(
    (rule) => rule.output === undefined || (rule.call === undefined && rule.calls === undefined),
    "output ends the agent's work; it does not go with call or calls",
  )
  .refine(
    (rule) => [rule.call, rule.calls, rule.say, rule.output].some((act) => act !== undefined),
    "say what to do: call, calls, say or output",
  );

/** A script of the scripted model (I2): per agent a list of rules, of which the first that applies answers. The rules
 *  under `*` are for every agent that has none. Expressions are CEL over `input` (the first message, as JSON when it is
 *  JSON), `turn` (answers given so far), `results` (of `{ tool, input, output, error }`), `last` (the last output or
 *  null), `messages` (how many), `feedback` (the newest message of the user after the first, or null), `agent`, `tools`
 *  (granted names), `facts` (the shared ones that the agent may read, by key) and `vars`. Beside CEL's own there are `sum()`, `min()`, `max()`, `sort()`, `sortBy(key)`,
 *  `reverse()`, `take(n)`, `distinct()` and `flatten()` on lists, and `round(x, digits)`, `range(n)` and `json(x)`. */
export const Script = z.strictObject({
  /** For rules that name no time of their own; default 0. */
  takeMs: takeMs.optional(),
  agents: z.record(z.string(), z.array(Rule).min(1)),
});
export type Script = z.infer<typeof Script>;

export type TakeMs = z.infer<typeof takeMs>;

/** A rule, ready to be evaluated. */
export interface CompiledRule {
  when: Expression | null;
  let: readonly (readonly [name: string, value: Expression])[];
  think: Template | null;
  calls: readonly { tool: Template; input: Template }[];
  /** The text of the answer: words, or a value that is given as JSON. */
  say: Template | null;
  output: Template | null;
  takeMs: TakeMs;
}

export type CompiledScript = ReadonlyMap<string, readonly CompiledRule[]>;

const compiled = new WeakMap<object, CompiledScript>();

/** Checks and compiles a script; the same object is compiled once.
 *  @throws {FlotillaError} DEFINITION_INVALID with `details.problems`, each with its path in the script */
export function compileScript(script: Json): CompiledScript {
  const known = typeof script === "object" && script !== null ? compiled.get(script) : undefined;
  if (known !== undefined) return known;
  const parsed = Script.safeParse(script);
  if (!parsed.success) throw scriptInvalid(parsed.error);
  const rules = new Map(
    Object.entries(parsed.data.agents).map(([agent, list]) => [
      agent,
      list.map((rule) => compileRule(rule, parsed.data.takeMs ?? 0)),
    ]),
  );
  if (typeof script === "object" && script !== null) compiled.set(script, rules);
  return rules;
}

function compileRule(rule: z.infer<typeof Rule>, defaultTakeMs: TakeMs): CompiledRule {
  const calls = rule.calls ?? (rule.call === undefined ? [] : [rule.call]);
  return {
    when: rule.when === undefined ? null : proven(cel.expression(rule.when)),
    let: Object.entries(rule.let ?? {}).map(([name, source]) => [name, proven(cel.expression(source))]),
    think: optionalTemplate(rule.think),
    calls: calls.map((each) => ({
      tool: proven(cel.template(each.tool)),
      input: proven(cel.template(each.input)),
    })),
    say: optionalTemplate(rule.say),
    output: optionalTemplate(rule.output),
    takeMs: rule.takeMs ?? defaultTakeMs,
  };
}

const optionalTemplate = (value: Json | undefined): Template | null => {
  return value === undefined ? null : proven(cel.template(value));
};

/** The schema has compiled it once already. */
function proven<T>(result: Compiled<T>): T {
  if (!result.ok) throw new FlotillaError("INVARIANT", `a checked expression does not compile: ${result.problem}`);
  return result.value;
}

function report(result: Compiled<unknown>, context: z.RefinementCtx): void {
  if (!result.ok) context.addIssue({ code: "custom", message: result.problem });
}

function scriptInvalid(error: z.ZodError): FlotillaError {
  const problems = error.issues.map((issue) => ({ path: issue.path.join("."), message: issue.message }));
  const lines = problems.map((problem) => `  ${problem.path === "" ? "script" : problem.path}: ${problem.message}`);
  return new FlotillaError("DEFINITION_INVALID", `the script is not valid\n${lines.join("\n")}`, {
    details: { problems },
  });
}
