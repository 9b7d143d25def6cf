import type { ErrorRecord } from "../error.ts";
import type { RetryPolicy } from "./definition.ts";

/** Whether and when a failed attempt is repeated (F1, F2). `roll` is a random number in [0, 1) for the jitter.
 *  A provider's retry-after is obeyed: the delay is never shorter. Returns null when the failure is final. */
export function retryDelayMs(policy: RetryPolicy, attempt: number, error: ErrorRecord, roll: number): number | null {
  if (error.class !== "transient" || attempt >= policy.attemptsMax) return null;
  const base = Math.min(policy.delayMsMax, policy.initialDelayMs * policy.factor ** (attempt - 1));
  const [low, high] = policy.jitter;
  const jittered = Math.round(base * (low + (high - low) * roll));
  return Math.max(jittered, error.retryAfterMs ?? 0);
}
