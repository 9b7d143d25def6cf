import type { CallOutcome } from "../carrier/frame.ts";
import { admission, type Breaker, type BreakerChange, closedBreaker, ended, passed } from "../core/breaker.ts";
import { type Guard, type Guards, NO_GUARD } from "../core/definition.ts";
import { errorRecord } from "../core/decide.ts";
import { DEFAULTS } from "../definition/default.ts";
import { RateLog } from "../core/rate.ts";
import { catalogue, type ErrorCode, type ErrorRecord } from "../error.ts";
import type { Timer } from "../platform/clock.ts";

/** A call that wants through the gates of everything that it needs. */
export interface GateCall {
  /** Unique for ever. */
  id: string;
  run: string;
  /** What it needs, such as `provider/openai` and `model/openai/NAME`, each with its guard. */
  through: readonly { name: string; guard: Guard }[];
  tokens: number;
  answer(refused: ErrorRecord | null): void;
}

/** A model, a provider or a tool, as all workers together use it. */
class Gate {
  readonly breaker: Breaker = closedBreaker();
  readonly rate = new RateLog();
  readonly inside = new Set<string>();
  /** It asked to be left alone until then. */
  quietUntil = 0;
}

type Admission = { pass: true } | { refuse: ErrorRecord } | { until: number | null };

/** Circuit breakers, concurrency limits and rate limits of models, providers and tools (F4, F5, K5). Kept by the
 *  coordinator, so that all worker processes share them; in memory, since what was learnt of the other side before a
 *  restart is old. Work waits its turn instead of failing; runs take turns, so that a run with many calls does not keep
 *  others waiting. */
export class Gates {
  readonly #gates = new Map<string, Gate>();
  readonly #inside = new Map<string, GateCall>();
  /** Who waits, by run; runs in the order in which their turn comes. */
  readonly #waiting = new Map<string, GateCall[]>();
  #admitting = false;
  readonly #now: () => number;
  readonly #after: (delayMs: number, fn: () => void) => Timer;
  readonly #changed: (gate: string, change: BreakerChange) => void;
  #timer: { at: number; timer: Timer } | null = null;

  constructor(ports: {
    now: () => number;
    after: (delayMs: number, fn: () => void) => Timer;
    changed: (gate: string, change: BreakerChange) => void;
  }) {
    this.#now = ports.now;
    this.#after = ports.after;
    this.#changed = ports.changed;
  }

