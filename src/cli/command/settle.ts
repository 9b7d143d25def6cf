import type { Json } from "../../core/json.ts";
import { nearest } from "../../definition/nearest.ts";
import { readState } from "../../runtime/read-run.ts";
import type { RunRow, Store } from "../../store/store.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { brief } from "../format/brief.ts";
import { shortId } from "../format/status.ts";
import { type OpenQuestion, openQuestions } from "../next-command.ts";
import { text } from "../option.ts";
import { personOf } from "../person.ts";
import type { Options } from "../program.ts";
import { findProject, readStore } from "../project.ts";
import { findRun } from "../run-id.ts";
import { openSession } from "../session.ts";

/** `flotilla settle RUN [STEP] --done | --not-done`: answers what only a person can know (F13). Without an answer it
 *  lists the open questions of the run. */
export async function run(
  context: Context,
  [target = "", step]: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const outcome = outcomeOf(options);
  const output = outputOf(options);
  const project = await findProject(context);
  const { row, questions } = await readStore(context, project, (store) => look(store, target));
  if (outcome === null) return list(context, row, questions);
  const question = choose(row, questions, step);
  // Only decides: the run goes on where the fleet is served, now or later.
  const session = await openSession(context, project, { hosts: 0 });
  try {
    const settled = await session.app.control.settle(
      row.id,
      question.task,
      question.key,
      outcome,
      output,
      personOf(),
      session.clean(text(options.note) ?? ""),
    );
    if (!settled)
      throw usageError(
        `${question.task}/${question.key} is not an open question any more`,
        `See flotilla show ${shortId(row.id)}.`,
      );
  } finally {
    await session.close({ drain: false });
  }
  if (context.json) {
    printJson(context, { run: row.id, step: `${question.task}/${question.key}`, outcome });
    return EXIT.ok;
  }
  context.terminal.out(`${question.task}/${question.key} settled as ${outcome}`);
  context.terminal.note(`Next: flotilla watch ${shortId(row.id)}   flotilla run ${row.workflow} --resume`);
  return EXIT.ok;
}

function outcomeOf(options: Options): "done" | "not-done" | null {
  if (options.done === true && options.notDone === true)
    throw usageError("it was done or it was not", "Give --done or --not-done.");
  if (options.done === true) return "done";
  return options.notDone === true ? "not-done" : null;
}

function outputOf(options: Options): Json {
  const given = text(options.output);
  if (given === undefined) return null;
  if (options.done !== true) throw usageError("--output says what a write returned, so it needs --done");
  try {
    return JSON.parse(given) as Json;
  } catch (error) {
    throw usageError(`--output is not valid JSON: ${(error as Error).message}`);
  }
}

async function look(looked: Store | null, target: string): Promise<{ row: RunRow; questions: OpenQuestion[] }> {
  const { row, store } = await findRun(looked, target);
  return { row, questions: openQuestions(await readState(store, row.id)) };
}

function list(context: Context, row: RunRow, questions: readonly OpenQuestion[]): ExitCode {
  const { terminal } = context;
  const id = shortId(row.id);
  if (context.json) printJson(context, questions);
  else
    for (const { task, key, agent, input } of questions)
      terminal.out(`◐ ${task}/${key}  of ${agent ?? "?"}  ${brief(input, 100)}`);
  const [first] = questions;
  if (!context.json)
    terminal.note(
      first === undefined
        ? `${id} waits for nobody.`
        : `Next: flotilla settle ${id} ${first.task}/${first.key} --done or --not-done`,
    );
  return first === undefined ? EXIT.ok : EXIT.waiting;
}

function choose(row: RunRow, questions: readonly OpenQuestion[], step: string | undefined): OpenQuestion {
  const names = questions.map(({ task, key }) => `${task}/${key}`);
  if (names.length === 0)
    throw usageError(`${shortId(row.id)} has no open question`, `See flotilla show ${shortId(row.id)}.`);
  const fits =
    step === undefined ? questions : questions.filter(({ task, key }) => [`${task}/${key}`, key, task].includes(step));
  const [only, ...others] = fits;
  if (only !== undefined && others.length === 0) return only;
  const near =
    step === undefined || only !== undefined ? null : nearest(step, [...names, ...questions.map(({ key }) => key)]);
  const hint = `${near === null ? "" : `Did you mean ${near}? `}Open: ${names.join(", ")}.`;
  throw usageError(only === undefined ? `${step} is no open question of ${shortId(row.id)}` : "which of them?", hint);
}
