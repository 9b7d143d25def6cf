import { accountKey, type Accounts, type AccountTerms } from "../core/account.ts";
import type { Budget, Budgets } from "../core/definition.ts";
import type { RunEvent } from "../core/event.ts";
import type { Amount } from "../core/money.ts";
import type { RunState } from "../core/state.ts";
import type { AccountWrite, Store } from "../store/store.ts";

/** The fleet's accounts as this coordinator knows them: the store's rows, and what was decided and is not there yet.
 *  When it knows too little the store refuses the commit, and it looks again; it never lets anybody draw too much. */
export class FleetAccounts implements Accounts {
  /** Of the fleet's newest definition: a budget that is changed holds for runs under way too. */
  budgets: Budgets | undefined;
  readonly #store: Store;
  readonly #drawn = new Map<string, Amount>();
  /** Runs that hold something of an account: a reservation, or what they drew and have not used. */
  readonly #holders = new Map<string, Set<string>>();

  constructor(store: Store) {
    this.#store = store;
  }

  terms(agent: string | null, workflow: string, now: number): readonly AccountTerms[] {
    return termsOf(this.budgets, agent, workflow, now);
  }

  drawn(account: string, window: string): Amount | null {
    return this.#drawn.get(accountKey({ account, window })) ?? null;
  }

  othersHold(account: string, window: string, run: string): boolean {
    const holders = this.#holders.get(accountKey({ account, window }));
    return holders !== undefined && (holders.size > 1 || (holders.size === 1 && !holders.has(run)));
  }

  holders(terms: AccountTerms): readonly string[] {
    return [...(this.#holders.get(accountKey(terms)) ?? [])];
  }

  /** Whether all of these are known here. */
  knows(terms: readonly AccountTerms[]): boolean {
    return terms.every((one) => this.#drawn.has(accountKey(one)));
  }

  async load(terms: readonly AccountTerms[]): Promise<void> {
    for (const { account, window } of terms) {
      const { tokens, costMicroUsd } = await this.#store.account(account, window);
      this.#drawn.set(accountKey({ account, window }), { tokens, costMicroUsd });
    }
  }

  /** Follows what a run has just decided. */
  decided(state: RunState, events: readonly RunEvent[]): void {
    for (const event of events) {
      for (const { account, window, tokens, costMicroUsd } of accountWrites(event)) {
        const drawn = this.#drawn.get(accountKey({ account, window }));
        if (drawn === undefined) continue;
        drawn.tokens += tokens;
        drawn.costMicroUsd += costMicroUsd;
      }
    }
    const held = heldBy(state);
    for (const key of held) this.#hold(key, state.id);
    for (const key of [...this.#holders.keys()]) if (!held.has(key)) this.#leave(key, state.id);
  }

  /** Decisions of a run were dropped: what is drawn is looked up anew. */
  forget(run: string): void {
    this.#drawn.clear();
    for (const key of [...this.#holders.keys()]) this.#leave(key, run);
  }

  #hold(key: string, run: string): void {
    const holders = this.#holders.get(key);
    if (holders === undefined) this.#holders.set(key, new Set([run]));
    else holders.add(run);
  }

  #leave(key: string, run: string): void {
    const holders = this.#holders.get(key);
    if (holders?.delete(run) === true && holders.size === 0) this.#holders.delete(key);
  }
}

/** The accounts that a run may still give something back to. One that it has drawn on and used up is none of them: whoever
 *  waited for that would wait for ever. */
function heldBy({ money }: RunState): Set<string> {
  const held = new Set<string>();
  for (const { accounts } of money.open.values()) for (const one of accounts) held.add(accountKey(one));
  for (const [key, { free }] of money.allotments) if (free.tokens > 0 || free.costMicroUsd > 0) held.add(key);
  return held;
}

/** What an event draws or gives back. */
export function accountWrites(event: RunEvent): AccountWrite[] {
  switch (event.type) {
    case "call.reserved":
    case "budget.exceeded":
      return (event.data.accounts ?? []).filter(({ tokens, costMicroUsd }) => tokens > 0 || costMicroUsd > 0);
    case "budget.returned":
      return event.data.accounts.map(({ account, window, tokens, costMicroUsd }) => {
        const bounds = { tokensMax: null, costMicroUsdMax: null };
        return { account, window, tokens: -tokens, costMicroUsd: -costMicroUsd, ...bounds };
      });
    default:
      return [];
  }
}

/** The accounts that a call of an agent in a run of a workflow is charged to. */
export function termsOf(
  budgets: Budgets | undefined,
  agent: string | null,
  workflow: string,
  now: number,
): readonly AccountTerms[] {
  if (budgets === undefined) return NO_TERMS;
  const of = (account: string, declared: readonly Budget[] | undefined): AccountTerms[] =>
    (declared ?? []).map(({ per, tokensMax, costMicroUsdMax }) => {
      return { account, window: windowOf(per, now), tokensMax, costMicroUsdMax };
    });
  return [
    ...of("fleet", budgets.fleet),
    ...of(`workflow/${workflow}`, own(budgets.workflows, workflow)),
    ...(agent === null ? [] : of(`agent/${agent}`, own(budgets.agents, agent))),
  ];
}

const NO_TERMS: readonly AccountTerms[] = [];
const own = <T>(record: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined;

/** The window of a budget that holds at `now`, in UTC: `day 2026-01-31`. */
export function windowOf(per: Budget["per"], now: number): string {
  if (per === "total") return per;
  return `${per} ${new Date(now).toISOString().slice(0, CHARACTERS[per])}`;
}

const CHARACTERS = { hour: "2026-01-31T23".length, day: "2026-01-31".length, month: "2026-01".length } as const;
