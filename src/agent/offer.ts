import type { JsonSchema, ToolDefinition } from "../core/definition.ts";
import type { ModelTool } from "../model/model.ts";
import { changed, notApproved } from "../tool/mcp.ts";
import type { McpDescriptor } from "../tool/mcp-descriptor.ts";
import type { TaskScope } from "./environment.ts";

/** A granted tool as a model is told of it. What the definition of an MCP tool leaves open, its server says: asked once
 *  in a task, as a step, so that a resumed agent offers the same without its server.
 *  @throws {FlotillaError} TOOL_CHANGED when the descriptor is not the approved one (X3), TOOL_UNKNOWN, TOOL_UNAVAILABLE */
export async function offer(scope: TaskScope, name: string, tool: ToolDefinition): Promise<ModelTool> {
  const { description, input } = tool;
  const isOpen = description === "" || takesAnything(input);
  if (tool.kind !== "mcp" || !isOpen || scope.fleet.runners?.has(name)) return { name, description, input };
  const descriptor = await describe(scope, name, tool);
  return {
    name,
    description: description === "" ? (descriptor.description ?? "") : description,
    input: takesAnything(input) ? descriptor.inputSchema : input,
  };
}

const takesAnything = (schema: JsonSchema): boolean =>
  Object.keys(schema).every((key) => key === "type" && schema[key] === "object");

async function describe(
  scope: TaskScope,
  name: string,
  tool: Extract<ToolDefinition, { kind: "mcp" }>,
): Promise<McpDescriptor> {
  const { steps, fleet } = scope;
  const output = await steps.run({
    kind: "effect",
    name: `describe ${name}`,
    input: { server: tool.server, tool: tool.tool, pin: tool.pin },
    timeoutMs: tool.timeoutMs,
    retry: tool.retry,
    perform: async ({ signal }) => {
      if (tool.pin === null) throw notApproved(name, tool);
      const { descriptor, pin } = await fleet.mcp.describe(tool.server, tool.tool, signal);
      if (pin !== tool.pin) throw changed(name, tool, pin);
      return { output: descriptor };
    },
  });
  return output as unknown as McpDescriptor;
}
