import { type Settings, variableOf } from "../../src/cli/setting.ts";
import { KEY_NAMES } from "../../src/model/registry.ts";
import { code, table } from "./markdown.ts";

const SETTINGS: Readonly<Record<keyof Settings, string>> = {
  file: "The definition file.",
  store: "`sqlite:PATH` or `memory:`.",
  model: "Replaces every agent's model.",
  hosts: "Worker host processes, 1 to 1000.",
  concurrency: "Tasks at a time in each host, 1 to 1000.",
  logLevel: "debug, info, warn or error; for `.flotilla/log`.",
};

/** Variables that set what flags set, and those in which providers' keys are looked for. */
export function environmentTables(): string {
  const names = Object.keys(SETTINGS) as (keyof Settings)[];
  const settings = names.map((name) => [code(variableOf(name)), code(name), SETTINGS[name]]);
  const keys = Object.entries(KEY_NAMES).flatMap(([kind, variables]) =>
    variables.length === 0 ? [] : [[code(kind), variables.map(code).join(", else ")]],
  );
  return [
    "## Settings",
    table(["Variable", "In `flotilla.yaml`", "Meaning"], settings),
    "## Keys of providers",
    table(["Kind", "Variable"], keys),
  ].join("\n\n");
}
