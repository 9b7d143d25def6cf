import { parseArgs } from "node:util";
import { isFlotillaError } from "../error.ts";
import { type Campaign, type Failure, neverTaken, runCampaign } from "./campaign.ts";
import type { SeedOptions } from "./campaign-seed.ts";
import { FAULT_KINDS } from "./fault.ts";
import type { Report } from "./simulation.ts";

// npm run simulate -- --seeds N [--from N] [--store sqlite] | --seed N [--only fault#n,fault#n] [--trace]

/** From so many seeds on, a fault or a way of recovery that was never taken is a failure. */
const BIG_ENOUGH = 1_000;

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    store: { type: "string", default: "memory" },
    only: { type: "string" },
    trace: { type: "boolean", default: false },
  },
});

const store = values.store === "sqlite" ? "sqlite" : "memory";
const schedule = values.only === undefined ? null : new Set(values.only.split(",").filter((name) => name !== ""));
const options: SeedOptions = { store, ...(schedule === null ? {} : { faults: { schedule } }) };

try {
  process.exitCode = values.seed === undefined ? await campaign() : await one(Number(values.seed));
} catch (error) {
  if (!isFlotillaError(error)) throw error;
  console.error(`${error.message}\n  ${error.hint}`);
  process.exitCode = 2;
}

async function campaign(): Promise<number> {
  const count = Number(values.seeds ?? BIG_ENOUGH);
  const from = Number(values.from);
  const startedAt = performance.now();
  const found = await runCampaign({
    ...options,
    seeds: Array.from({ length: count }, (_, i) => from + i),
    progress: (report) => {
      if (report.violations.length > 0)
        console.log(`seed ${report.configuration.seed} breaks a promise; it is being shrunk`);
    },
  });
  for (const failure of found.failures) printFailure(failure);
  printSummary(found, performance.now() - startedAt);
  const missing = count >= BIG_ENOUGH ? neverTaken(found) : [];
  if (missing.length > 0) console.log(`\nnever taken, so never tested:\n  ${missing.join("\n  ")}`);
  return found.failures.length > 0 || missing.length > 0 ? 1 : 0;
}

async function one(seed: number): Promise<number> {
  const { failures, coverage } = await runCampaign({
    ...options,
    seeds: [seed],
    twiceEvery: 1,
    shrinks: schedule === null,
    progress: (report) => {
      printReport(report);
      if (values.trace) console.log(report.trace.join("\n"));
    },
  });
  console.log(
    [...coverage.counts]
      .map(([name, times]) => `  ${name}: ${times}`)
      .toSorted()
      .join("\n"),
  );
  for (const failure of failures) printFailure(failure);
  return failures.length > 0 ? 1 : 0;
}

function printReport({ configuration, runs, faults, simulatedMs }: Report): void {
  console.log(`seed ${configuration.seed}: ${describe(configuration)}`);
  for (const { run, outcome, error } of runs)
    console.log(`  ${run} ${outcome}${error === null ? "" : ` ${error.code}`}`);
  console.log(`  ${faults.length} faults in ${(simulatedMs / 1_000).toFixed(1)} s of virtual time`);
}

function printFailure({ report, schedule: smallest }: Failure): void {
  const { configuration, violations } = report;
  const { seed } = configuration;
  console.log(`\nseed ${seed}: ${describe(configuration)}`);
  for (const { promise, message, atMs } of violations)
    console.log(`  broken: ${promise}\n    ${message} (at ${atMs} ms)`);
  const sqlite = store === "sqlite" ? " --store sqlite" : "";
  console.log(`  repeat it: npm run simulate -- --seed ${seed}${sqlite}`);
  if (smallest !== null)
    console.log(`  with the fewest faults: npm run simulate -- --seed ${seed}${sqlite} --only "${smallest.join(",")}"`);
}

function describe(configuration: Report["configuration"]): string {
  return Object.entries(configuration)
    .filter(([name]) => name !== "seed")
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(", ");
}

function printSummary({ seeds, runs, simulatedMs, happenings, coverage, failures }: Campaign, tookMs: number): void {
  const hours = (simulatedMs / 3_600_000).toFixed(1);
  const perSecond = (seeds / (tookMs / 1_000)).toFixed(1);
  console.log(
    `\n${seeds} seeds, ${runs} runs, ${hours} hours of virtual time, ${happenings} happenings, ${perSecond} seeds a second`,
  );
  console.log(
    `faults: ${FAULT_KINDS.map((kind) => `${kind} ${coverage.counts.get(`fault ${kind}`) ?? 0}`).join(", ")}`,
  );
  console.log(failures.length === 0 ? "every promise held" : `${failures.length} seeds broke a promise`);
}
