import { z } from "zod";
import { PRIORITY, type PriorityName } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { DEFAULTS } from "./default.ts";

// The parts that the YAML form and the options of the TypeScript API share. Descriptions appear in editors.

/** What an agent is able to do, for routes and planners. */
export const CapabilitiesShape = z
  .strictObject({
    domains: z.array(z.string().min(1)).readonly().optional().describe("What it knows about, such as billing."),
    taskTypes: z.array(z.string().min(1)).readonly().optional().describe("What it does, such as summarise."),
  })
  .describe("What it is able to do beside its tools, for routes and planners.");

const RESERVED = new Set(Object.getOwnPropertyNames(Object.prototype));

/** Names of agents, tools, workflows, providers and servers: what every model provider takes as a tool's name, and no
 *  name that JavaScript gives a meaning. */
export const Name = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/, {
    error: "must start with a letter and hold at most 64 letters, digits, _ and -",
  })
  .refine((name) => !RESERVED.has(name), { error: "is reserved" });

export const JsonValue: z.ZodType<Json> = z.json() as z.ZodType<Json>;

const DURATION_MS_MAX = 2_147_483_647;

/** A deadline is a row of the store, not a timer of the platform: ten years. */
const DEADLINE_MS_MAX = 315_576_000_000;

/** Milliseconds that fit a timer of the platform: 1 to 2^31-1, about 24 days. */
export const DurationMs = z.int().min(1).max(DURATION_MS_MAX);

export const SecretShape = z
  .strictObject({ secret: z.string().min(1).describe("Name of an environment variable, also looked up in .env.") })
  .describe("A secret by name; its value is resolved in the worker host and never stored.");

export const HeadersShape = z
  .record(z.string(), z.union([z.string(), SecretShape]))
  .describe("HTTP headers; a value is text or { secret: NAME }.");

export const RetryShape = z
  .strictObject({
    attemptsMax: z.int().min(1).max(100).optional().describe("Attempts, the first included. Default 5."),
    initialDelayMs: z.int().min(0).max(DURATION_MS_MAX).optional().describe("Before the second attempt. Default 1000."),
    factor: z.number().min(1).max(100).optional().describe("Growth of the delay with each attempt. Default 2."),
    delayMsMax: z.int().min(0).max(DURATION_MS_MAX).optional().describe("Longest delay. Default 60000."),
    jitter: z
      .tuple([z.number().min(0).max(10), z.number().min(0).max(10)])
      .readonly()
      .refine(([low, high]) => low <= high, { error: "must be [smaller, larger]" })
      .optional()
      .describe("Range of the random factor on each delay. Default [0.5, 1.5]."),
  })
  .describe("How transient failures are retried.");

const FactPattern = z
  .string()
  .regex(
    /^(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?)$/,
    "must be a key such as customer.address, a prefix such as customer.*, or *",
  );

export const FactGrantShape = z
  .strictObject({
    read: z.array(FactPattern).optional().describe("What it may read: keys, prefixes such as customer.*, or *."),
    write: z.array(FactPattern).optional().describe("What it may propose."),
  })
  .describe("The run's shared facts that it may read and propose; none by default.");

export const ReuseShape = z
  .strictObject({
    windowMs: z
      .int()
      .min(0)
      .max(DEADLINE_MS_MAX)
      .describe("Milliseconds for which a finished result is taken over. 0: only work that is under way is shared."),
  })
  .describe("Tasks of one run with the same input share one result. For agents that only read.");

export const WorkflowFactsShape = z
  .strictObject({
    onCorrection: z
      .enum(["flag", "rerun"])
      .optional()
      .describe("What follows for work that rests on a fact that is corrected. Default flag."),
  })
  .describe("How a run of this workflow meets corrections of its shared facts.");

/** How a person is asked, whatever it is about. */
const asking = {
  deadlineMs: z
    .int()
    .min(1)
    .max(DEADLINE_MS_MAX)
    .optional()
    .describe("Milliseconds that a person has to decide. Default: as long as the run lasts."),
  to: z
    .array(z.string().min(1))
    .optional()
    .describe("Names of those who are asked, for `flotilla inbox --mine`. Default: anybody."),
};

