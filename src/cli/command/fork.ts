import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Effect, EffectPolicy } from "../../core/fork.ts";
import type { ForkPreview, ForkRequest } from "../../runtime/fork.ts";
import { type Context, printJson } from "../context.ts";
import { type ExitCode, usageError } from "../failure.ts";
import { brief } from "../format/brief.ts";
import { plural } from "../format/number.ts";
import { shortId } from "../format/status.ts";
import { table } from "../format/table.ts";
import { readInput } from "../input.ts";
import { oneOf, text, texts, wholeNumber } from "../option.ts";
import type { Options } from "../program.ts";
import { findProject, readStore } from "../project.ts";
import { findRun } from "../run-id.ts";
import { followStarted } from "./run.ts";

const POLICIES: readonly EffectPolicy[] = ["allow", "stub", "skip"];
/** Characters of an effect's input in the list. */
const INPUT = 60;

/** `flotilla fork RUN`: a new run from a moment of another one. What that one wrote to the outside after the moment is
 *  listed first, each to be allowed, answered from the record (`stub`) or left out (`skip`). */
export async function run(
  context: Context,
  [target = ""]: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const project = await findProject(context);
  const { row } = await readStore(context, project, (store) => findRun(store, target));
  const request = await requestOf(context, row.id, options);
  const chosen = oneOf(options.effects, "--effects", POLICIES);
  return followStarted(context, project, options, async (app) => {
    const preview = await app.control.previewFork(request);
    if (options.dryRun === true) return shown(context, preview);
    const tools = request.effects?.tools ?? {};
    const open = preview.effects.filter(({ tool }) => tools[tool] === undefined);
    if (open.length > 0 && chosen === undefined) throw undecided(preview, open);
    const id = await app.control.fork({ ...request, effects: { default: chosen ?? "stub", tools }, by: "cli" });
    if (!context.json) tell(context, id, preview, chosen);
    return id;
  });
}

async function requestOf(context: Context, run: string, options: Options): Promise<ForkRequest> {
  const at = wholeNumber(options.at, "--at", { min: 1, max: Number.MAX_SAFE_INTEGER });
  const task = text(options.task);
  const input = texts(options.input);
  const { cwd } = context.terminal;
  return {
    run,
    ...(at === undefined ? {} : { at }),
    ...(task === undefined ? {} : { task }),
    ...(input.length === 0 ? {} : { input: await readInput(input, null, cwd) }),
    agents: await agentsOf(context, options),
    effects: { default: "stub", tools: toolsOf(options) },
  };
}

/** `--prompt AGENT=FILE`, `--model AGENT=PROVIDER/NAME`. */
async function agentsOf({ terminal }: Context, options: Options): Promise<NonNullable<ForkRequest["agents"]>> {
  const agents: Record<string, { instructions?: string; model?: string }> = {};
  for (const [name, file] of pairs(texts(options.prompt), "--prompt", "AGENT=FILE")) {
    try {
      agents[name] = { ...agents[name], instructions: await readFile(resolve(terminal.cwd, file), "utf8") };
    } catch (error) {
      throw usageError(`${file} cannot be read: ${(error as Error).message}`);
    }
  }
  for (const [name, model] of pairs(texts(options.model), "--model", "AGENT=PROVIDER/NAME"))
    agents[name] = { ...agents[name], model };
  return agents;
}

function toolsOf(options: Options): Record<string, EffectPolicy> {
  const given = pairs(texts(options.effect), "--effect", "TOOL=allow, stub or skip");
  return Object.fromEntries(given.map(([tool, policy]) => [tool, oneOf(policy, "--effect", POLICIES) ?? "stub"]));
}

function pairs(given: readonly string[], flag: string, form: string): [string, string][] {
  return given.map((one) => {
    const [, name, value] = /^([^=]+)=(.+)$/s.exec(one) ?? [];
    if (name === undefined || value === undefined) throw usageError(`${flag} "${one}" is not ${form}`);
    return [name, value];
  });
}

function undecided({ run }: ForkPreview, effects: readonly Effect[]): Error {
  const lines = effects.slice(0, 5).map((effect) => `  ${effect.task}: ${effect.tool} ${brief(effect.input, INPUT)}`);
  const more = effects.length > 5 ? `\n  and ${effects.length - 5} more` : "";
  const happened = plural(effects.length, "effect on the outside would", "effects on the outside would");
  const hint =
    "Add --effects stub (answer from the record), skip (leave out) or allow (do them again); for one tool: --effect TOOL=skip.";
  return usageError(`${happened} happen again in a fork of ${shortId(run)}:\n${lines.join("\n")}${more}`, hint);
}

/** `--dry-run`: what it would keep and do again. */
function shown(context: Context, preview: ForkPreview): null {
  const { terminal } = context;
  if (context.json) printJson(context, preview);
  else {
    const { run, at, kept, redone, effects, changes } = preview;
    terminal.out(`fork of ${shortId(run)} after event ${at}: ${plural(kept, "task")} kept`);
    if (redone.length > 0) terminal.out(`done from the start: ${redone.join(", ")}`);
    if (changes.length > 0) terminal.out(`with ${changes.join(", ")}`);
    if (effects.length > 0) {
      terminal.out(`${plural(effects.length, "effect")} would happen again:`);
      terminal.out(table(effects.map(({ task, tool, input }) => [`  ${task}`, tool, brief(input, INPUT)])));
    }
  }
  return null;
}

function tell({ terminal }: Context, id: string, preview: ForkPreview, chosen: EffectPolicy | undefined): void {
  const { run, at, kept, effects, changes } = preview;
  const what = changes.length === 0 ? "" : `, with ${changes.join(", ")}`;
  terminal.note(`${shortId(id)} forked from ${shortId(run)} after event ${at}: ${plural(kept, "task")} kept${what}`);
  const done = { allow: "may happen again", stub: "answered from the record", skip: "left out" }[chosen ?? "stub"];
  if (effects.length > 0) terminal.note(`${plural(effects.length, "effect")} of ${shortId(run)} ${done}`);
}
