import type { Limits } from "./definition.ts";

/** How much of a run's limits its children hold, each from when it is asked for until it ends and what it used is
 *  counted. What they hold of tokens and money is reserved as a call's worst case is (see `money.ts`). */
export interface ChildShare {
  steps: number;
  tasks: number;
}

export const NOTHING: ChildShare = { steps: 0, tasks: 0 };

/** What a child used, all that its own children used included. */
export interface ChildUsage {
  steps: number;
  tasks: number;
  inputTokens: number;
  outputTokens: number;
  costMicroUsd: number;
  unpriced: number;
  simulated: boolean;
  /** Of calls whose outcome nobody knows. */
  unsettled: { tokens: number; costMicroUsd: number };
}

/** A child as its parent asked for it. */
export interface ChildRequest {
  run: string;
  workflow: string;
  pattern: string;
  limits: Limits;
}

/** `allotted` with a child's limits put aside (`sign` 1), or given back (-1). */
export function withShare(allotted: ChildShare, { stepsMax, tasksMax }: Limits, sign: 1 | -1): ChildShare {
  return { steps: allotted.steps + sign * stepsMax, tasks: allotted.tasks + sign * tasksMax };
}