export const ApprovalShape = z
  .strictObject({
    deadlineMs: asking.deadlineMs,
    onDeadline: z
      .enum(["reject", "approve"])
      .optional()
      .describe("What holds when nobody decides in time. Default reject."),
    to: asking.to,
  })
  .describe("A person must allow each call; it waits at no cost until then.");

export const EscalationShape = z
  .strictObject({
    deadlineMs: asking.deadlineMs,
    onDeadline: z
      .enum(["fail", "retry", "skip", "abort"])
      .optional()
      .describe("What is done when nobody decides in time. Default fail: as if nobody had been asked."),
    to: asking.to,
  })
  .describe("Tasks that failed for good wait for a person: retry, reassign, edit the output, skip, fail or abort.");

export const ApprovalsShape = z
  .record(z.string(), ApprovalShape)
  .describe("Approvals that this agent's calls need, by tool, beside those of the tools: they can only be tightened.");

const Usd = z.number().min(0).max(1_000_000);

const BudgetShape = z
  .strictObject({
    per: z
      .enum(["hour", "day", "month", "total"])
      .optional()
      .describe("The window, in UTC, in which it may be used. Default day."),
    tokensMax: z.int().min(1).optional().describe("Tokens, in and out."),
    costUsdMax: Usd.optional().describe("US dollars."),
  })
  .refine(({ tokensMax, costUsdMax }) => tokensMax !== undefined || costUsdMax !== undefined, {
    error: "needs tokensMax or costUsdMax",
  });

const SeveralBudgets = z.union([BudgetShape, z.array(BudgetShape).readonly()]);

export const BudgetsShape = z
  .strictObject({
    fleet: SeveralBudgets.optional().describe("For all together."),
    workflows: z.record(Name, SeveralBudgets).optional().describe("For all runs of a workflow, by its name."),
    agents: z.record(Name, SeveralBudgets).optional().describe("For an agent in all runs, by its name."),
  })
  .describe("What may be used beyond one run: { per, tokensMax, costUsdMax }, one or a list of them.");

const PerMinute = z.int().min(1).max(100_000_000);

const BreakerShape = z
  .strictObject({
    failures: z.int().min(1).max(1_000).optional().describe("Failures in a row that open it. Default 5."),
    openMs: DurationMs.optional().describe("Milliseconds until it is probed. Default 30000."),
    probes: z.int().min(1).max(100).optional().describe("Calls that may probe at a time. Default 1."),
  })
  .describe("When calls of something that keeps failing are held back.");

const concurrencyMax = z.int().min(1).max(1_000_000).optional().describe("Calls at a time, of all together.");
const breaker = z.union([BreakerShape, z.literal(false)]).optional();

const ProviderGuardShape = z.strictObject({
  concurrencyMax,
  requestsPerMinute: PerMinute.optional().describe("Requests in any minute; others wait their turn."),
  tokensPerMinute: PerMinute.optional().describe("Tokens, in and out, in any minute; others wait their turn."),
});
const ModelGuardShape = ProviderGuardShape.extend({
  breaker: breaker.describe("Every model has one; false: none."),
});
const ToolGuardShape = z.strictObject({
  concurrencyMax,
  requestsPerMinute: PerMinute.optional().describe("Calls in any minute; others wait their turn."),
  breaker: breaker.describe("A tool has one when this is given."),
});
const AgentGuardShape = z.strictObject({
  concurrencyMax: z.int().min(1).max(1_000_000).describe("Tasks of it that are worked on at a time, of all runs."),
});

export const GuardsShape = z
  .strictObject({
    providers: z.record(Name, ProviderGuardShape).optional().describe("By the provider's name; for all its models."),
    models: z
      .record(z.string().min(1), ModelGuardShape)
      .optional()
      .describe("By provider/name; * for each of the others."),
    tools: z.record(Name, ToolGuardShape).optional().describe("By the tool's name."),
    agents: z.record(Name, AgentGuardShape).optional().describe("By the agent's name."),
  })
  .describe("How much all workers together ask of models, tools and agents, and when they stop asking.");

export type GuardsOptions = z.output<typeof GuardsShape>;

