import { catalogue, type ErrorCode, type ErrorRecord } from "../error.ts";
import {
  type Accounts,
  type AccountTerms,
  type Allotment,
  drawFor,
  type Draw,
  drew,
  missingFor,
  released,
} from "./account.ts";
import type { ChildUsage } from "./child-share.ts";
import type { Limits } from "./definition.ts";
import type { EventData, RunEvent, Usage } from "./event.ts";
import type { RunState } from "./state.ts";

/** What calls use: tokens in and out together, and integer micro-USD. */
export interface Amount {
  tokens: number;
  costMicroUsd: number;
}

/** A call that may be under way, with what it needs at worst. */
export interface Reservation extends Amount {
  task: string;
  attempt: number;
  /** Names the call within its attempt: the step's key and the try. */
  call: string;
  model: string;
  /** The asking for which it was reserved. */
  ask: string | null;
  /** What it is charged to beside its run. */
  accounts: readonly Draw[];
}

/** What one agent of a run used of one model on one day (K4). */
export interface Spend {
  /** When it began, in UTC, milliseconds since the epoch. */
  day: number;
  agent: string;
  model: string;
  calls: number;
  inputTokens: number;
  outputTokens: number;
  cachedInputTokens: number;
  costMicroUsd: number;
  /** Of the cost: what calls were charged of which nobody knows the outcome. */
  unsettledMicroUsd: number;
  savedMicroUsd: number;
  /** Calls of models without a price. */
  unpriced: number;
  simulated: number;
}

/** What a run's calls have reserved and used (K2): folded from its journal, so that a crash forgets none of it. */
export interface Money {
  /** By `callKey`. */
  readonly open: Map<string, Reservation>;
  reserved: Amount;
  /** Of calls whose outcome nobody knows: charged as reserved, for ever. */
  unsettled: Amount;
  /** A provider billed more than was reserved: nothing is asked any more. */
  exceeded: EventData["budget.exceeded"] | null;
  /** Scopes whose alert is on record. */
  readonly alerted: Set<string>;
  /** What is charged to each task. */
  readonly tasks: Map<string, Amount>;
  /** For reports, by day, agent and model (K4). */
  readonly spend: Map<string, Spend>;
  /** By `accountKey`. */
  readonly allotments: Map<string, Allotment>;
}

/** What a model call may need at worst. Money is null for a model without a price. */
export interface CallRequest {
  task: string;
  attempt: number;
  call: string;
  model: string;
  tokens: number;
  costMicroUsd: number | null;
  /** Names this asking for it among all. */
  ask?: string;
}

/** The limits of one task of an agent; null: none. */
export interface TaskLimits {
  tokensMax: number | null;
  costMicroUsdMax: number | null;
}

export const NO_LIMITS: TaskLimits = { tokensMax: null, costMicroUsdMax: null };

/** Why a call may not be made. `wait`: it may be once calls that are open now have settled, of the run or, with
 *  `account`, of any run that holds something of it. */
export interface Refusal {
  error: ErrorRecord;
  wait: boolean;
  account?: AccountTerms;
}

/** What deciding on a call looks at beside the run. */
export interface MoneyContext {
  now: number;
  /** Limits of one task of an agent; none when absent. */
  taskLimits?(agent: string | null): TaskLimits;
  /** Budgets beyond the run; none when absent. */
  accounts?: Accounts;
}

/** What stands in reports in the place of a model for results that were taken over. */
const REUSED = "reused";

/** Share of a budget at which an alert goes on record (K2). */
export const ALERT_SHARE = 0.8;

export function emptyMoney(): Money {
  return {
    open: new Map(),
    reserved: nothing(),
    unsettled: nothing(),
    exceeded: null,
    alerted: new Set(),
    tasks: new Map(),
    spend: new Map(),
    allotments: new Map(),
  };
}

const nothing = (): Amount => ({ tokens: 0, costMicroUsd: 0 });
const callKey = ({ task, attempt, call }: { task: string; attempt: number; call: string }): string =>
  `${task}\n${attempt}\n${call}`;

/** All that a run is charged with: what was used, and what may have been. */
export function chargedOf({ usage, money }: RunState): Amount {
  return {
    tokens: usage.inputTokens + usage.outputTokens + money.unsettled.tokens,
    costMicroUsd: usage.costMicroUsd + money.unsettled.costMicroUsd,
  };
}

// Folding: each of these applies one event.

export function callReserved(state: RunState, data: EventData["call.reserved"]): void {
  const { task, attempt, call, model, tokens, accounts = [] } = data;
  const reservation = {
    task,
    attempt,
    call,
    model,
    ask: data.ask ?? null,
    tokens,
    costMicroUsd: data.costMicroUsd ?? 0,
    accounts,
  };
  state.money.open.set(callKey(data), reservation);
  add(state.money.reserved, reservation);
  drew(state, accounts, reservation);
}

