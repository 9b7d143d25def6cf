import { z } from "zod";
import type {
  AgentDefinition,
  ApprovalPolicy,
  Capabilities,
  ContextPolicy,
  EscalationPolicy,
  RetryPolicy,
} from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import type { AgentContext } from "./context.ts";
import {
  type AgentLimits,
  completeAgentLimits,
  completeContext,
  completeRetry,
  DEFAULTS,
  type Partially,
  peopleOf,
} from "./default.ts";
import { checkOptions } from "./option.ts";
import {
  AgentLimitsShape,
  ApprovalsShape,
  CapabilitiesShape,
  ContextShape,
  DurationMs,
  EscalationShape,
  FactGrantShape,
  RetryShape,
  ReuseShape,
  Temperature,
} from "./shape.ts";
import { isTool, type Tool } from "./tool.ts";
import { type AnyWorkflow, isMarkedWorkflow } from "./workflow-mark.ts";
import { type Checked, inputSchema, outputSchema, parseResult, parseValue, ZodSchema } from "./zod-schema.ts";

/** The code of a code agent as a host runs it: JSON in, JSON out, schemas applied on both sides.
 *  @throws {FlotillaError} INPUT_INVALID, OUTPUT_INVALID; what the agent itself throws passes through */
export interface AgentCode {
  run(context: AgentContext, input: Json): Promise<Json>;
  /** The agent that it came with, by which one that is given by value is found. */
  origin?: Agent;
}

export interface AgentParts {
  /** All but `tools` and `calls`, whose names only the fleet knows. */
  definition: Omit<AgentDefinition, "tools" | "calls">;
  tools: readonly Tool[];
  calls: readonly Delegation[];
  code: AgentCode | null;
  functions: readonly Function[];
}

const MARK = Symbol.for("flotilla.agent");

/** An agent, as `agent` returns it. It has no name until `fleet` gives it one. */
export interface Agent<Input = unknown, Output = unknown> {
  readonly [MARK]: AgentParts;
  /** Never there: carries the types. */
  readonly "~types"?: { input: Input; output: Output };
}

/** An agent that may be called, and what it is passed on. */
export interface Delegation {
  /** By name where two call each other, so that neither can be there first. */
  agent: AnyAgent | AnyWorkflow | string;
  /** Tools of its own that it may use although its caller does not have them. */
  tools: readonly Tool[];
  recursive?: boolean | undefined;
  handover?: boolean | undefined;
}

/** Of any types. */
export type AnyAgent = Omit<Agent, "~types">;

/** Who can be called: an agent; a workflow, which then runs as a child; either by name, a workflow as `workflow:NAME`. */
export type Callable = AnyAgent | AnyWorkflow | string;

interface AgentCommon<Input, Parsed> {
  /** What it is good for, for planners and people. */
  description?: string;
  /** What it may call; nothing is granted by default (X3). */
  tools?: readonly Tool[];
  /** Agents that it may call; none by default (X2, X3). Of its own tools an agent that is called has those that its
   *  caller has too; `{ agent, tools }` passes on further ones. `recursive`: also when it waits for its caller (C12). `handover`: the
   *  task can be handed over to it too (C14). A model finds these agents among its tools. Agents that
   *  call each other are named, since neither can be there before the other. */
  calls?: readonly (Callable | { agent: Callable; tools?: readonly Tool[]; recursive?: boolean; handover?: boolean })[];
  /** Absent: any JSON. */
  input?: z.ZodType<Parsed, Input>;
  limits?: AgentLimits;
  /** `provider/name`, tried in order when the model is unavailable. */
  fallbackModels?: readonly string[];
  retry?: Partially<RetryPolicy>;
  /** Milliseconds for one attempt at a task. Default 600,000. */
  timeoutMs?: number;
  /** Milliseconds for one model call. Default 120,000. */
  stepTimeoutMs?: number;
  /** Approvals that its calls need, by the tool's name, beside what the tools declare: a grant can only tighten (F9). */
  approvals?: Readonly<Record<string, Partially<ApprovalPolicy>>>;
  /** Its tasks that failed for good wait for a person (F9). Default: as the workflow says. */
  escalation?: Partially<EscalationPolicy>;
  /** What happens when the conversation outgrows the context window (F15). */
  context?: Partially<ContextPolicy>;
  temperature?: number;
  /** What it is able to do beside its tools, for routes and planners (C4, C6). */
  capabilities?: { domains?: readonly string[]; taskTypes?: readonly string[] };
  /** The run's shared facts that it may read and propose, by key or prefix (`customer.*`); none by default (S2, X3). */
  facts?: { read?: readonly string[]; write?: readonly string[] };
  /** Tasks of one run with the same input share one result, also for `windowMs` milliseconds after it was made (C11,
   *  K3). For agents that only read: it is refused with tools that write, `calls` and `facts.write`. */
  reuse?: { windowMs: number };
}

