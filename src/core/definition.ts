import type { Json } from "./json.ts";
import type { ScheduleDefinition } from "./schedule.ts";

/** C7. Smaller goes first; waiting raises a task's rank so that low work is never starved (see `score`). */
export const PRIORITY = { CRITICAL: 0, HIGH: 1, NORMAL: 2, LOW: 3 } as const;
export type PriorityName = keyof typeof PRIORITY;
export type Priority = (typeof PRIORITY)[PriorityName];

/** F2. Attempts include the first; delays in milliseconds; jitter is a range of factors. */
export interface RetryPolicy {
  attemptsMax: number;
  initialDelayMs: number;
  factor: number;
  delayMsMax: number;
  jitter: readonly [number, number];
}

export const DEFAULT_RETRY: RetryPolicy = {
  attemptsMax: 5,
  initialDelayMs: 1_000,
  factor: 2,
  delayMsMax: 60_000,
  jitter: [0.5, 1.5],
};

/** Bounds of one run or task (F10). Absent means the default of `DEFAULT_LIMITS`. Money in integer micro-USD. */
export interface Limits {
  stepsMax: number;
  tasksMax: number;
  depthMax: number;
  tokensMax: number;
  timeMs: number;
  /** Time to live of a task that waits for a worker; null: it waits as long as the run lasts (M9). */
  queueMs: number | null;
  costMicroUsdMax: number | null;
}

export const DEFAULT_LIMITS: Limits = {
  stepsMax: 10_000,
  tasksMax: 100_000,
  depthMax: 16,
  tokensMax: 2_000_000,
  timeMs: 7 * 86_400_000,
  queueMs: null,
  costMicroUsdMax: null,
};

/** A JSON Schema, draft 2020-12. */
export type JsonSchema = { readonly [key: string]: Json };

/** A secret is a name, resolved in the worker host, never stored or hashed (X8). */
export interface SecretRef {
  secret: string;
}

/** Where code lives: a module's path relative to the definition's folder, and the export. */
export interface ModuleRef {
  module: string;
  export: string;
}

/** When a person must allow a call (F9). */
export interface ApprovalPolicy {
  /** Milliseconds from the question; null: it waits as long as the run lasts. */
  deadlineMs: number | null;
  /** What holds when nobody decides in time. */
  onDeadline: "reject" | "approve";
  /** Names of those who are asked; none: anybody. */
  to: readonly string[];
}

/** When a task that failed for good waits for a person (F7, F9). */
export interface EscalationPolicy {
  /** Milliseconds from the failure; null: it waits as long as the run lasts. */
  deadlineMs: number | null;
  /** What is done when nobody decides in time. `fail`: as if nobody had been asked. */
  onDeadline: "fail" | "retry" | "skip" | "abort";
  /** Names of those who are asked; none: anybody. */
  to: readonly string[];
}

export type ToolDefinition = {
  description: string;
  /** F13: `write` is written ahead and never repeated silently. */
  effect: "read" | "write";
  input: JsonSchema;
  output: JsonSchema | null;
  timeoutMs: number;
  retry: RetryPolicy;
  /** A write tool that deduplicates by ctx.idempotencyKey may be retried under the same key after `outcome unknown`. */
  idempotent: boolean;
  /** It is called only when a person allows it; absent: at once. */
  approval?: ApprovalPolicy;
} & (
  | { kind: "code"; module: ModuleRef | null; hasCheck: boolean }
  | { kind: "http"; url: string; method: string; headers: Record<string, string | SecretRef>; body: Json | null }
  | { kind: "mcp"; server: string; tool: string; pin: string | null }
);

export interface McpServerDefinition {
  transport: "stdio" | "http";
  command: string | null;
  args: readonly string[];
  env: Record<string, string | SecretRef>;
  url: string | null;
  headers: Record<string, string | SecretRef>;
}

/** USD for a million tokens. Cached input costs as much as other input unless it has a price of its own. */
export interface ModelPrice {
  inputUsdPerMTok: number;
  outputUsdPerMTok: number;
  cachedInputUsdPerMTok?: number | undefined;
}

export interface ProviderDefinition {
  kind: "openai" | "anthropic" | "google" | "openai-compatible" | "scripted";
  baseUrl: string | null;
  apiKey: SecretRef | null;
  headers: Record<string, string | SecretRef>;
  /** Passed to the provider as they are. */
  options: { readonly [key: string]: Json };
  /** By the model's name; `*` for all others. What has no price is shown as unpriced, never as free. */
  prices: Readonly<Record<string, ModelPrice>>;
  /** kind scripted: the parsed script (see src/model/scripted.ts). */
  script: Json | null;
}

/** What happens when a conversation outgrows the context window (F15). */
export interface ContextPolicy {
  policy: "summarise" | "drop-oldest" | "fail";
  /** Tokens that the window holds; compaction starts at `compactAt` of it. */
  windowTokens: number;
  compactAt: number;
  /** The newest messages that are always kept verbatim. */
  keepLast: number;
}

/** That an agent may call another, which then has, of its own tools, those that its caller has too and those named here:
 *  authority only shrinks (X3). */
export interface CallGrant {
  agent: string;
  /** Tools that the caller passes on without having them itself. */
  tools: readonly string[];
  /** It may be called although it waits for its caller (C12). Default false. */
  recursive?: boolean;
  /** The caller may also hand its whole task over to it (C14). Default false. */
  handover?: boolean;
}

