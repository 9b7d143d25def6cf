import type { AgentDefinition, FleetDefinition } from "../core/definition.ts";
import type { AgentCode } from "../definition/agent.ts";
import type { ToolCode } from "../definition/tool.ts";
import type { ModelRegistry } from "../model/registry.ts";
import type { Redactor } from "../telemetry/redact.ts";
import type { Fetch } from "../tool/fetch.ts";
import type { McpServers } from "../tool/mcp-server.ts";
import type { FindSecret } from "../tool/secret.ts";
import type { ToolRunner } from "../tool/tool.ts";
import type { TaskPort } from "./port.ts";
import type { Steps } from "./step.ts";

/** What a worker host holds for all agents of a fleet. */
export interface AgentEnvironment {
  definition: FleetDefinition;
  code: { tools: ReadonlyMap<string, ToolCode>; agents: ReadonlyMap<string, AgentCode> };
  models: ModelRegistry;
  secret: FindSecret;
  /** Removes every secret that was handed out from what goes on record, into errors and into logs (X8). */
  redact: Redactor;
  fetch: Fetch;
  mcp: McpServers;
  /** Tools that are run by something else than their declaration says: scripted ones in the simulator and in tests. */
  runners?: ReadonlyMap<string, ToolRunner>;
}

/** What one execution of one agent works with. */
export interface TaskScope {
  port: TaskPort;
  steps: Steps;
  fleet: AgentEnvironment;
  /** The agent's name and its declaration. */
  name: string;
  agent: AgentDefinition;
}
