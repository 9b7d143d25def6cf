import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { definitionPath } from "../definition/module.ts";
import { readCaseFile } from "./case-file.ts";
import { runCase } from "./run-case.ts";
import { readSource } from "./run-fleet.ts";

export { type FleetRun, type RunFleetOptions, runFleet, type ScriptRules } from "./run-fleet.ts";
export type { FleetToolCall } from "./tool-call.ts";
export { type Recording, recordingOf } from "./recording.ts";

/** How the files of test cases end. */
const CASES = /\.test\.ya?ml$/;

/** Makes a Vitest test of every case in the `*.test.yaml` files beside a fleet's definition, or in the one file that is
 *  named. Call it at the top level of a test file and await it:
 *  `await fleetTest(new URL("./fleet.yaml", import.meta.url))`. @throws {FlotillaError} DEFINITION_* */
export async function fleetTest(fleet: string | URL, cases?: string | URL): Promise<void> {
  const definition = definitionPath(fleet);
  const files = cases === undefined ? casesBeside(definition) : [definitionPath(cases)];
  for (const path of files) {
    const file = await readCaseFile(path);
    const source = readSource(file.fleet ?? definition);
    describe(path, () => {
      for (const one of file.cases) {
        test(one.name, async () => {
          const { failures } = await runCase(file, one, await source);
          expect(failures).toEqual([]);
        });
      }
    });
  }
}

function casesBeside(definition: string): string[] {
  const folder = existsSync(definition) && statSync(definition).isDirectory() ? definition : dirname(definition);
  return readdirSync(folder)
    .filter((name) => CASES.test(name))
    .toSorted()
    .map((name) => join(folder, name));
}
