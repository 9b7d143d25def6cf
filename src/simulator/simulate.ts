import type { Json } from "../core/json.ts";
import { loadCode } from "../definition/code.ts";
import { type Fleet, type FleetCode, isFleet } from "../definition/fleet.ts";
import { loadFleet } from "../definition/load.ts";
import { FlotillaError } from "../error.ts";
import { canonicalJson } from "../message/canonical.ts";
import { patterns } from "../pattern/index.ts";
import { workflowOf } from "../runtime/definitions.ts";
import { problemsOf } from "../tool/validate.ts";
import { checkers } from "./checker/index.ts";
import { FAULT_KINDS, type FaultKind, type FaultPlan, parseFault } from "./fault.ts";
import { shrink } from "./shrink.ts";
import { type Report, runSimulation, type Setting, type Violation } from "./simulation.ts";
import { userCode } from "./user-code.ts";

export interface SimulateOptions {
  /** The first seed. Default 1. */
  seed?: number;
  /** Seeds, one run each. Default 100. */
  runs?: number;
  /** Shares from 0 to 1 by kind, or texts such as `tool.timeout=20%`. Default: nothing goes wrong. A crash's share is of
   *  the steps, about. */
  faults?: Partial<Record<FaultKind, number>> | readonly string[];
  /** Exactly these faults, as a shrunk schedule names them, in place of `faults`. */
  only?: readonly string[];
  /** Rules of the scripted model for every agent. Default: the agents' own models, which must then be scripted. */
  script?: Json;
  /** What tools return instead of being called, by name; a string may hold `${ input.… }` (CEL). Default: code that only
   *  reads runs for real, any other result is made up from the tool's output schema. */
  tools?: Readonly<Record<string, Json>>;
  /** Looks for the smallest schedule of faults behind the first violation. Default true. */
  shrinks?: boolean;
  /** Called after each run. */
  progress?(run: SimulatedRunReport): void;
}

/** How one seed ended. */
export interface SimulatedRunReport {
  readonly seed: number;
  readonly outcome: "completed" | "failed" | "stopped" | "lost";
  readonly output: Json;
  readonly error: { readonly code: string; readonly message: string } | null;
  /** True when the run was accepted and did not come to an end. */
  readonly lost: boolean;
  /** Writes that took effect more than once. */
  readonly duplicatedEffects: number;
  readonly simulatedMs: number;
  /** Faults that happened, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  /** Promises of Flotilla that were broken: a defect of ours, or of code that is not deterministic. */
  readonly violations: readonly Violation[];
}

/** Seeds that ended alike. */
export interface SimulatedGroup {
  readonly outcome: SimulatedRunReport["outcome"];
  readonly output: Json;
  readonly error: SimulatedRunReport["error"];
  readonly seeds: readonly number[];
}

export interface SimulationSummary {
  readonly runs: readonly SimulatedRunReport[];
  /** The most frequent ending first. */
  readonly groups: readonly SimulatedGroup[];
  readonly lost: number;
  readonly duplicatedEffects: number;
  readonly simulatedMs: number;
  readonly faults: Readonly<Record<string, number>>;
  /** The smallest schedule that repeats the first violation; null when there is none. */
  readonly smallest: { readonly seed: number; readonly only: readonly string[] } | null;
}

/** Faults may happen for so long in one run; what then is still open must end without. */
const SAFETY_MS = 600_000;
/** A run's own limit of time ends it before that, unless it was given more. */
const LIVENESS_MS = 8 * 86_400_000;
const HAPPENINGS_MAX = 1_000_000;
/** Crashes are decided on at every happening of a process, of which a step has about so many. */
const HAPPENINGS_OF_STEP = 20;

/** Runs a workflow of a user's own fleet in virtual time, once for each seed, with the production roles on a simulated
 *  store, network and clock, and with injected faults (T1). The same seed gives the same history. Nothing is sent to
 *  models or services, and no write happens.
 *  @throws {FlotillaError} DEFINITION_*, WORKFLOW_UNKNOWN, INPUT_INVALID; USAGE for an unknown fault */
