import { approved } from "./approved.ts";
import { asked } from "./asked.ts";
import { believed } from "./believed.ts";
import { boundedMemory } from "./bounded.ts";
import { chained } from "./chain.ts";
import { children } from "./children.ts";
import type { CheckerMaker } from "./checker.ts";
import { claims } from "./claims.ts";
import { edges } from "./edges.ts";
import { factsTrue } from "./facts-true.ts";
import { granted } from "./granted.ts";
import { kept } from "./kept.ts";
import { noOrphan } from "./no-orphan.ts";
import { nothingLost } from "./nothing-lost.ts";
import { oneEnd } from "./one-end.ts";
import { queueEmpty } from "./queue-empty.ts";
import { routed } from "./routed.ts";
import { settled } from "./settled.ts";
import { schedules } from "./schedules.ts";
import { stepsOnce } from "./steps-once.ts";
import { stopped } from "./stopped.ts";
import { withinLimits } from "./within-limits.ts";

/** One for each invariant of the design that applies here. The twelfth, one history for one seed, is checked by running
 *  a seed twice. */
export const checkers: readonly CheckerMaker[] = [
  oneEnd,
  stepsOnce,
  edges,
  nothingLost,
  factsTrue,
  stopped,
  schedules,
  believed,
  chained,
  granted,
  asked,
  approved,
  queueEmpty,
  boundedMemory,
  noOrphan,
  withinLimits,
  claims,
  routed,
  settled,
  children,
  kept,
];
