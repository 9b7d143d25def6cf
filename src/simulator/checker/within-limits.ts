import type { CheckerMaker } from "./checker.ts";

/** What one run has on record. */
interface Account {
  max: number;
  charged: number;
  /** By call. */
  readonly reserved: Map<string, number>;
}

/** What all runs together have drawn from an account. */
interface Drawn {
  tokens: number;
  max: number | null;
}

/** What one attempt was allowed, was billed for, and is charged with. */
interface Tally {
  reserved: number;
  billed: number;
  charged: number;
  refused: number;
  free: number;
}

/** What a run spends and has reserved never passes its limit of tokens, however many of its agents ask at once; no
 *  provider answers a call that has no reservation on the disk; and whatever was billed is charged to its attempt, also
 *  when nobody lived to hear the answer. */
export const withinLimits: CheckerMaker = ({ outside }, fail) => {
  const accounts = new Map<string, Account>();
  const tallies = new Map<string, Tally>();
  const drawn = new Map<string, Drawn>();
  return {
    promise: "5: reserved plus spent never passes a budget",
    event({ journal, type, data }) {
      for (const { account, window, ...draw } of data.accounts ?? [])
        follow(`${account} ${window}`, type === "budget.returned" ? { tokens: -draw.tokens } : draw);
      if (type === "run.started")
        accounts.set(journal, { max: data.limits?.tokensMax ?? 0, charged: 0, reserved: new Map() });
      const account = accounts.get(journal);
      if (account === undefined || data.task === undefined) return;
      const { task, attempt = 0, call, tokens = 0, usage, outcome } = data;
      const key = `${task}/${attempt}/${call}`;
      const tally = tallyOf(`${journal}/${task}/${attempt}`);
      if (type === "call.reserved") {
        account.reserved.set(key, tokens);
        tally.reserved += 1;
      } else if (type === "call.settled") {
        if (outcome === "unsettled") account.charged += account.reserved.get(key) ?? 0;
        if (outcome === "unsettled") tally.charged += 1;
        else tally.free += 1;
        if (outside.metered && tally.free > tally.refused)
          fail(`${call} of ${journal}/${task}/${attempt} is free, and no provider refused it`);
        account.reserved.delete(key);
      } else if (usage !== undefined) {
        account.charged += usage.inputTokens + usage.outputTokens;
        account.reserved.delete(key);
        tally.charged += 1;
      }
      const reserved = [...account.reserved.values()].reduce((sum, one) => sum + one, 0);
      if (account.charged + reserved > account.max)
        fail(`${journal} is charged ${account.charged} and reserves ${reserved} of ${account.max} tokens`);
    },
    bill({ run, task, attempt, tokens }) {
      const tally = tallyOf(`${run}/${task}/${attempt}`);
      if (tokens === null) tally.refused += 1;
      if (tokens === null) return;
      tally.billed += 1;
      if (tally.billed > tally.reserved) fail(`${run}/${task}/${attempt} was billed for a call without a reservation`);
    },
    // Journals of one flush are heard one after the other: what holds between them shows when all were heard.
    look: lookAtAccounts,
    end() {
      lookAtAccounts();
      for (const [attempt, { billed, charged }] of tallies) {
        if (billed > charged) fail(`${attempt} was billed for ${billed} calls and is charged with ${charged}`);
      }
    },
  };

  function lookAtAccounts(): void {
    for (const [account, { tokens, max }] of drawn) {
      if (max !== null && tokens > max) fail(`${account} is drawn on for ${tokens} of ${max} tokens`);
      if (tokens < 0) fail(`more was given back to ${account} than was drawn`);
    }
  }

  function follow(account: string, { tokens, tokensMax }: { tokens: number; tokensMax?: number | null }): void {
    const known = drawn.get(account) ?? { tokens: 0, max: null };
    const now = { tokens: known.tokens + tokens, max: tokensMax === undefined ? known.max : tokensMax };
    drawn.set(account, now);
  }

  function tallyOf(attempt: string): Tally {
    const known = tallies.get(attempt);
    if (known !== undefined) return known;
    const tally = { reserved: 0, billed: 0, charged: 0, refused: 0, free: 0 };
    tallies.set(attempt, tally);
    return tally;
  }
};
