import type { BreakerPolicy } from "./definition.ts";

/** A circuit breaker (F4). Closed: calls pass. Open: none does, until a time. Half-open: a few probes pass, and what
 *  becomes of them decides. */
export interface Breaker {
  state: "closed" | "open" | "half-open";
  /** Failures in a row. */
  failures: number;
  openUntil: number;
  /** Calls under way that decide. */
  probes: Set<string>;
}

export interface BreakerChange {
  from: Breaker["state"];
  to: Breaker["state"];
  why: string;
}

export const closedBreaker = (): Breaker => ({ state: "closed", failures: 0, openUntil: 0, probes: new Set() });

/** Whether a call may pass now. `wait`: all probes are taken, and they will soon decide. */
export function admission(breaker: Breaker, policy: BreakerPolicy, now: number): "pass" | "wait" | "refuse" {
  if (breaker.state === "closed") return "pass";
  if (breaker.state === "open" && now < breaker.openUntil) return "refuse";
  return breaker.probes.size < policy.probes ? "pass" : "wait";
}

/** A call passes: the first after its time makes an open breaker half-open. */
export function passed(breaker: Breaker, call: string): BreakerChange | null {
  if (breaker.state === "closed") return null;
  breaker.probes.add(call);
  return breaker.state === "open" ? change(breaker, "half-open", "it is tried again") : null;
}

/** A call ended. `ok` is null when that says nothing of what was called. */
export function ended(
  breaker: Breaker,
  policy: BreakerPolicy,
  { call, ok, why, now }: { call: string; ok: boolean | null; why: string; now: number },
): BreakerChange | null {
  const decides = breaker.probes.delete(call);
  if (ok === null) return null;
  if (ok) {
    breaker.failures = 0;
    // What was called before it opened says nothing of how it is now.
    return decides && breaker.state === "half-open" ? change(breaker, "closed", "a probe succeeded") : null;
  }
  breaker.failures += 1;
  const opens = breaker.state === "closed" ? breaker.failures >= policy.failures : decides;
  if (!opens || breaker.state === "open") return null;
  breaker.openUntil = now + policy.openMs;
  return change(breaker, "open", breaker.state === "closed" ? `${breaker.failures} failures in a row: ${why}` : why);
}

function change(breaker: Breaker, to: Breaker["state"], why: string): BreakerChange {
  const from = breaker.state;
  breaker.state = to;
  if (to !== "half-open") breaker.probes.clear();
  return { from, to, why };
}
