import { z } from "zod";
import { workflowSeat } from "../core/seat.ts";
import type { CallGrant } from "../core/definition.ts";
import { callGrant as grantOf } from "./call-grant.ts";
import { ScheduleShape } from "./schedule.ts";
import { HttpShape, McpShape } from "./tool.ts";
import { McpServerShape, providerFields } from "./provider.ts";
import { RouteShape } from "./route.ts";
import {
  AgentLimitsShape,
  ApprovalShape,
  CapabilitiesShape,
  ApprovalsShape,
  EscalationShape,
  BudgetsShape,
  GuardsShape,
  ContextShape,
  FactGrantShape,
  DurationMs,
  Effect,
  JsonValue,
  ModulePath,
  Name,
  PriorityShape,
  RetryShape,
  ReuseShape,
  Temperature,
  WorkflowFactsShape,
  WorkflowLimitsShape,
} from "./shape.ts";

// The YAML form of a fleet. What a key means stands in its description; what keys mean together is in yaml-check.ts.

const FilePath = z.string().min(1).describe("Path relative to this file.");
const FileShape = z.strictObject({ file: FilePath });

const text = (what: string) => z.union([z.string(), FileShape]).describe(what);

/** A JSON Schema, or the file that holds one; checked with `checkJsonSchema`. */
const schema = (what: string) =>
  z.record(z.string(), JsonValue).describe(`${what} A JSON Schema (2020-12), or { file: schema.json }.`);

const ProviderShape = z
  .strictObject({
    ...providerFields,
    script: z.record(z.string(), JsonValue).optional().describe("Kind scripted: the rules, or { file: script.yaml }."),
  })
  .describe("Where models are asked.");

const ToolShape = z
  .strictObject({
    description: z.string().min(1).optional().describe("What it does, for the model that chooses it."),
    effect: Effect,
    input: schema("What it takes.").optional(),
    output: schema("What it gives.").optional(),
    timeoutMs: DurationMs.optional().describe("Milliseconds for one call. Default 30000."),
    retry: RetryShape.optional(),
    idempotent: z
      .boolean()
      .optional()
      .describe("A write that passes on the idempotency key may be retried under the same key. Default false."),
    approval: ApprovalShape.optional(),
    module: ModulePath.optional(),
    http: HttpShape.optional(),
    mcp: McpShape.optional(),
  })
  .describe("A tool: one of module (TypeScript), http or mcp.");

const CallShape = z
  .union([
    z.string(),
    z
      .strictObject({
        agent: z.string().optional().describe("The agent's name."),
        workflow: z.string().optional().describe("In the place of `agent`: a workflow, which runs as a child run."),
        tools: z
          .array(z.string())
          .optional()
          .describe("Tools that it may use although its caller does not have them. Default: none."),
        recursive: z
          .boolean()
          .optional()
          .describe("It may be called although it waits for its caller, which else is a deadlock. Default false."),
        handover: z.boolean().optional().describe("The whole task may be handed over to it too. Default false."),
      })
      .refine(({ agent, workflow }) => (agent === undefined) !== (workflow === undefined), {
        error: "must have either agent or workflow",
      })
      .refine(({ workflow, handover }) => workflow === undefined || handover !== true, {
        error: "a task is handed over to an agent, and cannot be to a workflow",
      }),
  ])
  .describe(
    "An agent's name, or { agent, tools } or { workflow, tools }. Of its tools it has those of its caller too.",
  );

/** One entry of `calls`, in full. */
export function callGrant(given: z.output<typeof CallShape>): CallGrant {
  if (typeof given === "string") return { agent: given, tools: [] };
  const { agent, workflow, tools = [], ...more } = given;
  return grantOf(workflow === undefined ? (agent ?? "") : workflowSeat(workflow), tools, more);
}

const AgentShape = z
  .strictObject({
    description: z.string().optional().describe("What it is good for, for planners and people."),
    model: z.string().min(1).optional().describe("provider/name, such as anthropic/MODEL, or scripted."),
    fallbackModels: z.array(z.string().min(1)).optional().describe("Tried in order when the model is unavailable."),
    instructions: text("What it is to do; the input is a message of its own. Text, or { file: prompt.md }.").optional(),
    module: ModulePath.optional(),
    tools: z.array(z.string()).optional().describe("Names of the tools that it may call; none by default."),
    calls: z
      .array(CallShape)
      .optional()
      .describe("Agents that it may call; none by default. A model finds them among its tools."),
    input: schema("What it takes. Absent: any JSON.").optional(),
    output: schema("What it gives. Absent: text.").optional(),
    retry: RetryShape.optional(),
    timeoutMs: DurationMs.optional().describe("Milliseconds for one attempt at a task. Default 600000."),
    stepTimeoutMs: DurationMs.optional().describe("Milliseconds for one model call. Default 120000."),
    limits: AgentLimitsShape.optional(),
    context: ContextShape.optional(),
    temperature: Temperature.optional(),
    capabilities: CapabilitiesShape.optional(),
    facts: FactGrantShape.optional(),
    reuse: ReuseShape.optional(),
    approvals: ApprovalsShape.optional(),
    escalation: EscalationShape.optional(),
  })
  .describe("An agent: a model with instructions, or a module with code.");

export const PatternModuleShape = z.strictObject({ module: ModulePath });

const PatternRefShape = z
  .union([z.string(), PatternModuleShape])
  .describe("How the agents work together: a pattern's name, or { module: ./mine.ts#pattern } for your own.");

/** What every workflow has; the keys beside these are its pattern's options. */
export const workflowFields = {
  pattern: PatternRefShape,
  description: z.string().optional().describe("What it is for."),
  input: schema("What a run takes. Absent: any JSON.").optional(),
  output: schema("What a run gives. Absent: whatever the pattern gives.").optional(),
  limits: WorkflowLimitsShape.optional(),
  priority: PriorityShape.optional(),
  facts: WorkflowFactsShape.optional(),
  escalation: EscalationShape.optional(),
};

const WorkflowShape = z.looseObject(workflowFields).describe("How agents are coordinated.");

/** Keys of a workflow that are not its pattern's options. */
export const WORKFLOW_KEYS = Object.keys(workflowFields);

const named = <T extends z.ZodType>(value: T) => z.record(Name, value);

export const FleetShape = z.strictObject({
  name: Name.describe("The fleet's name."),
  providers: named(ProviderShape)
    .optional()
    .describe("Model providers by name. openai, anthropic and google need no entry."),
  mcpServers: named(McpServerShape).optional().describe("MCP servers by name."),
  tools: named(ToolShape).optional().describe("Tools by name."),
  agents: named(AgentShape).describe("Agents by name."),
  workflows: named(WorkflowShape).describe("Workflows by name."),
  routes: named(RouteShape)
    .optional()
    .describe("Routes by name. A route stands wherever an agent may stand in a workflow."),
  budgets: BudgetsShape.optional(),
  schedules: named(ScheduleShape).optional().describe("What starts by itself, by name."),
  guards: GuardsShape.optional(),
});

export type FleetYaml = z.output<typeof FleetShape>;
export type ToolYaml = z.output<typeof ToolShape>;
export type AgentYaml = z.output<typeof AgentShape>;
