import type { JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { FlotillaError, isFlotillaError } from "../error.ts";
import { canonicalJson, sha256 } from "../message/canonical.ts";
import type { ModelMessage, ModelRequest, ModelResponse, ModelTool } from "../model/model.ts";
import { cacheSavedMicroUsd, costMicroUsd, priceOf } from "../model/price.ts";
import { KnownTokens } from "../model/known-tokens.ts";
import { sleep } from "../platform/clock.ts";
import type { TaskScope } from "./environment.ts";
import type { Gated } from "./port.ts";
import type { Attempt, Performed } from "./step-spec.ts";

/** A question to a model, before it is known which one answers. */
export interface Question {
  system: string;
  messages: readonly ModelMessage[];
  tools: readonly ModelTool[];
  output: JsonSchema | null;
  outputTokensMax: number;
  temperature: number | null;
}

/** What a model step has on record as its input. */
export interface QuestionRecord {
  /** A digest of the messages where they are not repeated in full. */
  identity: Json;
  shown: Json;
}

/** Calls models as steps: limits asked before the call, usage on record, reasoning kept in the output (O1). */
export class ModelCalls {
  private readonly scope: TaskScope;
  private readonly known = new KnownTokens();

  constructor(scope: TaskScope) {
    this.scope = scope;
  }

  /** Asks the first of `models` that answers (F5); a model is passed over when it fails for good, or transiently after
   *  all its retries. Returns the answer and the index of the model that gave it.
   *  @throws {FlotillaError} what the last model failed with; LIMIT_TOKENS, LIMIT_COST */
  async ask(
    models: readonly string[],
    question: (model: string, index: number) => { question: Question; record: QuestionRecord },
    kind: "model" | "compaction" = "model",
  ): Promise<{ response: ModelResponse; index: number }> {
    for (let index = 0; ; index++) {
      const model = models[index];
      if (model === undefined) throw this.noModel();
      try {
        const asked = question(model, index);
        return { response: await this.call(model, asked.question, asked.record, kind), index };
      } catch (error) {
        if (index === models.length - 1 || !mayFallBack(error)) throw error;
        const why = error instanceof Error ? this.scope.fleet.redact(error.message) : String(error);
        if (!this.scope.steps.catchingUp) {
          this.scope.port.log("warn", `${model} failed, asking ${models[index + 1]}: ${why}`, {
            model,
            next: models[index + 1] ?? null,
          });
        }
      }
    }
  }

  private async call(
    model: string,
    question: Question,
    record: QuestionRecord,
    kind: "model" | "compaction",
  ): Promise<ModelResponse> {
    const { steps, agent } = this.scope;
    const output = await steps.run({
      kind,
      name: kind,
      input: { model, ...(record.identity as Record<string, Json>) },
      shown: { model, ...(record.shown as Record<string, Json>) },
      timeoutMs: agent.stepTimeoutMs,
      retry: agent.retry,
      gate: () => this.worstCase(model, question),
      perform: (attempt) => this.perform(model, question, attempt, kind),
    });
    const response = output as unknown as ModelResponse;
    this.known.note(model, question, response);
    return response;
  }

  private async perform(
    model: string,
    question: Question,
    { signal }: Attempt,
    kind: "model" | "compaction",
  ): Promise<Performed> {
    const { port, fleet, name } = this.scope;
    const resolved = fleet.models.resolve(model, name);
    const request: ModelRequest = { ...question, model: resolved.name, agent: name };
    const price = priceOf(fleet.definition.providers[resolved.provider], resolved.name);
    const response = await resolved.model.call(request, {
      signal,
      // A summary is not the agent speaking.
      ...(kind === "model" ? { onToken: (text) => port.token(text) } : {}),
      sleep: (ms, until) => sleep(port.clock, ms, until),
    });
    const { simulated, usage } = response;
    const { inputTokens, outputTokens, cachedInputTokens } = usage;
    const cost = price === null ? null : costMicroUsd(price, usage);
    return {
      output: response,
      usage: {
        ...(price === null ? {} : { savedMicroUsd: cacheSavedMicroUsd(price, usage) }),
        cachedInputTokens,
        costMicroUsd: cost,
        inputTokens,
        model,
        outputTokens,
        simulated,
      },
    };
  }

  /** What a call may use at worst: it is reserved before it is made (F10, K2). */
  private worstCase(model: string, question: Question): Gated {
    const { fleet, name } = this.scope;
    const resolved = fleet.models.resolve(model, name);
    const price = priceOf(fleet.definition.providers[resolved.provider], resolved.name);
    const inputTokens = this.known.inputTokensMax(model, question);
    const usage = { inputTokens, outputTokens: question.outputTokensMax, cachedInputTokens: 0 };
    return {
      kind: "model",
      model,
      tokens: inputTokens + question.outputTokensMax,
      costMicroUsd: price === null ? null : costMicroUsd(price, usage),
    };
  }

  private noModel(): FlotillaError {
    return new FlotillaError("MODEL_UNKNOWN", `${this.scope.name} names no model`, {
      hint: "Give the agent a `model`, or name one in the call.",
    });
  }
}

function mayFallBack(error: unknown): boolean {
  if (!isFlotillaError(error)) return false;
  return (
    error.code.startsWith("MODEL_") ||
    error.code === "CIRCUIT_OPEN" ||
    ["STEP_TIMEOUT", "SECRET_MISSING", "PACKAGE_MISSING", "AGENT_FAILED"].includes(error.code)
  );
}

/** A digest of everything in a question but its messages. */
export function headDigest({ messages: _, ...head }: Question): string {
  return sha256(canonicalJson(head)).toString("hex");
}

/** Messages as another provider takes them: without reasoning and marks that only their own understands. */
export function neutral(messages: readonly ModelMessage[]): ModelMessage[] {
  return messages.map((message) => {
    if (message.role !== "assistant") return message;
    const content = message.content
      .filter((part) => part.type !== "reasoning")
      .map((part) =>
        part.type === "tool-call" ? { type: part.type, id: part.id, tool: part.tool, input: part.input } : part,
      );
    return { role: "assistant", content };
  });
}
