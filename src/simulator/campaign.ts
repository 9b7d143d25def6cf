import { type SeedOptions, simulateSeed } from "./campaign-seed.ts";
import { Coverage } from "./coverage.ts";
import { FAULT_KINDS } from "./fault.ts";
import { shrink } from "./shrink.ts";
import type { Report } from "./simulation.ts";

export interface CampaignOptions extends SeedOptions {
  seeds: Iterable<number>;
  /** Called after each seed. */
  progress?(report: Report): void;
  /** Seeds of which one in so many runs twice, to be compared byte for byte. Default 25; 0: none. */
  twiceEvery?: number;
  /** A failing seed is shrunk; default true. */
  shrinks?: boolean;
}

export interface Failure {
  readonly report: Report;
  /** The smallest schedule of faults that still breaks the promise; null when it was not looked for. */
  readonly schedule: readonly string[] | null;
}

export interface Campaign {
  readonly seeds: number;
  readonly failures: readonly Failure[];
  readonly coverage: Coverage;
  readonly runs: number;
  readonly simulatedMs: number;
  readonly happenings: number;
}

/** Ways of recovery that a big enough campaign must have taken; one that it never took was not tested. */
export const RECOVERIES = [
  "approval.decided approved",
  "approval.decided rejected",
  "escalation.decided retry",
  "budget.alerted",
  "budget.returned",
  "child.ended completed",
  "child.ended failed",
  "client.answered with its earlier run",
  "client.refused QUEUE_FULL",
  "client.stopped",
  "hold.lifted",
  "hold.placed agent",
  "hold.placed fleet",
  "hold.placed workflow",
  "message.refused record",
  "message.refused seal",
  "message.refused step",
  "met STORE_FULL",
  "met STORE_UNAVAILABLE",
  "result.late step",
  "result.late task.complete",
  "run.failed LIMIT_STEPS",
  "run.failed LIMIT_TIME",
  "run.failed LIMIT_TOKENS",
  "run.paused",
  "run.resumed",
  "schedule.due",
  "schedule.ran",
  "step.asked call",
  "step.failed AGENT_NOT_GRANTED",
  "step.failed DEADLOCK",
  "step.failed FACT_CONFLICT",
  "step.failed STEP_TIMEOUT",
  "step.settled done",
  "step.settled not-done",
  "step.unknown check",
  "step.unknown person",
  "step.unknown retry",
  "task.cancelled",
  "task.escalated",
  "task.expired",
  "task.failed AGENT_CONVICTED",
  "task.failed AGENT_FAILED",
  "task.failed OUTPUT_INVALID",
  "task.failed TOOL_OUTPUT_INVALID",
  "task.released its worker is gone",
  "task.released paused by person: not now",
  "task.released suspect",
  "task.retried AGENT_FAILED",
  "task.retried OUTCOME_UNKNOWN",
  "task.retried STEP_TIMEOUT",
  "task.retried TASK_TIMEOUT",
  "task.retried TOOL_UNAVAILABLE",
  "task.routed",
  "task.skipped",
  "task.suspended",
  "task.woken",
  "fact.committed",
  "fact.conflicted",
  "fact.stale rerun",
  "fact.stale flagged",
  "task.reopened",
  "tasks.assigned waited",
] as const;

/** Runs many seeds and adds up what they found and what they met. */
export async function runCampaign(options: CampaignOptions): Promise<Campaign> {
  const { seeds, progress = () => {}, twiceEvery = 25, shrinks = true, ...seedOptions } = options;
  const coverage = new Coverage();
  const failures: Failure[] = [];
  const sum = { seeds: 0, runs: 0, simulatedMs: 0, happenings: 0 };
  for (const seed of seeds) {
    let report = await simulateSeed(seed, seedOptions);
    if (twiceEvery > 0 && seed % twiceEvery === 0) report = await compared(report, seedOptions);
    sum.seeds += 1;
    sum.runs += report.runs.length;
    sum.simulatedMs += report.simulatedMs;
    sum.happenings += report.happenings;
    coverage.add(report.coverage);
    if (report.violations.length > 0)
      failures.push({ report, schedule: shrinks ? await smallest(report, seedOptions) : null });
    progress(report);
  }
  return { ...sum, failures, coverage };
}

/** Faults and ways of recovery that a campaign never took. */
export function neverTaken({ coverage }: Campaign): string[] {
  const wanted = [...FAULT_KINDS.map((kind) => `fault ${kind}`), ...RECOVERIES];
  return wanted.filter((name) => !coverage.counts.has(name));
}

/** Invariant 12: the same seed gives the same history. */
async function compared(first: Report, options: SeedOptions): Promise<Report> {
  const { seed } = first.configuration;
  const second = await simulateSeed(seed, options);
  if (first.digest === second.digest) return first;
  const at = first.trace.findIndex((line, i) => line !== second.trace[i]);
  const message = `two runs of the seed differ, first at "${first.trace[at] ?? "the end"}" and "${second.trace[at] ?? "the end"}"`;
  const violation = { promise: "12: the same seed gives the same history", message, atMs: first.simulatedMs };
  return { ...first, violations: [...first.violations, violation] };
}

function smallest(report: Report, options: SeedOptions): Promise<string[]> {
  const { seed } = report.configuration;
  return shrink(report, (schedule) => simulateSeed(seed, { ...options, faults: { schedule } }));
}
