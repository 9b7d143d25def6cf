import { errorRecord, type StepRecord } from "../core/decide.ts";
import type { RunState } from "../core/state.ts";
import type { ErrorRecord } from "../error.ts";

interface Attempt {
  run: string;
  task: string;
  attempt: number;
}

/** What a model call may need at worst. Money is null for a model without a price. */
export interface WorstCase {
  tokens: number;
  costMicroUsd: number | null;
}

/** What model calls in flight may use at worst, so that calls in parallel do not pass a run's limits together (K2).
 *  In memory: a call does not outlive the process that asked for it. */
export class Permits {
  readonly #runs = new Map<string, Map<string, WorstCase[]>>();

  /** Grants a call to an attempt, or says why not. */
  ask(state: RunState, held: Attempt, { tokens, costMicroUsd }: WorstCase): ErrorRecord | null {
    if (state.status !== "running") return errorRecord("CANCELLED", `the run is ${state.status}`);
    const worst = { tokens, costMicroUsd };
    const refused = refusal(state, this.#reserved(held.run), worst);
    if (refused !== null) return refused;
    let run = this.#runs.get(held.run);
    if (run === undefined) {
      run = new Map();
      this.#runs.set(held.run, run);
    }
    const key = keyOf(held);
    const granted = run.get(key);
    if (granted === undefined) run.set(key, [worst]);
    else granted.push(worst);
    return null;
  }

  /** A call of this attempt is on record: its usage counts from now on, its reservation ends. */
  used(held: Attempt, step: StepRecord): void {
    if (step.kind !== "model" && step.kind !== "compaction") return;
    this.#runs.get(held.run)?.get(keyOf(held))?.shift();
  }

  end(held: Attempt): void {
    const run = this.#runs.get(held.run);
    if (run === undefined) return;
    run.delete(keyOf(held));
    if (run.size === 0) this.#runs.delete(held.run);
  }

  #reserved(run: string): { tokens: number; costMicroUsd: number } {
    const sum = { tokens: 0, costMicroUsd: 0 };
    for (const granted of this.#runs.get(run)?.values() ?? []) {
      for (const { tokens, costMicroUsd } of granted) {
        sum.tokens += tokens;
        sum.costMicroUsd += costMicroUsd ?? 0;
      }
    }
    return sum;
  }
}

function refusal(
  { usage, limits }: RunState,
  reserved: { tokens: number; costMicroUsd: number },
  worst: WorstCase,
): ErrorRecord | null {
  const spent = usage.inputTokens + usage.outputTokens;
  if (spent + reserved.tokens + worst.tokens > limits.tokensMax) {
    const message = `the run used ${spent} tokens of ${limits.tokensMax}, ${reserved.tokens} are reserved; the next call may need ${worst.tokens}`;
    return errorRecord("LIMIT_TOKENS", message);
  }
  const { costMicroUsdMax } = limits;
  if (costMicroUsdMax === null) return null;
  if (worst.costMicroUsd === null) {
    const message = "the run has a limit of money, and the model that is to be asked has no price";
    return {
      ...errorRecord("LIMIT_COST", message),
      hint: "Declare it under providers.NAME.prices, or limit tokens instead.",
    };
  }
  if (usage.costMicroUsd + reserved.costMicroUsd + worst.costMicroUsd <= costMicroUsdMax) return null;
  const message = `the run spent ${usd(usage.costMicroUsd)} of ${usd(costMicroUsdMax)}, ${usd(reserved.costMicroUsd)} are reserved; the next call may cost ${usd(worst.costMicroUsd)}`;
  return errorRecord("LIMIT_COST", message);
}

const usd = (micro: number): string => `$${(micro / 1_000_000).toFixed(6).replace(/0{1,4}$/, "")}`;

const keyOf = ({ task, attempt }: Attempt): string => `${task}/${attempt}`;
