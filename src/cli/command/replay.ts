import { emptyRun, evolve, type RunState } from "../../core/state.ts";
import { readRun } from "../../runtime/journal.ts";
import { FLEET_JOURNAL, type RunRow, type Store } from "../../store/store.ts";
import { type Context, printJson, printRecord } from "../context.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { brief, harmless, oneLine, outputText } from "../format/brief.ts";
import { usageText } from "../format/cost.ts";
import { clock, plural } from "../format/number.ts";
import { dateTime, sentence } from "../format/sentence.ts";
import { importedLine, lookAtFleet } from "../held.ts";
import { shortId, taskSign } from "../format/status.ts";
import { Company } from "../format/story.ts";
import { table } from "../format/table.ts";
import { wholeNumber } from "../option.ts";
import type { Options } from "../program.ts";
import { findProject, readStore } from "../project.ts";
import { findRun } from "../run-id.ts";
import { showFleet } from "../show-fleet.ts";

/** `flotilla replay RUN`: reads the record, event by event; executes nothing (I7). */
export async function run(
  context: Context,
  [target = ""]: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const bounds = { min: 1, max: Number.MAX_SAFE_INTEGER };
  const at = wholeNumber(options.at, "--at", bounds);
  const from = wholeNumber(options.from, "--from", bounds) ?? 1;
  return readStore(context, await findProject(context, { optional: true }), async (looked) => {
    if (target === FLEET_JOURNAL && looked !== null) return showFleet(context, looked);
    const { row, store } = await findRun(looked, target);
    return at === undefined ? step(context, store, row, from) : showState(context, store, row, at);
  });
}

async function step(context: Context, store: Store, row: RunRow, from: number): Promise<ExitCode> {
  const { terminal } = context;
  const { dim } = terminal.outPaint;
  const company = new Company();
  let startedAt = row.createdAt;
  const pager = pagerOf(context, row);
  const imported = context.json ? undefined : (await lookAtFleet(store)).imports[row.id];
  if (imported !== undefined) terminal.note(`${importedLine(imported)}: a record, never resumed`);
  for await (const { version, event, erased } of readRun(store, row.id)) {
    company.see(event);
    if (version === 1) startedAt = event.at;
    if (version < from) continue;
    if (context.json) {
      printRecord(context, {
        type: event.type,
        seq: version,
        time: event.at,
        data: event.data,
        ...(event.payload === undefined ? {} : { payload: event.payload }),
        ...(erased ? { contentMissing: true } : {}),
      });
      continue;
    }
    const head = dim(`${String(version).padStart(5)}  ${clock(event.at - startedAt)}  ${event.type.padEnd(14)}`);
    const without = erased ? dim("  [content not here: erased or left out]") : "";
    terminal.out(`${head}  ${harmless(oneLine(sentence(event, company), 300))}${without}`);
    if (!(await pager.goOn())) break;
  }
  if (!context.json)
    terminal.note(`Nothing was executed.  State at an event: flotilla replay ${shortId(row.id)} --at N`);
  return EXIT.ok;
}

/** On a terminal a screenful at a time; elsewhere all at once. */
function pagerOf({ terminal, json }: Context, row: RunRow): { goOn(): Promise<boolean> } {
  const rows = Math.max(5, (process.stdout.rows ?? 24) - 2);
  let shown = 0;
  return {
    async goOn() {
      shown += 1;
      if (json || !terminal.interactive || process.stdout.isTTY !== true || shown % rows !== 0) return true;
      const answer = await terminal.ask(`-- ${shortId(row.id)}: Enter for more, q to end -- `);
      return answer.trim().toLowerCase() !== "q";
    },
  };
}

/** The run as it was after one event. */
async function showState(context: Context, store: Store, row: RunRow, at: number): Promise<ExitCode> {
  const state = emptyRun(row.id);
  const company = new Company();
  let last = "";
  for await (const { version, event } of readRun(store, row.id)) {
    if (version > at) break;
    evolve(state, event);
    company.see(event);
    last = sentence(event, company);
  }
  if (state.version < at)
    throw usageError(`run ${row.id} has ${plural(state.version, "event")}, so none is number ${at}`);
  if (context.json) printJson(context, stateDocument(state));
  else printState(context, row, state, last);
  return EXIT.ok;
}

function stateDocument({ scratch: _, dependents: __, tasks, ...state }: RunState) {
  return {
    ...state,
    tasks: [...tasks.values()].map(({ steps, ...task }) => ({ ...task, steps: [...steps.values()] })),
  };
}

function printState({ terminal }: Context, row: RunRow, state: RunState, last: string): void {
  const paint = terminal.outPaint;
  const usage = usageText(state.usage);
  terminal.out(
    `${paint.bold(`${state.workflow} ${shortId(row.id)}`)} after event ${state.version} of ${row.version}: ${state.status}${usage === "" ? "" : ` · ${usage}`}`,
  );
  terminal.out(paint.dim(`  ${harmless(oneLine(last, 300))}`));
  terminal.out(`  started ${dateTime(state.startedAt)}, input ${brief(state.input, 120)}`);
  const rows = [...state.tasks.values()].map((task) => [
    `  ${taskSign(task.status, paint)}`,
    task.id,
    task.agent ?? "",
    task.status,
    plural(task.steps.size, "step"),
    harmless(task.status === "failed" ? (task.error?.message ?? "") : brief(task.output ?? task.input, 60)),
  ]);
  if (rows.length > 0) terminal.out(table(rows));
  if (state.output !== undefined) terminal.out(`  output ${harmless(oneLine(outputText(state.output), 300))}`);
  if (state.version < row.version) terminal.note(`Next: flotilla replay ${shortId(row.id)} --at ${state.version + 1}`);
}
