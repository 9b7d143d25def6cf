import { z } from "zod";
import type {
  EscalationPolicy,
  JsonSchema,
  Limits,
  Priority,
  PriorityName,
  WorkflowDefinition,
} from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { completeEscalation, completeLimits, type Partially, priorityOf, type WorkflowLimits } from "./default.ts";
import { checkOptions } from "./option.ts";
import type { Pattern } from "../pattern/pattern.ts";
import { EscalationShape, PriorityShape, WorkflowFactsShape, WorkflowLimitsShape } from "./shape.ts";
import { type Agent, type AnyAgent, isAgent } from "./agent.ts";
import { type AnyWorkflow, isMarkedWorkflow, WORKFLOW } from "./workflow-mark.ts";
import { inputSchema, isZodSchema, outputSchema, ZodSchema } from "./zod-schema.ts";

export interface WorkflowParts {
  pattern: Pattern;
  /** As given: agents stand where their names will be. */
  options: unknown;
  agents: readonly (AnyAgent | AnyWorkflow)[];
  description: string;
  input: JsonSchema | null;
  output: JsonSchema | null;
  limits: Limits;
  priority: Priority;
  facts: WorkflowDefinition["facts"];
  escalation?: EscalationPolicy;
}

/** A workflow, as `workflow` and the patterns' own functions return it. It has no name until `fleet` gives it one. */
export interface Workflow<Input = unknown, Output = unknown> {
  readonly [WORKFLOW]: WorkflowParts;
  /** Never there: carries the types. */
  readonly "~types"?: { input: Input; output: Output };
}

/** What every workflow takes, whatever its pattern. */
export interface WorkflowCommon<Input, Parsed, Output> {
  description?: string;
  /** Absent: any JSON. */
  input?: z.ZodType<Parsed, Input>;
  /** What the run's result must match. Absent: whatever the pattern gives. */
  output?: z.ZodType<Output>;
  limits?: WorkflowLimits;
  /** Default NORMAL. */
  priority?: PriorityName;
  /** What follows for work that rests on a shared fact when that is corrected: `flag` (default) or `rerun` (C10). */
  facts?: { onCorrection?: "flag" | "rerun" };
  /** Tasks that failed for good wait for a person (F9); an agent's own declaration goes first. Default: they have failed. */
  escalation?: Partially<EscalationPolicy>;
}

export interface WorkflowOptions<Input, Parsed, Output> extends WorkflowCommon<Input, Parsed, Output> {
  pattern: Pattern;
  /** The pattern's options, in which agents stand by value wherever the pattern's schema wants an agent's name, and
   *  zod schemas wherever it wants a JSON Schema. */
  options: unknown;
  /** Agents, and workflows in the place of agents, that it may give work to beside those in its options. */
  agents?: readonly (AnyAgent | AnyWorkflow)[];
}

const WorkflowOptionsShape = z.strictObject({
  description: z.string().optional(),
  input: ZodSchema.optional(),
  output: ZodSchema.optional(),
  limits: WorkflowLimitsShape.optional(),
  priority: PriorityShape.optional(),
  facts: WorkflowFactsShape.optional(),
  escalation: EscalationShape.optional(),
  pattern: z.custom<Pattern>(isPattern, { error: "must be a pattern, made by definePattern()" }),
  options: z.unknown(),
  agents: z
    .array(
      z.custom<Agent | Workflow>((value) => isAgent(value) || isWorkflow(value), {
        error: "must be an agent, made by agent(), or a workflow",
      }),
    )
    .optional(),
});

/** A workflow of any pattern, the built-in ones and users' own alike; the pattern's options are checked by `fleet`,
 *  which knows the names. @throws {FlotillaError} DEFINITION_* at once when an option is unknown or wrong */
export function workflow<Input = Json, Parsed = Input, Output = Json>(
  options: WorkflowOptions<Input, Parsed, Output>,
): Workflow<Input, Output> {
  const { pattern, options: own, agents = [], ...given } = checkOptions("workflow", WorkflowOptionsShape, options);
  const parts: WorkflowParts = {
    pattern,
    options: own ?? {},
    agents,
    description: given.description ?? "",
    input: given.input === undefined ? null : inputSchema(given.input, "the workflow's input"),
    output: given.output === undefined ? null : outputSchema(given.output, "the workflow's output"),
    limits: completeLimits(given.limits),
    priority: priorityOf(given.priority),
    facts: { onCorrection: given.facts?.onCorrection ?? "flag" },
    ...(given.escalation === undefined ? {} : { escalation: completeEscalation(given.escalation) }),
  };
  return Object.freeze({ [WORKFLOW]: parts });
}

/** Recognised by mark, since two copies of the package may meet. */
export function isWorkflow(value: unknown): value is Workflow {
  return isMarkedWorkflow(value);
}

export function workflowParts(workflow: AnyWorkflow): WorkflowParts {
  return workflow[WORKFLOW] as WorkflowParts;
}

/** Whether a value is a pattern; by its members, since two copies of the package may meet. */
export function isPattern(value: unknown): value is Pattern {
  if (typeof value !== "object" || value === null) return false;
  const { name, options, agents, plan } = value as Partial<Record<keyof Pattern, unknown>>;
  return typeof name === "string" && typeof agents === "function" && typeof plan === "function" && isZodSchema(options);
}
