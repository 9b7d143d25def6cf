import type { CallOutcome, TaskRef } from "../carrier/frame.ts";
import type { RunEvent } from "../core/event.ts";
import { type CallRequest, callRefusal, isOpenCall, NO_LIMITS } from "../core/money.ts";
import { type ErrorRecord, isFlotillaError, toErrorRecord } from "../error.ts";
import type { HotRun, Ledger } from "./ledger.ts";

export type Asked = CallRequest & TaskRef;
type Answer = (refused: ErrorRecord | null) => void;

interface Waiting {
  asked: Asked;
  answer: Answer;
}

/** Grants calls: a call may be made once what it needs at worst is reserved on record (K2). What does not fit waits, in
 *  order, while calls of its run are open that may leave something over. It holds nothing but who waits: what is
 *  reserved is the run's state. */
export class Permits {
  readonly #ledger: Ledger;
  readonly #soon: (fn: () => void) => void;
  readonly #failed: (error: unknown) => void;
  readonly #waiting = new Map<string, Waiting[]>();

  constructor(ports: { ledger: Ledger; soon: (fn: () => void) => void; failed: (error: unknown) => void }) {
    this.#ledger = ports.ledger;
    this.#soon = ports.soon;
    this.#failed = ports.failed;
  }

  /** Answers with null once the call may be made, or with why it may not. */
  ask(asked: Asked, answer: Answer): void {
    const hot = this.#ledger.hot(asked.run);
    if (hot === undefined) {
      this.#ledger.open(asked.run).then(
        () => this.ask(asked, answer),
        (error: unknown) => this.#unable(error, answer),
      );
      return;
    }
    const refusal = callRefusal(hot.state, asked, limitsOf(hot, asked));
    if (refusal === null) return this.#reserve(asked, answer);
    if (!refusal.wait) return answer(refusal.error);
    const waiting = this.#waiting.get(asked.run);
    if (waiting === undefined) this.#waiting.set(asked.run, [{ asked, answer }]);
    else waiting.push({ asked, answer });
  }

  /** A call ended without a record of what it used. */
  outcome({ run, task, attempt, call, billed }: { call: string } & CallOutcome & TaskRef): void {
    if (billed === "recorded") return;
    const outcome = billed === "none" ? "free" : "unsettled";
    this.#ledger.submit(run, { type: "call.settle", task, attempt, call, outcome }).catch(this.#failed);
  }

  /** Something was decided that may leave room for those who wait, or nothing to wait for. */
  decided(hot: HotRun, events: readonly RunEvent[]): void {
    if (!this.#waiting.has(hot.id) || !events.some(({ type }) => SETTLING.has(type))) return;
    this.#soon(() => {
      const waiting = this.#waiting.get(hot.id) ?? [];
      this.#waiting.delete(hot.id);
      for (const { asked, answer } of waiting) this.ask(asked, answer);
    });
  }

  #reserve(asked: Asked, answer: Answer): void {
    const { run, task, attempt, call, model, tokens, costMicroUsd } = asked;
    this.#ledger.submit(run, { type: "call.reserve", task, attempt, call, model, tokens, costMicroUsd }).then(
      (events) => {
        const hot = this.#ledger.hot(run);
        const granted = events.length > 0 || (hot !== undefined && isOpenCall(hot.state, asked));
        // Decided anew after a conflict, it may have found less room.
        if (granted) answer(null);
        else this.ask(asked, answer);
      },
      (error: unknown) => this.#unable(error, answer),
    );
  }

  #unable(error: unknown, answer: Answer): void {
    this.#failed(error);
    answer(toErrorRecord(error, isFlotillaError(error) ? error.code : "INVARIANT"));
  }
}

const limitsOf = ({ context, state }: HotRun, { task }: Asked) =>
  context?.taskLimits?.(state.tasks.get(task)?.agent ?? null) ?? NO_LIMITS;

const SETTLING: ReadonlySet<string> = new Set([
  ...["step.completed", "step.failed", "call.settled", "budget.exceeded"],
  ...["run.completed", "run.failed", "run.stopped"],
]);
