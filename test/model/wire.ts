import type { Answer } from "../../src/conformance/model.ts";
import type { Json } from "../../src/core/json.ts";

export type { Answer } from "../../src/conformance/model.ts";

/** The wire formats that the double speaks, told apart by the path of the request. */
export type Wire = "openai" | "anthropic" | "google" | "openai-compatible";

/** One server-sent event. */
export interface Frame {
  event?: string;
  data: Json | "[DONE]";
}

export const MODEL_NAME = "double-1";

export function wireOf(path: string): Wire | null {
  if (path.endsWith("/responses")) return "openai";
  if (path.endsWith("/messages")) return "anthropic";
  if (path.endsWith(":streamGenerateContent")) return "google";
  return path.endsWith("/chat/completions") ? "openai-compatible" : null;
}

/** The frames of a whole answer. */
export function framesOf(wire: Wire, answer: Answer): Frame[] {
  switch (wire) {
    case "openai":
      return openai(answer);
    case "anthropic":
      return anthropic(answer);
    case "google":
      return google(answer);
    case "openai-compatible":
      return openaiCompatible(answer);
  }
}

/** The body of an HTTP error. */
export function errorBody(wire: Wire, status: number, message: string, code: string | null): Json {
  switch (wire) {
    case "anthropic":
      return { type: "error", error: { type: status === 529 ? "overloaded_error" : "api_error", message } };
    case "google":
      return { error: { code: status, message, status: "FAILED" } };
    default:
      return { error: { message, type: "error", code, param: null } };
  }
}

/** An error inside a stream that began with 200. */
export function errorFrame(wire: Wire, message: string): Frame {
  switch (wire) {
    case "openai":
      return {
        event: "error",
        data: { type: "error", sequence_number: 9, code: "server_error", message, param: null },
      };
    case "anthropic":
      return { event: "error", data: { type: "error", error: { type: "overloaded_error", message } } };
    case "google":
      return { data: { error: { code: 503, message, status: "UNAVAILABLE" } } };
    case "openai-compatible":
      return { data: { error: { message, type: "server_error", code: null, param: null } } };
  }
}

const texts = (answer: Answer): readonly string[] =>
  typeof answer.text === "string" ? [answer.text] : (answer.text ?? []);

const usage = (answer: Answer) => ({ input: 12, output: 7, cached: 0, reasoning: 0, ...answer.usage });

const callId = (call: { id?: string }, index: number): string => call.id ?? `call_${index}`;

function openai(answer: Answer): Frame[] {
  const frames: Json[] = [];
  const response = { id: "resp_1", created_at: 1_700_000_000, model: MODEL_NAME };
  frames.push({ type: "response.created", response });
  let output_index = 0;
  if (answer.reasoning !== undefined) {
    const item = { type: "reasoning", id: "rs_1", encrypted_content: answer.reasoning.signature ?? null };
    const at = { item_id: "rs_1", output_index, summary_index: 0 };
    frames.push({ type: "response.output_item.added", output_index, item });
    frames.push({ type: "response.reasoning_summary_part.added", ...at });
    frames.push({ type: "response.reasoning_summary_text.delta", ...at, delta: answer.reasoning.text });
    frames.push({ type: "response.reasoning_summary_part.done", ...at });
    frames.push({ type: "response.output_item.done", output_index: output_index++, item });
  }
  if (texts(answer).length > 0) {
    const item = { type: "message", id: "msg_1" };
    frames.push({ type: "response.output_item.added", output_index, item });
    for (const delta of texts(answer)) {
      frames.push({ type: "response.output_text.delta", item_id: "msg_1", output_index, delta });
    }
    frames.push({ type: "response.output_item.done", output_index: output_index++, item });
  }
  for (const [index, call] of (answer.calls ?? []).entries()) {
    const input = JSON.stringify(call.input);
    const item = { type: "function_call", id: `fc_${index}`, call_id: callId(call, index), name: call.tool };
    frames.push({ type: "response.output_item.added", output_index, item: { ...item, arguments: "" } });
    const delta = { type: "response.function_call_arguments.delta", item_id: item.id, output_index, delta: input };
    frames.push(delta, {
      type: "response.output_item.done",
      output_index: output_index++,
      item: { ...item, arguments: input, status: "completed" },
    });
  }
  const reason = { stop: null, length: "max_output_tokens", "content-filter": "content_filter" }[
    answer.finish ?? "stop"
  ];
  const { input, output, cached, reasoning } = usage(answer);
  frames.push({
    type: reason === null ? "response.completed" : "response.incomplete",
    response: {
      ...response,
      incomplete_details: reason === null ? null : { reason },
      usage: {
        input_tokens: input,
        input_tokens_details: { cached_tokens: cached },
        output_tokens: output,
        output_tokens_details: { reasoning_tokens: reasoning },
      },
    },
  });
  return frames.map((data) => ({ event: (data as { type: string }).type, data }));
}