export interface AgentDefinition {
  description: string;
  kind: "model" | "code";
  /** kind code: where `run` is; null when the definition was opened as a value in this process. */
  module: ModuleRef | null;
  /** `provider/name`, or null for code agents that name it themselves. */
  model: string | null;
  fallbackModels: readonly string[];
  instructions: string;
  /** Granted tools, by name (X3: denied by default). */
  tools: readonly string[];
  /** Agents that it may call (X2, X3: denied by default); absent: none. */
  calls?: readonly CallGrant[];
  /** Approvals that this agent's calls need, by tool, beside what the tools declare: a grant can only tighten. */
  approvals?: Readonly<Record<string, ApprovalPolicy>>;
  /** Its tasks that failed for good wait for a person; absent: as its workflow says. */
  escalation?: EscalationPolicy;
  input: JsonSchema | null;
  output: JsonSchema | null;
  retry: RetryPolicy;
  timeoutMs: number;
  stepTimeoutMs: number;
  limits: {
    stepsMax: number;
    tokensMax: number;
    repairsMax: number;
    /** How often a model may do the same again to the same result; absent: 5 (F10). */
    repeatsMax?: number;
    /** How often a task may have been handed over when this agent hands it over, this time included; absent: 5 (F10). */
    handoversMax?: number;
    outputTokensMax: number;
    /** Of one task; absent: no bound. */
    costMicroUsdMax?: number;
  };
  /** Shared facts that it may read and propose: keys, prefixes and `.*`, or `*`. None by default (X3). */
  facts: { read: readonly string[]; write: readonly string[] };
  context: ContextPolicy;
  temperature: number | null;
  /** Tasks with the same input share one result, for so many milliseconds after it was made; absent: each is done (C11). */
  reuse?: { windowMs: number };
  /** Absent when it declares none. */
  capabilities?: Capabilities;
}

/** What an agent is able to do, beside the tools that it is granted (C6). */
export interface Capabilities {
  domains: readonly string[];
  taskTypes: readonly string[];
}

/** What an agent must be able to do; in a route entries may hold expressions over the task's input. */
export interface Requirements extends Capabilities {
  tools: readonly string[];
}

/** What a task may be about. */
export interface RouteIntent {
  name: string;
  description: string;
  /** A rule, CEL over the task's input; null: the classifier alone finds it. */
  when: string | null;
  /** Null: the route's candidates. */
  to: readonly string[] | null;
  requires: Requirements;
  priority: Priority | null;
}

/** Stands where an agent would, and chooses one for each task (C6). */
export interface RouteDefinition {
  description: string;
  candidates: readonly string[];
  intents: readonly RouteIntent[];
  classifier: string | null;
  confidenceMin: number;
  requires: Requirements;
  otherwise: string | null;
}

/** A workflow names its pattern; `options` are what the pattern's own schema accepts. */
export interface WorkflowDefinition {
  pattern: string;
  /** Where a user's own pattern is; null for the built-in ones. */
  module: ModuleRef | null;
  description: string;
  options: Json;
  input: JsonSchema | null;
  output: JsonSchema | null;
  limits: Limits;
  /** Tasks of this workflow that failed for good wait for a person; absent: they have failed. */
  escalation?: EscalationPolicy;
  priority: Priority;
  /** What follows when a fact is corrected on which finished work rests (C10). */
  facts: { onCorrection: "flag" | "rerun" };
  /** Agents that this workflow may give work to. */
  agents: readonly string[];
}

/** What may be used in a window of time, in UTC, or ever (K2). Null: no bound. */
export interface Budget {
  per: "hour" | "day" | "month" | "total";
  tokensMax: number | null;
  costMicroUsdMax: number | null;
}

/** Budgets beyond one run. */
export interface Budgets {
  fleet: readonly Budget[];
  workflows: Readonly<Record<string, readonly Budget[]>>;
  agents: Readonly<Record<string, readonly Budget[]>>;
}

/** When calls of something that keeps failing are held back (F4). */
export interface BreakerPolicy {
  /** Failures in a row that open it. */
  failures: number;
  /** How long it stays open before it is probed. */
  openMs: number;
  /** Calls that may probe at a time. */
  probes: number;
}

/** How much all together may ask of a model, a provider or a tool (F4, K5). Null: no bound, or no breaker. */
export interface Guard {
  concurrencyMax: number | null;
  requestsPerMinute: number | null;
  tokensPerMinute: number | null;
  breaker: BreakerPolicy | null;
}

export const NO_GUARD: Guard = {
  concurrencyMax: null,
  requestsPerMinute: null,
  tokensPerMinute: null,
  breaker: null,
};

export interface Guards {
  providers: Readonly<Record<string, Guard>>;
  /** By `provider/name`; `*` for all others. */
  models: Readonly<Record<string, Guard>>;
  tools: Readonly<Record<string, Guard>>;
  /** Here `concurrencyMax` alone. */
  agents: Readonly<Record<string, Guard>>;
}

/** What YAML and TypeScript both become (I1). Plain data: it can be hashed, stored and sent. */
export interface FleetDefinition {
  name: string;
  providers: Record<string, ProviderDefinition>;
  mcpServers: Record<string, McpServerDefinition>;
  tools: Record<string, ToolDefinition>;
  agents: Record<string, AgentDefinition>;
  workflows: Record<string, WorkflowDefinition>;
  /** Absent when there are none. */
  routes?: Record<string, RouteDefinition>;
  /** Absent: none. */
  budgets?: Budgets;
  /** What starts by itself (I8); absent: nothing. */
  schedules?: Record<string, ScheduleDefinition>;
  guards?: Guards;
  /** SHA-256 of each local module by path relative to the definition's folder. */
  modules: Record<string, string>;
}
