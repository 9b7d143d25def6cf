import { z } from "zod";
import type {
  AgentDefinition,
  CallGrant,
  FleetDefinition,
  RouteDefinition,
  WorkflowDefinition,
} from "../core/definition.ts";
import { workflowSeat } from "../core/seat.ts";
import { sha256 } from "../message/canonical.ts";
import { type Agent, type AgentCode, type AnyAgent, agentParts, type Delegation, isAgent } from "./agent.ts";
import { callFindings, callGrant, callGrants, handoverFindings } from "./call-grant.ts";
import { isPlain } from "./as-json.ts";
import { budgetFindings, guardFindings } from "./budget.ts";
import { completeBudgets, completeGuards } from "./default.ts";
import { lostNames } from "./lost-name.ts";
import { type Finding, located, missingReference } from "./finding.ts";
import { checkOptions } from "./option.ts";
import { reuseFindings } from "./reuse.ts";
import { approvalFindings } from "./yaml-check.ts";
import { checkPatternOptions } from "./pattern-option.ts";
import { patterns } from "../pattern/index.ts";
import type { Pattern } from "../pattern/pattern.ts";
import { type Problem, refuse } from "./problem.ts";
import {
  checkMcpServer,
  checkModel,
  checkProvider,
  type McpServerOptions,
  McpServerShape,
  mcpServerDefinition,
  type ProviderOptions,
  ProviderOptionsShape,
  providerDefinition,
} from "./provider.ts";
import { checkRoute, isRoute, type Route, routeDefinition, routeParts } from "./route.ts";
import { type BudgetsOptions, BudgetsShape, type GuardsOptions, GuardsShape, Name } from "./shape.ts";
import { type ScheduleGiven, ScheduleShape, scheduleDefinition, scheduleFindings } from "./schedule.ts";
import { isTool, type Tool, type ToolCode, toolParts } from "./tool.ts";
import type { AnyWorkflow } from "./workflow-mark.ts";
import { isWorkflow, type Workflow, workflowParts } from "./workflow.ts";
import { isZodSchema, outputSchema } from "./zod-schema.ts";

/** What hosts run and coordinators plan with, by the names of the definition. */
export interface FleetCode {
  tools: ReadonlyMap<string, ToolCode>;
  agents: ReadonlyMap<string, AgentCode>;
  /** Every pattern that a workflow uses, by the pattern's name. */
  patterns: ReadonlyMap<string, Pattern>;
}

const MARK = Symbol.for("flotilla.fleet");

/** A fleet as a value: its plain definition beside its code. Making one starts nothing. */
export interface Fleet<Workflows = Record<string, Workflow>> {
  readonly [MARK]: true;
  readonly definition: FleetDefinition;
  readonly code: FleetCode;
  /** Never there: carries the types. */
  readonly "~types"?: { workflows: Workflows };
}

/** The names of a fleet's workflows. */
export type WorkflowName<F> = keyof WorkflowsOf<F> & string;
/** What `start` takes for workflow `W` of fleet `F`. */
export type WorkflowInput<F, W extends WorkflowName<F>> =
  WorkflowsOf<F>[W] extends Workflow<infer Input, unknown> ? Input : never;
/** What `run.result()` gives for workflow `W` of fleet `F`. */
export type WorkflowOutput<F, W extends WorkflowName<F>> =
  WorkflowsOf<F>[W] extends Workflow<unknown, infer Output> ? Output : never;

type WorkflowsOf<F> = F extends Fleet<infer Workflows> ? Workflows : never;

/** Of any types. That these say nothing of types keeps them from being what a workflow written in place is inferred
 *  from: where it says nothing itself, it takes and gives JSON. */
type AnyTool = Omit<Tool, "~types">;

export interface FleetOptions<
  Tools extends Readonly<Record<string, AnyTool>>,
  Agents extends Readonly<Record<string, AnyAgent>>,
  Workflows extends Readonly<Record<string, AnyWorkflow>>,
