import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { render, type Document } from "../../bench/report.ts";
import { median, quantile } from "../../bench/statistics.ts";

const run = promisify(execFile);
const MAIN = join(import.meta.dirname, "..", "..", "bench", "main.ts");

const bench = (...args: string[]) => run(process.execPath, [MAIN, ...args], { encoding: "utf8" });

const figure = z.number().finite().nonnegative();
const result = z.strictObject({
  workload: z.enum(["W1", "W2", "W3", "W4", "W5", "W8"]),
  mode: z.enum(["library", "hosts"]),
  store: z.enum(["sqlite", "memory"]),
  broker: z.null(),
  n: z.number().int().positive(),
  rounds: z.number().int().positive(),
  p50Ms: figure.optional(),
  p99Ms: figure.optional(),
  perTaskMs: figure.optional(),
  tasksPerSecond: figure.optional(),
  growth: figure.optional(),
  pssMiB: figure.optional(),
  cappedTasksPerSecond: figure.optional(),
  cappedCpuMsPerTask: figure.optional(),
  cappedPssMiB: figure.optional(),
  coldStartMs: figure.optional(),
  resumeMs: figure.optional(),
  flushes: figure.optional(),
  bytesPerTask: figure.optional(),
  bareMs: figure.optional(),
  commitMs: figure.optional(),
  cpuMsPerTask: figure.optional(),
  ratioToCommit: figure.optional(),
  overheadMs: z.number().optional(),
});
const document = z.strictObject({
  machine: z.strictObject({ cores: figure, memoryMiB: figure, platform: z.string(), node: z.string() }),
  quick: z.boolean(),
  limits: z.record(z.string(), z.strictObject({ p50Ms: figure, p99Ms: figure, perSecond: figure })),
  results: z.array(result),
});

describe("npm run bench", () => {
  test("P1: gives every workload in both modes as one JSON document, beside the raw limits", async () => {
    const { stdout } = await bench("--quick", "--json");
    const found = document.parse(JSON.parse(stdout));
    expect(found.results.map(({ workload, mode }) => `${workload} ${mode}`)).toEqual(
      ["W1", "W2", "W3", "W4", "W5", "W8"].flatMap((workload) => [`${workload} library`, `${workload} hosts`]),
    );
    expect(Object.keys(found.limits)).toEqual([
      "fdatasync",
      "commit of one row",
      "commit of 100 rows",
      "round trip between processes",
      "SHA-256 of 1 KiB",
      "Ed25519 signature",
    ]);
    for (const { workload, flushes } of found.results) {
      // A run of one task is durable when it starts and when it ends; now and then a seal of the fleet's journal is.
      if (workload === "W1") expect(flushes).toBeGreaterThanOrEqual(2);
    }
    expect(found.results.filter(({ coldStartMs }) => coldStartMs !== undefined)).toHaveLength(1);
    expect(found.results.filter(({ resumeMs }) => resumeMs !== undefined)).toHaveLength(2);
    expect(found.results.filter(({ cappedTasksPerSecond }) => cappedTasksPerSecond !== undefined)).toHaveLength(2);
  });

  test("prints a table and a chart for people", async () => {
    const { stdout } = await bench("w1", "--quick", "--mode", "library", "--store", "memory");
    expect(stdout).toMatch(/^W1 {2}library +[\d.]+ +[\d.]+/m);
    expect(stdout).toMatch(/^commit of one row +[\d.]+ +[\d,.]+$/m);
    expect(stdout).toMatch(/^ {2}W1 library +█+ [\d.]+ commits$/m);
  });

  test.each([
    [["W9"], "there is no workload W9; there are: W1, W2, W3, W4, W5, W8"],
    [["--mode", "hots"], "there is no mode hots; there are: library, hosts"],
    [["--rounds", "0"], "--rounds takes a number from 1, not 0"],
    [["--fast"], "Unknown option '--fast'"],
  ])("refuses %s with exit code 2", async (args, message) => {
    const refused = await bench(...args).catch((error: unknown) => error as { code: number; stderr: string });
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining(message) as string });
  });
});

describe("the report", () => {
  const limit = { p50Ms: 0.2, p99Ms: 1, perSecond: 4_000 };
  const found: Document = {
    machine: { cores: 2, memoryMiB: 2_048, platform: "linux", node: "24.0.0" },
    quick: false,
    limits: { "commit of one row": limit },
    results: [
      {
        workload: "W1",
        mode: "library",
        store: "sqlite",
        broker: null,
        n: 500,
        rounds: 3,
        p50Ms: 0.7,
        ratioToCommit: 3.5,
      },
      { workload: "W1", mode: "hosts", store: "sqlite", broker: null, n: 500, rounds: 3, p50Ms: 1.4, ratioToCommit: 7 },
    ],
  };

  test("says of each figure with a target whether it was met", () => {
    const text = render(found);
    expect(text).toMatch(/^W1 +library +a run of one task, in commits +3.5 +at most 4 +met$/m);
    expect(text).toMatch(/^W1 +hosts +a run of one task, in commits +7 +at most 6 +missed$/m);
  });

  test("holds a quick look to no target", () => {
    expect(render({ ...found, quick: true })).not.toContain("Targets");
  });
});

test("quantiles are samples of nearest rank", () => {
  const samples = [5, 1, 4, 2, 3];
  expect(median(samples)).toBe(3);
  expect(quantile(samples, 0.99)).toBe(5);
  expect(quantile([1, 2], 0.5)).toBe(1);
  expect(quantile([], 0.5)).toBeNaN();
});
