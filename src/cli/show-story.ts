import type { ImportedFrom } from "../core/fleet-state.ts";
import { emptyRun, evolve, type RunState } from "../core/state.ts";
import { readRun } from "../runtime/journal.ts";
import type { RunRow, Store } from "../store/store.ts";
import { type Context, printJson } from "./context.ts";
import { EXIT, type ExitCode } from "./failure.ts";
import { harmless, oneLine, outputText } from "./format/brief.ts";
import { usageText } from "./format/cost.ts";
import { duration, plural } from "./format/number.ts";
import { dateTime, sentence, time } from "./format/sentence.ts";
import { runSign, shortId } from "./format/status.ts";
import { type Act, Company, Story, toneOf } from "./format/story.ts";
import { type Held, heldDocument, heldInRun, heldLine, importedDocument, importedLine, lookAtFleet } from "./held.ts";
import { nextCommands, openQuestions } from "./next-command.ts";
import type { Paint } from "./paint.ts";

/** Outputs longer than this are named, not printed. */
const OUTPUT_LINES_MAX = 20;
const CHILDREN_SHOWN = 30;

/** The story of a run: a sentence for each act, the outcome, the cost. */
export async function showStory(
  context: Context,
  store: Store,
  row: RunRow,
  { all }: { all: boolean },
): Promise<ExitCode> {
  const state = emptyRun(row.id);
  const story = new Story();
  const company = new Company();
  const events: Act[] = [];
  let missing = 0;
  for await (const { version, event, erased } of readRun(store, row.id)) {
    if (erased) missing += 1;
    evolve(state, event);
    story.add(version, event);
    company.see(event);
    if (all)
      events.push({
        version,
        at: event.at,
        tone: toneOf(event),
        text: sentence(event, company),
        reasoning: "",
        task: null,
      });
  }
  const acts = all ? events : story.acts();
  const fleet = await lookAtFleet(store);
  const held = heldInRun(state, fleet.held);
  const about = { held, children: await childrenOf(store, state), imported: fleet.imports[row.id], missing };
  if (context.json) printJson(context, document(row, state, acts, about));
  else print(context, row, state, acts, about);
  return EXIT.ok;
}

/** What is not in the run's own journal. */
interface About {
  held: readonly Held[];
  children: readonly Child[];
  /** Of a record of another store. */
  imported: ImportedFrom | undefined;
  /** Contents that were erased, or left out when the run was exported. */
  missing: number;
}

/** A child run, and the task whose work it is. */
interface Child {
  task: string;
  run: string;
  workflow: string;
  /** Null: it was asked for, and has not started yet. */
  status: RunRow["status"] | null;
}

function childrenOf(store: Store, state: RunState): Promise<Child[]> {
  const tasks = [...state.tasks.values()].flatMap(({ id, child }) => (child === null ? [] : [{ task: id, ...child }]));
  return Promise.all(
    tasks.map(async ({ task, run, workflow }) => {
      return { task, run, workflow, status: (await store.run(run))?.status ?? null };
    }),
  );
}

function document(row: RunRow, state: RunState, acts: readonly Act[], { held, children, imported, missing }: About) {
  return {
    id: row.id,
    parent: state.parent,
    children,
    workflow: state.workflow,
    pattern: state.pattern,
    status: state.status,
    startedAt: new Date(state.startedAt).toISOString(),
    endedAt: state.endedAt === null ? null : new Date(state.endedAt).toISOString(),
    input: state.input,
    output: state.output ?? null,
    error: state.error ?? null,
    usage: state.usage,
    definition: state.definition,
    version: state.version,
    tasks: [...state.tasks.values()].map(({ id, agent, kind, status, attempt, error }) => ({
      id,
      agent,
      kind,
      status,
      attempts: attempt,
      error: error ?? null,
    })),
    questions: openQuestions(state),
    held: held.map(heldDocument),
    imported: importedDocument(imported),
    contentsMissing: missing,
    story: acts.map(({ at, ...act }) => ({ ...act, time: new Date(at).toISOString() })),
  };
}

