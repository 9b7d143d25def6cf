import type { ToolDefinition } from "../core/definition.ts";
import type { ToolCode } from "../definition/tool.ts";
import { FlotillaError } from "../error.ts";
import { codeTool } from "./code.ts";
import type { Fetch } from "./fetch.ts";
import { httpTool } from "./http.ts";
import { mcpTool } from "./mcp.ts";
import type { McpServers } from "./mcp-server.ts";
import type { FindSecret } from "./secret.ts";
import type { ToolRunner } from "./tool.ts";

export interface ToolEnvironment {
  code: ReadonlyMap<string, ToolCode>;
  fetch: Fetch;
  secret: FindSecret;
  mcp: McpServers;
  now: () => number;
}

/** A tool ready to be called. Connects to nothing yet. @throws {FlotillaError} DEFINITION_MISSING without its code */
export function openTool(name: string, definition: ToolDefinition, environment: ToolEnvironment): ToolRunner {
  switch (definition.kind) {
    case "code":
      return codeTool(codeOf(name, environment));
    case "http":
      return httpTool(name, definition, environment);
    case "mcp":
      return mcpTool(name, definition, environment.mcp);
  }
}

function codeOf(name: string, { code }: ToolEnvironment): ToolCode {
  const found = code.get(name);
  if (found !== undefined) return found;
  throw new FlotillaError("DEFINITION_MISSING", `the code of tool "${name}" is not here`, { details: { tool: name } });
}
