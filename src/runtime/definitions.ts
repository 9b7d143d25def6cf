import type {
  Guards,
  AgentDefinition,
  FleetDefinition,
  RouteDefinition,
  WorkflowDefinition,
} from "../core/definition.ts";
import { approvalPolicy } from "../core/approval.ts";
import { escalationPolicy } from "../core/escalation.ts";
import { type ChildWorkflow } from "../core/child.ts";
import type { Grant } from "../core/hire.ts";
import { workflowIn } from "../core/seat.ts";
import { DEFAULT_LIMITS, DEFAULT_RETRY, PRIORITY } from "../core/definition.ts";
import type { DecideContext } from "../core/command.ts";
import { PLAN_AGENT } from "../core/edit.ts";
import { coversFact } from "../core/fact.ts";
import type { TaskLimits } from "../core/money.ts";
import type { Json } from "../core/json.ts";
import type { AgentProfile, Planner } from "../core/planner.ts";
import { FlotillaError } from "../error.ts";
import { canonicalBytes } from "../message/canonical.ts";
import type { Blob, Store } from "../store/store.ts";
import { FleetAccounts } from "./accounts.ts";
import { soloAgent } from "./dead-letter.ts";
import { digestOf } from "./journal.ts";
import { problemsOf } from "../tool/validate.ts";
import { agentsOfRoute } from "../definition/route.ts";
import { routerOf } from "../route/route.ts";
import { nearest } from "../definition/nearest.ts";
import { remotePlanner } from "./remote-planner.ts";

/** Finds the planner of a pattern that this process has as code: the built-in ones, and a user's own in library mode. */
export type PlannerSource = (definition: string, pattern: string) => Planner | undefined;

/** Definitions by hash. A run is pinned to one; it is kept in the store as a blob, so that declarative agents resume
 *  from it whatever the files say today. */
export class Definitions {
  readonly #store: Store;
  readonly #planners: PlannerSource;
  readonly #known = new Map<string, FleetDefinition>();

  /** The accounts of the fleet, whose budgets are those of the newest definition (K2). */
  readonly accounts: FleetAccounts;
  /** Of the newest definition. */
  guards: Guards | undefined;

  constructor(store: Store, planners: PlannerSource) {
    this.#store = store;
    this.accounts = new FleetAccounts(store);
    this.#planners = planners;
  }

  /** Takes a definition in; returns its hash and the blob under which it must be stored. */
  add(definition: FleetDefinition): { hash: string; blob: Blob } {
    const bytes = canonicalBytes(definition);
    const hash = digestOf(definition as never);
    this.#known.set(hash, definition);
    this.accounts.budgets = definition.budgets;
    this.guards = definition.guards;
    return { hash, blob: { hash, bytes } };
  }

  async get(hash: string): Promise<FleetDefinition> {
    const known = this.#known.get(hash);
    if (known !== undefined) return known;
    const bytes = await this.#store.blob(hash);
    if (bytes === null)
      throw new FlotillaError("DEFINITION_MISSING", `definition ${hash.slice(0, 12)} is not in the store`);
    const definition = JSON.parse(Buffer.from(bytes).toString("utf8")) as FleetDefinition;
    this.#known.set(hash, definition);
    return definition;
  }

  /** How many tasks of an agent may be worked on at a time; null: no bound (F4). */
  tasksMax(agent: string): number | null {
    const agents = this.guards?.agents ?? {};
    return Object.hasOwn(agents, agent) ? (agents[agent]?.concurrencyMax ?? null) : null;
  }

  /** What deciding needs of a run's definition. */
  async context(hash: string, workflow: string): Promise<Omit<DecideContext, "now" | "roll">> {
    const definition = await this.get(hash);
    const declared = workflowOf(definition, workflow);
    const routes = definition.routes ?? {};
    const seats = declared.agents.flatMap((name) => [name, ...agentsBehind(routes[name])]);
    const mayWork = new Set([PLAN_AGENT, ...seats]);
    const routers = new Map(Object.entries(routes).map(([name, route]) => [name, routerOf(name, route, definition)]));
    return {
      planner: this.#planners(hash, declared.pattern) ?? remotePlanner(declared.pattern),
      options: declared.options,
      hasAgent: (agent) => mayWork.has(agent),
      router: (name) => routers.get(name),
      grant: (caller, agent) => passedOn(definition, caller, agent),
      escalation: (agent) => escalationPolicy(definition, workflow, agent),
      approval: (agent, tool) => approvalPolicy(definition, agent, tool),
      profile: (agent) => profileOf(definition, agent),
      facts: {
        may: (agent, right, fact) =>
          definition.agents[agent]?.facts[right].some((one) => coversFact(one, fact)) ?? false,
        onCorrection: declared.facts.onCorrection,
      },
      accounts: this.accounts,
      isBounded: (agent) => this.tasksMax(agent) !== null,
      taskLimits: (agent) => taskLimitsOf(agent === null ? undefined : definition.agents[agent]),
      reuseMs: (agent) => definition.agents[agent]?.reuse?.windowMs ?? null,
      describe: (agent) => describe(definition, agent),
      workflow: (name) => childWorkflow(definition, name),
      outputProblems: (output) => (declared.output === null ? [] : problemsOf(declared.output, output)),
      retry: (agent) => (agent === null ? DEFAULT_RETRY : (definition.agents[agent]?.retry ?? DEFAULT_RETRY)),
    };
  }
}