> {
  name: string;
  /** Every tool that an agent is granted, by name. */
  tools?: Tools;
  /** Every agent that a workflow uses, by name. */
  agents: Agents;
  workflows: Workflows;
  /** Every route that a workflow uses, by name. */
  routes?: Readonly<Record<string, Omit<Route, "~types">>>;
  /** What starts by itself, by name (I8). */
  schedules?: Readonly<Record<string, ScheduleOptions<NoInfer<Workflows>>>>;
  /** openai, anthropic and google need no declaration. */
  providers?: Readonly<Record<string, ProviderOptions>>;
  mcpServers?: Readonly<Record<string, McpServerOptions>>;
  /** What may be used beyond one run (K2). */
  budgets?: BudgetsOptions;
  /** How much all workers together ask of models, tools and agents, and when they stop asking (F4, K5). */
  guards?: GuardsOptions;
}

/** When a workflow is started by itself: at the times of a cron expression, or once. */
export type ScheduleOptions<Workflows> = {
  [W in keyof Workflows & string]: {
    workflow: W;
    /** What each run is given. Default {}. */
    input?: Workflows[W] extends Workflow<infer Input, unknown> ? Input : never;
    /** Which of the times are made up for that passed while nothing could start: none, the newest, or all, up to
     *  `catchUpMax` of them (default 10). Default `last`. */
    catchUp?: "skip" | "last" | "all";
    catchUpMax?: number;
    /** What happens at a time at which the run before it has not ended. Default `skip`. */
    overlap?: "allow" | "skip" | "queue";
    /** Time zone by its IANA name, such as `Europe/Berlin`. Default UTC. */
    zone?: string;
  } & (
    | {
        /** Minute, hour, day of the month, month, day of the week; or `@hourly`, `@daily`, `@weekly`, `@monthly`,
         *  `@yearly`. */
        cron: string;
        at?: undefined;
      }
    | {
        /** ISO 8601, such as `2027-01-31T09:00Z`; without an offset as a clock in `zone` shows it. */
        at: string;
        cron?: undefined;
      }
  );
}[keyof Workflows & string];

const named = <T extends z.ZodType>(value: T) => z.record(Name, value);

const FleetOptionsShape = z.strictObject({
  name: Name,
  tools: named(z.custom<Tool>(isTool, { error: "must be a tool, made by tool(), httpTool() or mcpTool()" })).optional(),
  agents: named(z.custom<Agent>(isAgent, { error: "must be an agent, made by agent()" })),
  workflows: named(z.custom<Workflow>(isWorkflow, { error: "must be a workflow, made by a pattern or workflow()" })),
  routes: named(z.custom<Route>(isRoute, { error: "must be a route, made by route()" })).optional(),
  providers: named(ProviderOptionsShape).optional(),
  mcpServers: named(McpServerShape).optional(),
  budgets: BudgetsShape.optional(),
  schedules: named(ScheduleShape).optional(),
  guards: GuardsShape.optional(),
});

type Given = z.output<typeof FleetOptionsShape>;
type Complete = Required<Omit<Given, "budgets" | "guards">> & Pick<Given, "budgets" | "guards">;

/** Puts a fleet together: tools and agents get their names, and everything that refers to them is checked.
 *  @throws {FlotillaError} DEFINITION_*, MODEL_UNKNOWN: all mistakes at once in `details.problems` */
export function fleet<
  const Tools extends Readonly<Record<string, AnyTool>>,
  const Agents extends Readonly<Record<string, AnyAgent>>,
  const Workflows extends Readonly<Record<string, AnyWorkflow>>,
