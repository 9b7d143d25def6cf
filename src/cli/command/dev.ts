import { basename, dirname, relative } from "node:path";
import { defaultInput } from "../../definition/default-input.ts";
import { FlotillaError } from "../../error.ts";
import type { Context } from "../context.ts";
import { watchDefinition } from "../definition-watch.ts";
import { EXIT, type ExitCode, reportFailure } from "../failure.ts";
import { FleetProgress } from "../fleet-progress.ts";
import { duration, plural } from "../format/number.ts";
import { shortId } from "../format/status.ts";
import { aborted, type Interrupts, takeInterrupts } from "../interrupt.ts";
import { heldLine, heldOf } from "../held.ts";
import { listenToKeys } from "../key-press.ts";
import { LiveLines } from "../live.ts";
import type { Options } from "../program.ts";
import { fileOf, findProject, pathOf, type Project, readStore } from "../project.ts";
import { Recovery, type Unfinished, unfinishedRuns } from "../recovery.ts";
import { definitionOf, openSession, type Session } from "../session.ts";
import { chooseWorkflow, firstWorkflow, liveModels } from "../workflow-choice.ts";

/** Unfinished runs that are told of one by one at the start. */
const RECOVERED_SHOWN = 5;

/** `flotilla dev`: serves the fleet in this process until it is told to end, and reloads the definition when it changes. */
export async function run(
  context: Context,
  _args: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const startedAt = performance.now();
  const found = await findProject(context);
  const project = options.ephemeral === true ? { ...found, store: "memory:" } : found;
  const left = await leftBehind(context, project);
  const interrupts = takeInterrupts();
  try {
    const session = await openSession(context, project);
    return await new Dev(context, project, session, interrupts).serve(left, performance.now() - startedAt);
  } finally {
    interrupts.dispose();
  }
}

async function leftBehind(context: Context, project: Project): Promise<Unfinished[]> {
  return project.store.startsWith("sqlite:") ? readStore(context, project, unfinishedRuns) : [];
}

class Dev {
  readonly #context: Context;
  readonly #project: Project;
  readonly #session: Session;
  readonly #interrupts: Interrupts;
  readonly #view: LiveLines;
  readonly #quit = new AbortController();
  readonly #ended = new AbortController();
  #definition: Session["definition"];

  constructor(context: Context, project: Project, session: Session, interrupts: Interrupts) {
    this.#context = context;
    this.#project = project;
    this.#session = session;
    this.#interrupts = interrupts;
    this.#view = new LiveLines(context.terminal);
    this.#definition = session.definition;
  }

