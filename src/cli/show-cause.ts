import type { EventData, RunEvent } from "../core/event.ts";
import type { Json } from "../core/json.ts";
import { emptyRun, evolve, type RunState } from "../core/state.ts";
import type { ErrorRecord } from "../error.ts";
import { readRun } from "../runtime/journal.ts";
import type { RunRow, Store } from "../store/store.ts";
import { type Context, printJson } from "./context.ts";
import { EXIT, type ExitCode } from "./failure.ts";
import { harmless, outputText } from "./format/brief.ts";
import { duration, plural } from "./format/number.ts";
import { errorText, time } from "./format/sentence.ts";
import { runSign, shortId } from "./format/status.ts";
import { openQuestions } from "./next-command.ts";

/** Why a run failed: the first failure that was not just the echo of another one. */
export interface RootCause {
  task: string | null;
  agent: string | null;
  /** `TASK/KEY` of the failing step; null when the task failed between steps. */
  step: string | null;
  /** What the failing step was asked, else what the task was given. */
  input: Json | null;
  error: ErrorRecord;
  /** What was tried before it was given up. */
  tried: string[];
  version: number;
  at: number;
}

/** Finds the root cause while a run's events are read. */
export class CauseFinder {
  readonly #retries = new Map<string, string[]>();
  readonly #failedSteps = new Map<string, { key: string; input: Json | null; version: number; error: ErrorRecord }>();
  readonly #inputs = new Map<string, Json>();
  readonly #agents = new Map<string, string | null>();
  #first: RootCause | null = null;
  #end: RootCause | null = null;

