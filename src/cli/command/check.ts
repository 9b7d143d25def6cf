import { relative } from "node:path";
import { type FlotillaError, isFlotillaError } from "../../error.ts";
import type { FleetDefinition } from "../../core/definition.ts";
import { loadFleet } from "../../definition/load.ts";
import { type Problem, problemsOf } from "../../definition/problem.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode, type problemDocument, reportFailure } from "../failure.ts";
import { fixProblems, type Fixed } from "../fix.ts";
import { plural } from "../format/number.ts";
import type { Options } from "../program.ts";
import { unpinnedTools, writePins } from "../pin.ts";
import { fileOf, findProject } from "../project.ts";
import { missingSecrets } from "../strict.ts";

/** A fix may bring to light what it hid; so many rounds are enough for every definition that is corrected by fixes. */
const ROUNDS_MAX = 10;

/** `flotilla check`: every independent mistake at once; exit code 3 when there is one. */
export async function run(
  context: Context,
  _args: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const file = fileOf(await findProject(context));
  const fixed: Fixed[] = [];
  for (let round = 0; ; round++) {
    const result = await look(file);
    const now = options.fix === true && round < ROUNDS_MAX ? await fixes(context, file, result) : [];
    fixed.push(...now);
    if (now.length > 0) continue;
    if (!("definition" in result)) return fail(context, result, fixed);
    const strict = options.strict === true ? missingSecrets(result.definition, file, context.terminal.env) : [];
    if (strict.length > 0) return failStrict(context, strict, fixed);
    return succeed(context, file, result, fixed);
  }
}

/** Corrections first; a definition that is valid gets the pins of its MCP tools. */
async function fixes(context: Context, file: string, looked: Looked): Promise<Fixed[]> {
  if (!("definition" in looked)) return fixProblems(file, looked);
  const unpinned = await unpinnedTools(looked.definition, file, context.terminal.env);
  if (!context.json)
    for (const { name, description, approved } of unpinned)
      context.terminal.note(`${approved === null ? "approving" : "approving the change of"} ${name}: ${description}`);
  return writePins(file, unpinned);
}

export type Looked = { definition: FleetDefinition; hash: string } | { error: Error; problems: readonly Problem[] };

async function look(file: string): Promise<Looked> {
  try {
    const { definition, hash } = await loadFleet(file);
    return { definition, hash };
  } catch (error) {
    if (isFlotillaError(error)) return { error, problems: problemsOf(error) };
    throw error;
  }
}

function fail(context: Context, { error }: Extract<Looked, { error: Error }>, fixed: readonly Fixed[]): ExitCode {
  tellFixed(context, fixed);
  const code = reportFailure(error, context.terminal, context);
  const fixable = isFlotillaError(error) && problemsOf(error).some(({ suggestion }) => suggestion !== undefined);
  if (!context.json && fixable) context.terminal.note("Next: flotilla check --fix");
  return code;
}

function failStrict(context: Context, errors: readonly FlotillaError[], fixed: readonly Fixed[]): ExitCode {
  tellFixed(context, fixed);
  for (const error of errors) reportFailure(error, context.terminal, context);
  return EXIT.definition;
}

function succeed(
  context: Context,
  file: string,
  { definition, hash }: Extract<Looked, { hash: string }>,
  fixed: readonly Fixed[],
): ExitCode {
  const { terminal } = context;
  const names = {
    agents: Object.keys(definition.agents),
    workflows: Object.keys(definition.workflows),
    tools: Object.keys(definition.tools),
  };
  if (context.json) {
    printJson(context, {
      valid: true,
      file,
      name: definition.name,
      hash,
      ...names,
      fixed,
      problems: [] as ReturnType<typeof problemDocument>[],
    });
    return EXIT.ok;
  }
  tellFixed(context, fixed);
  const { agents, tools, workflows } = names;
  const counts = [
    plural(agents.length, "agent"),
    plural(tools.length, "tool"),
    plural(workflows.length, "workflow"),
  ].join(" · ");
  terminal.out(`${terminal.outPaint.green("✓")} ${relative(terminal.cwd, file)} ok · ${definition.name} · ${counts}`);
  terminal.note(`Next: flotilla run ${workflows[0] ?? ""}`.trimEnd());
  return EXIT.ok;
}

function tellFixed({ terminal, json }: Context, fixed: readonly Fixed[]): void {
  if (json) return;
  for (const { file, line, from, to } of fixed) terminal.note(`fixed ${file}:${line}  ${from} → ${to}`);
}
