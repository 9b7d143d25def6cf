import type { RunUsage } from "../../core/state.ts";
import { count, money, plural } from "./number.ts";

export type Cost = Pick<RunUsage, "inputTokens" | "outputTokens" | "costMicroUsd" | "unpriced" | "simulated">;

/** Money as far as it is known: models without a price are named, never counted as $0, and what scripted or recorded
 *  models would not really cost is labelled. Empty when no model was asked. */
export function costText({ inputTokens, outputTokens, costMicroUsd, unpriced, simulated }: Cost): string {
  if (inputTokens + outputTokens === 0 && costMicroUsd === 0) return "";
  if (simulated) return costMicroUsd === 0 ? "simulated" : `${money(costMicroUsd)} (simulated)`;
  if (unpriced === 0) return money(costMicroUsd);
  const calls = `${plural(unpriced, "call")} unpriced`;
  return costMicroUsd === 0 ? `unpriced` : `${money(costMicroUsd)} and ${calls}`;
}

export function tokensText({ inputTokens, outputTokens }: Pick<Cost, "inputTokens" | "outputTokens">): string {
  return `${count(inputTokens + outputTokens)} tokens`;
}

/** `61k tokens · $0.22`; empty when no model was asked. */
export function usageText(cost: Cost): string {
  const text = costText(cost);
  return text === "" ? "" : `${tokensText(cost)} · ${text}`;
}