  add(version: number, event: RunEvent): void {
    switch (event.type) {
      case "plan.revised":
        for (const { task, agent } of event.data.add) {
          this.#agents.set(task, agent);
          const input = event.payload?.[task];
          if (input !== undefined) this.#inputs.set(task, input);
        }
        return;
      case "task.routed":
        this.#agents.set(event.data.task, event.data.agent);
        return;
      case "tasks.bound":
        for (const task of event.data.tasks) this.#inputs.set(task, event.payload?.[task] ?? null);
        return;
      case "task.retried":
        return this.#note(
          event.data.task,
          `attempt ${event.data.attempt} failed: ${errorText(event.data.error)}; tried again after ${duration(event.data.delayMs)}`,
        );
      case "task.released":
        return this.#note(event.data.task, `attempt ${event.data.attempt} was taken back: ${event.data.why}`);
      case "step.failed":
        return this.#stepFailed(version, event);
      case "task.failed":
        if (event.data.error.code !== "DEPENDENCY_FAILED")
          this.#first ??= this.#cause(version, event.at, event.data.task, event.data.error);
        return;
      case "run.failed":
        this.#end = this.#cause(version, event.at, event.data.task, event.data.error);
        return;
      case "run.stopped": {
        const error: ErrorRecord = {
          code: "CANCELLED",
          class: "business",
          message: `stopped by ${event.data.by}: ${event.data.why}`,
        };
        this.#end = { task: null, agent: null, step: null, input: null, error, tried: [], version, at: event.at };
        return;
      }
      default:
        return;
    }
  }

  /** Null when nothing made the run fail. A failure that the workflow survived is no cause. */
  cause(): RootCause | null {
    if (this.#end === null) return null;
    const { task, error } = this.#end;
    // The end names the task where it came from, unless that was the echo of an earlier failure.
    const isEcho = task === null || error.code === "DEPENDENCY_FAILED" || this.#agents.get(task) === null;
    return isEcho && error.code !== "CANCELLED" && !error.code.startsWith("LIMIT_")
      ? (this.#first ?? this.#end)
      : this.#end;
  }

  #note(task: string, text: string): void {
    this.#retries.set(task, [...(this.#retries.get(task) ?? []), text]);
  }

  #stepFailed(version: number, event: Extract<RunEvent, { type: "step.failed" }>): void {
    const { task, key, error }: EventData["step.failed"] = event.data;
    const before = this.#failedSteps.get(task);
    if (before !== undefined) this.#note(task, `${before.key} failed: ${errorText(before.error)}`);
    this.#failedSteps.set(task, { key, input: event.payload?.input ?? null, version, error });
  }

  #cause(version: number, at: number, task: string | null, error: ErrorRecord): RootCause {
    const step = task === null ? undefined : this.#failedSteps.get(task);
    const own = step !== undefined && step.error.message === error.message ? step : undefined;
    return {
      task,
      agent: task === null ? null : (this.#agents.get(task) ?? null),
      step: own === undefined ? null : `${task}/${own.key}`,
      input: own?.input ?? (task === null ? null : (this.#inputs.get(task) ?? null)),
      error,
      tried: task === null ? [] : (this.#retries.get(task) ?? []),
      version,
      at,
    };
  }
}

/** `show --root-cause`: the failing step, its input, the error, what was tried, the next command. */
export async function showCause(context: Context, store: Store, row: RunRow): Promise<ExitCode> {
  const finder = new CauseFinder();
  const state = emptyRun(row.id);
  for await (const { version, event } of readRun(store, row.id)) {
    evolve(state, event);
    finder.add(version, event);
  }
  const cause = finder.cause();
  const next = commands(row, state, cause);
  if (context.json)
    printJson(context, { run: row.id, status: state.status, cause, questions: openQuestions(state), next });
  else print(context, row, state, cause, next);
  return EXIT.ok;
}

function commands(row: RunRow, state: RunState, cause: RootCause | null): string[] {
  const id = shortId(row.id);
  const [question] = openQuestions(state);
  if (question !== undefined) return [`flotilla settle ${id} ${question.task}/${question.key} --done`];
  if (cause === null) return [`flotilla show ${id}`];
  const look =
    cause.step === null ? `flotilla replay ${id} --at ${cause.version}` : `flotilla show ${id} --step ${cause.step}`;
  const again = cause.error.class === "transient" ? [`flotilla run ${state.workflow}`] : [];
  return [look, ...again, `flotilla help ${cause.error.code}`];
}

function print(
  { terminal }: Context,
  row: RunRow,
  state: RunState,
  cause: RootCause | null,
  next: readonly string[],
): void {
  const paint = terminal.outPaint;
  terminal.out(`${runSign(state.status, paint)} ${paint.bold(`${state.workflow} ${shortId(row.id)}`)} ${state.status}`);
  const questions = openQuestions(state);
  for (const { task, key } of questions)
    terminal.out(`  ${task} waits for a person: whether ${key} happened is not known`);
  if (cause === null && questions.length === 0)
    terminal.out(state.status === "running" ? "  Nothing has ended it so far." : "  Nothing made it fail.");
  if (cause !== null) {
    const where = cause.step ?? cause.task ?? "the run itself";
    terminal.out(
      `  ${paint.bold("failed at")}  ${where}${cause.agent === null ? "" : ` (${cause.agent})`}, event ${cause.version}, ${time(cause.at)}`,
    );
    terminal.out(`  ${paint.bold("error")}      ${paint.red(cause.error.code)} ${harmless(cause.error.message)}`);
    if (cause.error.hint !== undefined) terminal.out(`  ${paint.bold("fix")}        ${cause.error.hint}`);
    if (cause.input !== null) terminal.out(`  ${paint.bold("input")}\n${indented(harmless(outputText(cause.input)))}`);
    const tried =
      cause.tried.length === 0 ? "nothing else: this error is not retried" : plural(cause.tried.length, "time");
    terminal.out(`  ${paint.bold("tried")}      ${tried}`);
    for (const one of cause.tried) terminal.out(`    ${harmless(one)}`);
  }
  terminal.note(`Next: ${next.join("   ")}`);
}

const INPUT_LINES_MAX = 30;

function indented(text: string): string {
  const lines = text.split("\n");
  const shown = lines.slice(0, INPUT_LINES_MAX).map((line) => `    ${line.slice(0, 400)}`);
  return [
    ...shown,
    ...(lines.length > INPUT_LINES_MAX ? [`    … ${lines.length - INPUT_LINES_MAX} more lines`] : []),
  ].join("\n");
}
