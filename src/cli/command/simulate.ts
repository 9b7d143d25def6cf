import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Json } from "../../core/json.ts";
import { loadFleet } from "../../definition/load.ts";
import {
  parseFault,
  simulate,
  type SimulatedGroup,
  type SimulatedRunReport,
  type SimulationSummary,
} from "../../simulator/index.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { brief, harmless } from "../format/brief.ts";
import { duration, grouped, plural } from "../format/number.ts";
import { table } from "../format/table.ts";
import { readInput } from "../input.ts";
import { LiveLines } from "../live.ts";
import { text, texts, wholeNumber } from "../option.ts";
import type { Options } from "../program.ts";
import { fileOf, findProject } from "../project.ts";
import { chooseWorkflow, firstWorkflow } from "../workflow-choice.ts";

const RUNS_DEFAULT = 100;
const RUNS_MAX = 1_000_000;
const SEED_MAX = Number.MAX_SAFE_INTEGER - RUNS_MAX;

/** `flotilla simulate [workflow]`: the fleet in virtual time, once for each seed, under injected faults (T1). Exit code 1
 *  when a promise was broken; the command that repeats it is printed (T2). */
export async function run(
  context: Context,
  [given]: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const runs = wholeNumber(options.runs, "--runs", { min: 1, max: RUNS_MAX }) ?? RUNS_DEFAULT;
  const seed = wholeNumber(options.seed, "--seed", { min: 0, max: SEED_MAX }) ?? 1;
  const [faults, only] = [texts(options.fault), texts(options.only)];
  faults.forEach(parseFault);
  if (faults.length > 0 && only.length > 0)
    throw usageError("--fault and --only do not go together", "--only names exactly the faults that happen.");
  const file = fileOf(await findProject(context));
  const { definition } = await loadFleet(file);
  const workflow = given ?? (await firstWorkflow(definition, file));
  const input = await readInput(texts(options.input), chooseWorkflow(definition, workflow).input, context.terminal.cwd);
  const script = await scriptOf(context, text(options.script));
  const progress = tally(context, runs);
  const startedAt = performance.now();
  const summary = await simulate(file, workflow, input, {
    seed,
    runs,
    ...(only.length > 0 ? { only } : { faults }),
    ...(script === undefined ? {} : { script }),
    progress: progress.next,
  });
  progress.clear();
  const tookMs = performance.now() - startedAt;
  const repeat = repeatCommand(workflow, summary, options);
  if (context.json) printJson(context, { workflow, ...summary, repeat });
  else print(context, workflow, summary, { tookMs, repeat });
  const broken = summary.runs.some(({ violations }) => violations.length > 0);
  return broken || summary.lost > 0 || summary.duplicatedEffects > 0 ? EXIT.failed : EXIT.ok;
}

async function scriptOf({ terminal }: Context, file: string | undefined): Promise<Json | undefined> {
  if (file === undefined) return undefined;
  const { parse } = await import("yaml");
  const content = await readFile(resolve(terminal.cwd, file), "utf8").catch((error: Error) => {
    throw usageError(`the script ${file} cannot be read: ${error.message}`);
  });
  return parse(content) as Json;
}

/** How far it is, on a terminal; elsewhere nothing, since the end follows soon. */
function tally({ terminal, json }: Context, runs: number): { next(run: SimulatedRunReport): void; clear(): void } {
  const view = new LiveLines(terminal);
  let done = 0;
  return {
    next() {
      done += 1;
      if (!json) view.draw([`simulated ${grouped(done)} of ${grouped(runs)} runs`]);
    },
    clear: () => view.clear(),
  };
}

/** The one command that repeats the first broken promise with the fewest faults; null when none was broken. */
function repeatCommand(workflow: string, { smallest }: SimulationSummary, options: Options): string | null {
  if (smallest === null) return null;
  const inputs = texts(options.input).flatMap((input) => ["--input", quoted(input)]);
  const script = text(options.script);
  const parts = [
    workflow,
    "--seed",
    String(smallest.seed),
    "--runs",
    "1",
    ...smallest.only.flatMap((fault) => ["--only", quoted(fault)]),
    ...inputs,
  ];
  return `flotilla simulate ${[...parts, ...(script === undefined ? [] : ["--script", quoted(script)])].join(" ")}`;
}

const quoted = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

function print(
  { terminal }: Context,
  workflow: string,
  summary: SimulationSummary,
  { tookMs, repeat }: { tookMs: number; repeat: string | null },
): void {
  const paint = terminal.outPaint;
  const { runs, groups, lost, duplicatedEffects, simulatedMs, faults } = summary;
  terminal.out(table(groups.map((group) => groupRow(group, paint))));
  const counts = groups.map(({ outcome, error, seeds }) => `${seeds.length} ${error?.code ?? outcome}`);
  terminal.out(
    `${[...counts.slice(0, 4), ...(groups.length > 4 ? [`${groups.length - 4} more kinds of end`] : [])].join(" · ")} · ${lost} lost · ${plural(duplicatedEffects, "duplicated side effect")}`,
  );
  const happened = Object.entries(faults).map(([kind, times]) => `${kind} ×${grouped(times)}`);
  terminal.note(`  faults: ${happened.length === 0 ? "none" : happened.join(", ")}`);
  terminal.note(
    `  ${plural(runs.length, "seed")} of ${workflow}, ${duration(simulatedMs)} of virtual time in ${duration(tookMs)} (${Math.round((runs.length / Math.max(1, tookMs)) * 1_000)} seeds per second)`,
  );
  const broken = runs.find(({ violations }) => violations.length > 0);
  for (const { promise, message } of broken?.violations.slice(0, 3) ?? [])
    terminal.note(`${paint.red("✗")} seed ${broken?.seed} broke ${promise}: ${message.split("\n")[0]}`);
  const next =
    happened.length === 0 ? `flotilla simulate ${workflow} --fault tool.timeout=20%` : `flotilla run ${workflow}`;
  terminal.note(repeat === null ? `Next: ${next}` : `Repeat it: ${repeat}`);
}

function groupRow({ outcome, error, output, seeds }: SimulatedGroup, paint: Context["terminal"]["outPaint"]): string[] {
  const sign = outcome === "completed" ? paint.green("✓") : outcome === "lost" ? paint.red("✗") : paint.yellow("!");
  const said = error === null ? brief(output, 70) : `${error.code}: ${error.message.split("\n")[0]}`;
  return [
    `${sign} ${seeds.length}`,
    outcome,
    harmless(said).slice(0, 100),
    paint.dim(`seed ${seeds.slice(0, 3).join(", ")}${seeds.length > 3 ? ", …" : ""}`),
  ];
}
