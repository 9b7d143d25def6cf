import {
  type AgentDefinition,
  type ApprovalPolicy,
  type BreakerPolicy,
  type Budget,
  type Budgets,
  type Guard,
  type Guards,
  type ContextPolicy,
  DEFAULT_LIMITS,
  DEFAULT_RETRY,
  type EscalationPolicy,
  type Limits,
  PRIORITY,
  type Priority,
  type PriorityName,
  type RetryPolicy,
} from "../core/definition.ts";
import { contextWindow, DEFAULT_CONTEXT_WINDOW } from "../model/tokens.ts";

/** What holds where a definition says nothing. Printed in the editor's schema; times in milliseconds. */
export const DEFAULTS = {
  agentTimeoutMs: 600_000,
  stepTimeoutMs: 120_000,
  toolTimeoutMs: 30_000,
  agentLimits: { stepsMax: 100, tokensMax: 500_000, repairsMax: 2, outputTokensMax: 4_096 },
  context: { policy: "summarise", windowTokens: DEFAULT_CONTEXT_WINDOW, compactAt: 0.8, keepLast: 8 },
  breaker: { failures: 5, openMs: 30_000, probes: 1 },
  /** JSON nesting of users' JSON Schemas. */
  schemaDepthMax: 64,
} as const satisfies {
  agentLimits: AgentDefinition["limits"];
  context: ContextPolicy;
  breaker: BreakerPolicy;
  [key: string]: unknown;
};

/** A part of a definition as somebody wrote it: what is left out, or undefined, takes its default. */
export type Partially<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** `wanted` over `defaults`, key by key. */
function over<T extends object>(defaults: T, wanted: Partially<T> | undefined): T {
  const given = Object.entries(wanted ?? {}).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(given) };
}

export function completeApproval({ deadlineMs, onDeadline, to }: Partially<ApprovalPolicy>): ApprovalPolicy {
  return { deadlineMs: deadlineMs ?? null, onDeadline: onDeadline ?? "reject", to: to ?? [] };
}

export function completeEscalation({ deadlineMs, onDeadline, to }: Partially<EscalationPolicy>): EscalationPolicy {
  return { deadlineMs: deadlineMs ?? null, onDeadline: onDeadline ?? "fail", to: to ?? [] };
}

/** The parts of a definition that say when people are asked: none where nothing is declared, so that definitions without
 *  are hashed as they were before there were any. */
export function peopleOf(given: {
  escalation?: Partially<EscalationPolicy> | undefined;
  approvals?: Readonly<Record<string, Partially<ApprovalPolicy>>> | undefined;
}): { escalation?: EscalationPolicy; approvals?: Record<string, ApprovalPolicy> } {
  const { escalation, approvals = {} } = given;
  const complete = Object.entries(approvals).map(([tool, policy]) => [tool, completeApproval(policy)] as const);
  return {
    ...(escalation === undefined ? {} : { escalation: completeEscalation(escalation) }),
    ...(complete.length === 0 ? {} : { approvals: Object.fromEntries(complete) }),
  };
}

export function completeRetry(wanted: Partially<RetryPolicy> | undefined): RetryPolicy {
  return over(DEFAULT_RETRY, wanted);
}

/** The window is the model's own, where it is known and none is declared. */
export function completeContext(wanted: Partially<ContextPolicy> | undefined, model: string | null): ContextPolicy {
  const windowTokens =
    model === null ? DEFAULTS.context.windowTokens : contextWindow(model.slice(model.indexOf("/") + 1));
  return over<ContextPolicy>({ ...DEFAULTS.context, windowTokens }, wanted);
}

/** Limits of a task as people write them: money in US dollars. */
export interface AgentLimits extends Partially<Omit<AgentDefinition["limits"], "costMicroUsdMax">> {
  costUsdMax?: number | undefined;
}

export function completeAgentLimits(wanted: AgentLimits | undefined): AgentDefinition["limits"] {
  return over<AgentDefinition["limits"]>(DEFAULTS.agentLimits, givenAgentLimits(wanted));
}