>(options: FleetOptions<Tools, Agents, Workflows>): Fleet<Workflows>;
export function fleet(options: unknown): Fleet {
  const given: Complete = {
    tools: {},
    schedules: {},
    providers: {},
    mcpServers: {},
    routes: {},
    ...checkOptions("fleet", FleetOptionsShape, options),
  };
  const names: Names = {
    tools: nameOf(given.tools),
    agents: nameOf(given.agents),
    seats: nameOf({ ...given.agents, ...given.routes }),
    workflows: nameOf(given.workflows),
  };
  const routes = mapValues(given.routes, (route) => routeOf(route, names));
  const agents = mapValues(given.agents, (agent) => agentOf(agent, names));
  const tools = mapValues(given.tools, (tool) => toolParts(tool).definition);
  const workflows = mapValues(given.workflows, (workflow, name) => workflowOf(name, workflow, names));
  const inputs = mapValues(workflows, ({ definition }) => definition.input);
  refuse([
    ...problems(lostNames(options).map((lost) => ({ ...lost, message: `fleet(): ${lost.message}` }))),
    ...duplicates("tools", given.tools),
    ...duplicates("agents", given.agents),
    ...Object.entries(given.providers).flatMap(([name, provider]) => problems(checkProvider(name, provider))),
    ...Object.entries(given.mcpServers).flatMap(([name, server]) => problems(checkMcpServer(name, server))),
    ...Object.entries(given.tools).flatMap(([name, tool]) => toolProblems(name, tool, given)),
    ...Object.entries(given.agents).flatMap(([name, agent]) => agentProblems(name, agent, given, names)),
    ...Object.entries(routes).flatMap(([name, route]) =>
      problems(checkRoute(name, route, new Set(Object.keys(given.agents)))),
    ),
    ...Object.values(workflows).flatMap(({ findings }) => problems(findings)),
    ...Object.entries(agents).flatMap(([name, agent]) => problems(reuseFindings(name, agent, tools))),
    ...problems(patternNamesakes(given.workflows)),
    ...problems(guardFindings(given.guards ?? {}, given.agents, given.tools)),
    ...problems(budgetFindings(given.budgets ?? {}, given.agents, given.workflows)),
    ...Object.entries(given.schedules).flatMap(([name, schedule]) => scheduleProblems(name, schedule, inputs)),
  ]);
  const definition: FleetDefinition = {
    name: given.name,
    providers: mapValues(given.providers, ({ script, ...provider }, name) =>
      providerDefinition(name, provider, script ?? null),
    ),
    mcpServers: mapValues(given.mcpServers, mcpServerDefinition),
    tools,
    agents,
    workflows: mapValues(workflows, ({ definition }) => definition),
    ...(Object.keys(routes).length === 0 ? {} : { routes }),
    ...(given.guards === undefined ? {} : { guards: completeGuards(given.guards) }),
    ...(given.budgets === undefined ? {} : { budgets: completeBudgets(given.budgets) }),
    ...(Object.keys(given.schedules).length === 0 ? {} : { schedules: mapValues(given.schedules, scheduleDefinition) }),
    modules: functionHashes(given),
  };
  return Object.freeze({ [MARK]: true as const, definition, code: codeOf(given) });
}

/** Recognised by mark, since two copies of the package may meet. */
export function isFleet(value: unknown): value is Fleet {
  return typeof value === "object" && value !== null && MARK in value;
}

interface Names {
  tools: ReadonlyMap<unknown, string>;
  agents: ReadonlyMap<unknown, string>;
  /** Agents and routes. */
  seats: ReadonlyMap<unknown, string>;
  workflows: ReadonlyMap<unknown, string>;
}

/** What stands for an agent, a route or a workflow in options. */
function seatOf(value: unknown, { seats, workflows }: Names): string | undefined {
  const workflow = workflows.get(value);
  return workflow === undefined ? seats.get(value) : workflowSeat(workflow);
}

/** The first name of each value. */
function nameOf(record: Readonly<Record<string, object>>): ReadonlyMap<unknown, string> {
  return new Map(
    Object.entries(record)
      .reverse()
      .map(([name, value]) => [value, name]),
  );
}

function agentOf(agent: Agent, names: Names): AgentDefinition {
  const { definition, tools, calls } = agentParts(agent);
  const nameOfTool = (tool: Tool) => names.tools.get(tool) ?? [];
  const grants = calls.flatMap((one): CallGrant[] => {
    const called = calledBy(one, names);
    return called === undefined ? [] : [callGrant(called, one.tools.flatMap(nameOfTool), one)];
  });
  return { ...definition, tools: tools.flatMap(nameOfTool), ...callGrants(grants) };
}

/** An agent that is not in the fleet stands under its own value's name, which there is none of. */
function routeOf(route: Route, names: Names): RouteDefinition {
  return routeDefinition(routeParts(route), (agent) =>
    typeof agent === "string" ? agent : (names.agents.get(agent) ?? "an agent that is not in fleet({ agents })"),
  );
}

/** The name of an agent that another may call, if it is in the fleet. */
function calledBy({ agent }: Delegation, names: Names): string | undefined {
  const workflow = names.workflows.get(agent);
  if (workflow !== undefined) return workflowSeat(workflow);
  if (typeof agent !== "string") return names.agents.get(agent);
  const known = [...names.agents.values(), ...[...names.workflows.values()].map(workflowSeat)];
  return known.includes(agent) ? agent : undefined;
}

