import type { AgentOutcome, TaskPort } from "../agent/port.ts";
import { runAgent } from "../agent/run.ts";
import { PLAN_AGENT } from "../core/edit.ts";
import type { FleetDefinition } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import type { Planner } from "../core/planner.ts";
import type { AgentCode } from "../definition/agent.ts";
import type { ToolCode } from "../definition/tool.ts";
import { FlotillaError, toErrorRecord } from "../error.ts";
import type { ModelRegistry } from "../model/registry.ts";
import { type PlanInput, runPlanTask } from "../runtime/remote-planner.ts";
import type { ToolRunner } from "../tool/tool.ts";
import type { Caller } from "./outside.ts";
import { broken, type Process } from "./world.ts";

/** One attempt as the simulated code of agents, tools and models sees it. */
export interface Attempt {
  readonly port: TaskPort;
  readonly process: Process;
}

/** Who asks the outside on behalf of an attempt. */
export function callerOf({ port, process }: Attempt): Caller {
  const { run, task, attempt, agent } = port.assignment;
  return { process, run, task, attempt, agent };
}

/** What runs inside simulated hosts: everything that in production is users' code or a provider. */
export interface SimulatedCode {
  readonly definition: FleetDefinition;
  readonly patterns: ReadonlyMap<string, Planner>;
  /** The fleet's own code of its tools, by which agents that call them by value find their names; it is not run. */
  readonly tools: ReadonlyMap<string, ToolCode>;
  /** The code of its agents, likewise. */
  readonly agents: ReadonlyMap<string, AgentCode>;
  agent(attempt: Attempt, name: string): AgentCode | undefined;
  tool(attempt: Attempt, name: string): ToolRunner;
  models(attempt: Attempt): ModelRegistry;
  /** What befalls an attempt before it begins: null, or how it ends without ever running. */
  ambush(attempt: Attempt): Promise<AgentOutcome> | null;
  /** What an attempt's outcome is turned into. */
  garble(attempt: Attempt, outcome: AgentOutcome): AgentOutcome;
}

/** Runs one attempt with the production agent loop over simulated tools, models and code. */
export async function runSimulated(code: SimulatedCode, attempt: Attempt): Promise<AgentOutcome> {
  const { port } = attempt;
  const { agent } = port.assignment;
  const ambushed = code.ambush(attempt);
  if (ambushed !== null) return ambushed;
  if (agent === PLAN_AGENT) return plan(code.patterns, port);
  const definition = code.definition;
  const tools = Object.keys(definition.tools).map((name): [string, ToolRunner] => [name, code.tool(attempt, name)]);
  const own = code.agent(attempt, agent);
  const outcome = await runAgent(port, {
    definition,
    code: {
      tools: code.tools,
      agents: new Map([...code.agents, ...(own === undefined ? [] : [[agent, own] as const])]),
    },
    models: code.models(attempt),
    secret: () => undefined,
    redact: (text) => text,
    fetch: () => Promise.reject(new FlotillaError("TOOL_UNAVAILABLE", "there is no network in a simulation")),
    mcp: { describe: noServers, call: noServers, close: async () => {} },
    runners: new Map(tools),
  });
  return code.garble(attempt, outcome);
}

function noServers(): never {
  throw broken("MCP servers are scripted, not reached");
}

function plan(patterns: ReadonlyMap<string, Planner>, port: TaskPort): AgentOutcome {
  try {
    const input = port.assignment.input as unknown as PlanInput;
    const pattern = patterns.get(input.pattern);
    if (pattern === undefined)
      throw new FlotillaError("PLAN_INVALID", `pattern ${input.pattern} is not in this fleet's code`);
    return { type: "completed", output: runPlanTask(pattern, input) as unknown as Json };
  } catch (error) {
    return { type: "failed", error: toErrorRecord(error, "PLAN_INVALID") };
  }
}

/** Never resolves: what waits for it can only be given up. */
export const hang = (): Promise<never> => new Promise(() => {});

/** Ends a process from within, as a crash of users' code does. */
export function die(process: Process, why: string): Promise<never> {
  process.end(why);
  return hang();
}
