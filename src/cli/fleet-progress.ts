import type { OpenFleet } from "../runtime/app-contract.ts";
import type { Notice } from "../runtime/coordinator.ts";
import { resultOf } from "../runtime/read-run.ts";
import type { Context } from "./context.ts";
import { newProgress } from "./follow.ts";
import { endLine, type RunProgress } from "./format/progress.ts";
import { errorText } from "./format/sentence.ts";
import { shortId } from "./format/status.ts";
import type { LiveLines } from "./live.ts";

/** Runs that are shown with their tasks; of the others only their ends are told, so that memory stays flat however
 *  many are queued. */
const DETAILED_MAX = 20;
const LIVE_RUNS_MAX = 4;
const REDRAW_MS = 100;

type EventNotice = Extract<Notice, { type: "event" }>;

/** Everything that happens in a fleet, for the terminal of `dev`. */
export class FleetProgress {
  readonly #context: Context;
  readonly #app: OpenFleet;
  readonly #view: LiveLines;
  readonly #runs = new Map<string, RunProgress>();
  /** Runs beyond those that are shown in detail. */
  #others = 0;

  constructor(context: Context, app: OpenFleet, view: LiveLines) {
    this.#context = context;
    this.#app = app;
    this.#view = view;
  }

  /** Follows until the signal aborts, which it must before the fleet is closed. */
  async follow(signal: AbortSignal): Promise<void> {
    const redraw = setInterval(() => this.draw(), REDRAW_MS);
    if (!this.#context.terminal.live) clearInterval(redraw);
    try {
      // One that falls too far behind is cut off; it goes on with what happens from then on.
      while (!signal.aborted) {
        await this.#watch(signal);
        this.#runs.clear();
      }
    } finally {
      clearInterval(redraw);
      this.#view.clear();
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    for await (const notice of this.#app.control.watch(null, signal)) {
      if (notice.type === "event") await this.#event(notice);
      else this.#runs.get(notice.run)?.stream(notice);
    }
  }

  draw(): void {
    const now = Date.now();
    const shown = [...this.#runs.values()].slice(-LIVE_RUNS_MAX);
    const more = this.#runs.size - shown.length + this.#others;
    const lines = shown.flatMap((progress) => progress.live(now));
    this.#view.draw(
      more > 0 ? [...lines, this.#context.terminal.notePaint.dim(`and ${more} more runs: flotilla ls`)] : lines,
    );
  }

  async #event(notice: EventNotice): Promise<void> {
    const progress = this.#runs.get(notice.run) ?? (await this.#meet(notice));
    if (progress === null) return this.#other(notice);
    // What was read from the journal when the run was met comes as a notice too.
    if (notice.version <= progress.state.version) return;
    const line = progress.add(notice.event);
    if (line !== null) this.#view.print(line);
    if (progress.state.status === "running") return;
    this.#runs.delete(notice.run);
    this.#view.print(endLine(progress.state, this.#context.terminal.notePaint));
    if (progress.state.error !== undefined) this.#view.print(`  ${errorText(progress.state.error)}`);
    this.#view.print(`  flotilla show ${shortId(notice.run)}`);
  }

  async #meet({ run, version, event }: EventNotice): Promise<RunProgress | null> {
    if (this.#runs.size >= DETAILED_MAX || resultOf(event) !== null) return null;
    const prefix = this.#context.terminal.notePaint.dim(`${shortId(run)} `);
    const progress = newProgress(this.#context, run, { prefix });
    if (version > 1) {
      for await (const before of this.#app.events(run, { follow: false })) progress.add(before.event);
    }
    this.#runs.set(run, progress);
    if (version === 1) this.#view.print(`${shortId(run)} started`);
    return progress;
  }

  #other({ run, event }: EventNotice): void {
    const result = resultOf(event);
    if (event.type === "run.started") this.#others += 1;
    if (result === null) return;
    this.#others = Math.max(0, this.#others - 1);
    this.#view.print(`${shortId(run)} ${result.status}${result.error === null ? "" : `: ${errorText(result.error)}`}`);
  }
}
