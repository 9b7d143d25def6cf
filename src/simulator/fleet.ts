import { z } from "zod";
import {
  type Budgets,
  type CallGrant,
  DEFAULT_LIMITS,
  type FleetDefinition,
  type Guards,
  NO_GUARD,
  type RouteDefinition,
  type WorkflowDefinition,
} from "../core/definition.ts";
import { workflowSeat } from "../core/seat.ts";
import type { Json } from "../core/json.ts";
import type { Edit, Planner } from "../core/planner.ts";
import { agent, fleet, tool } from "../definition/build.ts";
import { routeDefinition } from "../definition/route.ts";
import { graph } from "../pattern/graph.ts";
import { patterns } from "../pattern/index.ts";
import { definePattern } from "../pattern/pattern.ts";
import { Prng } from "./prng.ts";
import { EPOCH_MS } from "./world.ts";

const retry = { initialDelayMs: 100, delayMsMax: 2_000, attemptsMax: 4 };
const At = z.object({ at: z.string() });
const Paid = z.object({ at: z.string(), amount: z.number() });
const never = () => {
  throw new Error("simulated tools are run by the simulator");
};
const toolCommon = { timeoutMs: 2_000, retry: { ...retry, attemptsMax: 2 }, run: never };
const look = tool({
  ...toolCommon,
  description: "Looks something up",
  effect: "read",
  input: z.object({}).loose(),
  output: z.object({ seen: z.number() }),
});
const post = tool({ ...toolCommon, description: "Writes under a key", effect: "write", idempotent: true, input: Paid });
const pay = tool({ ...toolCommon, description: "Writes, and can tell", effect: "write", input: Paid, check: never });
const send = tool({ ...toolCommon, description: "Writes, and cannot tell", effect: "write", input: Paid });
const vault = tool({ ...toolCommon, description: "Granted to nobody", effect: "read", input: At });

const common = { retry, timeoutMs: 15_000, stepTimeoutMs: 3_000, run: never };
const Result = z.object({ task: z.string(), results: z.array(z.json()) });
const facts = { read: ["city", "visits"], write: ["visits"] };
const ada = agent({ ...common, facts, tools: [look, post, pay, send], output: Result });
const bob = agent({ ...common, facts, tools: [look, post, pay, send], output: Result });
const lead = agent({ ...common, tools: [look] });
const modelAgent = {
  facts,
  retry,
  timeoutMs: 15_000,
  stepTimeoutMs: 3_000,
  instructions: "Do it.",
  tools: [look, post, pay],
};
const muse = agent({ ...modelAgent, model: "main/muse", fallbackModels: ["backup/muse"], output: Result });

const declared = fleet({
  name: "simulated",
  // Never asked: the simulator answers for both.
  providers: {
    main: { kind: "openai-compatible", baseUrl: "http://main.invalid" },
    backup: { kind: "openai-compatible", baseUrl: "http://backup.invalid" },
  },
  tools: { look, post, pay, send, vault },
  agents: { ada, bob, lead, muse },
  workflows: { unused: graph({ tasks: { only: { agent: ada } } }) },
});

/** Longer than any simulation: whoever waits for this deadline was forgotten. */
const DAY_MS = 86_400_000;

const WORKERS = ["ada", "bob", "muse"] as const;
const LEAD = "lead";

export const WORKFLOWS = [
  "graph",
  "pipeline",
  "supervisor",
  "debate",
  "fan",
  "remote",
  "swarm",
  "nest",
  "planner",
] as const;
export type SimulatedWorkflow = (typeof WORKFLOWS)[number];