/** Those limits that were given, money in micro-USD. */
export function givenAgentLimits({ costUsdMax, ...rest }: AgentLimits = {}): Partial<AgentDefinition["limits"]> {
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return { ...given, ...(costUsdMax === undefined ? {} : { costMicroUsdMax: microUsd(costUsdMax) }) };
}

/** Budgets as people write them. */
export function completeBudgets({ fleet, workflows = {}, agents = {} }: BudgetsOptions): Budgets {
  return { fleet: budgetsOf(fleet ?? []), workflows: named(workflows, budgetsOf), agents: named(agents, budgetsOf) };
}

/** Guards as people write them. */
export function completeGuards({ providers = {}, models = {}, tools = {}, agents = {} }: GuardsOptions): Guards {
  return {
    providers: named(providers, guardOf),
    models: named(models, (given) => guardOf({ breaker: {}, ...given })),
    tools: named(tools, guardOf),
    agents: named(agents, guardOf),
  };
}

function named<T, U>(given: Readonly<Record<string, T>>, complete: (one: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(given).map(([name, one]) => [name, complete(one)]));
}

function guardOf({ breaker, concurrencyMax, requestsPerMinute, tokensPerMinute }: GuardOption): Guard {
  return {
    breaker: breaker === undefined || breaker === false ? null : over<BreakerPolicy>(DEFAULTS.breaker, breaker),
    concurrencyMax: concurrencyMax ?? null,
    requestsPerMinute: requestsPerMinute ?? null,
    tokensPerMinute: tokensPerMinute ?? null,
  };
}

type GuardOption = {
  breaker?: Partially<BreakerPolicy> | false | undefined;
} & Partially<Record<"concurrencyMax" | "requestsPerMinute" | "tokensPerMinute", number>>;

interface GuardsOptions {
  providers?: Readonly<Record<string, GuardOption>> | undefined;
  models?: Readonly<Record<string, GuardOption>> | undefined;
  tools?: Readonly<Record<string, GuardOption>> | undefined;
  agents?: Readonly<Record<string, GuardOption>> | undefined;
}

function budgetsOf(given: BudgetOption | readonly BudgetOption[]): Budget[] {
  return [given].flat().map(({ per = "day", tokensMax, costUsdMax }: BudgetOption) => {
    const costMicroUsdMax = costUsdMax === undefined ? null : microUsd(costUsdMax);
    return { per, tokensMax: tokensMax ?? null, costMicroUsdMax };
  });
}

interface BudgetOption {
  per?: Budget["per"] | undefined;
  tokensMax?: number | undefined;
  costUsdMax?: number | undefined;
}

interface BudgetsOptions {
  fleet?: BudgetOption | readonly BudgetOption[] | undefined;
  workflows?: Readonly<Record<string, BudgetOption | readonly BudgetOption[]>> | undefined;
  agents?: Readonly<Record<string, BudgetOption | readonly BudgetOption[]>> | undefined;
}

/** Limits of a run as people write them: money in US dollars. */
export interface WorkflowLimits extends Partially<Omit<Limits, "costMicroUsdMax">> {
  costUsdMax?: number | undefined;
}

export function completeLimits(wanted: WorkflowLimits = {}): Limits {
  return over<Limits>(DEFAULT_LIMITS, givenLimits(wanted));
}

/** Those limits that were given. Money becomes integer micro-USD, rounded down so that a limit never grows. */
export function givenLimits({ costUsdMax, ...rest }: WorkflowLimits): Partial<Limits> {
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return { ...given, ...(costUsdMax === undefined ? {} : { costMicroUsdMax: microUsd(costUsdMax) }) };
}

/** Through decimal text, since 0.29 * 1e6 is 289999.99999999994. */
function microUsd(usd: number): number {
  const [whole = "0", fraction = ""] = usd.toFixed(7).split(".");
  return Number(whole) * 1_000_000 + Number(fraction.slice(0, 6));
}

export function priorityOf(name: PriorityName | undefined): Priority {
  return PRIORITY[name ?? "NORMAL"];
}
