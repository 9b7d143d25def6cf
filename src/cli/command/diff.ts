import type { RunEvent } from "../../core/event.ts";
import { type Json, sameJson } from "../../core/json.ts";
import { emptyRun, evolve, type RunState } from "../../core/state.ts";
import { readRun } from "../../runtime/journal.ts";
import type { Store } from "../../store/store.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { brief } from "../format/brief.ts";
import { costText, tokensText } from "../format/cost.ts";
import { plural } from "../format/number.ts";
import { shortId } from "../format/status.ts";
import { table } from "../format/table.ts";
import type { Options } from "../program.ts";
import { findProject, readStore } from "../project.ts";
import { findRun } from "../run-id.ts";

/** Characters of a value in a line. */
const VALUE = 48;
/** Differing steps that are shown without --steps. */
const STEPS_SHOWN = 10;

/** One run, or one moment of it. */
interface Side {
  name: string;
  state: RunState;
  /** Outcomes by `TASK/STEP`. */
  steps: ReadonlyMap<string, { kind: string; input: Json; outcome: Json }>;
}

interface Difference {
  what: "task" | "step" | "output" | "definition" | "input" | "status";
  name: string;
  before: Json;
  after: Json;
}

/** `flotilla diff RUN OTHER`: what is another in the second of two runs, or of two moments of one. */
export async function run(
  context: Context,
  [before = "", after = ""]: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const project = await findProject(context, { optional: true });
  return readStore(context, project, async (store) => {
    const [a, b] = [await read(store, before), await read(store, after)];
    const found = differences(a, b).filter(({ what }) => options.output !== true || what === "output");
    const cost = { before: a.state.usage, after: b.state.usage };
    if (context.json) {
      printJson(context, { before: a.name, after: b.name, differences: options.cost === true ? [] : found, cost });
      return EXIT.ok;
    }
    const { out } = context.terminal;
    if (options.cost !== true) print(context, found, options.steps === true);
    if (options.output !== true) out(`cost    ${priceOf(a)}  →  ${priceOf(b)}`);
    context.terminal.note(`${plural(found.length, "difference")} between ${a.name} and ${b.name}`);
    return EXIT.ok;
  });
}

async function read(looked: Store | null, target: string): Promise<Side> {
  const [id, moment] = splitMoment(target);
  const { row, store } = await findRun(looked, id);
  const state = emptyRun(row.id);
  const steps = new Map<string, { kind: string; input: Json; outcome: Json }>();
  for await (const { version, event } of readRun(store, row.id)) {
    if (moment !== undefined && version > moment) break;
    evolve(state, event);
    note(steps, event);
  }
  if (moment !== undefined && moment > row.version)
    throw usageError(`${shortId(row.id)} has ${row.version} events, not ${moment}`);
  return { name: `${shortId(row.id)}${moment === undefined ? "" : `@${moment}`}`, state, steps };
}

/** `RUN@VERSION`; `@last` is a run. */
function splitMoment(target: string): [string, number | undefined] {
  const [, id, version] = /^(.+)@(\d+)$/.exec(target) ?? [];
  return id === undefined ? [target, undefined] : [id, Number(version)];
}

function note(
  steps: Map<string, { kind: string; input: Json; outcome: Json }>,
  { type, data, payload }: RunEvent,
): void {
  if (type !== "step.started" && type !== "step.asked" && type !== "step.completed" && type !== "step.failed") return;
  const name = `${data.task}/${data.key}`;
  const input = payload?.input ?? steps.get(name)?.input ?? null;
  const outcome =
    type === "step.completed" ? (payload?.output ?? null) : type === "step.failed" ? { error: data.error.code } : null;
  steps.set(name, { kind: data.kind, input, outcome });
}

function differences(a: Side, b: Side): Difference[] {
  const found: Difference[] = [];
  const compare = (what: Difference["what"], name: string, before: Json, after: Json) => {
    if (!sameJson(before, after)) found.push({ what, name, before, after });
  };
  compare("definition", "definition", a.state.definition.slice(0, 12), b.state.definition.slice(0, 12));
  compare("input", "input", a.state.input, b.state.input);
  for (const id of union(a.state.tasks, b.state.tasks)) {
    const [before, after] = [a.state.tasks.get(id), b.state.tasks.get(id)];
    compare("task", id, before?.status ?? null, after?.status ?? null);
    if (before?.status === after?.status) compare("output", id, before?.output ?? null, after?.output ?? null);
  }
  for (const name of union(a.steps, b.steps)) {
    const [before, after] = [a.steps.get(name) ?? null, b.steps.get(name) ?? null];
    compare("step", name, before, after);
  }
  compare("status", "run", a.state.status, b.state.status);
  compare("output", "run", a.state.output ?? null, b.state.output ?? null);
  return found;
}

function union(a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): string[] {
  return [...a.keys(), ...[...b.keys()].filter((key) => !a.has(key))];
}

function print({ terminal }: Context, found: readonly Difference[], all: boolean): void {
  const steps = found.filter(({ what }) => what === "step");
  const shown = all ? found : [...found.filter(({ what }) => what !== "step"), ...steps.slice(0, STEPS_SHOWN)];
  const rows = shown.map(({ what, name, before, after }) => [what, name, said(before), "→", said(after)]);
  if (rows.length > 0) terminal.out(table(rows));
  const more = steps.length - STEPS_SHOWN;
  if (!all && more > 0) terminal.note(`${plural(more, "more step")}: --steps`);
}

/** A step is told by what came of it. */
function said(value: Json): string {
  if (value === null) return "–";
  const isStep = typeof value === "object" && "outcome" in value && "kind" in value;
  return brief(isStep ? ((value as { outcome: Json }).outcome ?? "under way") : value, VALUE);
}

function priceOf({ state: { usage } }: Side): string {
  return `${plural(usage.steps, "step")}, ${tokensText(usage)}${costText(usage) === "" ? "" : `, ${costText(usage)}`}`;
}