/** The fleet of a campaign's seed: the agents are the same in all, the workflows are the seed's own. */
export function simulatedFleet(seed: number): FleetDefinition {
  const random = new Prng(seed, "fleet");
  const workflows = {
    graph: builtIn("graph", graphOptions(random)),
    pipeline: builtIn("pipeline", {
      stages: Array.from({ length: random.int(1, 4) }, (_, i) => ({ agent: random.pick(WORKERS), id: `s${i}` })),
    }),
    supervisor: builtIn("supervisor", {
      lead: LEAD,
      workers: ["ada", "muse"],
      roundsMax: 2,
      onRejected: random.pick(["fail", "synthesise"]),
    }),
    debate: builtIn("debate", {
      debaters: ["ada", "bob", ...(random.chance(0.5) ? ["muse"] : [])],
      rounds: random.int(1, 2),
      ...(random.chance(0.5) ? { judge: random.pick(WORKERS) } : { resolve: resolveOptions(random) }),
      tolerate: 1,
    }),
    fan: workflow("fan", { width: random.int(1, 6) }),
    remote: workflow("remote", { width: random.int(1, 3) }),
    swarm: builtIn("swarm", swarmOptions(random)),
    nest: builtIn("graph", nestOptions(random)),
    planner: builtIn("planner", { planner: LEAD, workers: ["ada", "muse"], revisionsMax: random.int(0, 3) }),
  } satisfies Record<SimulatedWorkflow, WorkflowDefinition>;
  for (const declaration of Object.values(workflows)) tighten(declaration, random);
  const routes = { anyone: routeOf(random) };
  const shared = { ...budgets(random), ...schedulesOf(seed, Object.keys(workflows)) };
  const tools = { ...declared.definition.tools, ...approvals(random) };
  for (const declaration of Object.values(workflows)) escalate(declaration, random);
  const agents = { ...declared.definition.agents, ...callers(seed) };
  return { ...declared.definition, agents, tools, routes, workflows, ...shared, ...guards(random) };
}

/** In most fleets agents may call each other: ada more than she is allowed herself, and bob her, which is a circle when
 *  she waits for him. */
function callers(seed: number): FleetDefinition["agents"] {
  const random = new Prng(seed, "calls");
  const { ada: first, bob: second, muse: third } = declared.definition.agents;
  if (first === undefined || second === undefined || third === undefined || random.chance(0.3)) return {};
  const recursive = random.chance(0.3) ? { recursive: true } : {};
  return {
    ada: { ...first, calls: [grant("bob"), { ...grant("muse"), tools: ["vault"] }, grant(workflowSeat("fan"))] },
    bob: { ...second, calls: [{ ...grant("ada"), ...recursive }, grant("muse")] },
    muse: { ...third, calls: [grant("bob")] },
  };
}

const grant = (agent: string): CallGrant => ({ agent, tools: [] });

/** In some fleets a person must allow payments. */
function approvals(random: Prng): FleetDefinition["tools"] {
  const { pay } = declared.definition.tools;
  if (pay === undefined || !random.chance(0.4)) return {};
  const deadlineMs = random.chance(0.8) ? random.int(500, 20_000) : null;
  return { pay: { ...pay, approval: { deadlineMs, onDeadline: random.pick(["approve", "reject"]), to: [] } } };
}

/** In some workflows a failed task waits for a person. */
function escalate(declaration: WorkflowDefinition, random: Prng): void {
  if (!random.chance(0.2)) return;
  const deadlineMs = random.chance(0.8) ? random.int(500, 20_000) : null;
  declaration.escalation = { deadlineMs, onDeadline: random.pick(["fail", "skip", "abort"]), to: [] };
}

/** Some let just a few work at a time, and give up soon on what fails. */
function guards(random: Prng): { guards?: Guards } {
  if (!random.chance(0.4)) return {};
  const breaker = { failures: 2, openMs: random.int(200, 3_000), probes: 1 };
  const few = () => ({ ...NO_GUARD, concurrencyMax: random.int(1, 3) });
  return {
    guards: {
      providers: { main: { ...NO_GUARD, requestsPerMinute: random.int(3, 30) } },
      models: { "*": { ...NO_GUARD, breaker } },
      tools: { look: { ...few(), breaker }, post: few() },
      agents: { bob: few() },
    },
  };
}

/** Some fleets share a budget that their runs may meet together. */
function budgets(random: Prng): { budgets?: Budgets } {
  if (!random.chance(0.3)) return {};
  const budget = () => [{ per: "total" as const, tokensMax: random.int(8_000, 60_000), costMicroUsdMax: null }];
  const [fleet, muse] = [budget(), budget()];
  return { budgets: { fleet: random.chance(0.5) ? fleet : [], workflows: {}, agents: { muse } } };
}

