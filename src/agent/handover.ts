import { type Handed, isRefusalOf } from "../core/handover.ts";
import type { Json } from "../core/json.ts";
import { isAgent } from "../definition/agent.ts";
import { HAND_OVER } from "../definition/call-grant.ts";
import type { HandoverOptions } from "../definition/context.ts";
import { FlotillaError, isFlotillaError } from "../error.ts";
import { canonicalJson } from "../message/canonical.ts";
import type { ModelMessage, ModelTool } from "../model/model.ts";
import { problemsOf } from "../tool/validate.ts";
import type { TaskScope } from "./environment.ts";
import type { Execution } from "./execution.ts";
import { nameOf } from "./hire.ts";
import { recordable } from "./recordable.ts";

/** `ctx.handover`: the task ends by being another agent's (C14). The question is durable, so that a crash anywhere finds
 *  one receiver at most; its answer is what the task ends with. */
export async function handOver(
  scope: TaskScope,
  execution: Execution,
  to: unknown,
  { input, messages = [], note = "" }: HandoverOptions = {},
): Promise<never> {
  const agent = isAgent(to) ? nameOf(scope, to) : to;
  if (typeof agent !== "string" || agent === "") throw new TypeError("ctx.handover takes an agent, or the name of one");
  const { assignment } = scope.port;
  const output = assignment.output ?? scope.agent.output;
  const said = { messages: recordable(messages), note, output: output as Json };
  execution.finish(await answered(agent));
  return new Promise(() => {}); // Nothing follows.

  async function answered(receiver: string): Promise<Json> {
    try {
      return await scope.steps.ask({
        kind: "handover",
        name: `hand over to ${receiver}`,
        input: input === undefined ? said : { ...said, input: recordable(input) },
        ask: () => ({ agent: receiver, ask: "handover", deadline: null, why: note }),
      });
    } catch (error) {
      if (!isFlotillaError(error) || isRefusalOf(assignment.task, error.details)) throw error;
      return execution.fatal(error);
    }
  }
}

/** Handing over as a declarative agent meets it: a tool, with whose call its part ends. All that was said goes along. */
export class ModelHandover {
  private readonly scope: TaskScope;
  private readonly execution: Execution;
  private readonly to: readonly string[];
  /** What the receiver is told in other ways: input, facts, what came along before. */
  private opening: ReadonlySet<string> = new Set();

  constructor(scope: TaskScope, execution: Execution) {
    this.scope = scope;
    this.execution = execution;
    this.to = (scope.agent.calls ?? []).flatMap(({ agent, handover }) => (handover === true ? [agent] : []));
  }

  get offers(): ModelTool[] {
    if (this.to.length === 0) return [];
    const { agents } = this.scope.fleet.definition;
    const who = this.to.map((name) => `${name}: ${agents[name]?.description ?? ""}`.trimEnd()).join("; ");
    const description = `Hand your whole task over to another agent, with all that you know; your part ends. ${who}`;
    return [{ name: HAND_OVER, description, input: this.schema }];
  }

  handles(tool: string): boolean {
    return tool === HAND_OVER && this.to.length > 0;
  }

  opened(messages: readonly ModelMessage[]): void {
    this.opening = new Set(messages.map((message) => canonicalJson(message)));
  }

  /** @throws {FlotillaError} TOOL_INPUT_INVALID, HANDOVER_REFUSED */
  async handOver(given: Json, messages: readonly ModelMessage[]): Promise<never> {
    const problems = problemsOf(this.schema, given);
    if (problems.length > 0) throw new FlotillaError("TOOL_INPUT_INVALID", `${HAND_OVER}: ${problems.join("; ")}`);
    const { agent, why } = given as { agent: string; why: string };
    const said = messages.flatMap((message) => (this.opening.has(canonicalJson(message)) ? [] : spoken(message)));
    return handOver(this.scope, this.execution, agent, { messages: said, note: why });
  }

  private get schema() {
    return {
      type: "object",
      properties: {
        agent: { enum: [...this.to] },
        why: { type: "string", description: "Why, and what is left to do." },
      },
      required: ["agent", "why"],
      additionalProperties: false,
    };
  }
}

/** What tools answered is on record as steps, and goes along as such. */
function spoken(message: ModelMessage): Json[] {
  if (message.role === "tool") return [];
  const text = message.content.map((part) => (part.type === "text" ? part.text : "")).join("");
  return text === "" ? [] : [{ role: message.role, text }];
}

/** What a model is told that takes a task over: all that came along, word for word. Null: nothing did. */
export function handedMessage(handed: Handed | undefined): string | null {
  if (handed === undefined) return null;
  const { path, messages, results, facts } = handed;
  const lines = [
    "This task was handed over to you. You do it in place of those who had it before, and what they found out is yours.",
    ...path.map(({ agent, why }) => `Handed over by ${agent}${why === "" ? "" : `: ${why}`}`),
    ...messages.map((message) => `Message: ${asText(message)}`),
    ...results.map(
      ({ by, step, input, output }) => `Result of ${step} by ${by}, asked ${asText(input)}: ${asText(output)}`,
    ),
    ...Object.entries(facts).map(([fact, { version, value }]) => `Fact ${fact}, version ${version}: ${asText(value)}`),
  ];
  return lines.join("\n");
}

/** Texts stand as they are; so does what somebody said. */
function asText(value: Json): string {
  if (typeof value === "string") return value;
  const { role, text, ...rest } = (typeof value === "object" && value !== null ? value : {}) as { [key: string]: Json };
  const isSaid = typeof role === "string" && typeof text === "string" && Object.keys(rest).length === 0;
  return isSaid ? `${role} said: ${text}` : canonicalJson(value);
}