function childWorkflow({ workflows }: FleetDefinition, name: string): ChildWorkflow | null {
  const declared = Object.hasOwn(workflows, name) ? workflows[name] : undefined;
  if (declared === undefined) return null;
  const { input, limits, pattern } = declared;
  return { limits, pattern, problems: (given) => (input === null ? [] : problemsOf(input, given)) };
}

/** What an agent is for, or a route or a workflow in the place of one. */
export function describe({ agents, workflows, routes = {} }: FleetDefinition, seat: string): string {
  const workflow = workflowIn(seat);
  return (workflow === null ? (agents[seat] ?? routes[seat]) : workflows[workflow])?.description ?? "";
}

/** The tools that a caller passes on to an agent that it calls; null when it may not call it (X3). */
function passedOn({ agents }: FleetDefinition, caller: string, agent: string): ReturnType<Grant> {
  const from = Object.hasOwn(agents, caller) ? agents[caller] : undefined;
  const grant = from?.calls?.find((one) => one.agent === agent);
  if (grant === undefined) return null;
  const { handoversMax } = from?.limits ?? {};
  const hops = handoversMax === undefined ? {} : { handoversMax };
  return { ...grant, ...hops, tools: [...new Set([...(from?.tools ?? []), ...grant.tools])] };
}

function taskLimitsOf(agent: AgentDefinition | undefined): TaskLimits {
  return { tokensMax: agent?.limits.tokensMax ?? null, costMicroUsdMax: agent?.limits.costMicroUsdMax ?? null };
}

/** None of a route: which agent it chooses shows only when the task is ready. */
function profileOf({ agents }: FleetDefinition, name: string): AgentProfile | undefined {
  const agent = agents[name];
  if (agent === undefined) return undefined;
  const { domains = [], taskTypes = [] } = agent.capabilities ?? {};
  return { tools: agent.tools, domains, taskTypes, tokensMax: agent.limits.tokensMax };
}

function agentsBehind(route: RouteDefinition | undefined): readonly string[] {
  return route === undefined ? [] : agentsOfRoute(route);
}

/** One agent by itself, for what a dead letter asked of it (M9). */
function alone({ agents }: FleetDefinition, agent: string): WorkflowDefinition {
  return {
    pattern: "pipeline",
    module: null,
    description: `${agent}, alone`,
    options: { stages: [agent] },
    input: null,
    output: null,
    limits: DEFAULT_LIMITS,
    priority: PRIORITY.NORMAL,
    facts: { onCorrection: "flag" },
    agents: Object.keys(agents),
  };
}

/** @throws {FlotillaError} WORKFLOW_UNKNOWN naming those that exist */
export function workflowOf(definition: FleetDefinition, name: string): WorkflowDefinition {
  const workflow = Object.hasOwn(definition.workflows, name) ? definition.workflows[name] : undefined;
  if (workflow !== undefined) return workflow;
  const solo = soloAgent(definition, name);
  if (solo !== null) return alone(definition, solo);
  const names = Object.keys(definition.workflows);
  const suggestion = nearest(name, names);
  const meant = suggestion === null ? "" : ` Did you mean "${suggestion}"?`;
  throw new FlotillaError("WORKFLOW_UNKNOWN", `fleet "${definition.name}" has no workflow "${name}"`, {
    hint: names.length === 0 ? "It has none." : `It has: ${names.join(", ")}.${meant}`,
    details: { workflow: name, workflows: names, ...(suggestion === null ? {} : { suggestion }) },
  });
}

/** @throws {FlotillaError} WORKFLOW_UNKNOWN, INPUT_INVALID naming each problem */
export function checkInput(definition: FleetDefinition, name: string, input: Json): void {
  const workflow = workflowOf(definition, name);
  if (workflow.input === null) return;
  const problems = problemsOf(workflow.input, input);
  if (problems.length === 0) return;
  throw new FlotillaError(
    "INPUT_INVALID",
    `the input of workflow "${name}" is not what it takes: ${problems.join("; ")}`,
    {
      details: { workflow: name, problems },
    },
  );
}
