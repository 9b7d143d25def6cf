// Every entry point has types, also for whoever checks the declarations of packages.
import { storeConformance } from "flotilla/conformance";
import { type SimulationSummary, simulate } from "flotilla/simulator";
import { fleetTest, runFleet } from "flotilla/vitest";

export const functions: readonly unknown[] = [storeConformance, simulate, fleetTest, runFleet];
export type Summary = SimulationSummary;