export interface ModelAgentOptions<Input, Parsed, Output> extends AgentCommon<Input, Parsed> {
  /** `provider/name`. There is no default. */
  model: string;
  instructions: string;
  /** Absent: the answer is text. */
  output?: z.ZodType<Output>;
  run?: undefined;
}

interface CodeAgentCommon<Input, Parsed> extends AgentCommon<Input, Parsed> {
  /** What `ctx.model` uses when it is not told otherwise. */
  model?: string;
  instructions?: string;
}

export interface CodeAgentOptions<Input, Parsed, Output, Returned> extends CodeAgentCommon<Input, Parsed> {
  output: z.ZodType<Output, Returned>;
  /** What it returns is held to `output`, and says nothing about it: else less than all keys would do. */
  run(context: AgentContext, input: Parsed): Promise<NoInfer<Returned>> | NoInfer<Returned>;
}

export interface CodeAgentOptionsWithoutOutput<Input, Parsed, Output> extends CodeAgentCommon<Input, Parsed> {
  output?: undefined;
  run(context: AgentContext, input: Parsed): Promise<Output> | Output;
}

const ToolShape = z.custom<Tool>(isTool, { error: "must be a tool, made by tool(), httpTool() or mcpTool()" });
const Callee = z.custom<Callable>((value) => isCallable(value), {
  error: "must be an agent, made by agent(), a workflow, or the name of one",
});

const AgentOptionsShape = z
  .strictObject({
    description: z.string().optional(),
    model: z.string().optional(),
    instructions: z.string().optional(),
    tools: z.array(ToolShape).readonly().optional(),
    calls: z
      .array(
        z.union([
          Callee,
          z
            .strictObject({
              agent: Callee,
              tools: z.array(ToolShape).readonly().optional(),
              recursive: z.boolean().optional(),
              handover: z.boolean().optional(),
            })
            .refine(({ agent: callee, handover }) => handover !== true || !isMarkedWorkflow(callee), {
              error: "a task is handed over to an agent, and cannot be to a workflow",
            }),
        ]),
      )
      .readonly()
      .optional(),
    input: ZodSchema.optional(),
    output: ZodSchema.optional(),
    limits: AgentLimitsShape.optional(),
    fallbackModels: z.array(z.string()).readonly().optional(),
    retry: RetryShape.optional(),
    timeoutMs: DurationMs.optional(),
    stepTimeoutMs: DurationMs.optional(),
    approvals: ApprovalsShape.optional(),
    escalation: EscalationShape.optional(),
    context: ContextShape.optional(),
    temperature: Temperature.optional(),
    capabilities: CapabilitiesShape.optional(),
    facts: FactGrantShape.optional(),
    reuse: ReuseShape.optional(),
    run: z
      .custom<(context: AgentContext, input: unknown) => unknown>((value) => typeof value === "function", {
        error: "must be a function",
      })
      .optional(),
  })
  .superRefine((options, issues) => {
    if (options.run !== undefined) return;
    for (const key of ["model", "instructions"] as const) {
      if (options[key] === undefined) issues.addIssue({ code: "invalid_type", expected: "string", path: [key] });
    }
  });

/** An agent: with `run` it is code, else a model that follows instructions in Flotilla's own loop.
 *  Without `output` a model agent answers with text; a code agent with whatever JSON it returns.
 *  @throws {FlotillaError} DEFINITION_* at once when an option is unknown or wrong */
