import { type Held, heldInRun } from "./held.ts";
import { readState } from "../runtime/read-run.ts";
import { type RunSummary, summaryOf } from "../runtime/ledger.ts";
import type { RunRow, Store } from "../store/store.ts";
import { isFlotillaError } from "../error.ts";

export interface RunNumbers extends RunSummary {
  /** What keeps it, or agents that have work in it, from going on. */
  held: Held[];
}

/** What a run took so far: of one that has ended from its row, of one that runs from its journal. A journal that
 *  cannot be read gives an error in its place, so that the list of the others still shows (F14). */
export async function runNumbers(store: Store, row: RunRow, inFleet: readonly Held[] = []): Promise<RunNumbers> {
  if (row.summary !== null)
    return { ...(JSON.parse(Buffer.from(row.summary).toString("utf8")) as RunSummary), held: [] };
  try {
    const state = await readState(store, row.id);
    return { ...summaryOf(state), held: heldInRun(state, inFleet) };
  } catch (error) {
    if (!isFlotillaError(error)) throw error;
    const nothing = {
      tasks: 0,
      steps: 0,
      inputTokens: 0,
      outputTokens: 0,
      costMicroUsd: 0,
      unpriced: 0,
      simulated: false,
      held: [],
    };
    return { ...nothing, endedAt: null, error: `${error.code}: ${error.message}` };
  }
}
