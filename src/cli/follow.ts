import type { RunEvent } from "../core/event.ts";
import { isFlotillaError } from "../error.ts";
import type { OpenFleet } from "../runtime/app-contract.ts";
import type { Notice } from "../runtime/coordinator.ts";
import type { Context } from "./context.ts";
import { FOLD_FROM, RunProgress } from "./format/progress.ts";
import { LiveLines } from "./live.ts";
import { waitsForPerson } from "./next-command.ts";

/** How following a run came to its end. */
export type Followed =
  | "ended"
  /** It can go on only when a person settles something. */
  | "waiting"
  | "interrupted"
  /** The process that ran it is gone; the run is kept. */
  | "owner-gone";

export interface FollowOptions {
  signal: AbortSignal;
  /** Words as models stream them. */
  tokens: boolean;
  verbose: boolean;
  /** No lines at all: `--json`. */
  quiet: boolean;
  /** Whether to end when the run waits for a person. */
  untilWaiting: boolean;
  each?(version: number, event: RunEvent): void;
}

const REDRAW_MS = 100;

/** Shows a run while it works. `progress` may have been fed before by an earlier call, which is then continued. */
export async function follow(
  context: Context,
  app: OpenFleet,
  progress: RunProgress,
  options: FollowOptions,
): Promise<Followed> {
  const view = new LiveLines(context.terminal);
  const streaming = new AbortController();
  const redraw = setInterval(() => view.draw(progress.live(Date.now())), REDRAW_MS);
  if (options.quiet || !context.terminal.live) clearInterval(redraw);
  const stream = showStream(context, app, progress, view, options, streaming.signal);
  try {
    return await readEvents(app, progress, view, options);
  } finally {
    clearInterval(redraw);
    streaming.abort();
    await stream;
    view.clear();
  }
}

export function newProgress(context: Context, run: string, { verbose = false, prefix = "" } = {}): RunProgress {
  const { notePaint: paint, live } = context.terminal;
  return new RunProgress(run, { paint, verbose, prefix, foldFrom: live ? FOLD_FROM : Number.POSITIVE_INFINITY });
}

async function readEvents(
  app: OpenFleet,
  progress: RunProgress,
  view: LiveLines,
  options: FollowOptions,
): Promise<Followed> {
  const { state } = progress;
  if (options.untilWaiting && waitsForPerson(state)) return "waiting";
  try {
    for await (const { version, event } of app.events(state.id, { after: state.version, signal: options.signal })) {
      const line = progress.add(event);
      options.each?.(version, event);
      if (line !== null && !options.quiet) view.print(line);
      if (options.untilWaiting && waitsForPerson(state)) return "waiting";
    }
  } catch (error) {
    if (isFlotillaError(error) && error.code === "OWNER_GONE") return "owner-gone";
    throw error;
  }
  if (state.status !== "running") return "ended";
  return options.signal.aborted ? "interrupted" : "owner-gone";
}

/** What is not journaled: words, states, log lines. That it ends with its owner is told by the events. */
async function showStream(
  context: Context,
  app: OpenFleet,
  progress: RunProgress,
  view: LiveLines,
  { tokens, quiet }: FollowOptions,
  signal: AbortSignal,
): Promise<void> {
  const words = new Words((line) => view.print(context.terminal.notePaint.dim(line)));
  try {
    for await (const notice of app.control.watch(progress.state.id, signal)) {
      if (notice.type === "event" || quiet) continue;
      progress.stream(notice);
      if (notice.type === "token" && tokens) words.add(notice);
      if (notice.type === "log" && (notice.level === "warn" || notice.level === "error")) {
        view.print(context.terminal.notePaint.dim(`  ${notice.task}: ${notice.message.split("\n")[0]}`));
      }
    }
  } catch (error) {
    if (!isFlotillaError(error)) throw error;
  }
  words.end();
}

/** Puts streamed words together to lines, for each task of its own. */
export class Words {
  readonly #print: (line: string) => void;
  readonly #open = new Map<string, string>();

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  add({ task, agent, text }: Extract<Notice, { type: "token" }>): void {
    const lines = `${this.#open.get(task) ?? ""}${text}`.split("\n");
    this.#open.set(task, lines.pop() ?? "");
    for (const line of lines) this.#print(`  ${agent} │ ${line}`);
  }

  /** What has no line end yet. */
  end(): void {
    for (const [task, text] of this.#open) if (text !== "") this.#print(`  ${task} │ ${text}`);
    this.#open.clear();
  }
}
