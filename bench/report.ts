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
  W2: "a pipeline of ten tasks, one run at a time; for each task",
  W3: "diamonds of ten tasks (1, 8 in parallel, 1), many runs at a time",
  W4: "from nothing to a result, from kill -9 to a result, memory after W3, flushes of W1",
  W5: "one run of many parallel tasks, and its speed over that of a smaller one",
  W8: "ten model calls and ten tool calls, for each step, over the same calls without Flotilla",
};

/** Figures of the table, where any workload has them. */
const COLUMNS: readonly (readonly [title: string, figure: keyof Result])[] = [
  ["p50 ms", "p50Ms"],
  ["p99 ms", "p99Ms"],
  ["ms each", "perTaskMs"],
  ["over bare", "overheadMs"],
  ["tasks/s", "tasksPerSecond"],
  ["large:small", "growth"],
  ["commits", "ratioToCommit"],
  ["flushes", "flushes"],
  ["MiB", "pssMiB"],
  ["capped", "cappedPssMiB"],
  ["B/task", "bytesPerTask"],
  ["cold ms", "coldStartMs"],
  ["resume ms", "resumeMs"],
];

/** The document as people read it: limits, a table with ratios, a chart, targets. */
export function render({ machine, quick, limits, results }: Document): string {
  const columns = COLUMNS.filter(([, name]) => results.some((result) => result[name] !== undefined));
  const lines = [
    `${machine.cores} cores, ${Math.round(machine.memoryMiB / 1024)} GiB, ${machine.platform}, Node ${machine.node}`,
    ...(quick ? ["A quick look: too short to be trusted, and held to no target."] : []),
    "",
    "What this machine can do, in the same minutes",
    ...table([
      ["", "p50 ms", "per second"],
      ...Object.entries(limits).map(([name, limit]) => [name, shown(limit.p50Ms), shown(limit.perSecond)]),
    ]),
    "",
    "What Flotilla does",
    ...table([
      ["", "mode", ...columns.map(([title]) => title)],
      ...results.map((result) => [result.workload, result.mode, ...columns.map(([, name]) => shown(result[name]))]),
    ]),
    "",
    ...results.filter(isFirstOfWorkload).map(({ workload }) => `${workload}: ${TITLES[workload]}`),
    "commits: the time over that of one raw durable commit in the same minutes",
    "capped: MiB in processes with the heap caps of docs/performance.md, which has what they cost",
    ...chart(results),
    ...(quick ? [] : verdicts(results)),
  ];
  return `${lines.join("\n")}\n`;
}

function isFirstOfWorkload({ workload }: Result, index: number, results: readonly Result[]): boolean {
  return results.findIndex((result) => result.workload === workload) === index;
}

function verdicts(results: readonly Result[]): string[] {
  const rows = results.flatMap((result) =>
    Object.entries(result).flatMap(([name, value]) => {
      const target = targetFor(result.workload, name, result.mode);
      if (target === null || typeof value !== "number") return [];
      const verdict = meets(value, target) ? "met" : "missed";
      return [
        [result.workload, result.mode, target.label, shown(value), `${target.bound} ${shown(target.value)}`, verdict],
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
      return `  ${name.padEnd(11)} ${bar} ${shown(value)} ${unit}`;
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

function shown(value: unknown): string {
  if (typeof value !== "number" || Number.isNaN(value)) return "-";
  if (value >= 1_000) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}