/** A route to two agents, at times by what a third one says of the task. */
function routeOf(random: Prng): RouteDefinition {
  const intent = (name: string, to: string) => ({
    name,
    to: [to],
    description: name,
    ...(random.chance(0.2) ? { when: "input == 1" } : {}),
  });
  const given = { candidates: ["ada", "bob"], requires: random.chance(0.2) ? { domains: ["unknown"] } : {} };
  const classified = { intents: [intent("dig", "ada"), intent("lift", "muse")], classifier: "lead" };
  const otherwise = random.chance(0.7) ? { otherwise: "bob" } : {};
  return routeDefinition({ ...given, ...otherwise, ...(random.chance(0.5) ? classified : {}) }, String);
}

/** Some things start by themselves: at a moment, or every minute. */
function schedulesOf(seed: number, workflows: readonly string[]): Pick<FleetDefinition, "schedules"> {
  const random = new Prng(seed, "schedules");
  if (!random.chance(0.2)) return {};
  const common = () => ({
    workflow: random.pick(workflows),
    input: { scheduled: true },
    zone: "UTC",
    catchUp: random.pick(["skip", "last", "all"] as const),
    catchUpMax: random.int(1, 4),
    overlap: random.pick(["allow", "skip", "queue"] as const),
  });
  const at = new Date(EPOCH_MS + random.int(1, 12) * 1_000).toISOString().replace(".000Z", "Z");
  return {
    schedules: {
      // A moment that passes while nothing is up must not be let pass: the checker waits for it.
      once: { ...common(), catchUp: "last", cron: null, at },
      ...(random.chance(0.5) ? { often: { ...common(), cron: "* * * * *", at: null } } : {}),
    },
  };
}

/** Some workflows meet their limits. */
function tighten(declaration: WorkflowDefinition, random: Prng): void {
  const { limits } = declaration;
  if (random.chance(0.08)) limits.timeMs = random.int(2_000, 15_000);
  if (random.chance(0.08)) limits.tokensMax = random.int(4_000, 20_000);
  if (random.chance(0.05)) limits.stepsMax = random.int(3, 20);
  if (random.chance(0.08)) limits.queueMs = random.int(100, 4_000);
}

function builtIn(name: string, options: Json): WorkflowDefinition {
  const parsed = patterns.get(name)?.options.parse(options) as Json;
  return workflow(name, parsed);
}

function workflow(pattern: string, options: Json): WorkflowDefinition {
  return {
    pattern,
    module: null,
    description: "",
    options,
    input: null,
    output: null,
    limits: { ...DEFAULT_LIMITS, timeMs: DAY_MS, tokensMax: 200_000, depthMax: 4 },
    priority: 2,
    facts: { onCorrection: "rerun" },
    agents: [...WORKERS, LEAD, "anyone", ...NESTED.map(workflowSeat)],
  };
}

/** Workflows that are tasks of others; `nest` of itself, until its depth is used up. */
const NESTED = ["pipeline", "fan", "remote", "nest"] as const;

/** Tasks that are runs of other workflows, beside one that is an agent's. */
function nestOptions(random: Prng): Json {
  const tasks: Record<string, Json> = { own: { agent: random.pick(WORKERS) } };
  for (let i = 0; i < random.int(1, 3); i++) {
    const workflow = random.chance(0.15) ? "nest" : random.pick(NESTED.slice(0, 3));
    tasks[`n${i}`] = { agent: { workflow }, needs: i > 0 && random.chance(0.5) ? [`n${i - 1}`] : [] };
  }
  return { tasks, onFailure: random.pick(["stop", "continue"]), result: "done" };
}

/** A random acyclic graph: each task needs some of those before it, some in any state, some only when they failed. */
function graphOptions(random: Prng): Json {
  const count = random.int(2, 8);
  const tasks: Record<string, Json> = {};
  for (let i = 0; i < count; i++) {
    const needs: Json[] = [];
    for (let j = Math.max(0, i - 4); j < i; j++) {
      if (!random.chance(0.35)) continue;
      const roll = random.next();
      needs.push(roll < 0.75 ? `t${j}` : { task: `t${j}`, on: roll < 0.92 ? "settled" : "failed" });
    }
    const each: Record<string, Json> = random.chance(0.12)
      ? { forEach: Array.from({ length: random.int(1, 3) }, (_, item) => item) }
      : {};
    const priority = random.pick(["CRITICAL", "HIGH", "NORMAL", "LOW"]);
    if (random.chance(0.15)) {
      tasks[`t${i}`] = {
        agents: ["ada", "bob", { agent: "ada", id: "again" }],
        resolve: resolveOptions(random),
        needs,
      };
      continue;
    }
    tasks[`t${i}`] = { agent: random.pick([...WORKERS, "anyone"]), needs, priority, ...each };
  }
  return { tasks, onFailure: random.pick(["stop", "continue"]), result: "done" };
}