/** A step has what its call used. */
export function callRecorded(
  state: RunState,
  data: { task: string; attempt: number; call?: string | undefined; usage?: Usage | undefined },
  at: number,
): void {
  const { task, attempt, call, usage } = data;
  if (usage === undefined) return;
  charge(state.money, task, amountOf(usage));
  const spend = spendOf(state, task, usage.model ?? "unknown", at);
  spend.inputTokens += usage.inputTokens;
  spend.outputTokens += usage.outputTokens;
  spend.cachedInputTokens += usage.cachedInputTokens ?? 0;
  spend.costMicroUsd += usage.costMicroUsd ?? 0;
  spend.savedMicroUsd += usage.savedMicroUsd ?? 0;
  spend.unpriced += usage.costMicroUsd === null ? 1 : 0;
  spend.simulated += usage.simulated ? 1 : 0;
  const reservation = call === undefined ? undefined : release(state.money, { task, attempt, call });
  if (reservation !== undefined) released(state, reservation, amountOf(usage));
}

export function callSettled(state: RunState, data: EventData["call.settled"], at: number): void {
  const reservation = release(state.money, data);
  if (reservation === undefined) return;
  if (data.outcome === "free") return released(state, reservation, nothing());
  add(state.money.unsettled, reservation);
  charge(state.money, data.task, reservation);
  const spend = spendOf(state, data.task, reservation.model, at);
  spend.costMicroUsd += reservation.costMicroUsd;
  spend.unsettledMicroUsd += reservation.costMicroUsd;
}

const DAY_MS = 86_400_000;

/** The entry of a call, which it is counted in. */
function spendOf(state: RunState, task: string, model: string, at: number): Spend {
  const agent = state.tasks.get(task)?.agent ?? "";
  const day = Math.floor(at / DAY_MS) * DAY_MS;
  const key = `${day}\n${agent}\n${model}`;
  const known = state.money.spend.get(key);
  if (known !== undefined) {
    known.calls += 1;
    return known;
  }
  const tokens = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0 };
  const money = { costMicroUsd: 0, unsettledMicroUsd: 0, savedMicroUsd: 0 };
  const spend: Spend = { day, agent, model, calls: 1, ...tokens, ...money, unpriced: 0, simulated: 0 };
  state.money.spend.set(key, spend);
  return spend;
}

/** Work was taken over, not done: it cost nothing, and says what it would have cost (K3). */
export function callsSaved(state: RunState, task: string, { costMicroUsd }: Amount, at: number): void {
  if (costMicroUsd === 0) return;
  const spend = spendOf(state, task, REUSED, at);
  spend.calls -= 1;
  spend.savedMicroUsd += costMicroUsd;
}

export function budgetExceeded(state: RunState, data: EventData["budget.exceeded"]): void {
  state.money.exceeded = data;
  drew(state, data.accounts ?? [], nothing());
}

function release(money: Money, call: { task: string; attempt: number; call: string }): Reservation | undefined {
  const reservation = money.open.get(callKey(call));
  if (reservation === undefined) return undefined;
  money.open.delete(callKey(call));
  money.reserved.tokens -= reservation.tokens;
  money.reserved.costMicroUsd -= reservation.costMicroUsd;
  return reservation;
}

function charge(money: Money, task: string, amount: Amount): void {
  const charged = money.tasks.get(task) ?? nothing();
  add(charged, amount);
  money.tasks.set(task, charged);
}

function add(sum: Amount, { tokens, costMicroUsd }: Amount): void {
  sum.tokens += tokens;
  sum.costMicroUsd += costMicroUsd;
}

const amountOf = ({ inputTokens, outputTokens, costMicroUsd }: Usage): Amount => ({
  tokens: inputTokens + outputTokens,
  costMicroUsd: costMicroUsd ?? 0,
});

/** What a child may use is reserved from when it is asked for (`sign` 1) until it has ended (-1). */
export function childReserved({ money }: RunState, limits: Limits, sign: 1 | -1): void {
  money.reserved.tokens += sign * limits.tokensMax;
  money.reserved.costMicroUsd += sign * (limits.costMicroUsdMax ?? 0);
}

/** What a child used is charged to the task whose work it was. */
export function childCharged({ money }: RunState, task: string, used: ChildUsage): void {
  add(money.unsettled, used.unsettled);
  charge(money, task, {
    tokens: used.inputTokens + used.outputTokens + used.unsettled.tokens,
    costMicroUsd: used.costMicroUsd + used.unsettled.costMicroUsd,
  });
}

