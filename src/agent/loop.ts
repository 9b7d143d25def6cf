import type { JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { type FlotillaError, isFlotillaError } from "../error.ts";
import { canonicalJson } from "../message/canonical.ts";
import type { MessageContent, ModelMessage, ModelResponse, ModelTool } from "../model/model.ts";
import { judge, type Verdict } from "./answer.ts";
import { keepWithinWindow } from "./compaction.ts";
import { Conversation, userMessage } from "./conversation.ts";
import type { TaskScope } from "./environment.ts";
import type { Execution } from "./execution.ts";
import { ModelFacts } from "./facts.ts";
import { handedMessage, ModelHandover } from "./handover.ts";
import { headDigest, ModelCalls, type Question } from "./model-call.ts";
import { offer } from "./offer.ts";
import { Hires } from "./hire.ts";
import { Repetition } from "./repetition.ts";
import { ToolCalls } from "./tool-call.ts";

type ToolCall = Extract<MessageContent, { type: "tool-call" }>;
type ToolResult = Extract<ModelMessage, { role: "tool" }>["content"][number];

/** Runs a declarative agent: instructions, input as a message of its own, then model and tools in turn until an answer
 *  without tool calls that matches `output` (null: any text). Resumed, the same loop runs from the top and is handed
 *  what is on record (F8).
 *  @throws {FlotillaError} OUTPUT_INVALID and MODEL_REFUSED after `limits.repairsMax` further questions, MODEL_*,
 *  TOOL_INPUT_INVALID and TOOL_NOT_GRANTED when the model does nothing else, CONTEXT_OVERFLOW, LIMIT_* */
export function runModelAgent(
  scope: TaskScope,
  execution: Execution,
  input: Json,
  output: JsonSchema | null,
): Promise<Json> {
  return new ModelLoop(scope, execution, output).run(input);
}

class ModelLoop {
  private readonly scope: TaskScope;
  private readonly output: JsonSchema | null;
  private readonly calls: ModelCalls;
  private readonly tools: ToolCalls;
  private readonly hires: Hires;
  private readonly handover: ModelHandover;
  private readonly conversation = new Conversation();
  private readonly facts: ModelFacts;
  private readonly repetition: Repetition;
  private head = "";
  /** Messages with which the conversation begins. */
  private opening = 1;
  private offered: readonly ModelTool[] = [];
  /** Models that have not failed. */
  private models: readonly string[];
  private repairs = 0;
  private refusals = 0;

  constructor(scope: TaskScope, execution: Execution, output: JsonSchema | null) {
    const { agent } = scope;
    this.scope = scope;
    this.output = output;
    this.calls = new ModelCalls(scope);
    this.tools = new ToolCalls(scope);
    this.repetition = new Repetition(agent.limits.repeatsMax);
    this.hires = new Hires(scope, this.tools);
    this.handover = new ModelHandover(scope, execution);
    this.facts = new ModelFacts(scope);
    this.models = [...(agent.model === null ? [] : [agent.model]), ...agent.fallbackModels];
  }

  async run(input: Json): Promise<Json> {
    this.offered = await this.offers();
    this.head = headDigest(this.question([]));
    this.conversation.add(userMessage(typeof input === "string" ? input : canonicalJson(input)));
    const facts = await this.facts.message();
    if (facts !== null) this.conversation.add(userMessage(facts));
    const handed = handedMessage(this.scope.port.assignment.handed);
    if (handed !== null) this.conversation.add(userMessage(handed));
    this.opening = this.conversation.messages.length;
    this.handover.opened(this.conversation.messages);
    for (;;) {
      const response = await this.askModel();
      const calls = response.content.filter((part) => part.type === "tool-call");
      if (calls.length > 0) {
        this.conversation.add({ role: "assistant", content: response.content });
        this.conversation.add({ role: "tool", content: await this.callTools(calls) });
        continue;
      }
      const verdict = judge(response, this.output, this.scope.agent.limits.outputTokensMax);
      if (verdict.ok) return verdict.output;
      this.askAgain(response, verdict);
    }
  }

  private async offers(): Promise<ModelTool[]> {
    const offers: ModelTool[] = [];
    for (const name of this.scope.agent.tools) {
      const tool = this.tools.granted(name);
      if (tool !== null) offers.push(await offer(this.scope, name, tool));
      else this.scope.port.log("warn", `${this.scope.name} is without tool ${name}, which its caller does not pass on`);
    }
    return [...offers, ...this.hires.offers(), ...this.handover.offers, ...this.facts.offers];
  }

  private question(messages: readonly ModelMessage[]): Question {
    const { agent } = this.scope;
    return {
      system: agent.instructions,
      messages,
      tools: this.offered,
      output: this.output,
      outputTokensMax: agent.limits.outputTokensMax,
      temperature: agent.temperature,
    };
  }

  private async askModel(): Promise<ModelResponse> {
    const { scope, calls, conversation } = this;
    await keepWithinWindow({
      scope,
      calls,
      models: this.models,
      conversation,
      question: (messages) => this.question(messages),
    });
    const shown = this.shown();
    const { response, index } = await calls.ask(this.models, (_, tried) => {
      if (tried > 0) conversation.neutralise();
      const identity = { head: this.head, messages: conversation.digest };
      return { question: this.question(conversation.messages), record: { identity, shown: { ...shown, ...identity } } };
    });
    this.models = this.models.slice(index);
    return response;
  }

  /** What the record shows of a question: all of it the first time, then what is new. */
  private shown(): { [key: string]: Json } {
    const isFirst = this.conversation.messages.length === this.opening;
    const added = this.conversation.takeNews();
    return isFirst
      ? { system: this.scope.agent.instructions, tools: this.offered.map(({ name }) => name), added }
      : { added };
  }

  private askAgain(response: ModelResponse, verdict: Extract<Verdict, { ok: false }>): void {
    if (verdict.feedback === null) {
      // Another model may answer what this one would not.
      if (this.models.length < 2) throw verdict.error;
      this.models = this.models.slice(1);
      this.conversation.neutralise();
      return;
    }
    if (this.repairs >= this.scope.agent.limits.repairsMax) throw verdict.error;
    this.repairs += 1;
    if (response.content.length > 0) this.conversation.add({ role: "assistant", content: response.content });
    this.conversation.add(userMessage(verdict.feedback));
  }

  /** Calls in the model's order; neighbouring reads run at the same time. */
  private async callTools(calls: readonly ToolCall[]): Promise<ToolResult[]> {
    const answers: ToolAnswer[] = [];
    for (const batch of batches(calls, (call) => !this.isWrite(call.tool))) {
      answers.push(...(await Promise.all(batch.map((call) => this.callTool(call)))));
    }
    this.watch(calls, answers);
    return answers.map(({ result }) => result);
  }

  private isWrite(tool: string): boolean {
    return this.handover.handles(tool) || this.tools.granted(tool)?.effect === "write";
  }

  private async callTool(call: ToolCall): Promise<ToolAnswer> {
    const { id, tool } = call;
    try {
      const output = await this.answer(call);
      return { result: { type: "tool-result", id, tool, output }, refusal: null };
    } catch (error) {
      if (!isFlotillaError(error)) throw error;
      return {
        result: { type: "tool-result", id, tool, output: this.told(error), error: true },
        refusal: isRefusal(error) ? error : null,
      };
    }
  }

  private answer({ tool, input }: ToolCall): Promise<Json> {
    if (this.facts.handles(tool)) return this.facts.propose(input);
    if (this.handover.handles(tool)) return this.handover.handOver(input, this.conversation.messages);
    return (this.hires.has(tool) ? this.hires : this.tools).call(tool, input);
  }

  /** A failure as the model is told of it. What ends the task does so whatever the model is told. */
  private told(error: FlotillaError): Json {
    return { error: { code: error.code, message: this.scope.fleet.redact(error.message) } };
  }

  private watch(calls: readonly ToolCall[], answers: readonly ToolAnswer[]): void {
    for (const [index, call] of calls.entries()) {
      this.repetition.note(this.scope.name, call.tool, call.input, answers[index]?.result.output ?? null);
    }
    this.refusals = answers.every(({ refusal }) => refusal !== null) ? this.refusals + 1 : 0;
    const last = answers.at(-1)?.refusal;
    if (last && this.refusals > this.scope.agent.limits.repairsMax) throw last;
  }
}

interface ToolAnswer {
  result: ToolResult;
  /** Why the call was not made. */
  refusal: FlotillaError | null;
}

const isRefusal = ({ code }: FlotillaError): boolean => code === "TOOL_NOT_GRANTED" || code === "TOOL_INPUT_INVALID";

function batches<T>(items: readonly T[], mayShare: (item: T) => boolean): T[][] {
  const found: T[][] = [];
  let open = false;
  for (const item of items) {
    const shares = mayShare(item);
    if (open && shares) found.at(-1)?.push(item);
    else found.push([item]);
    open = shares;
  }
  return found;
}
