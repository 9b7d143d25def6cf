import type { Json } from "../core/json.ts";
import { FlotillaError } from "../error.ts";
import { type Bindings, type Expression, ExpressionFailure } from "../expression/expression.ts";
import { asText, bind } from "../expression/value.ts";
import type { MessageContent, Model, ModelCallOptions, ModelRequest, ModelResponse } from "./model.ts";
import { FACTS_HEADING } from "./model.ts";
import { type CompiledRule, type CompiledScript, compileScript, type TakeMs } from "./script.ts";
import { estimateContentTokens, estimateTokens } from "./tokens.ts";

/** A text is streamed in at most so many pieces. */
const CHUNKS_MAX = 24;

/** A model that follows rules: it chooses real tool calls and fills words in, so what it says comes from what the tools
 *  found (I2). The same request gives the same answer, ids and duration included. Answers are marked `simulated`; their
 *  usage is estimated as characters / 4. A missing script knows no rule.
 *  @throws {FlotillaError} DEFINITION_INVALID for a wrong script. Calls throw MODEL_SCRIPT_EXHAUSTED when no rule
 *  applies, MODEL_SCRIPT_FAILED when an expression has no value */
export function scriptedModel(script: Json | null): Model {
  const rules: CompiledScript = script === null ? new Map() : compileScript(script);
  return { call: (request, options) => answer(rules, request, options) };
}

async function answer(
  script: CompiledScript,
  request: ModelRequest,
  options: ModelCallOptions,
): Promise<ModelResponse> {
  options.signal.throwIfAborted();
  const situation = describe(request);
  const rules = script.get(request.agent) ?? script.get("*") ?? [];
  const rule = rules.find((candidate) => applies(candidate, situation, request));
  if (rule === undefined) throw exhausted(request, situation.turn, rules);
  const content = evaluated(request, () => contentOf(rule, situation));
  await stream(textOf(content), durationMs(rule.takeMs, request), options);
  return {
    content,
    finish: content.some((part) => part.type === "tool-call") ? "tool-calls" : "stop",
    usage: {
      inputTokens: estimateTokens(request),
      outputTokens: estimateContentTokens(content),
      cachedInputTokens: 0,
      reasoningTokens: estimateContentTokens(content.filter((part) => part.type === "reasoning")),
    },
    model: "scripted",
    simulated: true,
  };
}

interface Situation {
  turn: number;
  bindings: Bindings;
}

/** What the rules can speak of, taken from the request alone. */
function describe(request: ModelRequest): Situation {
  const turn = request.messages.filter((message) => message.role === "assistant").length;
  const heard = request.messages.flatMap((message) => (message.role === "user" ? [joined(message.content)] : []));
  const said = heard.filter((text) => !text.startsWith(FACTS_HEADING));
  const shared = heard.find((text) => text.startsWith(FACTS_HEADING));
  const results = resultsOf(request);
  const facts: { [name: string]: Json } = {
    input: parsed(said[0] ?? ""),
    turn,
    results,
    last: results.at(-1)?.output ?? null,
    messages: request.messages.length,
    feedback: said.length > 1 ? (said.at(-1) ?? null) : null,
    agent: request.agent,
    tools: request.tools.map((tool) => tool.name),
    facts: shared === undefined ? {} : parsed(shared.slice(FACTS_HEADING.length)),
    vars: {},
  };
  return { turn, bindings: Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, bind(value)])) };
}

function resultsOf(request: ModelRequest): { tool: string; input: Json; output: Json; error: boolean }[] {
  const inputs = new Map<string, Json>();
  return request.messages.flatMap((message) => {
    if (message.role === "assistant") {
      for (const part of message.content) if (part.type === "tool-call") inputs.set(part.id, part.input);
    }
    if (message.role !== "tool") return [];
    return message.content.map(({ id, tool, output, error }) => {
      return { tool, input: inputs.get(id) ?? null, output, error: error ?? false };
    });
  });
}

