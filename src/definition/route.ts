import { z } from "zod";
import { PRIORITY, type Requirements, type RouteDefinition } from "../core/definition.ts";
import { compileRoute } from "../route/compile.ts";
import { type AnyAgent, isAgent } from "./agent.ts";
import { type Finding, missingReference, type Path } from "./finding.ts";
import { checkOptions } from "./option.ts";
import { Name, PriorityShape } from "./shape.ts";

const names = z.array(z.string().min(1));

const RequiresShape = z
  .strictObject({
    tools: names.optional().describe("Tools that it must be granted."),
    domains: names.optional().describe("Domains that it must declare."),
    taskTypes: names.optional().describe("Task types that it must declare."),
  })
  .describe(
    "What an agent must be able to do. Each entry is a name or an expression over `input`, such as ${input.area}.",
  );

function routeShape<Agent extends z.ZodType>(agent: Agent) {
  const IntentShape = z.strictObject({
    name: Name.describe("Names it, for the record and the classifier."),
    description: z.string().optional().describe("What it is, for the classifier."),
    when: z
      .string()
      .min(1)
      .optional()
      .describe("A rule, CEL over `input`: the first intent whose rule is true is the task's."),
    to: z.array(agent).min(1).optional().describe("Who may do it. Default: all candidates."),
    requires: RequiresShape.optional(),
    priority: PriorityShape.optional(),
  });
  return z.strictObject({
    description: z.string().optional().describe("What is sent to it, for planners and people."),
    candidates: z
      .array(agent)
      .min(1)
      .describe("Who may do what is sent to it, in the order that decides between equals."),
    intents: z.array(IntentShape).optional().describe("What a task may be about."),
    classifier: agent.optional().describe("The agent that says which intent it is, where no rule does."),
    confidenceMin: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe("Below it what the classifier says does not count. Default 0."),
    requires: RequiresShape.optional(),
    otherwise: agent.optional().describe("Who does what nobody fits. Default: the task fails."),
  });
}

/** A route in YAML. */
export const RouteShape = routeShape(z.string().min(1)).describe(
  "Stands where an agent would, and chooses one for each task: by intent, capability and load.",
);

type Given<A> = Omit<z.output<typeof RouteShape>, "candidates" | "classifier" | "otherwise" | "intents"> & {
  candidates: readonly A[];
  classifier?: A | undefined;
  otherwise?: A | undefined;
  intents?:
    | readonly (Omit<NonNullable<z.output<typeof RouteShape>["intents"]>[number], "to"> & {
        to?: readonly A[] | undefined;
      })[]
    | undefined;
};

/** A route, completed. `nameOf` gives the names of agents that stand there by value. */
export function routeDefinition<A>(given: Given<A>, nameOf: (agent: A) => string): RouteDefinition {
  const intents = (given.intents ?? []).map(({ name, description = "", when = null, to, requires, priority }) => ({
    name,
    description,
    when,
    to: to?.map(nameOf) ?? null,
    requires: completeRequires(requires),
    priority: priority === undefined ? null : PRIORITY[priority],
  }));
  return {
    description: given.description ?? "",
    candidates: given.candidates.map(nameOf),
    intents,
    classifier: given.classifier === undefined ? null : nameOf(given.classifier),
    confidenceMin: given.confidenceMin ?? 0,
    requires: completeRequires(given.requires),
    otherwise: given.otherwise === undefined ? null : nameOf(given.otherwise),
  };
}

function completeRequires({
  tools = [],
  domains = [],
  taskTypes = [],
}: z.output<typeof RequiresShape> = {}): Requirements {
  return { tools, domains, taskTypes };
}

/** The agents of a route: those to whom it may give work, and the one whom it asks. */
export function agentsOfRoute({ candidates, intents, classifier, otherwise }: RouteDefinition): string[] {
  const all = [...candidates, ...intents.flatMap(({ to }) => to ?? []), classifier, otherwise];
  return [...new Set(all.filter((agent) => agent !== null))];
}

