import type { AgentDefinition, JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { type Agent, agentParts, isAgent } from "../definition/agent.ts";
import type { CallOptions } from "../definition/context.ts";
import { FlotillaError } from "../error.ts";
import { canonicalJson } from "../message/canonical.ts";
import type { ModelTool } from "../model/model.ts";
import { problemsOf } from "../tool/validate.ts";
import type { TaskScope } from "./environment.ts";
import { recordable } from "./recordable.ts";
import type { ToolCalls } from "./tool-call.ts";

/** M4: a durable wait lasts a day at most. */
const CALL_TIMEOUT_MS_MAX = 86_400_000;

/** `ctx.call`: asks another agent (C8). Whether it may be asked, the coordinator says, and it is on record. */
export async function hire(
  scope: TaskScope,
  asked: unknown,
  input: unknown,
  { timeoutMs = CALL_TIMEOUT_MS_MAX }: CallOptions = {},
): Promise<Json> {
  const agent = isAgent(asked) ? nameOf(scope, asked) : asked;
  if (typeof agent !== "string" || agent === "") throw new TypeError("ctx.call takes an agent, or the name of one");
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > CALL_TIMEOUT_MS_MAX)
    throw new RangeError(`timeoutMs of ctx.call is from 1 to ${CALL_TIMEOUT_MS_MAX}`);
  return scope.steps.ask({
    kind: "call",
    name: `call ${agent}`,
    input: recordable(input),
    ask: (now) => ({ agent, ask: "call", deadline: now + timeoutMs }),
  });
}

/** An agent given by value is found by the code that it came with, or by what it declares. */
function nameOf({ fleet, name: caller }: TaskScope, agent: Agent): string {
  for (const [name, { origin }] of fleet.code.agents) if (origin === agent) return name;
  const declared = canonicalJson(agentParts(agent).definition);
  for (const [name, { tools: _, calls: __, ...definition }] of Object.entries(fleet.definition.agents)) {
    if (definition.kind === "model" && canonicalJson(definition) === declared) return name;
  }
  throw new FlotillaError("AGENT_NOT_GRANTED", `${caller} called an agent that the fleet does not have`, {
    hint: "Add it to the fleet's `agents` and to the agent's `calls`.",
  });
}

/** The agents that a model may call, which it finds among its tools. */
export class Hires {
  private readonly scope: TaskScope;
  private readonly tools: ToolCalls;

  constructor(scope: TaskScope, tools: ToolCalls) {
    this.scope = scope;
    this.tools = tools;
  }

  /** As the model is told of them: by name, what they are for, and what they take. */
  offers(): ModelTool[] {
    return (this.scope.agent.calls ?? []).map(({ agent: name }) => {
      const { description, input } = this.definition(name);
      return { name, description: `${description}${description === "" ? "" : " "}(an agent)`, input: asked(input) };
    });
  }

  /** Whether a name that a model called is an agent's. */
  has(name: string): boolean {
    return this.scope.agent.calls?.some(({ agent }) => agent === name) ?? false;
  }

  /** @throws {FlotillaError} TOOL_INPUT_INVALID, and as `hire` */
  async call(name: string, given: Json): Promise<Json> {
    const { input } = this.definition(name);
    const problems = problemsOf(asked(input), given);
    if (problems.length > 0) return this.tools.refuse(name, given, problems);
    return hire(this.scope, name, isObject(input) ? given : (given as { input: Json }).input);
  }

  private definition(name: string): AgentDefinition {
    const { agents } = this.scope.fleet.definition;
    const definition = Object.hasOwn(agents, name) ? agents[name] : undefined;
    if (definition !== undefined) return definition;
    throw new FlotillaError("DEFINITION_MISSING", `agent "${name}" is not in the fleet's definition`);
  }
}

/** Providers want an object for a tool's input: anything else is in `input` of one. */
function asked(schema: JsonSchema | null): JsonSchema {
  if (isObject(schema)) return schema;
  const what = schema ?? { type: "string", description: "What it is to do, in full: it knows nothing else." };
  return { type: "object", properties: { input: what }, required: ["input"], additionalProperties: false };
}

function isObject(schema: JsonSchema | null): schema is JsonSchema {
  return schema?.type === "object";
}
