import type { LanguageModelV4StreamPart, LanguageModelV4Usage, SharedV4ProviderMetadata } from "@ai-sdk/provider";
import type { Json } from "../core/json.ts";
import { FlotillaError } from "../error.ts";
import type { MessageContent, ModelCallOptions, ModelRequest, ModelResponse, ModelUsage } from "./model.ts";
import { InterruptedAnswer } from "./model-error.ts";
import { estimateContentTokens, estimateTokens } from "./tokens.ts";

type FinishPart = Extract<LanguageModelV4StreamPart, { type: "finish" }>;
type ToolCallPart = Extract<LanguageModelV4StreamPart, { type: "tool-call" }>;

/** A block of text or reasoning while it streams. */
interface Block {
  type: "text" | "reasoning";
  text: string;
  meta: SharedV4ProviderMetadata;
}

/** Reads an answer to its end, giving text to `onToken` as it comes. Blocks keep the order in which they began.
 *  @throws what the provider reported in its stream; `InterruptedAnswer` when the stream ends before the answer */
export async function collectAnswer(
  stream: ReadableStream<LanguageModelV4StreamPart>,
  request: ModelRequest,
  options: ModelCallOptions,
): Promise<ModelResponse> {
  const parts: (Block | ToolCallPart)[] = [];
  const open = new Map<string, Block>();
  let finish: FinishPart | undefined;
  let model = request.model;

  for await (const part of stream) {
    switch (part.type) {
      case "text-start":
      case "reasoning-start": {
        const block: Block = { type: part.type === "text-start" ? "text" : "reasoning", text: "", meta: {} };
        parts.push(block);
        open.set(`${block.type} ${part.id}`, block);
        mergeMeta(block, part.providerMetadata);
        break;
      }
      case "text-delta": {
        grow(open.get(`text ${part.id}`), part.delta, part.providerMetadata);
        if (part.delta !== "") options.onToken?.(part.delta);
        break;
      }
      case "reasoning-delta":
        grow(open.get(`reasoning ${part.id}`), part.delta, part.providerMetadata);
        break;
      case "text-end":
      case "reasoning-end":
        grow(open.get(`${part.type === "text-end" ? "text" : "reasoning"} ${part.id}`), "", part.providerMetadata);
        break;
      case "tool-call":
        if (part.providerExecuted !== true) parts.push(part);
        break;
      case "response-metadata":
        model = part.modelId ?? model;
        break;
      case "error":
        throw part.error;
      case "finish":
        finish = part;
        break;
      default:
        // The rest is framing, or belongs to the SDK's own loop, which is not used.
        break;
    }
  }
  if (finish === undefined || finish.finishReason.unified === "interrupted") throw new InterruptedAnswer();
  if (finish.finishReason.unified === "error") throw stoppedByError(finish);
  const content = parts.flatMap(toContent);
  return {
    content,
    finish: finishOf(finish, content),
    usage: usageOf(finish.usage, request, content),
    model,
    simulated: false,
  };
}

function grow(block: Block | undefined, text: string, meta: SharedV4ProviderMetadata | undefined): void {
  if (block === undefined) return;
  block.text += text;
  mergeMeta(block, meta);
}

/** A signature comes with any part of a block, and what comes later does not take back what came before. */
function mergeMeta(block: Block, meta: SharedV4ProviderMetadata | undefined): void {
  for (const [provider, fields] of Object.entries(meta ?? {})) {
    const known = block.meta[provider] ?? {};
    const news = Object.entries(fields).filter(([key, value]) => value !== null || known[key] === undefined);
    block.meta[provider] = { ...known, ...Object.fromEntries(news) };
  }
}

function toContent(part: Block | ToolCallPart): MessageContent[] {
  if (part.type === "tool-call") {
    const meta = part.providerMetadata === undefined ? {} : { meta: part.providerMetadata as Json };
    return [{ type: "tool-call", id: part.toolCallId, tool: part.toolName, input: toolInput(part), ...meta }];
  }
  const meta = Object.keys(part.meta).length === 0 ? {} : { meta: part.meta as Json };
  // Empty reasoning may carry what the provider wants back; an empty text says nothing.
  return part.text === "" && !("meta" in meta && part.type === "reasoning")
    ? []
    : [{ type: part.type, text: part.text, ...meta }];
}

function toolInput(part: ToolCallPart): Json {
  if (part.input.trim() === "") return {};
  try {
    return JSON.parse(part.input) as Json;
  } catch (error) {
    throw new FlotillaError(
      "MODEL_RESPONSE_INVALID",
      `the model called "${part.toolName}" with input that is not JSON`,
      {
        details: { tool: part.toolName },
        cause: error,
      },
    );
  }
}

/** Some servers say `stop` after tool calls; a part of the answer decides, not the word for it. */
function finishOf(finish: FinishPart, content: readonly MessageContent[]): ModelResponse["finish"] {
  const reason = finish.finishReason.unified;
  const calls = content.some((part) => part.type === "tool-call");
  if (calls && (reason === "stop" || reason === "other")) return "tool-calls";
  return reason === "error" || reason === "interrupted" ? "other" : reason;
}

const stoppedByError = (finish: FinishPart): FlotillaError => {
  const reason = finish.finishReason.raw ?? "error";
  return new FlotillaError("MODEL_RESPONSE_INVALID", `the provider broke the answer off: ${reason}`, {
    details: { reason },
  });
};

/** What the provider counted; where it counts nothing, the estimate, so that limits hold with every server (F10). */
function usageOf(usage: LanguageModelV4Usage, request: ModelRequest, content: readonly MessageContent[]): ModelUsage {
  return {
    inputTokens: usage.inputTokens.total ?? estimateTokens(request),
    outputTokens: usage.outputTokens.total ?? estimateContentTokens(content),
    cachedInputTokens: usage.inputTokens.cacheRead ?? 0,
    reasoningTokens: usage.outputTokens.reasoning ?? 0,
  };
}
