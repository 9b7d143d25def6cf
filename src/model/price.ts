import type { ModelPrice, ProviderDefinition } from "../core/definition.ts";
import type { ModelUsage } from "./model.ts";

/** The price of a provider's model: its own, else that of `*`; null when it is not declared. */
export function priceOf(provider: ProviderDefinition | undefined, model: string): ModelPrice | null {
  const prices = provider?.prices ?? {};
  const named = Object.hasOwn(prices, model) ? prices[model] : undefined;
  return named ?? (Object.hasOwn(prices, "*") ? prices["*"] : undefined) ?? null;
}

/** What a call costs, in whole micro-USD, rounded up: a price in USD for a million tokens is one in micro-USD for one. */
export function costMicroUsd(
  price: ModelPrice,
  {
    inputTokens,
    outputTokens,
    cachedInputTokens,
  }: Pick<ModelUsage, "inputTokens" | "outputTokens" | "cachedInputTokens">,
): number {
  const cachedPrice = price.cachedInputUsdPerMTok ?? price.inputUsdPerMTok;
  const fresh = Math.max(0, inputTokens - cachedInputTokens);
  const cost = fresh * price.inputUsdPerMTok + cachedInputTokens * cachedPrice + outputTokens * price.outputUsdPerMTok;
  // Sums of decimal fractions miss whole numbers by a hair, which rounding up would turn into a unit.
  return Math.ceil(Number(cost.toFixed(6)));
}

/** What the provider's cache saved: the difference to what the same call had cost without it. */
export function cacheSavedMicroUsd(
  price: ModelPrice,
  usage: Pick<ModelUsage, "inputTokens" | "outputTokens" | "cachedInputTokens">,
): number {
  return Math.max(0, costMicroUsd(price, { ...usage, cachedInputTokens: 0 }) - costMicroUsd(price, usage));
}
