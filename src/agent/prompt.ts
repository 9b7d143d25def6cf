import type { z } from "zod";
import type { JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import type { ModelAnswer, ModelPrompt } from "../definition/context.ts";
import { outputSchema } from "../definition/zod-schema.ts";
import { FlotillaError } from "../error.ts";
import type { ModelMessage, ModelResponse, ModelTool } from "../model/model.ts";
import { judge, reasoningOf, textOf, type Verdict } from "./answer.ts";
import { userMessage } from "./conversation.ts";
import type { TaskScope } from "./environment.ts";
import { type ModelCalls, neutral, type Question } from "./model-call.ts";
import { offer } from "./offer.ts";
import { recordable } from "./recordable.ts";
import type { ToolCalls } from "./tool-call.ts";

/** `ctx.model`: one question of a code agent, asked again while its answer does not match `output` (F7). */
export async function prompt(
  scope: TaskScope,
  calls: ModelCalls,
  tools: ToolCalls,
  given: string | ModelPrompt<unknown>,
): Promise<ModelAnswer<unknown>> {
  const asked: ModelPrompt<unknown> = typeof given === "string" ? { prompt: given } : given;
  const { agent } = scope;
  const first = asked.model ?? agent.model;
  let models = [...(first === null ? [] : [first]), ...agent.fallbackModels.filter((model) => model !== first)];
  // Without tools nothing is awaited before the step takes its place.
  const offers = asked.tools === undefined ? [] : await offersOf(scope, tools, asked.tools);
  let question = questionOf(scope, asked, offers);
  for (let repairs = 0; ; ) {
    const { response, index } = await calls.ask(models, (_, tried) => {
      const put = tried === 0 ? question : { ...question, messages: neutral(question.messages) };
      return { question: put, record: { identity: put as unknown as Json, shown: shownOf(put) } };
    });
    models = models.slice(index);
    const verdict = await verdictOf(response, question, asked.output);
    if (verdict.ok) return answerOf(response, verdict.output);
    if (verdict.feedback === null && models.length > 1) {
      models = models.slice(1);
      continue;
    }
    if (verdict.feedback === null || repairs >= agent.limits.repairsMax) throw verdict.error;
    repairs += 1;
    const said: ModelMessage[] =
      response.content.length === 0 ? [] : [{ role: "assistant", content: response.content }];
    question = { ...question, messages: [...question.messages, ...said, userMessage(verdict.feedback)] };
  }
}

function questionOf({ agent, name }: TaskScope, asked: ModelPrompt<unknown>, tools: readonly ModelTool[]): Question {
  if ((asked.prompt === undefined) === (asked.messages === undefined)) {
    throw new FlotillaError(
      "AGENT_FAILED",
      `${name} called ctx.model with ${asked.prompt === undefined ? "neither" : "both"} prompt and messages`,
      {
        hint: "Give exactly one of the two.",
      },
    );
  }
  const messages = asked.messages ?? [userMessage(asked.prompt ?? "")];
  return {
    system: asked.system ?? agent.instructions,
    messages: recordable(messages) as unknown as ModelMessage[],
    tools,
    output: schemaOf(asked.output),
    outputTokensMax: asked.outputTokensMax ?? agent.limits.outputTokensMax,
    temperature: asked.temperature ?? agent.temperature,
  };
}

async function offersOf(scope: TaskScope, tools: ToolCalls, names: readonly string[]): Promise<ModelTool[]> {
  const offers: ModelTool[] = [];
  for (const name of names) {
    const tool = tools.granted(name);
    if (tool === null) throw ungranted(scope.name, name);
    offers.push(await offer(scope, name, tool));
  }
  return offers;
}

function ungranted(agent: string, tool: string): FlotillaError {
  const message = `${agent} offered tool "${tool}" to a model, which it was not granted`;
  return new FlotillaError("TOOL_NOT_GRANTED", message, { details: { agent, tool } });
}

const schemaOf = (output: z.ZodType | undefined): JsonSchema | null => {
  return output === undefined ? null : outputSchema(output, "the output that ctx.model asks for");
};

const shownOf = ({ system, messages, tools, output }: Question): Json => {
  return { system, messages: messages as unknown as Json, tools: tools.map(({ name }) => name), output };
};

type Judged = { ok: true; output: unknown } | Extract<Verdict, { ok: false }>;

/** Answers with tool calls are the agent's to go on from; they have no output to judge. */
async function verdictOf(response: ModelResponse, question: Question, schema: z.ZodType | undefined): Promise<Judged> {
  const calls = response.content.some((part) => part.type === "tool-call");
  if (calls) return { ok: true, output: textOf(response.content) };
  const verdict = judge(response, question.output, question.outputTokensMax);
  if (!verdict.ok || schema === undefined) return verdict;
  const parsed = await schema.safeParseAsync(verdict.output);
  if (parsed.success) return { ok: true, output: parsed.data };
  const problems = parsed.error.issues.map(({ path, message }) => `/${path.join("/")} ${message}`);
  return judge(response, question.output, question.outputTokensMax, () => problems);
}

function answerOf(response: ModelResponse, output: unknown): ModelAnswer<unknown> {
  const { content, usage, simulated } = response;
  return { output, text: textOf(content), reasoning: reasoningOf(content), content, usage, simulated };
}