function childLine({ task, run, workflow, status }: Child, paint: Paint): string {
  const sign = status === null ? paint.dim("·") : runSign(status, paint);
  return `  ${sign} ${task}: ${workflow} ${shortId(run)} ${status ?? "not started yet"}`;
}

function print(
  { terminal }: Context,
  row: RunRow,
  state: RunState,
  acts: readonly Act[],
  { held, children, imported, missing }: About,
): void {
  const paint = terminal.outPaint;
  terminal.out(headline(row, state, paint));
  if (imported !== undefined) terminal.out(paint.dim(`  ${importedLine(imported)}: a record, never resumed`));
  if (missing > 0)
    terminal.out(paint.yellow(`  ${plural(missing, "content")} not here: erased, or left out of the file`));
  const { parent } = state;
  if (parent !== null) terminal.out(`  the work of ${parent.task} of ${shortId(parent.run)}`);
  terminal.out("");
  for (const act of acts) terminal.out(actLine(act, paint));
  terminal.out("");
  if (children.length > 0) terminal.out("Runs of its tasks:");
  for (const child of children.slice(0, CHILDREN_SHOWN)) terminal.out(childLine(child, paint));
  if (children.length > CHILDREN_SHOWN) terminal.out(`  and ${children.length - CHILDREN_SHOWN} more`);
  if (children.length > 0) terminal.out("");
  for (const line of outcome(state, paint)) terminal.out(line);
  for (const one of held) terminal.out(paint.yellow(heldLine(one)));
  for (const { task, key } of openQuestions(state)) {
    terminal.out(
      paint.yellow(
        `  ${task} waits: whether ${key} happened is not known.  Settle it: flotilla settle ${shortId(row.id)} ${task}/${key} --done or --not-done`,
      ),
    );
  }
  terminal.note(`Next: ${nextCommands(row.id, state).join("   ")}`);
}

function headline(row: RunRow, state: RunState, paint: Paint): string {
  const took = duration((state.endedAt ?? row.updatedAt) - state.startedAt);
  const parts = [
    `started ${dateTime(state.startedAt)}`,
    `took ${took}`,
    plural(state.tasks.size, "task"),
    plural(state.usage.steps, "step"),
  ];
  const cost = usageText(state.usage);
  if (cost !== "") parts.push(cost);
  return `${runSign(state.status, paint)} ${paint.bold(`${state.workflow} ${shortId(row.id)}`)} ${state.status} · ${parts.join(" · ")}`;
}

function actLine({ at, version, tone, text, reasoning }: Act, paint: Paint): string {
  const signs = { good: paint.green("✓"), bad: paint.red("✗"), warning: paint.yellow("!"), plain: paint.dim("·") };
  const line = `${paint.dim(`${String(version).padStart(5)}  ${time(at)}`)} ${signs[tone]} ${harmless(oneLine(text, 400))}`;
  return reasoning === "" ? line : `${line}\n${paint.dim(`                  reasoning: ${harmless(reasoning)}`)}`;
}

function outcome(state: RunState, paint: Paint): string[] {
  if (state.status === "completed") {
    const lines = harmless(outputText(state.output ?? null)).split("\n");
    return lines.length <= OUTPUT_LINES_MAX
      ? lines
      : [
          ...lines.slice(0, OUTPUT_LINES_MAX),
          paint.dim(`… ${lines.length - OUTPUT_LINES_MAX} more lines; all of it with --json`),
        ];
  }
  if (state.error !== undefined) {
    const { code, message, hint } = state.error;
    return [`${paint.red(code)} ${message}`, ...(hint === undefined ? [] : [`  fix: ${hint}`])];
  }
  return [state.status === "running" ? "It has not ended yet." : "It was stopped."];
}
