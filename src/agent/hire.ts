import { workflowIn, workflowSeat } from "../core/seat.ts";
import type { JsonSchema, WorkflowDefinition } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { type AnyAgent, agentParts, isAgent } from "../definition/agent.ts";
import type { CallOptions } from "../definition/context.ts";
import { isWorkflow, workflowParts } from "../definition/workflow.ts";
import type { AnyWorkflow } from "../definition/workflow-mark.ts";
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
  const agent = isAgent(asked) ? nameOf(scope, asked) : isWorkflow(asked) ? workflowSeat(runOf(scope, asked)) : asked;
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
export function nameOf({ fleet, name: caller }: TaskScope, agent: AnyAgent): string {
  for (const [name, { origin }] of fleet.code.agents) if (origin === agent) return name;
  const declared = canonicalJson(agentParts(agent).definition);
  for (const [name, { tools: _, calls: __, ...definition }] of Object.entries(fleet.definition.agents)) {
    if (definition.kind === "model" && canonicalJson(definition) === declared) return name;
  }
  throw unknown(caller, "agent");
}

/** A workflow given by value is found by what it declares, among those that the agent may call. */
function runOf({ fleet, name: caller, agent }: TaskScope, workflow: AnyWorkflow): string {
  const { pattern, ...parts } = workflowParts(workflow);
  const declared = declaredBy({ ...parts, pattern: pattern.name });
  const found = (agent.calls ?? [])
    .flatMap((one) => workflowIn(one.agent) ?? [])
    .filter((name) => {
      const known = fleet.definition.workflows[name];
      return known !== undefined && declaredBy(known) === declared;
    });
  const [only, ...more] = found;
  if (only === undefined) throw unknown(caller, "workflow");
  if (more.length === 0) return only;
  throw new FlotillaError("AGENT_NOT_GRANTED", `${caller} called a workflow that may be any of ${found.join(", ")}`, {
    hint: `Name it: ctx.call("workflow:${only}", input).`,
  });
}

/** What a workflow says of itself beside its options, in which names stand for what is given by value. */
function declaredBy(workflow: Omit<WorkflowDefinition, "module" | "options" | "agents" | "facts">): string {
  const { pattern, description, input, output, limits, priority } = workflow;
  return canonicalJson({ pattern, description, input, output, limits, priority } as never);
}

function unknown(caller: string, kind: "agent" | "workflow"): FlotillaError {
  return new FlotillaError(
    "AGENT_NOT_GRANTED",
    `${caller} called ${kind === "agent" ? "an" : "a"} ${kind} that it may not call`,
    {
      hint: `Add it to the fleet's \`${kind}s\` and to the agent's \`calls\`.`,
    },
  );
}

/** Those that a model may call, which it finds among its tools: agents, and workflows, which then run as children. */
export class Hires {
  private readonly scope: TaskScope;
  private readonly tools: ToolCalls;

  constructor(scope: TaskScope, tools: ToolCalls) {
    this.scope = scope;
    this.tools = tools;
  }

  /** As the model is told of them: by name, what they are for, and what they take. */
  offers(): ModelTool[] {
    return (this.scope.agent.calls ?? []).map(({ agent: seat }) => {
      const { description, input } = this.declared(seat);
      const kind = workflowIn(seat) === null ? "(an agent)" : "(a workflow)";
      return { name: nameIn(seat), description: `${description} ${kind}`.trimStart(), input: asked(input) };
    });
  }

  /** Whether a name that a model called is not a tool's. */
  has(name: string): boolean {
    return this.seat(name) !== undefined;
  }

  /** @throws {FlotillaError} TOOL_INPUT_INVALID, and as `hire` */
  async call(name: string, given: Json): Promise<Json> {
    const seat = this.seat(name) ?? name;
    const { input } = this.declared(seat);
    const problems = problemsOf(asked(input), given);
    if (problems.length > 0) return this.tools.refuse(name, given, problems);
    return hire(this.scope, seat, isObject(input) ? given : (given as { input: Json }).input);
  }

  private seat(name: string): string | undefined {
    return this.scope.agent.calls?.find(({ agent }) => nameIn(agent) === name)?.agent;
  }

  private declared(seat: string): { description: string; input: JsonSchema | null } {
    const { agents, workflows } = this.scope.fleet.definition;
    const workflow = workflowIn(seat);
    const declared = workflow === null ? agents[seat] : workflows[workflow];
    if (declared !== undefined) return declared;
    throw new FlotillaError("DEFINITION_MISSING", `${seat} is not in the fleet's definition`);
  }
}

const nameIn = (seat: string): string => workflowIn(seat) ?? seat;

/** Providers want an object for a tool's input: anything else is in `input` of one. */
function asked(schema: JsonSchema | null): JsonSchema {
  if (isObject(schema)) return schema;
  const what = schema ?? { type: "string", description: "What it is to do, in full: it knows nothing else." };
  return { type: "object", properties: { input: what }, required: ["input"], additionalProperties: false };
}

function isObject(schema: JsonSchema | null): schema is JsonSchema {
  return schema?.type === "object";
}
