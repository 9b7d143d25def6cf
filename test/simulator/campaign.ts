import { expect } from "vitest";
import { type Campaign, neverTaken, runCampaign } from "../../src/simulator/campaign.ts";

export function seeds(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}

/** A campaign in which every promise must hold; says how to repeat what fails. */
export async function sound(list: readonly number[], store: "memory" | "sqlite" = "memory"): Promise<Campaign> {
  const campaign = await runCampaign({ seeds: list, store });
  const broken = campaign.failures.map(({ report, schedule }) => ({
    repeat: `npm run simulate -- --seed ${report.configuration.seed}${store === "sqlite" ? " --store sqlite" : ""} --only "${schedule?.join(",")}"`,
    configuration: report.configuration,
    violations: report.violations,
  }));
  expect(broken).toEqual([]);
  return campaign;
}

/** Nothing that can go wrong, and no way of recovery, may be left out by a campaign of this size. */
export function complete(campaign: Campaign): void {
  expect(neverTaken(campaign)).toEqual([]);
}
