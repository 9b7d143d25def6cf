import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Json } from "../core/json.ts";
import { FlotillaError, isFlotillaError } from "../error.ts";
import { defaultInput } from "../definition/default-input.ts";
import { type CaseFile, scriptOf, type TestCase } from "./case-file.ts";
import { unmet } from "./expectation.ts";
import { parseRecording, type Recording } from "./recording.ts";
import { type FleetRun, runSource, type TestSource } from "./run-fleet.ts";

export interface CaseResult {
  name: string;
  /** What was not as expected; empty when the case passes. */
  failures: readonly string[];
  /** Null when the case could not be run at all. */
  run: FleetRun | null;
  durationMs: number;
}

/** Runs one case. Never rejects for what the case holds: what cannot be run fails it. */
export async function runCase(file: CaseFile, one: TestCase, source: TestSource): Promise<CaseResult> {
  const startedAt = performance.now();
  const took = () => Math.round(performance.now() - startedAt);
  try {
    const run = await runIt(file, one, source);
    return { name: one.name, failures: unmet(one.expect ?? {}, run), run, durationMs: took() };
  } catch (error) {
    if (!isFlotillaError(error)) throw error;
    return {
      name: one.name,
      failures: [`${error.id} ${error.message}${error.hint === "" ? "" : ` (${error.hint})`}`],
      run: null,
      durationMs: took(),
    };
  }
}

async function runIt(file: CaseFile, one: TestCase, source: TestSource): Promise<FleetRun> {
  const { definition } = source;
  const recording =
    one.recorded === undefined ? undefined : await readRecording(resolve(file.folder, one.recorded.file));
  const script = await scriptOf(one, file.folder);
  const workflow = one.workflow ?? recording?.workflow ?? Object.keys(definition.workflows)[0] ?? "";
  const input = one.input ?? recording?.input ?? defaultInput(definition.workflows[workflow]?.input ?? null) ?? {};
  return runSource(source, workflow, input as Json, {
    ...(script === undefined ? {} : { script }),
    ...(recording === undefined ? {} : { recording }),
    ...(one.stubs === undefined ? {} : { stubs: one.stubs as Readonly<Record<string, Json>> }),
    ...(one.secrets === undefined ? {} : { secrets: one.secrets }),
    ...(one.timeoutMs === undefined ? {} : { timeoutMs: one.timeoutMs }),
  });
}

async function readRecording(file: string): Promise<Recording> {
  const text = await readFile(file, "utf8").catch((error: Error) => {
    throw new FlotillaError("USAGE", `the recording ${file} cannot be read: ${error.message}`, {
      hint: "Make it: flotilla test --update",
      cause: error,
    });
  });
  return parseRecording(text, file);
}
