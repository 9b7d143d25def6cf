import type { MessageContent, ModelMessage, ModelRequest } from "./model.ts";

const CHARACTERS_PER_TOKEN = 4;
/** What a provider adds around each message and each tool. */
const TOKENS_PER_ENTRY = 4;

/** The window of models that are not listed, in tokens: what every current hosted model has at least. */
export const DEFAULT_CONTEXT_WINDOW = 128_000;

/** Longest prefix wins. Only a default: `context.windowTokens` of an agent overrides it. */
const CONTEXT_WINDOWS: readonly (readonly [prefix: string, tokens: number])[] = [
  ["claude-", 200_000],
  ["gemini-", 1_000_000],
  ["gpt-4.1", 1_000_000],
  ["gpt-4o", 128_000],
  ["gpt-4", 8_192],
  ["gpt-4-turbo", 128_000],
  ["gpt-5", 400_000],
  ["gpt-oss", 128_000],
  ["o1", 200_000],
  ["o3", 200_000],
  ["o4", 200_000],
  ["deepseek", 64_000],
  ["gemma3", 128_000],
  ["llama3", 8_192],
  ["llama3.1", 128_000],
  ["llama3.2", 128_000],
  ["llama3.3", 128_000],
  ["mistral", 32_000],
  ["qwen2.5", 32_000],
  ["qwen3", 32_000],
  ["scripted", 1_000_000],
];

/** Tokens that a text or a whole request takes, estimated as characters / 4 and rounded up. For reservations and for
 *  the context window; what a call really took is settled from the provider's usage (K2, F15). */
export function estimateTokens(subject: string | ModelRequest): number {
  if (typeof subject === "string") return Math.ceil(subject.length / CHARACTERS_PER_TOKEN);
  const messages = sum(subject.messages.map(messageTokens));
  const tools = sum(subject.tools.map((tool) => entryTokens(tool.name, tool.description, JSON.stringify(tool.input))));
  const output = subject.output === null ? 0 : entryTokens(JSON.stringify(subject.output));
  return entryTokens(subject.system) + messages + tools + output;
}

/** What a provider adds to a request beside what it is given: its own framing, and the instructions that make a model
 *  use tools or answer in a schema. */
const FRAME_TOKENS_MAX = 256;
const TOOL_FRAME_TOKENS_MAX = 1_024;
const ENTRY_TOKENS_MAX = 16;

/** The most tokens that a request's input can take, for reservations that are never passed (K2): a token of the
 *  tokenizers in use stands for one byte of text at least. Several times what it takes as a rule. */
export function inputTokensMax(request: Pick<ModelRequest, "system" | "messages" | "tools" | "output">): number {
  const framed = request.tools.length > 0 || request.output !== null;
  const fixed = FRAME_TOKENS_MAX + (framed ? TOOL_FRAME_TOKENS_MAX : 0);
  return fixed + bytesOf(request.system, request.tools, request.output) + messageTokensMax(request.messages);
}

/** As `inputTokensMax`, of messages alone. */
export function messageTokensMax(messages: readonly ModelMessage[]): number {
  return sum(messages.map((message) => ENTRY_TOKENS_MAX * (1 + message.content.length) + bytesOf(message.content)));
}

function bytesOf(...values: readonly unknown[]): number {
  return sum(values.map((value) => Buffer.byteLength(typeof value === "string" ? value : JSON.stringify(value))));
}

/** Tokens of one answer, by the same estimate. */
export function estimateContentTokens(content: readonly MessageContent[]): number {
  return sum(content.map((part) => estimateTokens(contentText(part))));
}

/** Tokens that a model's context window holds, by the longest known prefix of its name. */
export function contextWindow(model: string): number {
  let best: readonly [string, number] = ["", DEFAULT_CONTEXT_WINDOW];
  for (const entry of CONTEXT_WINDOWS) {
    if (model.startsWith(entry[0]) && entry[0].length > best[0].length) best = entry;
  }
  return best[1];
}

function messageTokens(message: ModelMessage): number {
  if (message.role === "tool") {
    return sum(message.content.map((result) => entryTokens(result.tool, JSON.stringify(result.output))));
  }
  return sum(message.content.map((part) => entryTokens(contentText(part))));
}

function contentText(part: MessageContent): string {
  if (part.type !== "tool-call") return part.text;
  return part.tool + JSON.stringify(part.input);
}

const entryTokens = (...texts: readonly string[]): number => TOKENS_PER_ENTRY + sum(texts.map(estimateTokens));

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
