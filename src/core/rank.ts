import type { Priority } from "./definition.ts";

/** How long a task of the next lower priority must have waited to go first. */
export const AGING_MS = 30_000;

/** A task's place in its queue, smaller first: a lower priority costs `AGING_MS` of waiting per level, so CRITICAL
 *  goes first and LOW is never starved (C7). Fixed at the time it became ready, so that stores can index it. */
export function rankOf(priority: Priority | number, readyAt: number): number {
  return readyAt + priority * AGING_MS;
}
