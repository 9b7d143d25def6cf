import type { JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { asJson } from "../definition/as-json.ts";
import { canonicalJson, sha256 } from "../message/canonical.ts";

/** What a server says of one of its tools: what a model is told, and what a person approves (X3). */
export interface McpDescriptor {
  name: string;
  description: string | null;
  inputSchema: JsonSchema;
  outputSchema: JsonSchema | null;
  annotations: Json;
}

/** The SHA-256 of a descriptor's canonical JSON, in hex: what `pin` in a definition holds. */
export function pinOf(descriptor: McpDescriptor): string {
  return sha256(canonicalJson(descriptor)).toString("hex");
}

/** The part of a server's listing that is pinned; titles, icons and `_meta` may change freely. */
export function descriptorOf(listed: {
  name: string;
  description?: string | undefined;
  inputSchema: unknown;
  outputSchema?: unknown;
  annotations?: unknown;
}): McpDescriptor {
  return {
    name: listed.name,
    description: listed.description ?? null,
    inputSchema: asJson(listed.inputSchema) as JsonSchema,
    outputSchema: listed.outputSchema === undefined ? null : (asJson(listed.outputSchema) as JsonSchema),
    annotations: asJson(listed.annotations),
  };
}
