import type { CallOutcome, PermitCall, TaskRef } from "../carrier/frame.ts";
import type { AccountTerms } from "../core/account.ts";
import type { RunEvent } from "../core/event.ts";
import { type CallRequest, callRefusal, isOpenCall, isReservedFor } from "../core/money.ts";
import { type ErrorRecord, isFlotillaError, toErrorRecord } from "../error.ts";
import type { FleetAccounts } from "./accounts.ts";
import type { GateCall, Gates } from "./gates.ts";
import type { HotRun, Ledger } from "./ledger.ts";

type Asked = CallRequest & TaskRef;
type Answer = (refused: ErrorRecord | null) => void;

interface Waiting {
  asked: Asked;
  answer: Answer;
}

/** Grants calls: a call may be made once it has passed the gates of all that it needs (F4, K5), and once what it needs at worst is reserved on record (K2). What does not fit waits, in
 *  order, while calls are open that may leave something over: of its run, or of any run that holds something of the
 *  account that is short. It holds nothing but who waits: what is reserved is the run's state. */
export class Permits {
  readonly #ledger: Ledger;
  readonly #accounts: FleetAccounts;
  readonly #gates: Gates;
  readonly #through: (call: PermitCall) => GateCall["through"];
  readonly #now: () => number;
  readonly #soon: (fn: () => void) => void;
  readonly #failed: (error: unknown) => void;
  /** By the run whose calls they wait for; `""`: any run's. */
  readonly #waiting = new Map<string, Waiting[]>();

  constructor(ports: {
    ledger: Ledger;
    accounts: FleetAccounts;
    gates: Gates;
    /** The gates of a call. */
    through: (call: PermitCall) => GateCall["through"];
    now: () => number;
    soon: (fn: () => void) => void;
    failed: (error: unknown) => void;
  }) {
    this.#ledger = ports.ledger;
    this.#accounts = ports.accounts;
    this.#gates = ports.gates;
    this.#through = ports.through;
    this.#now = ports.now;
    this.#soon = ports.soon;
    this.#failed = ports.failed;
  }

  /** Answers with null once the call may be made, or with why it may not. */
  ask(asked: PermitCall & TaskRef & { ask?: string }, answer: Answer): void {
    const id = idOf(asked);
    const enter = (refused: ErrorRecord | null) => {
      if (refused !== null || asked.kind === "tool") return answer(refused);
      this.#afford(asked, (tooDear) => {
        if (tooDear !== null) this.#gates.leave(id, null);
        answer(tooDear);
      });
    };
    const tokens = asked.kind === "tool" ? 0 : asked.tokens;
    this.#gates.enter({ id, run: asked.run, through: this.#through(asked), tokens, answer: enter });
  }

  /** An attempt is over, and with it all its calls. */
  end({ run, task, attempt }: TaskRef): void {
    this.#gates.leaveAll(`${run}/${task}/${attempt}/`);
  }

  #afford(asked: Asked, answer: Answer): void {
    const hot = this.#ledger.hot(asked.run);
    const terms = hot === undefined ? [] : this.#termsOf(hot, asked);
    if (hot === undefined || !this.#accounts.knows(terms)) {
      const ready = hot === undefined ? this.#ledger.open(asked.run) : this.#accounts.load(terms);
      ready.then(
        () => this.#afford(asked, answer),
        (error: unknown) => this.#unable(error, answer),
      );
      return;
    }
    const { taskLimits } = hot.context ?? {};
    const context = { now: this.#now(), accounts: this.#accounts, ...(taskLimits === undefined ? {} : { taskLimits }) };
    const refusal = callRefusal(hot.state, asked, context);
    if (refusal === null) return this.#reserve(asked, answer);
    if (!refusal.wait) return answer(refusal.error);
    this.#wait(refusal.account === undefined ? asked.run : ANY_RUN, { asked, answer });
    if (refusal.account !== undefined) this.#callBack(refusal.account);
  }

  /** A call ended; unless a step records what it used, that is settled here. */
  outcome(ended: { call: string } & CallOutcome & TaskRef): void {
    const { run, task, attempt, call, billed } = ended;
    this.#gates.leave(idOf(ended), ended);
    const hot = this.#ledger.hot(run);
    if (billed === "recorded" || (hot !== undefined && !isOpenCall(hot.state, ended))) return;
    const outcome = billed === "none" ? "free" : "unsettled";
    this.#ledger.submit(run, { type: "call.settle", task, attempt, call, outcome }).catch(this.#failed);
  }

  /** Something was decided that may leave room for those who wait, or nothing to wait for. */
  decided(hot: HotRun, events: readonly RunEvent[]): void {
    this.#accounts.decided(hot.state, events);
    if (this.#waiting.size === 0 || !events.some(({ type }) => SETTLING.has(type))) return;
    this.#soon(() => {
      for (const key of [hot.id, ANY_RUN]) {
        const waiting = this.#waiting.get(key) ?? [];
        this.#waiting.delete(key);
        for (const { asked, answer } of waiting) this.#afford(asked, answer);
      }
    });
  }

  #wait(key: string, waiting: Waiting): void {
    const others = this.#waiting.get(key);
    if (others === undefined) this.#waiting.set(key, [waiting]);
    else others.push(waiting);
  }

  /** Has what others drew and do not use given back. */
  #callBack(terms: AccountTerms): void {
    for (const run of this.#accounts.holders(terms)) {
      const hot = this.#ledger.hot(run);
      const idle = hot?.state.money.allotments.get(`${terms.account}\n${terms.window}`)?.free;
      if (idle !== undefined && (idle.tokens > 0 || idle.costMicroUsd > 0))
        this.#ledger.submit(run, { type: "budget.return" }).catch(this.#failed);
    }
  }

  #termsOf({ state }: HotRun, { task }: Asked): readonly AccountTerms[] {
    return this.#accounts.terms(state.tasks.get(task)?.agent ?? null, state.workflow, this.#now());
  }

  #reserve(asked: Asked, answer: Answer): void {
    const { run, task, attempt, call, model, tokens, costMicroUsd, ask } = asked;
    const request = { task, attempt, call, model, tokens, costMicroUsd, ...(ask === undefined ? {} : { ask }) };
    this.#ledger.submit(run, { type: "call.reserve", ...request }).then(
      (events) => {
        const hot = this.#ledger.hot(run);
        const granted = events.length > 0 || (hot !== undefined && isReservedFor(hot.state, asked));
        // Decided anew after a conflict, it may have found less room.
        if (granted) answer(null);
        else this.#afford(asked, answer);
      },
      (error: unknown) => this.#unable(error, answer),
    );
  }

  #unable(error: unknown, answer: Answer): void {
    this.#failed(error);
    answer(toErrorRecord(error, isFlotillaError(error) ? error.code : "INVARIANT"));
  }
}

const idOf = ({ run, task, attempt, call }: { call: string } & TaskRef): string => `${run}/${task}/${attempt}/${call}`;

const ANY_RUN = "";

const SETTLING: ReadonlySet<string> = new Set([
  ...["step.completed", "step.failed", "call.settled", "budget.exceeded", "budget.returned", "child.ended"],
  ...["run.completed", "run.failed", "run.stopped"],
]);
