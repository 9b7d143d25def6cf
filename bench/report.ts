import type { Limit } from "./limit.ts";
import type { Result } from "./result.ts";
import { meets, targetFor } from "./target.ts";

/** Everything that one benchmark found; what `--json` prints. */
export interface Document {
  machine: { cores: number; memoryMiB: number; platform: string; node: string };
  quick: boolean;
  limits: Record<string, Limit>;
  results: Result[];
}

const TITLES: Record<Result["workload"], string> = {
  W1: "one task in a run, one run at a time",
  W2: "a pipeline of ten tasks, for each task",
  W3: "diamonds of ten tasks, many runs at a time",
  W4: "start, resume, memory and flushes",
  W5: "one run of parallel tasks",
  W8: "an agent's loop, for each step",
};

/** The document as people read it: limits, a table with ratios and targets, a chart. */
export function render({ machine, quick, limits, results }: Document): string {
  const lines = [
    `${machine.cores} cores, ${Math.round(machine.memoryMiB / 1024)} GiB, ${machine.platform}, Node ${machine.node}`,
    ...(quick ? ["A quick look: too short to be trusted, and held to no target."] : []),
    "",
    "What this machine can do, in the same minutes",
    ...table([
      ["", "p50 ms", "per second"],
      ...Object.entries(limits).map(([name, limit]) => [name, figure(limit.p50Ms), figure(limit.perSecond)]),
    ]),
    "",
    ...table([["", "mode", "p50 ms", "p99 ms", "ms a task", "tasks/s", "commits", "flushes"], ...results.map(rowOf)]),
    "",
    ...results
      .filter((result, i) => results.findIndex(({ workload }) => workload === result.workload) === i)
      .map(legendOf),
    "commits: the time over that of one raw durable commit in the same minutes.",
    ...chart(results),
  ];
  return `${[...lines, ...(quick ? [] : verdicts(results))].join("\n")}\n`;
}

function rowOf({ workload, mode, p50Ms, p99Ms, perTaskMs, tasksPerSecond, ratioToCommit, flushes }: Result): string[] {
  return [workload, mode, ...[p50Ms, p99Ms, perTaskMs, tasksPerSecond, ratioToCommit, flushes].map(figure)];
}

function legendOf({ workload }: Result): string {
  return `${workload}: ${TITLES[workload]}`;
}

function verdicts(results: readonly Result[]): string[] {
  const rows = results.flatMap((result) =>
    Object.entries(result).flatMap(([name, value]) => {
      const target = targetFor(result.workload, name, result.mode);
      if (target === null || typeof value !== "number") return [];
      const verdict = meets(value, target) ? "met" : "missed";
      return [
        [result.workload, result.mode, target.label, figure(value), `${target.bound} ${figure(target.value)}`, verdict],
      ];
    }),
  );
  return rows.length === 0 ? [] : ["", "Targets", ...table([["", "mode", "", "found", "target", ""], ...rows])];
}

const BAR = 40;

/** Tasks per second as bars, and times in commits as bars, each to its own scale. */
function chart(results: readonly Result[]): string[] {
  const bars = (title: string, unit: string, of: (result: Result) => number | undefined) => {
    const known = results.flatMap((result) => {
      const value = of(result);
      return value === undefined ? [] : [{ name: `${result.workload} ${result.mode}`, value }];
    });
    const most = Math.max(...known.map(({ value }) => value));
    const lines = known.map(({ name, value }) => {
      const bar = "█".repeat(Math.max(1, Math.round((value / most) * BAR)));
      return `  ${name.padEnd(11)} ${bar} ${figure(value)} ${unit}`;
    });
    return known.length === 0 ? [] : ["", title, ...lines];
  };
  const slow = ({ workload, ratioToCommit }: Result) =>
    workload === "W1" || workload === "W2" ? ratioToCommit : undefined;
  return [
    ...bars("Throughput: longer is better", "tasks/s", ({ tasksPerSecond }) => tasksPerSecond),
    ...bars("Latency in raw commits: shorter is better", "commits", slow),
  ];
}

/** Columns as wide as they must be; the first two to the left, figures to the right. */
function table(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const isText = (column: number) => rows.slice(1).some((row) => /^[a-z]/i.test(row[column] ?? ""));
  return rows.map((row) =>
    row
      .map((cell, column) => (isText(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

function figure(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "-";
  if (value >= 1_000) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}