function anthropic(answer: Answer): Frame[] {
  const { input, output, cached, reasoning } = usage(answer);
  const frames: Json[] = [];
  frames.push({
    type: "message_start",
    message: {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: MODEL_NAME,
      content: [],
      usage: { input_tokens: input - cached, cache_read_input_tokens: cached, output_tokens: 1 },
    },
  });
  let index = 0;
  const block = (content_block: Json, deltas: readonly Json[]) => {
    frames.push({ type: "content_block_start", index, content_block });
    for (const delta of deltas) frames.push({ type: "content_block_delta", index, delta });
    frames.push({ type: "content_block_stop", index: index++ });
  };
  if (answer.reasoning !== undefined) {
    const { text, signature } = answer.reasoning;
    const signed = signature === undefined ? [] : [{ type: "signature_delta", signature }];
    block({ type: "thinking", thinking: "" }, [{ type: "thinking_delta", thinking: text }, ...signed]);
  }
  if (texts(answer).length > 0) {
    block(
      { type: "text", text: "" },
      texts(answer).map((text) => ({ type: "text_delta", text })),
    );
  }
  for (const [number, call] of (answer.calls ?? []).entries()) {
    block({ type: "tool_use", id: callId(call, number), name: call.tool, input: {} }, [
      { type: "input_json_delta", partial_json: JSON.stringify(call.input) },
    ]);
  }
  const ends = {
    stop: answer.calls === undefined ? "end_turn" : "tool_use",
    length: "max_tokens",
    "content-filter": "refusal",
  };
  frames.push({
    type: "message_delta",
    delta: { stop_reason: ends[answer.finish ?? "stop"], stop_sequence: null },
    usage: { output_tokens: output, output_tokens_details: { thinking_tokens: reasoning } },
  });
  frames.push({ type: "message_stop" });
  return frames.map((data) => ({ event: (data as { type: string }).type, data }));
}

function google(answer: Answer): Frame[] {
  const { input, output, cached, reasoning } = usage(answer);
  const signature = answer.reasoning?.signature;
  const signed: { [key: string]: Json } = signature === undefined ? {} : { thoughtSignature: signature };
  const parts: Json[] = [];
  if (answer.reasoning !== undefined) parts.push({ text: answer.reasoning.text, thought: true, ...signed });
  for (const text of texts(answer)) parts.push({ text });
  for (const call of answer.calls ?? []) {
    const id: { [key: string]: Json } = call.id === undefined ? {} : { id: call.id };
    parts.push({ functionCall: { name: call.tool, args: call.input, ...id }, ...signed });
  }
  const finishReason = { stop: "STOP", length: "MAX_TOKENS", "content-filter": "SAFETY" }[answer.finish ?? "stop"];
  const usageMetadata = {
    promptTokenCount: input,
    cachedContentTokenCount: cached,
    candidatesTokenCount: output - reasoning,
    thoughtsTokenCount: reasoning,
    totalTokenCount: input + output,
  };
  const chunk = (content: Json[], more: { [key: string]: Json }) => ({
    responseId: "r_1",
    modelVersion: MODEL_NAME,
    candidates: [{ index: 0, content: { role: "model", parts: content }, ...more }],
  });
  const frames = parts.map((part) => ({ data: chunk([part], {}) as Json }));
  return [...frames, { data: { ...chunk([], { finishReason }), usageMetadata } }];
}

function openaiCompatible(answer: Answer): Frame[] {
  const { input, output, cached, reasoning } = usage(answer);
  const base = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1_700_000_000, model: MODEL_NAME };
  const delta = (content: Json): Frame => ({
    data: { ...base, choices: [{ index: 0, delta: content, finish_reason: null }] },
  });
  const frames: Frame[] = [delta({ role: "assistant" })];
  if (answer.reasoning !== undefined) frames.push(delta({ reasoning_content: answer.reasoning.text }));
  for (const content of texts(answer)) frames.push(delta({ content }));
  for (const [index, call] of (answer.calls ?? []).entries()) {
    const head = { index, id: callId(call, index), type: "function" };
    const input = JSON.stringify(call.input);
    const cut = Math.ceil(input.length / 2);
    frames.push(delta({ tool_calls: [{ ...head, function: { name: call.tool, arguments: input.slice(0, cut) } }] }));
    frames.push(delta({ tool_calls: [{ index, function: { arguments: input.slice(cut) } }] }));
  }
  const ends = {
    stop: answer.calls === undefined ? "stop" : "tool_calls",
    length: "length",
    "content-filter": "content_filter",
  };
  frames.push({ data: { ...base, choices: [{ index: 0, delta: {}, finish_reason: ends[answer.finish ?? "stop"] }] } });
  const counted = {
    data: {
      ...base,
      choices: [],
      usage: {
        prompt_tokens: input,
        completion_tokens: output,
        total_tokens: input + output,
        prompt_tokens_details: { cached_tokens: cached },
        completion_tokens_details: { reasoning_tokens: reasoning },
      },
    },
  };
  if (answer.usage !== null) frames.push(counted);
  frames.push({ data: "[DONE]" });
  return frames;
}
