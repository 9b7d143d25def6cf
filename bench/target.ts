import type { Measured } from "./measure.ts";
import type { Workload } from "./measure-main.ts";
import type { Mode } from "./subject.ts";

type Figure = Exclude<keyof Measured, "n">;

/** What a figure should be, for SQLite at FULL; see docs/performance.md. */
export interface Target {
  workload: Workload;
  figure: Figure;
  /** What it is called in the table. */
  label: string;
  bound: "at most" | "at least";
  library: number | null;
  hosts: number | null;
}

export const TARGETS: readonly Target[] = [
  {
    workload: "W1",
    figure: "ratioToCommit",
    label: "a run of one task, in commits",
    bound: "at most",
    library: 4,
    hosts: 6,
  },
  {
    workload: "W1",
    figure: "flushes",
    label: "flushes for a run of one task",
    bound: "at most",
    library: 2.05,
    hosts: 2.05,
  },
  {
    workload: "W2",
    figure: "ratioToCommit",
    label: "a task of a pipeline, in commits",
    bound: "at most",
    library: 2,
    hosts: 4,
  },
  {
    workload: "W2",
    figure: "flushes",
    label: "flushes for a task of a pipeline",
    bound: "at most",
    library: 1.15,
    hosts: 1.15,
  },
  {
    workload: "W3",
    figure: "tasksPerSecond",
    label: "tasks per second",
    bound: "at least",
    library: 25_000,
    hosts: 15_000,
  },
  { workload: "W3", figure: "pssMiB", label: "memory afterwards, MiB", bound: "at most", library: 130, hosts: 180 },
  {
    workload: "W3",
    figure: "cappedPssMiB",
    label: "memory afterwards with capped heaps, MiB",
    bound: "at most",
    library: 130,
    hosts: 180,
  },
  {
    workload: "W3",
    figure: "bytesPerTask",
    label: "disk for a task, bytes",
    bound: "at most",
    library: 1_024,
    hosts: 1_024,
  },
  {
    workload: "W4",
    figure: "coldStartMs",
    label: "cold start to first result, ms",
    bound: "at most",
    library: 150,
    hosts: null,
  },
  {
    workload: "W4",
    figure: "resumeMs",
    label: "kill -9 to resumed result, ms",
    bound: "at most",
    library: 1_000,
    hosts: 1_000,
  },
  {
    workload: "W5",
    figure: "growth",
    label: "large fan-out over small, speed",
    bound: "at least",
    library: 0.9,
    hosts: 0.9,
  },
  {
    workload: "W8",
    figure: "overheadMs",
    label: "an agent's step over the bare call, ms",
    bound: "at most",
    library: 1,
    hosts: 1,
  },
];

export function targetFor(
  workload: string,
  figure: string,
  mode: Mode,
): { label: string; bound: Target["bound"]; value: number } | null {
  const found = TARGETS.find((target) => target.workload === workload && target.figure === figure);
  const value = found?.[mode] ?? null;
  return found === undefined || value === null ? null : { label: found.label, bound: found.bound, value };
}

export function meets(figure: number, { bound, value }: { bound: Target["bound"]; value: number }): boolean {
  return bound === "at most" ? figure <= value : figure >= value;
}
