import type { CheckerMaker } from "./checker.ts";

/** What a run spends on record never passes its limit of tokens, however many of its agents ask at once. Providers that
 *  bill more than was reserved are a violation of theirs; the simulated ones do not. */
export const withinLimits: CheckerMaker = (_scene, fail) => {
  const limits = new Map<string, number>();
  const spent = new Map<string, number>();
  return {
    promise: "5: reserved plus spent never passes a budget",
    event({ journal, type, data }) {
      if (type === "run.started") limits.set(journal, data.limits?.tokensMax ?? 0);
      if (type !== "step.completed" || data.usage === undefined) return;
      const tokens = (spent.get(journal) ?? 0) + data.usage.inputTokens + data.usage.outputTokens;
      spent.set(journal, tokens);
      const max = limits.get(journal) ?? 0;
      if (tokens > max) fail(`${journal} used ${tokens} of ${max} tokens`);
    },
  };
};