/** What is wrong with a route beyond its form: names, expressions. Paths start at `routes.NAME`. */
export function checkRoute(name: string, route: RouteDefinition, agents: ReadonlySet<string>): Finding[] {
  const at = (path: Path): Path => ["routes", name, ...path];
  const seats: [Path, string | null][] = [
    ...route.candidates.map((agent, index): [Path, string] => [["candidates", index], agent]),
    ...route.intents.flatMap(({ to }, place) =>
      (to ?? []).map((agent, index): [Path, string] => [["intents", place, "to", index], agent]),
    ),
    [["classifier"], route.classifier],
    [["otherwise"], route.otherwise],
  ];
  const unknown = seats.flatMap(([path, agent]): Finding[] =>
    agent === null || agent === "" || agents.has(agent)
      ? []
      : [{ ...missingReference(`route "${name}"`, "agent", agent, agents), path: at(path), part: "value" }],
  );
  const expressions = compileRoute(route).problems.map(({ path, message }): Finding => {
    return { code: "DEFINITION_EXPRESSION", message, path: at(path), part: "value" };
  });
  return [...unknown, ...expressions, ...namesakes(name, route, agents)];
}

function namesakes(name: string, { intents, classifier }: RouteDefinition, agents: ReadonlySet<string>): Finding[] {
  const findings: Finding[] = [];
  const add = (code: "DEFINITION_DUPLICATE" | "DEFINITION_INVALID", message: string, path: Path, hint: string) =>
    findings.push({ code, message, path: ["routes", name, ...path], part: path.length === 0 ? "key" : "value", hint });
  if (agents.has(name)) add("DEFINITION_DUPLICATE", `"${name}" is both an agent and a route`, [], "rename one of them");
  for (const [index, intent] of intents.entries()) {
    if (intents.findIndex((one) => one.name === intent.name) < index)
      add(
        "DEFINITION_DUPLICATE",
        `route "${name}" has two intents "${intent.name}"`,
        ["intents", index, "name"],
        "rename one of them",
      );
    if (intent.name === "none")
      add(
        "DEFINITION_INVALID",
        `intent "none" is what a classifier says when no intent fits`,
        ["intents", index, "name"],
        "rename it",
      );
    if (classifier === null && intent.when === null)
      add(
        "DEFINITION_INVALID",
        `intent "${intent.name}" has no rule, and route "${name}" no classifier`,
        ["intents", index],
        "add when, or a classifier",
      );
  }
  return findings;
}

const MARK = Symbol.for("flotilla.route");

/** A route, as `route` returns it. It has no name until `fleet` gives it one. */
export interface Route<Output = unknown> {
  readonly [MARK]: RouteParts;
  /** Never there: carries the types. */
  readonly "~types"?: { output: Output };
}

/** Agents stand by value or by name. */
type RouteParts = Given<AnyAgent | string>;

export interface RouteOptions<Output> extends Omit<RouteParts, "candidates" | "intents"> {
  candidates: readonly (RouteAgent<Output> | string)[];
  intents?: readonly (Omit<NonNullable<RouteParts["intents"]>[number], "to"> & {
    to?: readonly (RouteAgent<Output> | string)[];
  })[];
}

type RouteAgent<Output> = AnyAgent & { readonly "~types"?: { output: Output } };

const AgentValue = z.union([
  z.string().min(1),
  z.custom<AnyAgent>(isAgent, { error: "must be an agent, or its name" }),
]);
const RouteOptionsShape = routeShape(AgentValue);

/** A route: stands wherever an agent may stand in a workflow, and chooses one for each task (C6).
 *  @throws {FlotillaError} DEFINITION_* at once when an option is unknown or wrong */
export function route<Output>(options: RouteOptions<Output>): Route<Output> {
  return Object.freeze({ [MARK]: checkOptions("route", RouteOptionsShape, options) });
}

/** Recognised by mark, since two copies of the package may meet. */
export function isRoute(value: unknown): value is Route {
  return typeof value === "object" && value !== null && MARK in value;
}

export function routeParts(route: Route): RouteParts {
  return route[MARK];
}
