import { describe, expect, test } from "vitest";
import { type SeedOptions, simulateSeed } from "../../src/simulator/campaign-seed.ts";
import { stepsOnce } from "../../src/simulator/checker/steps-once.ts";
import { PLANTED, type PlantedBug, STALE_ASSIGNMENTS } from "../../src/simulator/planted.ts";
import type { Violation } from "../../src/simulator/simulation.ts";
import { seeds } from "./campaign.ts";

interface Expected {
  /** Beginning of the promise that must be found broken. */
  promise: string;
  seedsMax: number;
  options?: SeedOptions;
}

const EXPECTED: Record<PlantedBug, Expected> = {
  "skip the fence": { promise: "2:", seedsMax: 60, options: { mode: "frames" } },
  "acknowledge before the flush": { promise: "4:", seedsMax: 5 },
  "drop the dedupe of runs": { promise: "1:", seedsMax: 20 },
  "drop the dedupe of steps": { promise: "2:", seedsMax: 60 },
  "forget a timer": { promise: "1:", seedsMax: 20 },
  "apply a late result": {
    promise: "2:",
    seedsMax: 60,
    options: { faults: { chances: { "store.unknown": 0.1, "store.conflict": 0.1 } } },
  },
  "forget what is claimed": { promise: "C3: no agent", seedsMax: 100 },
  "forget a reservation at crash": { promise: "5:", seedsMax: 300 },
  "forget who read": { promise: "4:", seedsMax: 60 },
  "forget the time of a schedule": { promise: "I8:", seedsMax: 60 },
  "dispatch in spite of a hold": { promise: "6:", seedsMax: 40 },
  "forget holds at a restart": { promise: "6:", seedsMax: 400 },
  "forget who is busy": { promise: "C6:", seedsMax: 150 },
  "make an answer up": { promise: "C9:", seedsMax: 40 },
  "lose what is in the outbox": { promise: "1:", seedsMax: 60 },
  "hear of a child twice": { promise: "C3:", seedsMax: 20 },
  "answer for the person": { promise: "F9:", seedsMax: 60, options: { mode: "frames" } },
  "redo finished work": { promise: "C5:", seedsMax: 60 },
  "let agents wait in a circle": { promise: "C8, C12:", seedsMax: 1_000 },
  "pass every tool on": { promise: "C8, C12:", seedsMax: 60 },
  "forget what others drew": { promise: "5:", seedsMax: 150 },
  "leak an orphan": { promise: "issue 2 line 4:", seedsMax: 40 },
};

describe("a planted bug is caught, and its promise is named", () => {
  for (const [bug, { promise, seedsMax, options }] of Object.entries(EXPECTED) as [PlantedBug, Expected][]) {
    test(`${bug}, within ${seedsMax} seeds`, { timeout: 300_000 }, async () => {
      expect(await firstBroken(promise, seedsMax, { ...options, planted: PLANTED[bug] })).toBeDefined();
    });
  }
});

test("M7: assignments that come again after their attempt is over repeat nothing while attempts fence", {
  timeout: 300_000,
}, async () => {
  const options: SeedOptions = { mode: "frames", planted: STALE_ASSIGNMENTS, checkers: [stepsOnce] };
  expect(await firstBroken("2:", 60, options)).toBeUndefined();
});

async function firstBroken(promise: string, seedsMax: number, options: SeedOptions): Promise<Violation | undefined> {
  for (const seed of seeds(1, seedsMax)) {
    const { violations } = await simulateSeed(seed, options);
    const found = violations.find((violation) => violation.promise.startsWith(promise));
    if (found !== undefined) return found;
  }
  return undefined;
}
