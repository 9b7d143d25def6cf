import type { WorkflowDefinition } from "../core/definition.ts";
import type { RunSummary } from "../runtime/ledger.ts";
import type { Store } from "../store/store.ts";
import type { Context } from "./context.ts";
import { count, money } from "./format/number.ts";
import { shortId } from "./format/status.ts";

const LOOKED_AT = 20;

export interface CostQuestion {
  workflow: string;
  declared: WorkflowDefinition;
  models: readonly string[];
  /** The run's own limit of money, in micro-USD. */
  budget: number | null;
}

/** Tells what a live run will about cost, from the last one that was live, and under which limits it runs; on a terminal
 *  it asks. Returns whether to go on: elsewhere always, under the limits. */
export async function mayCost(
  context: Context,
  store: Store,
  question: CostQuestion,
  { yes }: { yes: boolean },
): Promise<boolean> {
  const { terminal, json } = context;
  if (json) return true;
  const { declared, models, budget } = question;
  const about = await estimate(store, question.workflow);
  const limit = budget ?? declared.limits.costMicroUsdMax;
  const stop = `Hard stop ${limit === null ? "" : `${money(limit)} or `}${count(declared.limits.tokensMax)} tokens.`;
  const statement = `  Asks ${models.join(", ")}. ${about} ${stop}`;
  if (yes || !terminal.interactive) {
    terminal.note(statement);
    return true;
  }
  const answer = await terminal.ask(`${statement} Continue? [Y/n] `);
  return !/^n/i.test(answer.trim());
}

async function estimate(store: Store, workflow: string): Promise<string> {
  for (const { id, summary } of await store.runs({ workflow, status: "completed", limit: LOOKED_AT })) {
    if (summary === null) continue;
    const { inputTokens, outputTokens, costMicroUsd, unpriced, simulated } = JSON.parse(
      Buffer.from(summary).toString("utf8"),
    ) as RunSummary;
    if (simulated) continue;
    const price = unpriced > 0 ? "price unknown" : money(costMicroUsd);
    return `About ${count(inputTokens + outputTokens)} tokens, ${price} (from ${shortId(id)}).`;
  }
  return "No earlier live run to estimate from.";
}
