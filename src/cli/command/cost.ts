import type { Spend } from "../../core/money.ts";
import type { RunFilter, RunRow, Store } from "../../store/store.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { count, grouped, money, parseSpan, plural } from "../format/number.ts";
import { shortId } from "../format/status.ts";
import { table } from "../format/table.ts";
import { oneOf } from "../option.ts";
import type { Options } from "../program.ts";
import { findProject, readStore } from "../project.ts";
import { runNumbers } from "../run-number.ts";

const BY = ["agent", "workflow", "model", "day", "run"] as const;
type By = (typeof BY)[number];

const PAGE = 500;
const DAY_MS = 86_400_000;

type Sums = Omit<Spend, "day" | "agent" | "model">;

/** `flotilla cost`: spend by agent, workflow, model, day or run (K4). Runs that have ended tell it in their rows; only
 *  those that are under way are folded. */
export async function run(
  context: Context,
  _args: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const by = oneOf(options.by, "--by", BY) ?? "model";
  const since = sinceOf(options.since);
  const project = await findProject(context, { optional: true });
  const sums = await readStore(context, project, (store) =>
    store === null ? Promise.resolve(new Map<string, Sums>()) : collect(store, by, since),
  );
  const rows = [...sums].sort(([a, x], [b, y]) =>
    by === "day" ? b.localeCompare(a) : order(y, x) || a.localeCompare(b),
  );
  if (context.json)
    printJson(
      context,
      rows.map(([name, sum]) => ({ [by]: name, ...sum })),
    );
  else print(context, by, rows);
  return EXIT.ok;
}

/** Dearest first; where nothing has a price, by tokens. */
const order = (a: Sums, b: Sums): number =>
  a.costMicroUsd - b.costMicroUsd || a.inputTokens + a.outputTokens - b.inputTokens - b.outputTokens;

/** The day from which on it counts: reports are by whole days, in UTC. */
function sinceOf(given: unknown): number {
  if (typeof given !== "string") return 0;
  const spanMs = parseSpan(given);
  const at = /^\d{4}-\d{2}-\d{2}$/.test(given) ? Date.parse(given) : spanMs === null ? Number.NaN : Date.now() - spanMs;
  if (Number.isNaN(at)) throw usageError(`--since "${given}" is no time`, "Write it as 7d, 24h or 2026-01-31.");
  return Math.floor(at / DAY_MS) * DAY_MS;
}

async function collect(store: Store, by: By, since: number): Promise<Map<string, Sums>> {
  const sums = new Map<string, Sums>();
  for await (const row of runsSince(store, since)) {
    for (const spend of (await runNumbers(store, row)).spend ?? []) {
      if (spend.day >= since) add(sums, nameOf(by, row, spend), spend);
    }
  }
  return sums;
}

async function* runsSince(store: Store, since: number): AsyncGenerator<RunRow> {
  for (let before: RunFilter["before"]; ; ) {
    const rows = await store.runs({ limit: PAGE, ...(before === undefined ? {} : { before }) });
    for (const row of rows) if (row.updatedAt >= since) yield row;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    before = { createdAt: last.createdAt, id: last.id };
  }
}

function nameOf(by: By, { id, workflow }: RunRow, { agent, model, day }: Spend): string {
  if (by === "agent") return agent;
  if (by === "model") return model;
  if (by === "workflow") return workflow;
  return by === "run" ? id : new Date(day).toISOString().slice(0, "2026-01-31".length);
}

function add(sums: Map<string, Sums>, name: string, { day: _, agent: __, model: ___, ...spend }: Spend): void {
  const sum = sums.get(name);
  if (sum === undefined) return void sums.set(name, { ...spend });
  for (const key of Object.keys(spend) as (keyof Sums)[]) sum[key] += spend[key];
}

function print({ terminal }: Context, by: By, rows: readonly (readonly [string, Sums])[]): void {
  if (rows.length === 0) return terminal.note("No model was asked in that time.  Next: flotilla run");
  const paint = terminal.outPaint;
  const head = [by.toUpperCase(), "CALLS", "INPUT", "CACHED", "OUTPUT", "COST", "SAVED", ""].map(paint.dim);
  const lines = rows.map(([name, sum]) => [
    by === "run" ? shortId(name) : name,
    grouped(sum.calls),
    count(sum.inputTokens),
    count(sum.cachedInputTokens),
    count(sum.outputTokens),
    costOf(sum),
    sum.savedMicroUsd === 0 ? "" : money(sum.savedMicroUsd),
    remark(sum),
  ]);
  terminal.out(table([head, ...lines], { right: [1, 2, 3, 4, 5, 6] }));
}

/** What has no price is never shown as free (K4). */
function costOf({ costMicroUsd, unpriced, simulated, calls }: Sums): string {
  if (calls === 0) return money(costMicroUsd);
  if (simulated === calls && costMicroUsd === 0) return "simulated";
  return unpriced === calls ? "unpriced" : money(costMicroUsd);
}

function remark({ unpriced, unsettledMicroUsd, calls, simulated }: Sums): string {
  const remarks = [
    ...(unpriced > 0 && unpriced < calls && simulated < calls
      ? [`and ${plural(unpriced, "call")} without a price`]
      : []),
    ...(unsettledMicroUsd > 0 ? [`${money(unsettledMicroUsd)} of it unsettled`] : []),
  ];
  return remarks.join(", ");
}
