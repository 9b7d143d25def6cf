import type { ImportedFrom } from "../../core/fleet-state.ts";
import { isChild } from "../../core/seat.ts";
import type { RunFilter, RunRow, RunStatus, Store } from "../../store/store.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { costText } from "../format/cost.ts";
import { count, duration, grouped } from "../format/number.ts";
import { oneLine } from "../format/brief.ts";
import { dateTime } from "../format/sentence.ts";
import { runSign, shortId } from "../format/status.ts";
import { table } from "../format/table.ts";
import { type Held, heldDocument, heldLine, importedDocument, lookAtFleet } from "../held.ts";
import { runNumbers, type RunNumbers } from "../run-number.ts";
import { oneOf, wholeNumber } from "../option.ts";
import type { Options } from "../program.ts";
import { findProject, readStore } from "../project.ts";

const STATUSES = ["running", "completed", "failed", "stopped"] as const satisfies RunStatus[];
const LIMIT_DEFAULT = 20;
const LIMIT_MAX = 10_000;

/** `flotilla ls`: runs, newest first. */
export async function run(
  context: Context,
  _args: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const limit = wholeNumber(options.limit, "--limit", { min: 1, max: LIMIT_MAX }) ?? LIMIT_DEFAULT;
  const status = oneOf(options.status, "--status", STATUSES);
  const workflow = typeof options.workflow === "string" ? options.workflow : undefined;
  const filter = {
    limit,
    ...(status === undefined ? {} : { status }),
    ...(workflow === undefined ? {} : { workflow }),
  };
  const project = await findProject(context, { optional: true });
  const { inFleet, runs } = await readStore(context, project, async (store) => {
    const { held: inFleet, imports } = await lookAtFleet(store);
    const runs = store === null ? [] : await list(store, filter, inFleet, options.children === true);
    return { inFleet, runs: runs.map((one): Listed => ({ ...one, imported: imports[one.row.id] })) };
  });
  if (context.json) printJson(context, runs.map(document));
  else {
    print(context, runs, limit, status !== undefined || workflow !== undefined);
    for (const held of inFleet) context.terminal.note(context.terminal.notePaint.yellow(heldLine(held)));
  }
  return EXIT.ok;
}

/** The newest runs; children of runs only where they are asked for, since their parents tell of them. */
async function page(store: Store, { limit, ...filter }: RunFilter, children: boolean): Promise<RunRow[]> {
  const rows: RunRow[] = [];
  for (let before: RunFilter["before"]; rows.length < limit; ) {
    const found = await store.runs({ ...filter, limit, ...(before === undefined ? {} : { before }) });
    rows.push(...found.filter(({ id }) => children || !isChild(id)));
    const last = found.at(-1);
    if (last === undefined || found.length < limit) break;
    before = { createdAt: last.createdAt, id: last.id };
  }
  return rows.slice(0, limit);
}

async function list(store: Store, filter: RunFilter, inFleet: readonly Held[], children: boolean) {
  const rows = await page(store, filter, children);
  return Promise.all(rows.map(async (row) => ({ row, numbers: await runNumbers(store, row, inFleet) })));
}

/** Not all of it is, when just an agent is held. */
const isPaused = ({ held }: RunNumbers): boolean => held.some(({ target }) => !("agent" in target));

interface Listed {
  row: RunRow;
  numbers: RunNumbers;
  /** Of a record of another store. */
  imported: ImportedFrom | undefined;
}

/** A run as `--json` lists it; times in ISO 8601, money in micro-USD. */
function document({ row, numbers, imported }: Listed) {
  const { id, workflow, status, version, definition } = row;
  const { tasks, steps, inputTokens, outputTokens, costMicroUsd, unpriced, simulated, endedAt, error } = numbers;
  return {
    id,
    workflow,
    status,
    startedAt: new Date(row.createdAt).toISOString(),
    endedAt: endedAt === null ? null : new Date(endedAt).toISOString(),
    tasks,
    steps,
    inputTokens,
    outputTokens,
    costMicroUsd,
    unpriced,
    simulated,
    error,
    held: numbers.held.map(heldDocument),
    imported: importedDocument(imported),
    version,
    definition,
  };
}

function print({ terminal }: Context, runs: readonly Listed[], limit: number, filtered: boolean): void {
  const paint = terminal.outPaint;
  const [newest] = runs;
  if (newest === undefined) {
    terminal.note(filtered ? "No run matches.  All of them: flotilla ls" : "No runs yet.  Next: flotilla run");
    return;
  }
  const head = ["", "RUN", "WORKFLOW", "STATUS", "STARTED", "TOOK", "TASKS", "TOKENS", "COST", ""].map(paint.dim);
  const lines = runs.map(({ row, numbers, imported }) => [
    runSign(row.status, paint),
    shortId(row.id),
    row.workflow,
    isPaused(numbers) ? paint.yellow("paused") : imported === undefined ? row.status : `${row.status}, imported`,
    dateTime(row.createdAt),
    duration((numbers.endedAt ?? Date.now()) - row.createdAt),
    grouped(numbers.tasks),
    count(numbers.inputTokens + numbers.outputTokens),
    costText(numbers),
    numbers.error === null ? "" : paint.red(oneLine(numbers.error, 60)),
  ]);
  terminal.out(table([head, ...lines], { right: [5, 6, 7] }));
  if (runs.length === limit) terminal.note(`The newest ${limit}; more with --limit.`);
  terminal.note(`Next: flotilla show ${shortId(newest.row.id)}`);
}
