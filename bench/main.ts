import { parseArgs } from "node:util";
import { nearest } from "../src/definition/nearest.ts";
import { benchmark, type BenchmarkOptions, WORKLOADS } from "./benchmark.ts";
import { render } from "./report.ts";
import type { Mode, StoreKind } from "./subject.ts";

const MODES: readonly Mode[] = ["library", "hosts"];

const USAGE = `Usage: npm run bench -- [WORKLOAD…] [options]

Measures this machine: ${WORKLOADS.join(", ")}, or those that are named. See docs/performance.md.

  --workload W1,W3             the same as naming them
  --mode library|hosts|both    default both
  --store sqlite|memory        default sqlite
  --rounds N                   default 3; medians are reported
  --quick                      a rough look at everything in half a minute
  --json                       one JSON document instead of tables
`;

const options = read();
if (options === null) {
  process.stderr.write(USAGE);
  process.exitCode = 2;
} else if (options.help) {
  process.stdout.write(USAGE);
} else {
  const document = await benchmark(options);
  process.stdout.write(options.json ? `${JSON.stringify(document, null, 2)}\n` : render(document));
}

/** What was asked for; null when it cannot be understood, and why is printed. */
function read(): (BenchmarkOptions & { json: boolean; help: boolean }) | null {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        workload: { type: "string" },
        mode: { type: "string", default: "both" },
        store: { type: "string", default: "sqlite" },
        rounds: { type: "string" },
        quick: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    const named = [...positionals, ...(values.workload ?? "").split(",")].filter((name) => name !== "");
    return {
      workloads: named.length === 0 ? WORKLOADS : named.map((name) => oneOf(name.toUpperCase(), "workload", WORKLOADS)),
      modes: values.mode === "both" ? MODES : [oneOf(values.mode, "mode", MODES)],
      store: oneOf<StoreKind>(values.store, "store", ["sqlite", "memory"]),
      rounds: positive(values.rounds ?? (values.quick ? "1" : "3")),
      quick: values.quick,
      json: values.json,
      help: values.help,
      progress: (text) => process.stderr.write(`${text}\n`),
    };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    process.stderr.write(`FLT900 ${error.message}\n\n`);
    return null;
  }
}

function oneOf<T extends string>(text: string, what: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === text);
  if (found !== undefined) return found;
  const near = nearest(text, allowed) ?? nearest(text.slice(0, -1), allowed);
  const meant = near === null ? "" : `  Did you mean ${near}?`;
  throw new TypeError(`there is no ${what} ${text}; there are: ${allowed.join(", ")}.${meant}`);
}

function positive(text: string): number {
  const rounds = Number(text);
  if (Number.isSafeInteger(rounds) && rounds > 0) return rounds;
  throw new TypeError(`--rounds takes a number from 1, not ${text}`);
}