  /** Answers with null when the call may be made, or with CIRCUIT_OPEN. */
  enter(call: GateCall): void {
    if (this.#try(call)) return;
    const waiting = this.#waiting.get(call.run);
    if (waiting === undefined) this.#waiting.set(call.run, [call]);
    else waiting.push(call);
  }

  /** A call that passed has ended; null: nobody knows how. */
  leave(id: string, outcome: CallOutcome | null): void {
    const call = this.#inside.get(id);
    if (call === undefined) return this.#giveUp(id);
    this.#inside.delete(id);
    const now = this.#now();
    const ok = okOf(outcome);
    for (const { name, guard } of call.through) {
      const gate = this.#gate(name);
      gate.inside.delete(id);
      if (outcome?.tokens !== undefined) gate.rate.used(id, outcome.tokens);
      if (outcome?.code === "MODEL_RATE_LIMITED" && outcome.retryAfterMs !== undefined)
        gate.quietUntil = Math.max(gate.quietUntil, now + outcome.retryAfterMs);
      if (guard.breaker === null) continue;
      this.#tell(name, ended(gate.breaker, guard.breaker, { call: id, ok, why: outcome?.code ?? "", now }));
    }
    this.#admit();
  }

  /** Ends everything of an attempt: `prefix` is what its calls' ids begin with. */
  leaveAll(prefix: string): void {
    for (const calls of [...this.#waiting.values()])
      for (const { id } of [...calls]) if (id.startsWith(prefix)) this.#giveUp(id);
    for (const id of [...this.#inside.keys()]) if (id.startsWith(prefix)) this.leave(id, null);
  }

  #giveUp(id: string): void {
    for (const [run, calls] of this.#waiting) {
      const left = calls.filter((call) => call.id !== id);
      if (left.length === calls.length) continue;
      if (left.length === 0) this.#waiting.delete(run);
      else this.#waiting.set(run, left);
    }
  }

  /** Lets in whoever may pass now, one of each run in turn. Whoever is let in may leave at once, while it is still being
   *  answered: room that this makes is found by the next round. */
  #admit(): void {
    if (this.#admitting) return;
    this.#admitting = true;
    try {
      this.#admitAll();
    } finally {
      this.#admitting = false;
    }
  }

  #admitAll(): void {
    for (let moved = true; moved; ) {
      moved = false;
      for (const [run, calls] of [...this.#waiting]) {
        const index = calls.findIndex((call) => this.#try(call));
        if (index === -1) continue;
        moved = true;
        calls.splice(index, 1);
        // Its next turn comes after the others'.
        this.#waiting.delete(run);
        if (calls.length > 0) this.#waiting.set(run, calls);
      }
    }
  }

  /** Whether the call was answered. */
  #try(call: GateCall): boolean {
    const now = this.#now();
    let until: number | null = null;
    let waits = false;
    for (const { name, guard } of call.through) {
      const admitted = this.#admission(name, guard, call, now);
      if ("refuse" in admitted) {
        call.answer(admitted.refuse);
        return true;
      }
      if ("pass" in admitted) continue;
      waits = true;
      if (admitted.until !== null) until = Math.max(until ?? 0, admitted.until);
    }
    if (waits) {
      if (until !== null) this.#wakeAt(until);
      return false;
    }
    this.#inside.set(call.id, call);
    for (const { name } of call.through) {
      const gate = this.#gate(name);
      gate.inside.add(call.id);
      gate.rate.take(call.id, call.tokens, now);
      this.#tell(name, passed(gate.breaker, call.id));
    }
    call.answer(null);
    return true;
  }

  #admission(name: string, guard: Guard, { tokens }: GateCall, now: number): Admission {
    const gate = this.#gate(name);
    if (guard.breaker !== null) {
      const admitted = admission(gate.breaker, guard.breaker, now);
      if (admitted === "refuse") return { refuse: circuitOpen(name, gate.breaker.openUntil - now) };
      if (admitted === "wait") return { until: null };
    }
    if (guard.concurrencyMax !== null && gate.inside.size >= guard.concurrencyMax) return { until: null };
    const at = Math.max(gate.quietUntil, gate.rate.earliest(guard, tokens, now));
    return at > now ? { until: at } : { pass: true };
  }

  #gate(name: string): Gate {
    const known = this.#gates.get(name);
    if (known !== undefined) return known;
    const gate = new Gate();
    this.#gates.set(name, gate);
    return gate;
  }

  #tell(name: string, change: BreakerChange | null): void {
    if (change !== null) this.#changed(name, change);
  }

  #wakeAt(at: number): void {
    if (this.#timer !== null && this.#timer.at <= at) return;
    this.#timer?.timer.cancel();
    const timer = this.#after(Math.max(0, at - this.#now()), () => {
      this.#timer = null;
      this.#admit();
    });
    this.#timer = { at, timer };
  }

  close(): void {
    this.#timer?.timer.cancel();
  }
}

/** What a model call needs: its provider and the model itself. */
export function modelGates(guards: Guards | undefined, model: string): GateCall["through"] {
  const provider = model.split("/")[0] ?? model;
  const declared = guardOf(guards?.models, model) ?? guardOf(guards?.models, "*");
  return [
    { name: `provider/${provider}`, guard: guardOf(guards?.providers, provider) ?? NO_GUARD },
    { name: `model/${model}`, guard: declared ?? { ...NO_GUARD, breaker: DEFAULTS.breaker } },
  ];
}

export function toolGates(guards: Guards | undefined, tool: string): GateCall["through"] {
  const guard = guardOf(guards?.tools, tool);
  return guard === undefined ? [] : [{ name: `tool/${tool}`, guard }];
}

const guardOf = (guards: Readonly<Record<string, Guard>> | undefined, name: string): Guard | undefined =>
  guards !== undefined && Object.hasOwn(guards, name) ? guards[name] : undefined;

/** Whether an outcome speaks for or against what was called; null: neither. A refusal of the request, or of its rate, is
 *  no sign that the other side is not well. */
function okOf(outcome: CallOutcome | null): boolean | null {
  if (outcome === null) return null;
  const { code } = outcome;
  if (code === null) return true;
  if (code === "MODEL_RATE_LIMITED" || code === "CANCELLED") return null;
  const known = Object.hasOwn(catalogue, code) ? catalogue[code as ErrorCode] : undefined;
  return known?.class === "transient" ? false : null;
}

function circuitOpen(name: string, retryAfterMs: number): ErrorRecord {
  const message = `${name} failed again and again; nothing is asked of it for ${Math.ceil(retryAfterMs / 1_000)} s`;
  return { ...errorRecord("CIRCUIT_OPEN", message), retryAfterMs, details: { sent: false, gate: name } };
}
