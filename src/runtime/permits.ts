import { errorRecord, type StepRecord } from "../core/decide.ts";
import type { RunState } from "../core/state.ts";
import type { ErrorRecord } from "../error.ts";

interface Attempt {
  run: string;
  task: string;
  attempt: number;
}

/** Tokens that model calls in flight may use at worst, so that calls in parallel do not pass a run's limit together
 *  (K2). In memory: a call does not outlive the process that asked for it. */
export class Permits {
  readonly #runs = new Map<string, Map<string, number[]>>();

  /** Grants `tokens` to an attempt, or says why not. */
  ask(state: RunState, held: Attempt, tokens: number): ErrorRecord | null {
    const { usage, limits } = state;
    if (state.status !== "running") return errorRecord("CANCELLED", `the run is ${state.status}`);
    const spent = usage.inputTokens + usage.outputTokens;
    const reserved = this.#reserved(held.run);
    if (spent + reserved + tokens > limits.tokensMax) {
      const message = `the run used ${spent} tokens of ${limits.tokensMax}, ${reserved} are reserved; the next call may need ${tokens}`;
      return errorRecord("LIMIT_TOKENS", message);
    }
    let run = this.#runs.get(held.run);
    if (run === undefined) {
      run = new Map();
      this.#runs.set(held.run, run);
    }
    const key = keyOf(held);
    const granted = run.get(key);
    if (granted === undefined) run.set(key, [tokens]);
    else granted.push(tokens);
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

  #reserved(run: string): number {
    let sum = 0;
    for (const granted of this.#runs.get(run)?.values() ?? []) for (const tokens of granted) sum += tokens;
    return sum;
  }
}

const keyOf = ({ task, attempt }: Attempt): string => `${task}/${attempt}`;