/** A condition that asks for something absent is false; one that makes no sense is an error. */
function applies(rule: CompiledRule, situation: Situation, request: ModelRequest): boolean {
  const when = rule.when;
  if (when === null) return true;
  return evaluated(request, () => evaluateOrAbsent(when, situation.bindings) === true);
}

function evaluateOrAbsent(expression: Expression, bindings: Bindings): Json {
  try {
    return expression.evaluate(bindings);
  } catch (error) {
    if (error instanceof ExpressionFailure && error.absent) return false;
    throw error;
  }
}

function contentOf(rule: CompiledRule, situation: Situation): MessageContent[] {
  const bindings = withVariables(rule, situation.bindings);
  const content: MessageContent[] = [];
  if (rule.think !== null) content.push({ type: "reasoning", text: asText(rule.think.render(bindings)) });
  if (rule.say !== null) content.push({ type: "text", text: asText(rule.say.render(bindings)) });
  if (rule.output !== null) content.push({ type: "text", text: JSON.stringify(rule.output.render(bindings)) });
  for (const [index, call] of rule.calls.entries()) {
    content.push({
      type: "tool-call",
      id: `call-${situation.turn}-${index}`,
      tool: asText(call.tool.render(bindings)),
      input: call.input.render(bindings),
    });
  }
  return content;
}

function withVariables(rule: CompiledRule, bindings: Bindings): Bindings {
  let vars: Bindings = {};
  for (const [name, value] of rule.let) {
    vars = { ...vars, [name]: bind(value.evaluate({ ...bindings, vars })) };
  }
  return { ...bindings, vars };
}

function evaluated<T>(request: ModelRequest, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ExpressionFailure)) throw error;
    throw new FlotillaError(
      "MODEL_SCRIPT_FAILED",
      `the script for agent "${request.agent}" failed at ${error.message}`,
      {
        details: { agent: request.agent, expression: error.source },
        cause: error,
      },
    );
  }
}

function exhausted(request: ModelRequest, turn: number, rules: readonly CompiledRule[]): FlotillaError {
  const conditions = rules.map((rule) => rule.when?.source ?? "always");
  const tried =
    rules.length === 0 ? "it has no rules for this agent" : `none of its rules applies: ${conditions.join(" | ")}`;
  return new FlotillaError(
    "MODEL_SCRIPT_EXHAUSTED",
    `the script has no answer for agent "${request.agent}" at turn ${turn}; ${tried}`,
    {
      hint: `Add a rule to the script under agents.${request.agent}.`,
      details: { agent: request.agent, turn, conditions },
    },
  );
}

/** Gives the text to `onToken` in pieces while the time passes; without a listener it only waits. */
async function stream(text: string, takesMs: number, options: ModelCallOptions): Promise<void> {
  const chunks = options.onToken === undefined || text === "" ? [""] : chunked(text);
  for (const chunk of chunks) {
    if (takesMs > 0) await options.sleep(takesMs / chunks.length, options.signal);
    options.signal.throwIfAborted();
    if (chunk !== "") options.onToken?.(chunk);
  }
}

function chunked(text: string): string[] {
  const words = text.match(/\s*\S+\s*/g) ?? [text];
  const perChunk = Math.ceil(words.length / CHUNKS_MAX);
  const count = Math.ceil(words.length / perChunk);
  return Array.from({ length: count }, (_, index) => words.slice(index * perChunk, (index + 1) * perChunk).join(""));
}

function durationMs(takeMs: TakeMs, request: ModelRequest): number {
  if (typeof takeMs === "number") return takeMs;
  const [from, to] = takeMs;
  const share = fnv1a(JSON.stringify([request.agent, request.system, request.messages])) / 0xffff_ffff;
  return Math.round(from + share * (to - from));
}

/** FNV-1a, 32 bits: spreads requests over a range, protects nothing. */
function fnv1a(text: string): number {
  let hash = 0x811c_9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x0100_0193) >>> 0;
  }
  return hash;
}

const textOf = (content: readonly MessageContent[]): string => joined(content.filter((part) => part.type === "text"));

const joined = (parts: readonly { text: string }[]): string => parts.map((part) => part.text).join("");

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text; // plain words are the other form that a message may have
  }
}