/** How disagreement is settled: answers differ by whether the task's number is odd, or altogether. */
function resolveOptions(random: Prng): Json {
  const tie = random.pick(["first", "fail", "judge", "human"]);
  const policy = { tie, judge: "muse", on: "answer.results.size() % 2", quorum: random.int(1, 2) };
  const by = random.pick(["vote", "vote", "confidence", "judge", "negotiation", "human"]);
  const person = { deadlineMs: random.int(1_000, 60_000), onDeadline: random.pick(["first", "fail"]) };
  return {
    ...policy,
    by,
    ...(by === "human" || tie === "human" ? { person } : {}),
    ...(by === "negotiation" ? { roundsMax: random.int(1, 2) } : {}),
    confidence: "answer.results.size() / 10.0",
  };
}

/** A board whose work makes more work, some of it for nobody. */
function swarmOptions(random: Prng): Json {
  const item = (type: string): Json => ({ type, content: random.int(0, 9) });
  return {
    board: Array.from({ length: random.int(1, 4) }, () => item(random.pick(["dig", "dig", "lift", "odd"]))),
    members: [
      { agent: "ada", takes: 'item.type != "odd"', claimsMax: random.int(1, 2), adds: ["dig", "lift", "odd"] },
      { agent: "bob", takes: 'item.type == "dig"', adds: ["lift"] },
      { agent: "muse", takes: 'item.type == "lift" && item.content > 2' },
    ],
    itemsMax: random.int(3, 12),
    onFailed: random.chance(0.9) ? "continue" : "fail",
    ...(random.chance(0.3) ? { goal: "last.content == 7" } : {}),
  };
}

const FanShape = z.strictObject({ width: z.number() });

/** A user's pattern that the coordinator has as code: a fan of tasks, one more for each that failed, then a last one. */
const fan = definePattern({
  name: "fan",
  options: FanShape,
  agents: () => ["ada", "bob"],
  plan: (view, change) => {
    if (change.type === "started") {
      return Array.from(
        { length: view.options.width },
        (_, i): Edit => ({ edit: "add", task: { id: `f${i}`, agent: i % 2 === 0 ? "ada" : "bob", input: i } }),
      );
    }
    const { id, status } = change.task;
    if (id === "last") return [{ edit: "finish", output: status }];
    const edits: Edit[] =
      status === "failed" && !id.endsWith("'")
        ? [{ edit: "add", task: { id: `${id}'`, agent: "bob", input: id } }]
        : [];
    if (view.open === 0 && edits.length === 0)
      edits.push({ edit: "add", task: { id: "last", agent: "ada", input: null } });
    return edits;
  },
});

/** A user's pattern whose code only worker hosts have. Its last task gets its agent when it is ready. */
const remote = definePattern({
  name: "remote",
  options: FanShape,
  agents: () => ["ada"],
  plan: (view, change) => {
    if (change.type === "started") {
      return Array.from(
        { length: view.options.width },
        (_, i): Edit => ({ edit: "add", task: { id: `w${i}`, agent: "ada", input: i } }),
      );
    }
    if (change.type === "unrouted") return [{ edit: "route", task: "end", agent: "bob", why: "the last word is his" }];
    if (change.task.id === "end") return [{ edit: "finish", output: "ended" }];
    return view.open === 0 ? [{ edit: "add", task: { id: "end", agent: null, input: null } }] : [];
  },
});

/** What the coordinator has as code. */
export function plannerOf(pattern: string): Planner | undefined {
  return pattern === "fan" ? fan : patterns.get(pattern);
}

/** What worker hosts have as code. */
export const HOSTED_PATTERNS: ReadonlyMap<string, Planner> = new Map([["remote", remote]]);
