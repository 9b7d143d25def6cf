import { isFlotillaError } from "../../error.ts";
import type { OpenFleet } from "../../runtime/app-contract.ts";
import type { Notice } from "../../runtime/coordinator.ts";
import type { Store } from "../../store/store.ts";
import { LOG_LEVELS, type LogLevel } from "../../telemetry/log.ts";
import { type Context, printRecord } from "../context.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { Words } from "../follow.ts";
import { harmless, oneLine } from "../format/brief.ts";
import { sentence, time } from "../format/sentence.ts";
import { shortId } from "../format/status.ts";
import { Company } from "../format/story.ts";
import { takeInterrupts } from "../interrupt.ts";
import { oneOf } from "../option.ts";
import type { Options } from "../program.ts";
import { findProject, type Project, readStore } from "../project.ts";
import { findRun } from "../run-id.ts";
import { openSession } from "../session.ts";

/** `flotilla watch [run]`: what happens in a run, or in all of them, as it happens. Ends with the run; watching all
 *  ends with the process that serves them. With `--json` one record for each (NDJSON). */
export async function run(
  context: Context,
  [target]: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const level = oneOf(options.level, "--level", LOG_LEVELS) ?? "warn";
  const project = await findProject(context);
  const wanted = (store: Store | null) => (target === undefined ? null : findRun(store, target));
  const row = (await readStore(context, project, async (store) => wanted(store)))?.row ?? null;
  const interrupts = takeInterrupts();
  const watcher = new Watcher(context, {
    agent: options.agent as string | undefined,
    level,
    tokens: options.tokens === true,
    several: row === null,
  });
  try {
    const session = await openSession(context, project, { join: "only" });
    try {
      return row === null
        ? await watcher.all(session.app, interrupts.first)
        : await watcher.one(session.app, row.id, interrupts.first);
    } finally {
      await session.close();
    }
  } catch (error) {
    if (!isFlotillaError(error) || error.code !== "OWNER_GONE") throw error;
    return await alone(context, project, row?.id ?? null, watcher, error.message);
  } finally {
    interrupts.dispose();
  }
}

/** Nobody serves the fleet: what is on record is shown, and how to go on. */
async function alone(
  context: Context,
  project: Project,
  run: string | null,
  watcher: Watcher,
  why: string,
): Promise<ExitCode> {
  const ended = await readStore(context, project, async (store) => {
    const row = store === null || run === null ? null : await store.run(run);
    if (store !== null && row !== null) await watcher.record(store, row.id);
    return row !== null && row.status !== "running";
  });
  if (ended) return EXIT.ok;
  context.terminal.note(`${why}, so nothing moves.  Next: flotilla dev   flotilla run --resume`);
  return EXIT.unreachable;
}

interface WatchOptions {
  agent: string | undefined;
  level: LogLevel;
  tokens: boolean;
  /** Lines of several runs are told apart by the run's id. */
  several: boolean;
}

class Watcher {
  readonly #context: Context;
  readonly #options: WatchOptions;
  readonly #companies = new Map<string, Company>();
  readonly #words: Words;
  #shown = 0;
  #seq = 0;

  constructor(context: Context, options: WatchOptions) {
    this.#context = context;
    this.#options = options;
    this.#words = new Words((line) => context.terminal.out(context.terminal.outPaint.dim(harmless(line))));
  }

  async all(app: OpenFleet, signal: AbortSignal): Promise<ExitCode> {
    const { pid } = await app.control.info();
    if (!this.#context.json) this.#context.terminal.note(`watching every run of process ${pid}; Ctrl-C ends it`);
    for await (const notice of app.control.watch(null, signal)) await this.#notice(app, notice);
    return signal.aborted ? EXIT.interrupted : EXIT.ok;
  }

  async one(app: OpenFleet, run: string, signal: AbortSignal): Promise<ExitCode> {
    const streaming = new AbortController();
    const stream = this.#stream(app, run, streaming.signal);
    try {
      for await (const { version, event } of app.events(run, { signal })) this.#event(run, version, event);
    } finally {
      streaming.abort();
      await stream;
    }
    const row = await app.store.run(run);
    if (signal.aborted) return EXIT.interrupted;
    if (!this.#context.json) this.#context.terminal.note(`Next: flotilla show ${shortId(run)}`);
    return row?.status === "running" ? EXIT.unreachable : EXIT.ok;
  }

  /** What a run has on record, beyond what was shown already. */
  async record(store: OpenFleet["store"], run: string): Promise<void> {
    const { readRun } = await import("../../runtime/journal.ts");
    for await (const { version, event } of readRun(store, run, this.#shown)) this.#event(run, version, event);
  }

  async #stream(app: OpenFleet, run: string, signal: AbortSignal): Promise<void> {
    try {
      for await (const notice of app.control.watch(run, signal))
        if (notice.type !== "event") await this.#notice(app, notice);
    } catch (error) {
      // That the owner went away is told by the events.
      if (!isFlotillaError(error)) throw error;
    }
    this.#words.end();
  }

  async #notice(app: OpenFleet, notice: Notice): Promise<void> {
    if (notice.type === "event") {
      await this.#meet(app, notice);
      return this.#event(notice.run, notice.version, notice.event);
    }
    if (!this.#wants(notice)) return;
    const { type, ...rest } = notice;
    if (this.#context.json) return printRecord(this.#context, { type, seq: this.#seq++, time: Date.now(), ...rest });
    if (notice.type === "token") return this.#words.add(notice);
    const text = notice.type === "log" ? `${notice.level}: ${notice.message}` : `${notice.agent}: ${notice.text}`;
    this.#print(notice.run, Date.now(), `${notice.task}  ${text}`);
  }

  #wants(notice: Exclude<Notice, { type: "event" }>): boolean {
    if (notice.type === "log") return LOG_LEVELS.indexOf(notice.level) >= LOG_LEVELS.indexOf(this.#options.level);
    if (this.#options.agent !== undefined && notice.agent !== this.#options.agent) return false;
    return notice.type === "status" || this.#options.tokens;
  }

  /** Who does what in a run that was under way before it was watched. */
  async #meet(app: OpenFleet, { run, version }: { run: string; version: number }): Promise<void> {
    if (this.#companies.has(run) || version === 1) return;
    const company = this.#company(run);
    for await (const { event } of app.events(run, { follow: false })) company.see(event);
  }

  #company(run: string): Company {
    const known = this.#companies.get(run) ?? new Company();
    this.#companies.set(run, known);
    return known;
  }

  #event(run: string, version: number, event: Extract<Notice, { type: "event" }>["event"]): void {
    const company = this.#company(run);
    company.see(event);
    this.#shown = version;
    if (event.type === "run.completed" || event.type === "run.failed" || event.type === "run.stopped")
      this.#companies.delete(run);
    const task = "task" in event.data ? event.data.task : null;
    const agent = task === null ? null : company.agentOf(task);
    if (this.#options.agent !== undefined && agent !== this.#options.agent) return;
    if (this.#context.json) {
      const payload = event.payload === undefined ? {} : { payload: event.payload };
      printRecord(this.#context, { type: event.type, seq: version, time: event.at, run, data: event.data, ...payload });
    } else {
      this.#print(run, event.at, sentence(event, company));
    }
  }

  #print(run: string, at: number, text: string): void {
    const { dim } = this.#context.terminal.outPaint;
    const which = this.#options.several ? ` ${shortId(run)}` : "";
    this.#context.terminal.out(`${dim(`${time(at)}${which}`)}  ${harmless(oneLine(text, 300))}`);
  }
}
