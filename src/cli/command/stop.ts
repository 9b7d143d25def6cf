import type { RunRow, Store } from "../../store/store.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { plural } from "../format/number.ts";
import { shortId } from "../format/status.ts";
import { text } from "../option.ts";
import { personOf } from "../person.ts";
import type { Options } from "../program.ts";
import { findProject, readStore } from "../project.ts";
import { findRun } from "../run-id.ts";
import { runFilter } from "../run-filter.ts";
import { openSession } from "../session.ts";

const PAGE = 500;
const SAMPLE = 3;

/** `flotilla stop RUN…`: ends runs, through the process that serves them or, where there is none, by itself. */
export async function run(
  context: Context,
  targets: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const project = await findProject(context);
  const rows = await readStore(context, project, (store) => chosen(store, targets, options));
  const running = rows.filter(({ status }) => status === "running");
  const bulk = options.all === true || options.workflow !== undefined || options.where !== undefined;
  if (bulk && running.length > 0 && options.yes !== true) refuse(running);
  if (running.length > 0) {
    const session = await openSession(context, project, { hosts: 0 });
    try {
      for (const { id } of running)
        await session.app.control.stop(id, session.clean(text(options.reason) ?? "asked for"), personOf());
    } finally {
      await session.close({ drain: false });
    }
  }
  if (context.json)
    printJson(
      context,
      rows.map(({ id, status }) => ({ id, stopped: status === "running", before: status })),
    );
  else print(context, rows);
  return EXIT.ok;
}

async function chosen(
  store: Store | null,
  targets: readonly (string | undefined)[],
  options: Options,
): Promise<RunRow[]> {
  const named = targets.filter((target) => target !== undefined);
  const workflow = text(options.workflow);
  const where = text(options.where);
  const fits = where === undefined ? () => true : runFilter(where);
  if (named.length > 0) return Promise.all(named.map(async (target) => (await findRun(store, target)).row));
  if (options.all !== true && workflow === undefined && where === undefined)
    throw usageError("which run?", "Name one, such as @last, or give --all, --workflow or --where.");
  const rows: RunRow[] = [];
  for (let before: { createdAt: number; id: string } | undefined; store !== null; ) {
    const filter = {
      status: "running" as const,
      limit: PAGE,
      ...(workflow === undefined ? {} : { workflow }),
      ...(before === undefined ? {} : { before }),
    };
    const page = await store.runs(filter);
    rows.push(...page.filter(fits));
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) break;
    before = { createdAt: last.createdAt, id: last.id };
  }
  return rows;
}

/** What is hard to take back shows what it would do first. */
function refuse(running: readonly RunRow[]): never {
  const sample = running.slice(0, SAMPLE).map(({ id, workflow }) => `${workflow} ${shortId(id)}`);
  const more = running.length > SAMPLE ? ` and ${running.length - SAMPLE} more` : "";
  throw usageError(
    `this would stop ${plural(running.length, "run")}: ${sample.join(", ")}${more}`,
    "Repeat it with --yes.",
  );
}

function print({ terminal }: Context, rows: readonly RunRow[]): void {
  const paint = terminal.outPaint;
  for (const { id, workflow, status } of rows) {
    terminal.out(
      status === "running"
        ? `${paint.yellow("■")} ${workflow} ${shortId(id)} stopped`
        : `${paint.dim("–")} ${workflow} ${shortId(id)} had ${status === "stopped" ? "been stopped" : status} before`,
    );
  }
  const [first] = rows;
  terminal.note(first === undefined ? "No run is running." : `Next: flotilla show ${shortId(first.id)}`);
}