function workflowOf(
  name: string,
  workflow: Workflow,
  names: Names,
): { definition: WorkflowDefinition; findings: readonly Finding[] } {
  const { pattern, options, agents, ...rest } = workflowParts(workflow);
  const findings: Finding[] = [];
  const unnamed = (where: string, isRun: boolean) => {
    const [kind, section, what] = isRun
      ? ["a workflow", "workflows", "thatWorkflow"]
      : ["an agent", "agents", "thatAgent"];
    findings.push({
      code: "DEFINITION_REFERENCE",
      message: `workflow "${name}" uses ${kind} (${where}) that is not in fleet({ ${section} })`,
      path: ["workflows", name],
      part: "value",
      hint: `add it: fleet({ ${section}: { …, NAME: ${what} } })`,
    });
    return "";
  };
  const seat = (value: unknown, where: string) => seatOf(value, names) ?? unnamed(where, isWorkflow(value));
  const plain = plainOptions(options, "options", seat);
  const extra = agents.map((agent, index) => seat(agent, `agents[${index}]`));
  const checked =
    findings.length > 0 ? null : checkPatternOptions(name, pattern, plain, seatsIn(names), { extraAgents: extra });
  return {
    definition: {
      ...rest,
      pattern: pattern.name,
      module: null,
      options: checked?.options ?? null,
      agents: checked?.agents ?? [],
    },
    findings: [...findings, ...(checked?.findings ?? [])],
  };
}

/** All that may stand where an agent may. */
function seatsIn({ seats, workflows }: Names): ReadonlySet<string> {
  return new Set([...seats.values(), ...[...workflows.values()].map(workflowSeat)]);
}

/** Options as JSON: agents, routes and workflows become names, zod schemas JSON Schemas; the rest must be JSON, which the pattern's schema sees to. */
function plainOptions(value: unknown, where: string, nameAgent: (agent: unknown, where: string) => string): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (isAgent(value) || isRoute(value) || isWorkflow(value)) return nameAgent(value, where);
  if (isZodSchema(value)) return outputSchema(value, where);
  if (Array.isArray(value)) return value.map((item, index) => plainOptions(item, `${where}[${index}]`, nameAgent));
  if (!isPlain(value)) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.map(([key, item]) => [key, plainOptions(item, `${where}.${key}`, nameAgent)]));
}

function duplicates(kind: "tools" | "agents", record: Readonly<Record<string, object>>): Problem[] {
  const seen = new Map<object, string>();
  return Object.entries(record).flatMap(([name, value]) => {
    const first = seen.get(value);
    seen.set(value, first ?? name);
    if (first === undefined) return [];
    const message = `fleet(): ${kind}.${first} and ${kind}.${name} are one and the same object`;
    return problems([
      { code: "DEFINITION_DUPLICATE", message, path: [], part: "value", hint: "make one for each name" },
    ]);
  });
}

/** Patterns are found by name where they run, so one name must mean one pattern. */
function patternNamesakes(workflows: Readonly<Record<string, Workflow>>): Finding[] {
  const known = new Map<string, Pattern>(patterns);
  return Object.entries(workflows).flatMap(([name, workflow]): Finding[] => {
    const { pattern } = workflowParts(workflow);
    const namesake = known.get(pattern.name);
    known.set(pattern.name, namesake ?? pattern);
    if (namesake === undefined || isSame(namesake, pattern)) return [];
    const whose = patterns.has(pattern.name) ? "a built-in pattern is called" : "two patterns are called";
    const message = `workflow "${name}": ${whose} "${pattern.name}"`;
    const hint = "give your own pattern another name";
    return [{ code: "DEFINITION_DUPLICATE", message, path: ["workflows", name], part: "value", hint }];
  });
}

/** Two copies of this package bring two copies of the built-in patterns. */
function isSame(one: Pattern, other: Pattern): boolean {
  return one === other || (patterns.has(one.name) && String(one.agents) === String(other.agents));
}

function scheduleProblems(name: string, schedule: ScheduleGiven, inputs: Readonly<Record<string, unknown>>): Problem[] {
  const findings = scheduleFindings(name, schedule, inputs);
  return problems(findings.map((finding) => ({ ...finding, path: ["schedules", name, ...finding.path] })));
}

