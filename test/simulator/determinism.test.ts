import { expect, test } from "vitest";
import { simulateSeed } from "../../src/simulator/campaign-seed.ts";
import { faultName } from "../../src/simulator/fault.ts";
import { PLANTED } from "../../src/simulator/planted.ts";
import { shrink } from "../../src/simulator/shrink.ts";
import { seeds } from "./campaign.ts";

test("invariant 12: the same seed gives the same history, byte for byte", async () => {
  for (const seed of seeds(1, 20)) {
    const [first, second] = [await simulateSeed(seed), await simulateSeed(seed)];
    expect(second.digest, `seed ${seed}`).toBe(first.digest);
  }
});

test("invariant 12: also on the real sqlite adapter", async () => {
  for (const seed of seeds(1, 3)) {
    const [first, second] = [
      await simulateSeed(seed, { store: "sqlite" }),
      await simulateSeed(seed, { store: "sqlite" }),
    ];
    expect(second.digest, `seed ${seed}`).toBe(first.digest);
  }
});

test("the faults that were taken, given as a schedule, repeat the history", async () => {
  for (const seed of seeds(21, 10)) {
    const first = await simulateSeed(seed);
    const second = await simulateSeed(seed, { faults: { schedule: new Set(first.faults.map(faultName)) } });
    expect(second.digest, `seed ${seed}`).toBe(first.digest);
  }
});

test("T2: a failing seed is shrunk to the smallest schedule that still fails", { timeout: 300_000 }, async () => {
  const options = { planted: PLANTED["leak an orphan"] };
  const seed = 7;
  const report = await simulateSeed(seed, options);
  expect(report.violations).not.toEqual([]);
  const repeat = (schedule: ReadonlySet<string>) => simulateSeed(seed, { ...options, faults: { schedule } });
  const smallest = await shrink(report, repeat);
  expect(smallest).toHaveLength(1);
  expect(smallest[0]).toMatch(/^coordinator\.crash#/);
  expect((await repeat(new Set(smallest))).violations).not.toEqual([]);
});