// Deciding.

/** Whether a call may be made: null, or why not. What is reserved counts as spent (invariant 5). */
export function callRefusal(state: RunState, request: CallRequest, context: MoneyContext): Refusal | null {
  const { limits, money } = state;
  if (state.status !== "running") return final("CANCELLED", `the run is ${state.status}`);
  const task = state.tasks.get(request.task);
  if (task?.status !== "assigned" || task.attempt !== request.attempt)
    return final("CANCELLED", "the attempt is not current any more");
  if (money.exceeded !== null) return overbilled(money.exceeded);
  const run = { what: "the run", charged: chargedOf(state), reserved: money.reserved, ...limits };
  const ofTask = {
    what: `${task.agent} in task ${task.id}`,
    charged: money.tasks.get(task.id) ?? nothing(),
    reserved: reservedBy(money, task.id),
    ...(context.taskLimits?.(task.agent) ?? NO_LIMITS),
  };
  return scopeRefusal(run, request) ?? scopeRefusal(ofTask, request) ?? accountRefusal(state, request, context);
}

function accountRefusal(state: RunState, request: CallRequest, { accounts, now }: MoneyContext): Refusal | null {
  for (const terms of accounts?.terms(agentOf(state, request), state.workflow, now) ?? []) {
    const { account, window } = terms;
    const drawn = accounts?.drawn(account, window);
    // What is not known here will be looked up, and the call asked for again.
    if (drawn === null || drawn === undefined) return { ...final("LIMIT_COST", `${account} is looked up`), wait: true };
    const missing = missingFor(state, terms, { ...request, costMicroUsd: request.costMicroUsd ?? 0 });
    const needed = request.costMicroUsd === null ? { ...missing, costMicroUsd: null } : missing;
    const scope = { what: `${account} (${window})`, charged: drawn, reserved: nothing(), ...terms };
    const refusal = scopeRefusal(scope, needed);
    if (refusal === null) continue;
    const mayChange = request.costMicroUsd !== null || terms.costMicroUsdMax === null;
    const open = state.money.open.size > 0 || accounts?.othersHold(account, window, state.id) === true;
    return { error: refusal.error, wait: mayChange && open, account: terms };
  }
  return null;
}

/** What a call draws from each account that it is charged to; it is known that it may be made. */
export function drawsFor(state: RunState, request: CallRequest, { accounts, now }: MoneyContext): Draw[] {
  const terms = accounts?.terms(agentOf(state, request), state.workflow, now) ?? [];
  const needed = { tokens: request.tokens, costMicroUsd: request.costMicroUsd ?? 0 };
  return terms.map((one) => drawFor(state, one, needed, accounts?.drawn(one.account, one.window) ?? nothing()));
}

const agentOf = (state: RunState, { task }: CallRequest): string | null => state.tasks.get(task)?.agent ?? null;

/** Where amounts are counted against a budget. */
export interface Scope extends TaskLimits {
  what: string;
  charged: Amount;
  reserved: Amount;
}

export function scopeRefusal(scope: Scope, request: { tokens: number; costMicroUsd: number | null }): Refusal | null {
  const { what, charged, reserved, tokensMax, costMicroUsdMax } = scope;
  if (tokensMax !== null && charged.tokens + reserved.tokens + request.tokens > tokensMax) {
    const message = `${what} used ${charged.tokens} tokens of ${tokensMax}${held(reserved.tokens, String)}; the next call may need ${request.tokens}`;
    const wait = reserved.tokens > 0 && charged.tokens + request.tokens <= tokensMax;
    return { error: errorOf("LIMIT_TOKENS", message), wait };
  }
  if (costMicroUsdMax === null) return null;
  if (request.costMicroUsd === null) {
    const message = `${what} has a limit of money, and the model that is to be asked has no price`;
    const hint = "Declare it under providers.NAME.prices, or limit tokens instead.";
    return { error: { ...errorOf("LIMIT_COST", message), hint }, wait: false };
  }
  if (charged.costMicroUsd + reserved.costMicroUsd + request.costMicroUsd <= costMicroUsdMax) return null;
  const message = `${what} spent ${usd(charged.costMicroUsd)} of ${usd(costMicroUsdMax)}${held(reserved.costMicroUsd, usd)}; the next call may cost ${usd(request.costMicroUsd)}`;
  const wait = reserved.costMicroUsd > 0 && charged.costMicroUsd + request.costMicroUsd <= costMicroUsdMax;
  return { error: errorOf("LIMIT_COST", message), wait };
}