export type BudgetsOptions = z.output<typeof BudgetsShape>;

export const AgentLimitsShape = z
  .strictObject({
    stepsMax: z
      .int()
      .min(1)
      .optional()
      .describe(`Model and tool calls in one task. Default ${DEFAULTS.agentLimits.stepsMax}.`),
    tokensMax: z
      .int()
      .min(1)
      .optional()
      .describe(`Tokens, in and out, in one task. Default ${DEFAULTS.agentLimits.tokensMax}.`),
    repairsMax: z
      .int()
      .min(0)
      .max(20)
      .optional()
      .describe(
        `How often an answer that does not match \`output\` is asked for again. Default ${DEFAULTS.agentLimits.repairsMax}.`,
      ),
    repeatsMax: z
      .int()
      .min(2)
      .max(1_000)
      .optional()
      .describe(
        "How often a model may make the same calls again with the same results, one or a round of up to 4. Default 5.",
      ),
    handoversMax: z
      .int()
      .min(1)
      .max(100)
      .optional()
      .describe("How often a task may have been handed over, this agent's hand-over included. Default 5."),
    outputTokensMax: z
      .int()
      .min(1)
      .optional()
      .describe(`Tokens of one answer. Default ${DEFAULTS.agentLimits.outputTokensMax}.`),
    costUsdMax: Usd.optional().describe("US dollars that one task may cost."),
  })
  .describe("Bounds of one task of this agent.");

export const ContextShape = z
  .strictObject({
    policy: z
      .enum(["summarise", "drop-oldest", "fail"])
      .optional()
      .describe("What happens to a conversation that outgrows the window. Default summarise."),
    windowTokens: z
      .int()
      .min(256)
      .optional()
      .describe(`Tokens that the model's context window holds. Default ${DEFAULTS.context.windowTokens}.`),
    compactAt: z
      .number()
      .gt(0)
      .max(1)
      .optional()
      .describe(`Share of the window at which it starts. Default ${DEFAULTS.context.compactAt}.`),
    keepLast: z
      .int()
      .min(1)
      .optional()
      .describe(`Newest messages that are kept as they are. Default ${DEFAULTS.context.keepLast}.`),
  })
  .describe("Compaction of long conversations, on the record.");

export const WorkflowLimitsShape = z
  .strictObject({
    stepsMax: z.int().min(1).optional().describe("Model and tool calls in one run. Default 10000."),
    tasksMax: z.int().min(1).optional().describe("Tasks in one run. Default 100000."),
    depthMax: z.int().min(1).max(1_000).optional().describe("Levels of tasks that start tasks. Default 16."),
    tokensMax: z.int().min(1).optional().describe("Tokens, in and out, in one run. Default 2000000."),
    timeMs: z.int().min(1).optional().describe("Milliseconds from start to end of a run. Default 604800000, a week."),
    queueMs: z
      .int()
      .min(1)
      .optional()
      .describe(
        "Milliseconds that a task may wait for a worker; then it fails and is a dead letter. Default: no bound.",
      ),
    costUsdMax: z.number().min(0).max(1_000_000).optional().describe("US dollars that one run may cost, such as 0.50."),
  })
  .describe("Bounds of one run; it stops with the reason when one is reached.");

export const PriorityShape = z
  .enum(Object.keys(PRIORITY) as [PriorityName, ...PriorityName[]])
  .describe("Which runs go first. Default NORMAL; LOW is never starved.");

export const Effect = z
  .enum(["read", "write"])
  .describe("`read` changes nothing outside; `write` does, so it is written ahead and never repeated silently.");

export const Temperature = z.number().min(0).max(2).describe("Passed to the model; absent: the provider's default.");

export const ProviderKind = z.enum(["openai", "anthropic", "google", "openai-compatible", "scripted"]);

/** Where code is: `./tools.ts#publish`. Without `#`, the default export. */
export const ModulePath = z
  .string()
  .regex(/^\.{1,2}\/[^#]+(#[A-Za-z_$][\w$]*)?$/, {
    error: "must be a relative path and an export, such as ./tools.ts#publish",
  })
  .describe("A module and its export, such as ./tools.ts#publish; the path is relative to this file.");
