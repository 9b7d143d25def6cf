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
import { type Held, heldDocument, heldInFleet, heldInRun, heldLine } from "./held.ts";
import { nextCommands, openQuestions } from "./next-command.ts";
import type { Paint } from "./paint.ts";

/** Outputs longer than this are named, not printed. */
const OUTPUT_LINES_MAX = 20;

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
  for await (const { version, event } of readRun(store, row.id)) {
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
  const held = heldInRun(state, state.status === "running" ? await heldInFleet(store) : []);
  if (context.json) printJson(context, document(row, state, acts, held));
  else print(context, row, state, acts, held);
  return EXIT.ok;
}

function document(row: RunRow, state: RunState, acts: readonly Act[], held: readonly Held[]) {
  return {
    id: row.id,
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
    story: acts.map(({ at, ...act }) => ({ ...act, time: new Date(at).toISOString() })),
  };
}

function print({ terminal }: Context, row: RunRow, state: RunState, acts: readonly Act[], held: readonly Held[]): void {
  const paint = terminal.outPaint;
  terminal.out(headline(row, state, paint));
  terminal.out("");
  for (const act of acts) terminal.out(actLine(act, paint));
  terminal.out("");
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
