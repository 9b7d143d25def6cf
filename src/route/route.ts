import type { FleetDefinition, Priority, Requirements, RouteDefinition, RouteIntent } from "../core/definition.ts";
import type { Candidate } from "../core/event.ts";
import type { RouteChoice, RouteQuestion, Router } from "../core/route.ts";
import { type ErrorRecord, FlotillaError, toErrorRecord } from "../error.ts";
import { bind, type Bindings, ExpressionFailure, isTrue } from "../expression/expression.ts";
import { classification, NONE, outputSchema } from "./classify.ts";
import { compiledRoute } from "./compile.ts";

type Fleet = Pick<FleetDefinition, "agents">;

/** The router of a route, with the agents of its fleet (C6). By intent first, rules before the classifier; then by
 *  capability; then whoever has the fewest open tasks, the first of equals. An expression without a value fails the
 *  task, and so does a task that nobody fits, unless the route says who does it `otherwise`. */
export function routerOf(name: string, route: RouteDefinition, fleet: Fleet): Router {
  return (question) => {
    try {
      return choose(name, route, fleet, question);
    } catch (error) {
      if (!(error instanceof ExpressionFailure)) throw error;
      return { fail: failed("EXPRESSION_FAILED", `route ${name}: ${error.message}`) };
    }
  };
}

/** What a task is about, and who says so; no intent when nobody knows. */
interface Verdict {
  intent: RouteIntent | null;
  why: string;
}

function choose(name: string, route: RouteDefinition, fleet: Fleet, question: RouteQuestion): RouteChoice {
  const values: Bindings = { input: bind(question.input) };
  const verdict = byRule(route, values) ?? byClassifier(route, question);
  if (verdict !== null) return among(name, route, fleet, question, verdict);
  const { classifier, intents } = route;
  const input = { request: question.input, intents: intents.map(({ name, description }) => ({ name, description })) };
  return { classify: { agent: classifier ?? "", input, output: outputSchema(intents) } };
}

function byRule(route: RouteDefinition, values: Bindings): Verdict | null {
  const { rules } = compiledRoute(route);
  const index = rules.findIndex((rule) => isTrue(rule, values));
  const intent = route.intents[index];
  if (intent !== undefined) return { intent, why: `a rule makes it ${intent.name}` };
  if (route.classifier !== null && route.intents.length > 0) return null;
  return { intent: null, why: route.intents.length === 0 ? "" : "no rule knows it" };
}

/** Null while the classifier has not spoken. One that fails, or is not sure enough, leaves it to what agents can do. */
function byClassifier(
  { intents, classifier, confidenceMin }: RouteDefinition,
  { classified }: RouteQuestion,
): Verdict | null {
  if (classified === undefined) return null;
  if ("error" in classified) return { intent: null, why: `${classifier} failed: ${classified.error.message}` };
  const { intent: said, confidence, why } = classification(classified.output);
  const words = why === "" ? "" : ` (${why})`;
  const intent = intents.find(({ name }) => name === said) ?? null;
  if (intent === null) return { intent: null, why: `${classifier} says ${NONE}${words}` };
  if (confidence >= confidenceMin) return { intent, why: `${classifier} makes it ${intent.name}${words}` };
  return { intent: null, why: `${classifier} makes it ${intent.name} with ${confidence}, less than ${confidenceMin}` };
}

function among(
  name: string,
  route: RouteDefinition,
  fleet: Fleet,
  { input, load }: RouteQuestion,
  { intent, why }: Verdict,
): RouteChoice {
  const wanted = [route.requires, ...(intent === null ? [] : [intent.requires])];
  const needs = compiledRoute(route).requirements(wanted, { input: bind(input) });
  const candidates = (intent?.to ?? route.candidates).map((agent) => candidateOf(fleet, agent, load(agent), needs));
  const [first, ...others] = candidates.filter(({ fits }) => fits);
  const prefix = why === "" ? "" : `${why}; `;
  const priority: { priority?: Priority } =
    intent?.priority === undefined || intent.priority === null ? {} : { priority: intent.priority };
  if (first !== undefined) {
    const { agent, load: open } = others.reduce((best, one) => (one.load < best.load ? one : best), first);
    const how = others.length === 0 ? "it alone fits" : `it has the fewest open tasks of those that fit, ${open}`;
    return { agent, why: prefix + how, candidates, ...priority };
  }
  if (route.otherwise !== null)
    return { agent: route.otherwise, why: `${prefix}nobody fits, and it does what is left`, candidates, ...priority };
  const lacks = candidates.map(({ agent, why: lack = "" }) => `${agent} ${lack}`).join(", ");
  return { fail: failed("ROUTE_NONE", `route ${name}: ${prefix}nobody fits: ${lacks}`) };
}

function candidateOf({ agents }: Fleet, agent: string, load: number, needs: Requirements): Candidate {
  const lacking = lackOf(agents, agent, needs);
  return lacking.length === 0
    ? { agent, fits: true, load }
    : { agent, fits: false, load, why: `lacks ${lacking.join(", ")}` };
}

/** What an agent does not have of what is required: tools that it is not granted, domains and task types that it does
 *  not declare. */
export function lackOf(agents: FleetDefinition["agents"], name: string, needs: Requirements): string[] {
  const agent = agents[name];
  const { domains = [], taskTypes = [] } = agent?.capabilities ?? {};
  const missing = (kind: string, wanted: readonly string[], has: readonly string[]) =>
    wanted.filter((one) => !has.includes(one)).map((one) => `${kind} ${one}`);
  return [
    ...missing("tool", needs.tools, agent?.tools ?? []),
    ...missing("domain", needs.domains, domains),
    ...missing("task type", needs.taskTypes, taskTypes),
  ];
}

function failed(code: "ROUTE_NONE" | "EXPRESSION_FAILED", message: string): ErrorRecord {
  return toErrorRecord(new FlotillaError(code, message));
}