function toolProblems(name: string, tool: Tool, given: Complete): Problem[] {
  const { definition } = toolParts(tool);
  if (definition.kind !== "mcp" || Object.hasOwn(given.mcpServers, definition.server)) return [];
  const missing = missingReference(`tool "${name}"`, "MCP server", definition.server, Object.keys(given.mcpServers));
  return problems([{ ...missing, path: ["tools", name, "server"], part: "value" }]);
}

function agentProblems(name: string, agent: Agent, given: Complete, names: Names): Problem[] {
  const { definition, tools, calls } = agentParts(agent);
  const ungranted = [...tools, ...calls.flatMap((one) => one.tools)]
    .filter((tool) => !names.tools.has(tool))
    .map((tool): Finding => {
      const { description, kind } = toolParts(tool).definition;
      const what = description === "" ? `an ${kind} tool` : `the tool "${description}"`;
      return {
        code: "DEFINITION_REFERENCE",
        message: `agent "${name}" uses ${what}, which is not in fleet({ tools })`,
        path: ["agents", name, "tools"],
        part: "value",
        hint: "add it: fleet({ tools: { …, NAME: thatTool } })",
      };
    });
  const models = [definition.model, ...definition.fallbackModels].flatMap((model): Finding[] => {
    const wrong = model === null ? null : checkModel(model, given.providers, `agent "${name}"`);
    return wrong === null ? [] : [{ ...wrong, path: ["agents", name, "model"], part: "value" }];
  });
  const strangers = calls
    .filter((one) => calledBy(one, names) === undefined)
    .map(({ agent: called }): Finding => {
      const what = typeof called === "string" ? `agent "${called}", which` : "an agent that";
      return {
        code: "DEFINITION_REFERENCE",
        message: `agent "${name}" calls ${what} is not in fleet({ agents })`,
        path: ["agents", name, "calls"],
        part: "value",
        hint: "add it: fleet({ agents: { …, NAME: thatAgent } })",
      };
    });
  const { tools: granted, calls: named = [], approvals = {} } = agentOf(agent, names);
  const called = named.map((one) => one.agent);
  const mayHandOver = named.some(({ handover }) => handover === true);
  const own = [
    ...callFindings(name, granted, called),
    ...handoverFindings(name, granted, mayHandOver),
    ...approvalFindings(name, Object.keys(approvals), granted),
  ];
  return problems([...ungranted, ...strangers, ...at(name, own), ...models]);
}

function at(agent: string, findings: readonly Finding[]): Finding[] {
  return findings.map((finding) => ({ ...finding, path: ["agents", agent, ...finding.path] }));
}

function problems(findings: readonly Finding[]): Problem[] {
  return findings.map((finding) => located(finding, {}));
}

function codeOf(given: Complete): FleetCode {
  const codes = <C>(entries: [string, { code: C | null }][]): Map<string, C> =>
    new Map(entries.flatMap(([name, { code }]) => (code === null ? [] : [[name, code]])));
  return {
    tools: codes<ToolCode>(Object.entries(given.tools).map(([name, tool]) => [name, toolParts(tool)])),
    agents: codes<AgentCode>(Object.entries(given.agents).map(([name, agent]) => [name, agentParts(agent)])),
    patterns: new Map(
      Object.values(given.workflows).map((workflow) => [
        workflowParts(workflow).pattern.name,
        workflowParts(workflow).pattern,
      ]),
    ),
  };
}

/** Stands in for the hashes of modules while the fleet is a value whose files are unknown: the text of each function,
 *  so that a run is not resumed on functions that changed. What they call lies outside; a fleet that is loaded from its
 *  file is pinned to all of its modules instead. */
function functionHashes(given: Complete): Record<string, string> {
  const entries = [
    ...Object.entries(given.tools).map(([name, tool]) => [`tools.${name}`, toolParts(tool).functions] as const),
    ...Object.entries(given.agents).map(([name, agent]) => [`agents.${name}`, agentParts(agent).functions] as const),
  ];
  return Object.fromEntries(
    entries
      .filter(([, functions]) => functions.length > 0)
      .map(([name, functions]) => [name, sha256(functions.map(String).join("\n")).toString("hex")]),
  );
}

function mapValues<T, U>(record: Readonly<Record<string, T>>, map: (value: T, name: string) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value, name)]));
}
