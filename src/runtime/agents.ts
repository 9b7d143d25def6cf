import { homedir } from "node:os";
import type { AgentOutcome, TaskPort } from "../agent/port.ts";
import { runAgent } from "../agent/run.ts";
import type { FleetDefinition } from "../core/definition.ts";
import { PLAN_AGENT } from "../core/edit.ts";
import type { Json } from "../core/json.ts";
import type { Planner } from "../core/planner.ts";
import type { FleetCode } from "../definition/fleet.ts";
import { loadCode } from "../definition/code.ts";
import { FlotillaError, toErrorRecord } from "../error.ts";
import { readSecrets } from "../model/env.ts";
import { modelRegistry } from "../model/registry.ts";
import { redactJson } from "../telemetry/redact.ts";
import { toolFetch } from "../tool/fetch.ts";
import { mcpServers } from "../tool/mcp-server.ts";
import { describe } from "./definitions.ts";
import { type PlanInput, runPlanTask } from "./remote-planner.ts";

/** What runs the attempts of one definition in this process. */
export interface Agents {
  /** Never rejects. */
  run(port: TaskPort): Promise<AgentOutcome>;
  /** Takes out every secret that was handed to code or models of this process (X8). */
  redact<T>(value: T): T;
  close(): Promise<void>;
}

export interface AgentsOptions {
  definition: FleetDefinition;
  /** Where modules and `.env` are looked for; null for a fleet opened as a value. */
  folder: string | null;
  env: Readonly<Record<string, string | undefined>>;
  /** Replaces every agent's model, for `--model`. */
  model: string | null;
  /** The code, where it is here already; else it is imported from the definition's modules. */
  code?: FleetCode;
}

/** Opens code, models, tools and secrets of a definition, in the process in which its agents run.
 *  @throws {FlotillaError} DEFINITION_* when a module does not load or lacks an export */
export async function openAgents(options: AgentsOptions): Promise<Agents> {
  const definition = options.model === null ? options.definition : withModel(options.definition, options.model);
  const code = options.code ?? (await loadCode(definition, options.folder ?? process.cwd()));
  const secrets = readSecrets({ directory: options.folder, env: options.env, home: homedir() });
  const models = modelRegistry({
    providers: definition.providers,
    secret: (name) => secrets.get(name),
    setting: (name) => secrets.setting(name),
  });
  const http = toolFetch();
  const secret = (name: string) => secrets.get(name);
  const mcp = mcpServers({
    servers: definition.mcpServers,
    secret,
    fetch: http.fetch,
    path: options.env.PATH ?? "",
    ...(options.folder === null ? {} : { directory: options.folder }),
  });
  const environment = { definition, code, models, secret, redact: secrets.redact, fetch: http.fetch, mcp };
  return {
    run: (port) =>
      port.assignment.agent === PLAN_AGENT
        ? Promise.resolve(plan(definition, code.patterns, port))
        : runAgent(port, environment),
    redact: <T>(value: T): T => redactJson(secrets.redact, value as Json) as T,
    close: async () => {
      await Promise.all([mcp.close(), http.close()]);
    },
  };
}

function plan(definition: FleetDefinition, patterns: ReadonlyMap<string, Planner>, port: TaskPort): AgentOutcome {
  try {
    const input = port.assignment.input as unknown as PlanInput;
    const pattern = patterns.get(input.pattern);
    if (pattern === undefined)
      throw new FlotillaError("PLAN_INVALID", `pattern ${input.pattern} is not in this fleet's code`);
    const about = (agent: string) => describe(definition, agent);
    return { type: "completed", output: runPlanTask(pattern, input, about) as unknown as Json };
  } catch (error) {
    return { type: "failed", error: toErrorRecord(error, "PLAN_INVALID") };
  }
}

function withModel(definition: FleetDefinition, model: string): FleetDefinition {
  const agents = Object.entries(definition.agents).map(([name, agent]) => [
    name,
    agent.model === null ? agent : { ...agent, model, fallbackModels: [] },
  ]);
  return { ...definition, agents: Object.fromEntries(agents) };
}
