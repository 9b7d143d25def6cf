import { readFile } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { z } from "zod";
import type { Json } from "../core/json.ts";
import { definitionError, problem, refuse } from "../definition/problem.ts";
import { yamlSource } from "../definition/yaml-source.ts";
import { zodFindings } from "../definition/zod-problem.ts";
import { FlotillaError } from "../error.ts";
import { FAULT_KINDS, parseFault } from "./fault.ts";
import type { SimulatedRunReport, SimulateOptions, SimulationSummary } from "./simulate.ts";

const Share = z.union([z.number().min(0).max(1), z.string().regex(/^[0-9.]+%$/, "a share such as 0.2 or 20%")]);

const ExpectShape = z.strictObject({
  outcome: z.enum(["completed", "failed", "stopped"]).optional().describe("How a run ends."),
  output: z.json().optional().describe("Compared as a part: keys that are not named may be there."),
  atLeast: Share.optional().describe("The share of seeds that must end so. Default: all."),
});

export const ScenarioShape = z.strictObject({
  fleet: z.string().optional().describe("The definition, relative to this file. Default: the one beside it."),
  workflow: z.string().describe("The workflow that each seed runs once."),
  input: z.json().default({}),
  seed: z.int().min(0).default(1).describe("The first seed."),
  runs: z.int().min(1).max(100_000).default(100).describe("Seeds."),
  faults: z.partialRecord(z.enum(FAULT_KINDS), Share).default({}).describe("Shares by kind."),
  script: z.record(z.string(), z.json()).optional().describe("Rules of the scripted model, for every agent."),
  tools: z
    .record(z.string(), z.json())
    .default({})
    .describe("What tools return instead of being called; CEL over `input` in ${ }."),
  expect: ExpectShape.default({}),
});

/** A scenario as read from its file (T2). */
export interface Scenario {
  /** The definition, as a path; null for the one beside the file. */
  readonly fleet: string | null;
  readonly folder: string;
  readonly workflow: string;
  readonly input: Json;
  readonly options: SimulateOptions;
  readonly expect: z.output<typeof ExpectShape>;
}

/** Reads a scenario. @throws {FlotillaError} DEFINITION_*: all mistakes with their places in `details.problems`;
 *  DEFINITION_FILE when it cannot be read */
export async function readScenario(path: string): Promise<Scenario> {
  const text = await readFile(path, "utf8").catch((cause: Error) => {
    throw new FlotillaError("DEFINITION_FILE", `${path} cannot be read: ${cause.message}`, { cause });
  });
  const source = yamlSource(text, basename(path));
  refuse(source.problems);
  const parsed = ScenarioShape.safeParse(source.data);
  if (!parsed.success) {
    refuse(
      zodFindings(parsed.error.issues, { schema: ScenarioShape, input: source.data }).map((finding) =>
        source.place(finding),
      ),
    );
    throw definitionError(
      [problem("DEFINITION_INVALID", parsed.error.message, { file: basename(path) })],
      parsed.error,
    );
  }
  const { fleet, workflow, input, seed, runs, faults, script, tools, expect } = parsed.data;
  const folder = dirname(resolve(path));
  const shares = Object.entries(faults).map(([kind, share]) => [kind, parseFault(`${kind}=${share}`).chance]);
  const options: SimulateOptions = {
    seed,
    runs,
    faults: Object.fromEntries(shares),
    tools,
    ...(script === undefined ? {} : { script }),
  };
  return { fleet: fleet === undefined ? null : resolve(folder, fleet), folder, workflow, input, options, expect };
}

/** What of a scenario's expectation a simulation does not meet, in words; empty when it meets all of it. No run may be
 *  lost and no effect doubled, whatever is expected. */
export function unmet(expect: Scenario["expect"], summary: SimulationSummary): string[] {
  const { runs, lost, duplicatedEffects } = summary;
  const wanted = runs.length * shareOf(expect.atLeast ?? 1);
  const ended = runs.filter((run) => endsSo(run, expect));
  const other = runs.find((run) => !ended.includes(run));
  return [
    ...(lost === 0 ? [] : [`${lost} of ${runs.length} runs were lost`]),
    ...(duplicatedEffects === 0 ? [] : [`${duplicatedEffects} writes took effect more than once`]),
    ...runs.flatMap((run) => run.violations.map(({ promise, message }) => `seed ${run.seed}: ${promise}: ${message}`)),
    ...(ended.length >= wanted || other === undefined
      ? []
      : [`${ended.length} of ${runs.length} seeds end as expected; ${difference(other, expect)}`]),
  ];
}

function endsSo(run: SimulatedRunReport, { outcome = "completed", output }: Scenario["expect"]): boolean {
  return run.outcome === outcome && (output === undefined || contains(run.output, output));
}

function difference({ seed, outcome, output, error }: SimulatedRunReport, expect: Scenario["expect"]): string {
  const wanted = expect.outcome ?? "completed";
  if (outcome === wanted)
    return `seed ${seed} gives ${JSON.stringify(output)}, expected ${JSON.stringify(expect.output)}`;
  return `seed ${seed} ${outcome}${error === null ? "" : ` (${error.code}: ${error.message})`}, expected ${wanted}`;
}

/** Whether all that is expected is there; objects may have more. */
function contains(actual: Json | undefined, expected: Json): boolean {
  if (expected === null || typeof expected !== "object") return actual === expected;
  if (actual === null || typeof actual !== "object" || Array.isArray(actual) !== Array.isArray(expected)) return false;
  if (Array.isArray(actual) && actual.length !== Object.keys(expected).length) return false;
  const there = actual as { readonly [key: string]: Json };
  return Object.entries(expected).every(([key, value]) => contains(there[key], value as Json));
}

function shareOf(share: number | string): number {
  return typeof share === "number" ? share : Number(share.slice(0, -1)) / 100;
}