export function agent<Output, Returned, Input = Json, Parsed = Input>(
  options: CodeAgentOptions<Input, Parsed, Output, Returned>,
): Agent<Input, Output>;
export function agent<Output, Input = Json, Parsed = Input>(
  options: CodeAgentOptionsWithoutOutput<Input, Parsed, Output>,
): Agent<Input, Output>;
export function agent<Input = Json, Parsed = Input, Output = string>(
  options: ModelAgentOptions<Input, Parsed, Output>,
): Agent<Input, Output>;
export function agent(options: unknown): Agent {
  const { tools = [], calls = [], input, output, run, ...given } = checkOptions("agent", AgentOptionsShape, options);
  const definition = agentDefinition({
    ...given,
    kind: run === undefined ? "model" : "code",
    input: input === undefined ? null : inputSchema(input, "the agent's input"),
    output: output === undefined ? null : outputSchema(output, "the agent's output"),
  });
  const code = run === undefined ? null : agentCode(run, input, output);
  const made = mark({
    definition,
    tools,
    calls: calls.map((one) => (isCallable(one) ? { agent: one, tools: [] } : { ...one, tools: one.tools ?? [] })),
    code,
    functions: run === undefined ? [] : [run],
  });
  if (code !== null) code.origin = made;
  return made;
}

type Run = (context: AgentContext, input: unknown) => unknown;

const AGENT_INPUT: Checked = {
  code: "INPUT_INVALID",
  what: "the agent's input",
  hint: "Correct what the agent is given, or its input schema.",
};
const AGENT_OUTPUT: Checked = {
  code: "OUTPUT_INVALID",
  what: "what the agent's run() returned",
  hint: "Correct what it returns, or its output schema.",
};

/** A bare function, or the `run` of `agent()`, as a host calls it. */
export function agentCode(run: Run, input?: z.ZodType, output?: z.ZodType): AgentCode {
  return {
    run: async (context, value) => {
      const parsed = input === undefined ? value : await parseValue(input, value, AGENT_INPUT);
      return parseResult(output, await run(context, parsed), AGENT_OUTPUT);
    },
  };
}

/** The definition of an agent from either spelling, with its defaults. */
export function agentDefinition(given: {
  kind: "model" | "code";
  description?: string | undefined;
  model?: string | undefined;
  instructions?: string | undefined;
  input: AgentDefinition["input"];
  output: AgentDefinition["output"];
  limits?: AgentLimits | undefined;
  fallbackModels?: readonly string[] | undefined;
  retry?: Partially<RetryPolicy> | undefined;
  timeoutMs?: number | undefined;
  stepTimeoutMs?: number | undefined;
  approvals?: Readonly<Record<string, Partially<ApprovalPolicy>>> | undefined;
  escalation?: Partially<EscalationPolicy> | undefined;
  context?: Partially<ContextPolicy> | undefined;
  temperature?: number | undefined;
  capabilities?: Partially<Capabilities> | undefined;
  facts?: { read?: readonly string[] | undefined; write?: readonly string[] | undefined } | undefined;
  reuse?: AgentDefinition["reuse"] | undefined;
}): AgentParts["definition"] {
  return {
    kind: given.kind,
    description: given.description ?? "",
    module: null,
    model: given.model ?? null,
    fallbackModels: given.fallbackModels ?? [],
    instructions: given.instructions ?? "",
    input: given.input,
    output: given.output,
    retry: completeRetry(given.retry),
    timeoutMs: given.timeoutMs ?? DEFAULTS.agentTimeoutMs,
    stepTimeoutMs: given.stepTimeoutMs ?? DEFAULTS.stepTimeoutMs,
    limits: completeAgentLimits(given.limits),
    facts: { read: given.facts?.read ?? [], write: given.facts?.write ?? [] },
    ...peopleOf(given),
    context: completeContext(given.context, given.model ?? null),
    temperature: given.temperature ?? null,
    ...(given.reuse === undefined ? {} : { reuse: given.reuse }),
    ...capabilitiesOf(given.capabilities),
  };
}

/** None when it declares none, so that definitions without are hashed as they were before there were any. */
export function capabilitiesOf(given: Partially<Capabilities> | undefined): Pick<AgentDefinition, "capabilities"> {
  return given === undefined
    ? {}
    : { capabilities: { domains: given.domains ?? [], taskTypes: given.taskTypes ?? [] } };
}

/** Recognised by mark, since two copies of the package may meet. */
export function isAgent(value: unknown): value is Agent {
  return typeof value === "object" && value !== null && MARK in value;
}

function isCallable(value: unknown): value is Callable {
  return typeof value === "string" || isAgent(value) || isMarkedWorkflow(value);
}

export function agentParts(agent: AnyAgent): AgentParts {
  return agent[MARK];
}

function mark(parts: AgentParts): Agent {
  return Object.freeze({ [MARK]: parts });
}
