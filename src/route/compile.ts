import type { Requirements, RouteDefinition } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import {
  type Bindings,
  type Compiled,
  type Expression,
  ExpressionFailure,
  language,
} from "../expression/expression.ts";

/** A route's expressions, made ready once. */
interface CompiledRoute {
  /** One for each intent; null where it has no rule. */
  rules: readonly (Expression | null)[];
  /** What is required for a task, its expressions filled in. @throws {ExpressionFailure} */
  requirements(wanted: readonly Requirements[], values: Bindings): Requirements;
  problems: readonly { path: (string | number)[]; message: string }[];
}

type Parts = Pick<RouteDefinition, "intents" | "requires">;

const overInput = language(["input"]);
const known = new WeakMap<Parts, CompiledRoute>();

export function compiledRoute(route: Parts): CompiledRoute {
  const compiled = known.get(route) ?? compileRoute(route);
  known.set(route, compiled);
  return compiled;
}

/** Compiles what a route says; its mistakes are `problems`, with paths that start at the route. */
export function compileRoute({ intents, requires }: Parts): CompiledRoute {
  const problems: CompiledRoute["problems"][number][] = [];
  const take = <T>(path: (string | number)[], part: Compiled<T>): T | null => {
    if (part.ok) return part.value;
    problems.push({ path, message: part.problem });
    return null;
  };
  const rules = intents.map(({ when }, index) =>
    when === null ? null : take(["intents", index, "when"], overInput.expression(when)),
  );
  take(["requires"], overInput.template(requires as unknown as Json));
  for (const [index, intent] of intents.entries())
    take(["intents", index, "requires"], overInput.template(intent.requires as unknown as Json));
  return { rules, requirements, problems };
}

function requirements(wanted: readonly Requirements[], values: Bindings): Requirements {
  const all = (kind: keyof Requirements) =>
    wanted.flatMap((one) => one[kind]).flatMap((text) => namesIn(text, overInput.template(text), values));
  return { tools: all("tools"), domains: all("domains"), taskTypes: all("taskTypes") };
}

/** One name, or the list of names that an expression gives. */
function namesIn(source: string, compiled: ReturnType<typeof overInput.template>, values: Bindings): string[] {
  const given = compiled.ok ? compiled.value.render(values) : source;
  const names = Array.isArray(given) ? given : [given];
  if (names.every((name) => typeof name === "string")) return names;
  throw new ExpressionFailure(source, "it is neither a name nor a list of names", false, undefined);
}
