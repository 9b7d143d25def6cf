import type {
  JSONSchema7,
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4Prompt,
  SharedV4ProviderOptions,
} from "@ai-sdk/provider";
import type { JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { FlotillaError } from "../error.ts";
import { collectAnswer } from "./ai-sdk-answer.ts";
import type { MessageContent, Model, ModelCallOptions, ModelMessage, ModelRequest, ModelResponse } from "./model.ts";
import { toModelError } from "./model-error.ts";
import type { Fetch, ProviderSettings } from "./provider.ts";

/** What one provider package adds: how to make its language model, and the options to send along. */
export interface SdkAdapter {
  /** The npm package, named when it is missing. */
  package: string;
  load(): Promise<(model: string, fetch: Fetch) => LanguageModelV4>;
  providerOptions: SharedV4ProviderOptions;
  /** Whether the provider takes a JSON Schema for the answer; otherwise the schema is put into the instructions. */
  takesSchema: boolean;
}

/** A model over one of the AI SDK's provider packages (I2), called directly: no retry and no loop of the SDK's. Answers
 *  are always streamed, since only a stream shows that the provider is alive. The package is imported with the first call.
 *  @throws {FlotillaError} PACKAGE_MISSING, and MODEL_* as `Model` says; what the signal was aborted with */
export function aiSdkModel(adapter: SdkAdapter, settings: ProviderSettings): Model {
  const guarded = guardedFetch(settings);
  // Making a language model builds its schemas anew, which costs as much as a call: one per name.
  const models = new Map<string, LanguageModelV4>();
  let loaded: ReturnType<SdkAdapter["load"]> | undefined;

  async function languageModel(name: string): Promise<LanguageModelV4> {
    loaded ??= importProvider(adapter);
    const create = await loaded;
    const model = models.get(name) ?? create(name, guarded.fetch);
    models.set(name, model);
    return model;
  }

  return {
    async call(request, options) {
      options.signal.throwIfAborted();
      const model = await languageModel(request.model);
      return exchange({ model, adapter, settings, sent: guarded.sent }, request, options);
    },
  };
}

async function importProvider(adapter: SdkAdapter): ReturnType<SdkAdapter["load"]> {
  try {
    return await adapter.load();
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND")) throw error;
    throw new FlotillaError("PACKAGE_MISSING", `the package ${adapter.package} is not installed`, {
      hint: `npm install ${adapter.package}`,
      details: { package: adapter.package },
      cause: error,
    });
  }
}

interface Channel {
  model: LanguageModelV4;
  adapter: SdkAdapter;
  settings: ProviderSettings;
  sent: WeakSet<AbortSignal>;
}

/** One request and its answer. Whatever ends it, the socket is released: the SDK may leave a copy of the stream open. */
async function exchange(
  { model, adapter, settings, sent }: Channel,
  request: ModelRequest,
  options: ModelCallOptions,
): Promise<ModelResponse> {
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  try {
    const streaming = Promise.resolve(model.doStream({ ...callOptions(adapter, request), abortSignal: signal }));
    const answer = streaming.then(({ stream }) => collectAnswer(stream, request, options));
    return await untilAborted(options.signal, answer);
  } catch (error) {
    if (options.signal.aborted) throw options.signal.reason;
    throw toModelError(error, settings, request.model, sent.has(signal));
  } finally {
    ended.abort();
  }
}

/** Redirects are refused, since they would carry the key elsewhere, and so is a page where a stream was asked for.
 *  `sent` holds the signals of the calls whose request has left. */
function guardedFetch(settings: ProviderSettings): { fetch: Fetch; sent: WeakSet<AbortSignal> } {
  const sent = new WeakSet<AbortSignal>();
  const fetch: Fetch = async (url, init) => {
    if (init?.signal) sent.add(init.signal);
    const response = await settings.fetch(url, { ...init, redirect: "manual" });
    const type = response.headers.get("content-type") ?? "";
    if (!response.ok || !/html|json|xml/i.test(type)) return response;
    await response.body?.cancel();
    throw new FlotillaError(
      "MODEL_RESPONSE_INVALID",
      `${settings.name} answered ${type} where a stream of events was asked for`,
      { details: { provider: settings.name, contentType: type, status: response.status } },
    );
  };
  return { fetch, sent };
}

/** Settles with the signal even when the SDK does not: late work is abandoned. */
async function untilAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function callOptions(adapter: SdkAdapter, request: ModelRequest): LanguageModelV4CallOptions {
  const schema = request.output;
  const native = schema !== null && adapter.takesSchema && schema.type === "object";
  const system = schema === null || native ? request.system : withSchema(request.system, schema);
  return {
    prompt: prompt(system, request.messages),
    maxOutputTokens: request.outputTokensMax,
    ...(request.temperature === null ? {} : { temperature: request.temperature }),
    ...(native ? { responseFormat: { type: "json", name: "answer", schema: schema as JSONSchema7 } } : {}),
    ...(request.tools.length === 0 ? {} : { tools: request.tools.map(functionTool), toolChoice: { type: "auto" } }),
    providerOptions: adapter.providerOptions,
  };
}

const functionTool = (tool: ModelRequest["tools"][number]) => {
  return {
    type: "function" as const,
    name: tool.name,
    description: tool.description,
    inputSchema: tool.input as JSONSchema7,
  };
};

/** Providers constrain answers to objects at most; any other schema is asked for in words, and checked by the engine. */
function withSchema(system: string, schema: JsonSchema): string {
  const demand = `Your final answer is one JSON document of this JSON Schema, and nothing else:\n${JSON.stringify(schema)}`;
  return system === "" ? demand : `${system}\n\n${demand}`;
}

function prompt(system: string, messages: readonly ModelMessage[]): LanguageModelV4Prompt {
  const head: LanguageModelV4Prompt = system === "" ? [] : [{ role: "system", content: system }];
  return [...head, ...messages.map(promptMessage)];
}

function promptMessage(message: ModelMessage): LanguageModelV4Prompt[number] {
  switch (message.role) {
    case "user":
      return { role: "user", content: message.content.map(({ text }) => ({ type: "text", text })) };
    case "assistant":
      return { role: "assistant", content: message.content.map(assistantPart) };
    case "tool":
      return {
        role: "tool",
        content: message.content.map(({ id, tool, output, error }) => ({
          type: "tool-result",
          toolCallId: id,
          toolName: tool,
          output: toolOutput(output, error ?? false),
        })),
      };
  }
}

type AssistantPart = Extract<LanguageModelV4Prompt[number], { role: "assistant" }>["content"][number];
type ToolOutput = Extract<AssistantPart, { type: "tool-result" }>["output"];

function assistantPart(part: MessageContent): AssistantPart {
  const meta = part.meta === undefined ? {} : { providerOptions: part.meta as SharedV4ProviderOptions };
  if (part.type === "tool-call") {
    return { type: "tool-call", toolCallId: part.id, toolName: part.tool, input: part.input, ...meta };
  }
  return { type: part.type, text: part.text, ...meta };
}

function toolOutput(output: Json, error: boolean): ToolOutput {
  if (typeof output === "string") return { type: error ? "error-text" : "text", value: output };
  return { type: error ? "error-json" : "json", value: output as Extract<ToolOutput, { type: "json" }>["value"] };
}
