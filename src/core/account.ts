import type { EventData } from "./event.ts";
import type { Amount, Reservation } from "./money.ts";
import type { RunState } from "./state.ts";

/** An account of the fleet, a workflow or an agent, in the window that holds now, with what may be drawn in it. */
export interface AccountTerms {
  account: string;
  window: string;
  tokensMax: number | null;
  costMicroUsdMax: number | null;
}

/** What deciding knows of accounts. */
export interface Accounts {
  terms(agent: string | null, workflow: string, now: number): readonly AccountTerms[];
  /** What is drawn from an account by all; null while that is not known here. */
  drawn(account: string, window: string): Amount | null;
  /** Whether a run other than this one may give something back. */
  othersHold(account: string, window: string, run: string): boolean;
}

/** What a run has drawn from an account and neither reserved nor used: its own, so that its next calls change no row
 *  that other runs change (escrow). */
export interface Allotment {
  readonly account: string;
  readonly window: string;
  readonly free: Amount;
}

export type Draw = NonNullable<EventData["call.reserved"]["accounts"]>[number];

/** A run draws for this many calls at once, as long as the account holds `PLENTY` times that. */
const CALLS_DRAWN = 4;
const PLENTY = 16;

export const accountKey = ({ account, window }: { account: string; window: string }): string => `${account}\n${window}`;

/** What a run must still draw from an account for a call. */
export function missingFor(state: RunState, terms: AccountTerms, request: Amount): Amount {
  const free = state.money.allotments.get(accountKey(terms))?.free;
  return {
    tokens: Math.max(0, request.tokens - (free?.tokens ?? 0)),
    costMicroUsd: Math.max(0, request.costMicroUsd - (free?.costMicroUsd ?? 0)),
  };
}

/** What a run draws for a call that may be made: nothing when its allotment is enough. */
export function drawFor(state: RunState, terms: AccountTerms, request: Amount, drawn: Amount): Draw {
  const missing = missingFor(state, terms, request);
  return {
    account: terms.account,
    costMicroUsd: widened(missing.costMicroUsd, drawn.costMicroUsd, terms.costMicroUsdMax),
    costMicroUsdMax: terms.costMicroUsdMax,
    tokens: widened(missing.tokens, drawn.tokens, terms.tokensMax),
    tokensMax: terms.tokensMax,
    window: terms.window,
  };
}

function widened(missing: number, drawn: number, max: number | null): number {
  const wide = missing * CALLS_DRAWN;
  return max !== null && drawn + wide * PLENTY <= max ? wide : missing;
}

/** All that a run has drawn and does not need: to be given back. */
export function idleDraws({ money }: RunState): EventData["budget.returned"]["accounts"] {
  const idle = [];
  for (const { account, window, free } of money.allotments.values()) {
    if (free.tokens > 0 || free.costMicroUsd > 0)
      idle.push({ account, costMicroUsd: Math.max(0, free.costMicroUsd), tokens: Math.max(0, free.tokens), window });
  }
  return idle;
}

/** What was billed beyond all reservations: drawn whatever the account holds. */
export function overdrafts({ money }: RunState): Draw[] {
  const over: Draw[] = [];
  for (const { account, window, free } of money.allotments.values()) {
    if (free.tokens >= 0 && free.costMicroUsd >= 0) continue;
    const [tokens, costMicroUsd] = [Math.max(0, -free.tokens), Math.max(0, -free.costMicroUsd)];
    over.push({ account, costMicroUsd, costMicroUsdMax: null, tokens, tokensMax: null, window });
  }
  return over;
}

// Folding.

export function drew(state: RunState, draws: readonly Draw[], reserved: Amount): void {
  for (const { account, window, tokens, costMicroUsd } of draws) {
    const { free } = allotmentOf(state, account, window);
    free.tokens += tokens - reserved.tokens;
    free.costMicroUsd += costMicroUsd - reserved.costMicroUsd;
  }
}

/** A reservation has ended, with `used` of it gone. */
export function released(state: RunState, { accounts, tokens, costMicroUsd }: Reservation, used: Amount): void {
  for (const { account, window } of accounts) {
    const { free } = allotmentOf(state, account, window);
    free.tokens += tokens - used.tokens;
    free.costMicroUsd += costMicroUsd - used.costMicroUsd;
  }
}

export function returned({ money }: RunState, { accounts }: EventData["budget.returned"]): void {
  for (const one of accounts) money.allotments.delete(accountKey(one));
}

function allotmentOf({ money }: RunState, account: string, window: string): Allotment {
  const key = accountKey({ account, window });
  const known = money.allotments.get(key);
  if (known !== undefined) return known;
  const allotment: Allotment = { account, window, free: { tokens: 0, costMicroUsd: 0 } };
  money.allotments.set(key, allotment);
  return allotment;
}