export async function simulate(
  fleet: Fleet | string | URL,
  workflow: string,
  input: Json,
  options: SimulateOptions = {},
): Promise<SimulationSummary> {
  const { definition, code } = await sourceOf(fleet);
  const declared = workflowOf(definition, workflow);
  const problems = declared.input === null ? [] : problemsOf(declared.input, input);
  if (problems.length > 0)
    throw new FlotillaError("INPUT_INVALID", `the input of "${workflow}" is not what it takes: ${problems.join("; ")}`);
  const faults = planOf(options);
  const user = userCode({ code, script: options.script ?? null, tools: options.tools ?? {} });
  const settingOf = (seed: number, plan: FaultPlan): Setting => ({
    configuration: { seed, store: "memory", mode: "channel", hosts: 2, slots: 64, queueDepthMax: 1_000_000 },
    faults: plan,
    definition,
    code: user,
    planners: (pattern) => patterns.get(pattern),
    orders: [
      { id: "client", workflow, input, idempotencyKey: "simulated", atMs: 0, stopAfterMs: null, asksTwice: false },
    ],
    checkers,
    safetyMs: SAFETY_MS,
    livenessMs: LIVENESS_MS,
    happeningsMax: HAPPENINGS_MAX,
  });
  const { seed: first = 1, runs: count = 100 } = options;
  const runs: SimulatedRunReport[] = [];
  let failed: Report | null = null;
  for (let seed = first; seed < first + count; seed++) {
    const report = await runSimulation(settingOf(seed, faults));
    if (report.violations.length > 0) failed ??= report;
    const run = runReport(report);
    runs.push(run);
    options.progress?.(run);
  }
  return {
    ...summaryOf(runs),
    smallest: failed === null || options.shrinks === false ? null : await smallestOf(failed, settingOf),
  };
}

async function sourceOf(fleet: Fleet | string | URL): Promise<{ definition: Fleet["definition"]; code: FleetCode }> {
  if (isFleet(fleet)) return fleet;
  const { definition, folder } = await loadFleet(fleet);
  return { definition, code: await loadCode(definition, folder) };
}

function planOf({ faults = {}, only }: SimulateOptions): FaultPlan {
  if (only !== undefined) return { schedule: new Set(only) };
  const pairs = isList(faults)
    ? faults.map(parseFault)
    : Object.entries(faults).map(([kind, chance]) => parseFault(`${kind}=${chance}`));
  return {
    chances: Object.fromEntries(
      pairs.map(({ kind, chance }) => [kind, kind.endsWith(".crash") ? chance / HAPPENINGS_OF_STEP : chance]),
    ),
  };
}

const isList = (value: object): value is readonly string[] => Array.isArray(value);

function runReport({
  configuration,
  runs,
  duplicatedEffects,
  simulatedMs,
  faults,
  violations,
}: Report): SimulatedRunReport {
  const run = runs[0];
  const outcome = run?.outcome ?? "lost";
  return {
    seed: configuration.seed,
    outcome,
    output: (run?.output ?? null) as Json,
    error: run?.error ?? null,
    lost: outcome === "lost",
    duplicatedEffects,
    simulatedMs,
    faults: countBy(faults.map(({ kind }) => kind)),
    violations,
  };
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function summaryOf(runs: readonly SimulatedRunReport[]): Omit<SimulationSummary, "smallest"> {
  const groups = new Map<string, SimulatedGroup & { seeds: number[] }>();
  const faults: Record<string, number> = {};
  for (const { seed, outcome, output, error, faults: own } of runs) {
    const key = canonicalJson([outcome, output, error?.code ?? null]);
    const group = groups.get(key) ?? { outcome, output, error, seeds: [] };
    group.seeds.push(seed);
    groups.set(key, group);
    for (const kind of FAULT_KINDS) if (own[kind] !== undefined) faults[kind] = (faults[kind] ?? 0) + own[kind];
  }
  return {
    runs,
    groups: [...groups.values()].sort((a, b) => b.seeds.length - a.seeds.length),
    lost: runs.filter((run) => run.lost).length,
    duplicatedEffects: runs.reduce((sum, run) => sum + run.duplicatedEffects, 0),
    simulatedMs: runs.reduce((sum, run) => sum + run.simulatedMs, 0),
    faults,
  };
}

async function smallestOf(
  report: Report,
  settingOf: (seed: number, plan: FaultPlan) => Setting,
): Promise<SimulationSummary["smallest"]> {
  const { seed } = report.configuration;
  return { seed, only: await shrink(report, (schedule) => runSimulation(settingOf(seed, { schedule }))) };
}
