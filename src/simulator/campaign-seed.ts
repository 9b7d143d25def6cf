import { campaignCode } from "./campaign-code.ts";
import type { CheckerMaker } from "./checker/checker.ts";
import { checkers } from "./checker/index.ts";
import { ordersOf } from "./client.ts";
import { type FaultPlan, swarm } from "./fault.ts";
import { interventionsOf } from "./intervention.ts";
import { plannerOf, simulatedFleet, WORKFLOWS } from "./fleet.ts";
import type { Mode } from "./machine.ts";
import type { PlantedHooks } from "./planted-hook.ts";
import { Prng } from "./prng.ts";
import { type Report, runSimulation } from "./simulation.ts";

export interface SeedOptions {
  store?: "memory" | "sqlite";
  /** Default: the seed's own mix. */
  faults?: FaultPlan;
  mode?: Mode;
  planted?: PlantedHooks;
  checkers?: readonly CheckerMaker[];
}

/** Shorter than the deadline of a run, so that whoever is saved by that alone is found out. */
const LIVENESS_MS = 40 * 60_000;
const HAPPENINGS_MAX = 400_000;
const UNBOUNDED = 1_000_000;

/** Runs one seed of a campaign: fleet, circumstances, orders and faults all follow from the number. */
export function simulateSeed(seed: number, options: SeedOptions = {}): Promise<Report> {
  const random = new Prng(seed, "configuration");
  const mode = random.pick(["channel", "channel", "frames", "library"] as const);
  const definition = simulatedFleet(seed);
  const queueDepthMax = random.chance(0.1) ? random.int(3, 8) : UNBOUNDED;
  const configuration = {
    seed,
    store: options.store ?? "memory",
    mode: options.mode ?? mode,
    hosts: random.int(1, 3),
    slots: random.pick([1, 2, 4, 64]),
    // A schedule, unlike a client, never gives up; and what has more tasks than the queue takes never gets in.
    queueDepthMax: definition.schedules === undefined ? queueDepthMax : UNBOUNDED,
  };
  const workflows = random.chance(0.5) ? WORKFLOWS : [random.pick(WORKFLOWS)];
  return runSimulation({
    configuration,
    faults: options.faults ?? swarm(seed),
    definition,
    code: campaignCode,
    planners: plannerOf,
    orders: ordersOf(seed, workflows),
    interventions: interventionsOf(seed, { workflows, agents: Object.keys(definition.agents) }),
    checkers: options.checkers ?? checkers,
    ...(options.planted === undefined ? {} : { planted: options.planted }),
    safetyMs: random.int(4_000, 40_000),
    livenessMs: LIVENESS_MS,
    happeningsMax: HAPPENINGS_MAX,
  });
}
