import { fork } from "node:child_process";
import { rmSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import { compile } from "./compile.ts";
import { emptySamples, sampleLimits, summarise } from "./limit.ts";
import type { Measured } from "./measure.ts";
import type { Errand, Workload } from "./measure-main.ts";
import type { Document } from "./report.ts";
import { type Result, resultOf, withCosts } from "./result.ts";
import { FULL, QUICK } from "./size.ts";
import { makeFolder, type Mode, type StoreKind } from "./subject.ts";

export interface BenchmarkOptions {
  workloads: readonly Workload[];
  modes: readonly Mode[];
  store: StoreKind;
  /** Rounds of everything; medians are reported. */
  rounds: number;
  quick: boolean;
  /** Told what is about to be measured. */
  progress(text: string): void;
}

export const WORKLOADS: readonly Workload[] = ["W1", "W2", "W3", "W4", "W5", "W8"];

/** Measures workloads and limits in turn, round by round: the disk and the neighbours of a shared machine change from
 *  minute to minute, and only what was measured side by side can be compared. */
export async function benchmark(options: BenchmarkOptions): Promise<Document> {
  const { workloads, rounds, quick, progress } = options;
  const folder = makeFolder();
  try {
    progress("compiling");
    const compiled = await compile(folder);
    const samples = emptySamples();
    const found = new Map<string, { errand: Errand; rounds: Measured[] }>();
    for (let round = 1; round <= rounds; round++) {
      for (const workload of workloads) {
        await sampleLimits(folder, samples, (quick ? QUICK : FULL).limits);
        for (const mode of options.modes) {
          progress(`round ${round} of ${rounds}: ${workload}, ${mode}`);
          const errand: Errand = { workload, mode, store: options.store, quick };
          const key = `${workload} ${mode}`;
          const entry = found.get(key) ?? { errand, rounds: [] };
          entry.rounds.push(await measured(compiled, errand));
          if (workload === "W3") entry.rounds.push(capped(await measured(compiled, errand, HEAP_CAPS)));
          found.set(key, entry);
        }
      }
    }
    const results: Result[] = [...found.values()].map(({ errand, rounds: each }) => {
      return resultOf(errand.workload, errand.mode, errand.store, each, rounds);
    });
    return { machine: machine(), quick, limits: summarise(samples), results: withCosts(results) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What `docs/performance.md` gives to whoever wants a process to stay small: V8 alone lets the young generation grow to
 *  over 100 MiB, and garbage to four times of what lives, where the machine has the memory. */
const HEAP_CAPS: readonly string[] = ["--max-semi-space-size=8", "--max-old-space-size=512"];

/** What a process with capped heaps found: its memory, and what that costs. */
function capped({ n, tasksPerSecond, cpuMsPerTask, pssMiB }: Measured): Measured {
  return {
    n,
    ...(tasksPerSecond === undefined ? {} : { cappedTasksPerSecond: tasksPerSecond }),
    ...(cpuMsPerTask === undefined ? {} : { cappedCpuMsPerTask: cpuMsPerTask }),
    ...(pssMiB === undefined ? {} : { cappedPssMiB: pssMiB }),
  };
}

function measured(compiled: string, errand: Errand, flags: readonly string[] = []): Promise<Measured> {
  return new Promise((resolve, reject) => {
    const child = fork(join(compiled, "measure-main.js"), { execArgv: [...flags] });
    child.once("message", (message) => resolve(message as Measured));
    child.once("error", reject);
    child.once("exit", (code) =>
      reject(new Error(`measuring ${errand.workload} in ${errand.mode} mode ended with ${code}`)),
    );
    child.send(errand);
  });
}

function machine(): Document["machine"] {
  return {
    cores: availableParallelism(),
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    platform: process.platform,
    node: process.versions.node,
  };
}
