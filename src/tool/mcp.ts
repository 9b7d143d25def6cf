import type { ToolDefinition } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { asJson } from "../definition/as-json.ts";
import { FlotillaError } from "../error.ts";
import type { McpDescriptor } from "./mcp-descriptor.ts";
import type { McpResult, McpServers } from "./mcp-server.ts";
import type { ToolRunner } from "./tool.ts";

export type McpToolDefinition = Extract<ToolDefinition, { kind: "mcp" }>;

/** A tool of an MCP server (I3). Before each call the server's descriptor is compared with the pin that was approved:
 *  another one, or none, is TOOL_CHANGED and nothing is called (X3).
 *
 *  The result is the tool's structured content where it gives some, else its text, else its content blocks. What the
 *  tool reports as an error is TOOL_FAILED. */
export function mcpTool(name: string, definition: McpToolDefinition, servers: McpServers): ToolRunner {
  const { server, tool, pin } = definition;
  return {
    check: null,
    async call(input, context) {
      if (pin === null) throw notApproved(name, definition);
      const found = await servers.describe(server, tool, context.signal);
      if (found.pin !== pin) throw changed(name, definition, found.pin);
      const { signal, idempotencyKey } = context;
      return contentOf(name, await servers.call(server, tool, fieldsOf(input), { signal, idempotencyKey }));
    },
  };
}

function fieldsOf(input: Json): Record<string, unknown> {
  return typeof input === "object" && input !== null && !Array.isArray(input) ? (input as Record<string, unknown>) : {};
}

/** What a server says of a tool now, and the pin that approves it; for `flotilla check --fix`.
 *  @throws {FlotillaError} TOOL_UNKNOWN, TOOL_UNAVAILABLE, TOOL_FAILED, PACKAGE_MISSING, SECRET_MISSING */
export function describeMcpTool(
  servers: McpServers,
  server: string,
  tool: string,
  signal: AbortSignal,
): Promise<{ descriptor: McpDescriptor; pin: string }> {
  return servers.describe(server, tool, signal);
}

function contentOf(name: string, result: McpResult): Json {
  const { content, structuredContent, isError } = result;
  const texts = content.flatMap((block) => (block.type === "text" ? [block.text] : []));
  if (isError) throw new FlotillaError("TOOL_FAILED", `${name}: ${texts.join("\n") || "the tool reports an error"}`);
  if (structuredContent !== undefined) return asJson(structuredContent);
  return texts.length === content.length ? texts.join("\n") : asJson(content);
}

/** Blocks a tool that nobody looked at yet. */
export function notApproved(name: string, { server, tool }: McpToolDefinition): FlotillaError {
  return new FlotillaError(
    "TOOL_CHANGED",
    `tool "${name}" (${tool} of MCP server "${server}") has not been approved yet`,
    {
      hint: "Look at its descriptor, then pin it: flotilla check --fix",
      details: { server, tool, pin: null },
    },
  );
}

/** Blocks a tool whose descriptor is not the one that was approved. */
export function changed(name: string, { server, tool, pin }: McpToolDefinition, now: string): FlotillaError {
  const message = `tool "${name}" (${tool} of MCP server "${server}") is not what was approved\n  approved: ${pin}     now: ${now}\n  Nothing was called.`;
  return new FlotillaError("TOOL_CHANGED", message, { details: { server, tool, approved: pin, now } });
}