const held = (amount: number, text: (amount: number) => string): string =>
  amount === 0 ? "" : `, ${text(amount)} are reserved`;

function reservedBy(money: Money, task: string): Amount {
  const sum = nothing();
  for (const reservation of money.open.values()) if (reservation.task === task) add(sum, reservation);
  return sum;
}

function overbilled({ call, task, billed, reserved }: EventData["budget.exceeded"]): Refusal {
  const message = `the provider billed ${amountText(billed)} for ${call} of ${task}, for which ${amountText(reserved)} were reserved: nothing more is asked of any model`;
  return final("LIMIT_COST", message);
}

export function isOpenCall({ money }: RunState, call: { task: string; attempt: number; call: string }): boolean {
  return money.open.has(callKey(call));
}

/** Whether a call is reserved, for just this asking. An attempt that its worker was given again makes its calls again,
 *  and what became of those before nobody knows. */
export function isReservedFor({ money }: RunState, request: CallRequest): boolean {
  const open = money.open.get(callKey(request));
  return open !== undefined && open.ask === (request.ask ?? null);
}

/** Calls of attempts that are over, or all of them: what became of them nobody will say. */
export function lostCalls(state: RunState, at: number, which: "over" | "all" = "over"): RunEvent[] {
  const lost: RunEvent[] = [];
  for (const { task, attempt, call } of state.money.open.values()) {
    const known = state.tasks.get(task);
    if (which === "over" && known?.status === "assigned" && known.attempt === attempt) continue;
    lost.push({ type: "call.settled", at, data: { attempt, call, outcome: "unsettled", task } });
  }
  return lost;
}

/** What a step's call used beyond its reservation: asked before the step is folded. */
export function excessOf(
  { money }: RunState,
  { task, attempt, call, usage }: { task: string; attempt: number; call: string; usage: Usage },
): EventData["budget.exceeded"] | null {
  const reservation = money.open.get(callKey({ task, attempt, call }));
  if (reservation === undefined) return null;
  const billed = amountOf(usage);
  if (billed.tokens <= reservation.tokens && billed.costMicroUsd <= reservation.costMicroUsd) return null;
  const { tokens, costMicroUsd } = reservation;
  return { attempt, billed, call, reserved: { costMicroUsd, tokens }, task };
}

/** Alerts of accounts that these draws take up to `ALERT_SHARE`: they go on record with the draw that did it. */
export function accountAlerts(draws: readonly Draw[], accounts: Accounts | undefined): EventData["budget.alerted"][] {
  const due: EventData["budget.alerted"][] = [];
  for (const { account, window, ...draw } of draws) {
    const drawn = accounts?.drawn(account, window) ?? nothing();
    const look = (unit: "tokens" | "costMicroUsd", max: number | null) => {
      if (max === null || max === 0) return;
      const [before, charged] = [drawn[unit], drawn[unit] + draw[unit]];
      if (before < max * ALERT_SHARE && charged >= max * ALERT_SHARE)
        due.push({ charged, max, scope: account, unit, window });
    };
    look("tokens", draw.tokensMax);
    look("costMicroUsd", draw.costMicroUsdMax);
  }
  return due;
}

/** Alerts that are due and not on record: a budget of the run is used up to `ALERT_SHARE`. */
export function alertsOf(state: RunState): EventData["budget.alerted"][] {
  const { tokens, costMicroUsd } = chargedOf(state);
  const { tokensMax, costMicroUsdMax } = state.limits;
  const due: EventData["budget.alerted"][] = [];
  const look = (unit: "tokens" | "costMicroUsd", charged: number, max: number | null) => {
    const isDue = max !== null && charged >= max * ALERT_SHARE && charged > 0;
    if (isDue && !state.money.alerted.has(`run/${unit}`)) due.push({ charged, max, scope: "run", unit });
  };
  look("tokens", tokens, tokensMax);
  look("costMicroUsd", costMicroUsd, costMicroUsdMax);
  return due;
}

export function budgetAlerted({ money }: RunState, { scope, unit }: EventData["budget.alerted"]): void {
  money.alerted.add(`${scope}/${unit}`);
}

const final = (code: ErrorCode, message: string): Refusal => ({ error: errorOf(code, message), wait: false });

function errorOf(code: ErrorCode, message: string): ErrorRecord {
  const { class: cls, fix } = catalogue[code];
  return { code, class: cls, message, hint: fix };
}

const amountText = ({ tokens, costMicroUsd }: Amount): string => `${tokens} tokens (${usd(costMicroUsd)})`;

/** Micro-USD as dollars with at least two places. */
export const usd = (micro: number): string => `$${(micro / 1_000_000).toFixed(6).replace(/0{1,4}$/, "")}`;