  async serve(left: readonly Unfinished[], tookMs: number): Promise<ExitCode> {
    const { terminal } = this.#context;
    try {
      await this.#refuseSecond();
      // Before anybody is told that it is ready: what changes from then on is noticed.
      const unwatch = watchDefinition(
        dirname(fileOf(this.#project)),
        () => this.#reload(),
        (error) => this.#say(`files are not watched any more: ${error.message}`),
      );
      const following = new FleetProgress(this.#context, this.#session.app, this.#view)
        .follow(this.#ended.signal)
        .catch((error: unknown) => this.#tell(error));
      this.#banner(tookMs, await this.#first());
      await this.#tellRecovered(left);
      for (const hold of await this.#session.app.control.holds()) this.#say(heldLine(heldOf(hold)));
      const unlisten = terminal.interactive ? listenToKeys((key) => this.#pressed(key)) : () => {};
      await Promise.race([aborted(this.#interrupts.first), aborted(this.#quit.signal)]);
      unwatch();
      unlisten();
      await this.#end();
      await following;
    } finally {
      await this.#session.close({ drain: false });
    }
    return this.#interrupts.by === "SIGINT" ? EXIT.interrupted : EXIT.ok;
  }

  async #refuseSecond(): Promise<void> {
    if (this.#session.app.owner) return;
    const { pid } = await this.#session.app.control.info();
    throw new FlotillaError("STORE_OWNED", `process ${pid} serves this fleet already`, {
      hint: "Use it: flotilla run, flotilla watch. Or end it first.",
      details: { pid },
    });
  }

  #banner(tookMs: number, first: string): void {
    const { terminal } = this.#context;
    const { green, bold } = terminal.notePaint;
    const { settings, store } = this.#project;
    const models = liveModels(this.#definition, settings.model);
    const model = models.length === 0 ? "scripted (no key, no network)" : models.join(", ");
    const file = basename(fileOf(this.#project));
    terminal.note(
      `${green("✓")} ${bold(`${file} ok`)} · ${plural(Object.keys(this.#definition.agents).length, "agent")} · model: ${model}`,
    );
    terminal.note(
      store.startsWith("sqlite:")
        ? `Store ${relative(terminal.cwd, dirname(pathOf(store))) || "."}/ (kept between restarts)`
        : "Store in memory (nothing is kept)",
    );
    const next = terminal.interactive
      ? `Press r to run "${first}", ? for help, q to end.`
      : `Start a run: flotilla run ${first}`;
    terminal.note(`Ready in ${duration(tookMs)}. ${next}`);
  }

  async #tellRecovered(left: readonly Unfinished[]): Promise<void> {
    for (const { run, version } of left.slice(0, RECOVERED_SHOWN)) {
      const recovery = new Recovery(version);
      for await (const event of this.#session.app.events(run, { follow: false }))
        recovery.add(event.version, event.event);
      this.#say(
        `recovered ${shortId(run)} at event ${version}: ${recovery.steps} steps kept, ${recovery.repeated} repeated`,
      );
    }
    if (left.length > RECOVERED_SHOWN)
      this.#say(`and ${left.length - RECOVERED_SHOWN} more runs go on: flotilla ls --status running`);
  }

  #pressed(key: string): void {
    if (key === "ctrl-c") this.#interrupts.press();
    else if (key === "r") void this.#start();
    else if (key === "q") this.#quit.abort();
    else if (key === "?")
      this.#say(
        "r  run the first workflow with its default input\n?  this help\nq  end in good order; runs are kept\nFrom a second terminal every command works: flotilla run, ls, show, watch, stop",
      );
  }

  #first(): Promise<string> {
    return firstWorkflow(this.#definition, fileOf(this.#project));
  }

  async #start(): Promise<void> {
    try {
      const workflow = await this.#first();
      const input = defaultInput(chooseWorkflow(this.#definition, workflow).input);
      await this.#session.app.control.start({ workflow, input: input ?? {}, by: "dev" });
    } catch (error) {
      this.#tell(error);
    }
  }

  /** What is valid goes live for new runs; what is not leaves the last good version live. */
  async #reload(): Promise<void> {
    const before = this.#session.app.definitionHash;
    const file = basename(fileOf(this.#project));
    try {
      const hash = await this.#session.app.reload();
      if (hash === before) return;
      this.#definition = await definitionOf(this.#session.app);
      this.#say(
        `${this.#context.terminal.notePaint.green("✓")} ${file} reloaded: new runs use it, those under way end on the one they started with`,
      );
    } catch (error) {
      this.#tell(error);
      this.#say(`the last good version of ${file} stays live`);
    }
  }

  #tell(error: unknown): void {
    this.#view.clear();
    reportFailure(error, this.#context.terminal, this.#context);
  }

  #say(text: string): void {
    this.#view.print(text);
  }

  async #end(): Promise<void> {
    this.#say("ending: what is under way may end first; again to stop at once. Runs are kept.");
    const now = () => void this.#session.close({ drain: false });
    this.#interrupts.second.addEventListener("abort", now, { once: true });
    // In raw mode Ctrl-C is a key; from here on it is a signal again.
    await this.#session.close({ drain: true });
    this.#ended.abort();
  }
}
