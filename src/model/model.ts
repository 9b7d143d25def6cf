import type { JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";

export type MessageContent =
  /** `meta`, here and below, is the provider's own (ids, signatures), sent back to it as it came. */
  | { type: "text"; text: string; meta?: Json }
  /** What the model gave of its reasoning (O1). */
  | { type: "reasoning"; text: string; meta?: Json }
  | { type: "tool-call"; id: string; tool: string; input: Json; meta?: Json };

export type ModelMessage =
  | { role: "user"; content: readonly { type: "text"; text: string }[] }
  | { role: "assistant"; content: readonly MessageContent[] }
  | {
      role: "tool";
      content: readonly { type: "tool-result"; id: string; tool: string; output: Json; error?: boolean }[];
    };

export interface ModelTool {
  name: string;
  description: string;
  input: JsonSchema;
}

export interface ModelRequest {
  /** The name behind the first slash of `provider/name`. */
  model: string;
  /** The agent that asks, for scripts, logs and traces. */
  agent: string;
  /** Instructions; the input is a message of its own. */
  system: string;
  messages: readonly ModelMessage[];
  tools: readonly ModelTool[];
  /** When set, the answer's text must be one JSON document of this schema. */
  output: JsonSchema | null;
  outputTokensMax: number;
  temperature: number | null;
}

export interface ModelUsage {
  inputTokens: number;
  outputTokens: number;
  cachedInputTokens: number;
  reasoningTokens: number;
}

export interface ModelResponse {
  content: readonly MessageContent[];
  finish: "stop" | "tool-calls" | "length" | "content-filter" | "other";
  usage: ModelUsage;
  /** What the provider says it ran. */
  model: string;
  /** True for scripted and recorded answers; shown wherever the answer is shown. */
  simulated: boolean;
}

export interface ModelCallOptions {
  /** Aborting closes the socket within a second (F3). */
  signal: AbortSignal;
  /** Receives text as it streams (I10); what it gets is not journaled. */
  onToken?: (text: string) => void;
  /** Waits in this clock, for models that take simulated time. */
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** A language model (I2). One call, no retries: those are the engine's.
 *  @throws {FlotillaError} MODEL_* with the class that decides the retry, `retryAfterMs` when the provider named it */
export interface Model {
  call(request: ModelRequest, options: ModelCallOptions): Promise<ModelResponse>;
}

/** How the message begins in which a fleet's shared facts stand, as JSON. */
export const FACTS_HEADING = "Shared facts (JSON): ";
