import { relative } from "node:path";
import { type FleetDefinition, type Limits, PRIORITY, type PriorityName } from "../../core/definition.ts";
import type { Json } from "../../core/json.ts";
import { catalogue, FlotillaError, isFlotillaError } from "../../error.ts";
import type { StartRequest } from "../../runtime/app-contract.ts";
import type { Context } from "../context.ts";
import { printJson } from "../context.ts";
import { mayCost } from "../cost-question.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { follow, newProgress } from "../follow.ts";
import { brief, harmless, outputText } from "../format/brief.ts";
import { parseSpan } from "../format/number.ts";
import { endLine, type RunProgress } from "../format/progress.ts";
import { shortId } from "../format/status.ts";
import { itemCommand, itemLine, itemsOf } from "../inbox-item.ts";
import { personOf } from "../person.ts";
import { heldDocument, heldInRun, heldLine, heldOf } from "../held.ts";
import { readInput } from "../input.ts";
import { type Interrupts, takeInterrupts } from "../interrupt.ts";
import { nextCommands, openQuestions } from "../next-command.ts";
import { oneOf, text, texts } from "../option.ts";
import type { Options } from "../program.ts";
import { fileOf, findProject, pathOf, type Project, readStore } from "../project.ts";
import { Recovery, sameRun, type Unfinished, unfinishedRuns } from "../recovery.ts";
import { openSession, type Session } from "../session.ts";
import { itemDocument } from "./inbox.ts";
import { chooseWorkflow, firstWorkflow, liveModels } from "../workflow-choice.ts";

const MICRO_USD = 1_000_000;

/** `flotilla run [workflow]`: starts a run, follows it, and prints its output. */
export async function run(
  context: Context,
  [workflow]: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const limits = limitsOf(options);
  const priority = oneOf(options.priority, "--priority", Object.keys(PRIORITY) as PriorityName[]);
  const project = await findProject(context);
  // Before this process takes the store over: what a crash left, and how far each of it had come.
  const left = options.resume === true ? await leftBehind(context, project) : [];
  const interrupts = takeInterrupts();
  try {
    const session = options.detach === true ? await openServed(context, project) : await openSession(context, project);
    return await new RunCommand(context, project, options, session, interrupts).run(workflow, left, {
      limits,
      ...(priority === undefined ? {} : { priority: PRIORITY[priority] }),
    });
  } finally {
    interrupts.dispose();
  }
}

/** Follows a run that `begin` starts in this command's session, as `run` does its own; `begin` resolves with null when
 *  there is nothing to follow. */
export async function followStarted(
  context: Context,
  project: Project,
  options: Options,
  begin: (app: Session["app"]) => Promise<string | null>,
): Promise<ExitCode> {
  const interrupts = takeInterrupts();
  try {
    const session = options.detach === true ? await openServed(context, project) : await openSession(context, project);
    return await new RunCommand(context, project, options, session, interrupts).started(begin);
  } finally {
    interrupts.dispose();
  }
}

/** Somebody must stay to do the work when this command has gone. */
async function openServed(context: Context, project: Project): Promise<Session> {
  try {
    return await openSession(context, project, { join: "only" });
  } catch (error) {
    if (!isFlotillaError(error) || error.code !== "OWNER_GONE") throw error;
    throw new FlotillaError(
      "OWNER_GONE",
      "no process serves this fleet, so nobody would do the work of a detached run",
      {
        hint: "Serve it first: flotilla dev",
        cause: error,
      },
    );
  }
}

async function leftBehind(context: Context, project: Project): Promise<Unfinished[]> {
  return project.store.startsWith("sqlite:") ? readStore(context, project, unfinishedRuns) : [];
}

function limitsOf(options: Options): Partial<Limits> {
  const timeout = text(options.timeout);
  const timeMs = timeout === undefined ? undefined : parseSpan(timeout);
  if (timeMs === null || timeMs === 0)
    throw usageError(`--timeout "${timeout}" is no span of time`, "Write it as 90s, 10m or 2h.");
  const budget = text(options.budget);
  const usd = budget === undefined ? undefined : Number(budget.replace(/^\$/, ""));
  if (usd !== undefined && !(usd > 0))
    throw usageError(`--budget "${budget}" is no sum of money`, "Write US dollars: --budget 0.50");
  return {
    ...(timeMs === undefined ? {} : { timeMs }),
    ...(usd === undefined ? {} : { costMicroUsdMax: Math.floor(usd * MICRO_USD) }),
  };
}

type More = Pick<StartRequest, "limits" | "priority">;

/** Said of runs whose models are all scripted: what takes time, and what is real. */
const SCRIPTED = "model scripted: no key, no network; it waits as long as a model would think. Tools really run.";

class RunCommand {
  readonly #context: Context;
  readonly #project: Project;
  readonly #options: Options;
  readonly #interrupts: Interrupts;
  #session: Session;
  #recovery: Recovery | null = null;

  constructor(context: Context, project: Project, options: Options, session: Session, interrupts: Interrupts) {
    this.#context = context;
    this.#project = project;
    this.#options = options;
    this.#session = session;
    this.#interrupts = interrupts;
  }

  async run(workflow: string | undefined, left: readonly Unfinished[], more: More): Promise<ExitCode> {
    try {
      if (this.#interrupts.first.aborted) return EXIT.interrupted;
      const progress = await this.#begin(workflow, left, more);
      if (progress === null) return EXIT.interrupted;
      return this.#options.detach === true ? this.#detached(progress.state.id) : await this.#follow(progress);
    } finally {
      await this.#session.close({ drain: !this.#interrupts.second.aborted });
    }
  }

  async started(begin: (app: Session["app"]) => Promise<string | null>): Promise<ExitCode> {
    try {
      const id = await begin(this.#session.app);
      if (id === null) return EXIT.ok;
      return this.#options.detach === true ? this.#detached(id) : await this.#follow(this.#progressOf(id));
    } finally {
      await this.#session.close({ drain: !this.#interrupts.second.aborted });
    }
  }

  /** The run to follow: an unfinished one that is gone on with, or a new one; null when a person said no. */
  async #begin(given: string | undefined, left: readonly Unfinished[], more: More): Promise<RunProgress | null> {
    const { app, definition } = this.#session;
    const name = given ?? (await firstWorkflow(definition, fileOf(this.#project)));
    const workflow = chooseWorkflow(definition, name);
    const input = await readInput(texts(this.#options.input), workflow.input, this.#context.terminal.cwd);
    const unfinished = await sameRun(app.store, left, name, input);
    if (unfinished !== null) return this.#goOn(unfinished);
    const models = liveModels(definition, this.#project.settings.model);
    const budget = more.limits?.costMicroUsdMax ?? null;
    const question = { workflow: name, declared: workflow, models, budget };
    if (models.length > 0 && !(await mayCost(this.#context, app.store, question, { yes: this.#options.yes === true })))
      return null;
    const id = await app.control.start(this.#request(name, input, more));
    if (!this.#quiet) {
      this.#context.terminal.note(`${name} ${shortId(id)} started${this.#served()}`);
      if (models.length === 0 && asksModels(definition)) this.#context.terminal.note(SCRIPTED);
      await this.#tellHeld(name);
    }
    return this.#progressOf(id);
  }

  /** A run that is held from its start would look as if it hung. */
  async #tellHeld(workflow: string): Promise<void> {
    const { terminal } = this.#context;
    for (const hold of await this.#session.app.control.holds()) {
      if (hold.scope === "workflow" && hold.name !== workflow) continue;
      terminal.note(terminal.notePaint.yellow(heldLine(heldOf(hold))));
    }
  }

  #progressOf(run: string): RunProgress {
    return newProgress(this.#context, run, { verbose: this.#options.verbose === true });
  }

  #request(workflow: string, input: Json, more: More): StartRequest {
    const key = text(this.#options.key);
    return { workflow, input, by: "cli", ...more, ...(key === undefined ? {} : { idempotencyKey: key }) };
  }

  #served(): string {
    return this.#session.app.owner ? "" : " in the process that serves this fleet";
  }

  async #goOn({ run, version }: Unfinished): Promise<RunProgress> {
    const progress = this.#progressOf(run);
    const recovery = await this.#recoveryOf(progress, version);
    // An owner that is alive has lost nothing: its run is only followed.
    if (this.#session.app.owner) this.#recovery = recovery;
    if (!this.#quiet) {
      const { terminal } = this.#context;
      if (this.#recovery === null) terminal.note(`${shortId(run)} is under way${this.#served()}; following it`);
      else terminal.note(`recovered ${shortId(run)} at event ${version}: ${recovery.steps} steps kept`);
    }
    return progress;
  }

  /** Takes in what was on record at the takeover, without telling it again. */
  async #recoveryOf(progress: RunProgress, version: number): Promise<Recovery> {
    const recovery = new Recovery(version);
    const before = progress.state.version;
    for await (const { version: at, event } of this.#session.app.events(progress.state.id, { follow: false })) {
      if (at > version) break;
      recovery.add(at, event);
      if (at > before) progress.add(event);
    }
    return recovery;
  }

  get #quiet(): boolean {
    return this.#context.json;
  }

  #detached(id: string): ExitCode {
    if (this.#context.json) printJson(this.#context, { id, status: "running" });
    else this.#context.terminal.out(id);
    if (!this.#quiet) this.#context.terminal.note(`Next: flotilla watch ${shortId(id)}`);
    return EXIT.ok;
  }

  async #follow(progress: RunProgress): Promise<ExitCode> {
    const { terminal } = this.#context;
    // What is allowed beforehand is looked for whenever the run waits, until it waits for something else.
    let looks = texts(this.#options.approve).length > 0;
    for (;;) {
      const followed = await follow(this.#context, this.#session.app, progress, {
        signal: this.#interrupts.first,
        tokens: this.#options.tokens === true,
        verbose: this.#options.verbose === true,
        quiet: this.#quiet,
        untilWaiting: looks || !terminal.interactive,
        each: (version, event) => this.#recovery?.add(version, event),
      });
      if (followed === "ended") return this.#ended(progress);
      if (followed === "waiting") {
        if (await this.#approve(progress)) continue;
        looks = false;
        if (terminal.interactive) continue;
        return this.#waiting(progress);
      }
      if (followed === "interrupted") return await this.#interrupted(progress);
      await this.#takeOver(progress);
    }
  }

  /** Lets calls be made that `--approve` names; returns whether there were any. */
  async #approve(progress: RunProgress): Promise<boolean> {
    const tools = texts(this.#options.approve);
    const { app } = this.#session;
    const wanted = itemsOf(progress.state).filter(({ tool }) => tool !== null && tools.includes(tool));
    const decision = { choice: "approve", by: personOf({}), note: "allowed beforehand, with --approve" } as const;
    for (const { id } of wanted) {
      await app.control.decide(id, decision).catch((error: unknown) => {
        // Somebody else was first: then it does not wait any more either.
        if (!isFlotillaError(error) || error.code !== "INBOX_DECIDED") throw error;
      });
    }
    if (wanted.length === 0) return false;
    const { id, version: after } = progress.state;
    for await (const { version, event } of app.events(id, { after, follow: false })) {
      const line = progress.add(event);
      this.#recovery?.add(version, event);
      if (line !== null && !this.#quiet) this.#context.terminal.note(line);
    }
    return true;
  }

  /** The process that served the fleet is gone: whoever is first goes on with its runs. */
  async #takeOver(progress: RunProgress): Promise<void> {
    const { terminal } = this.#context;
    if (!this.#quiet) terminal.note("the process that served this fleet went away; going on here");
    await this.#session.close({ drain: false });
    this.#session = await openSession(this.#context, this.#project);
    const recovery = await this.#recoveryOf(progress, progress.state.version);
    if (this.#session.app.owner) this.#recovery = recovery;
  }

  #ended({ state }: RunProgress): ExitCode {
    const { terminal } = this.#context;
    const recovered =
      this.#recovery === null
        ? null
        : { steps: this.#recovery.steps, tasks: this.#recovery.tasks, repeated: this.#recovery.repeated };
    if (this.#context.json) {
      const { id, workflow, status, output, error, usage, startedAt, endedAt, version } = state;
      const took = {
        startedAt: new Date(startedAt).toISOString(),
        endedAt: endedAt === null ? null : new Date(endedAt).toISOString(),
      };
      printJson(this.#context, {
        id,
        workflow,
        status,
        output: output ?? null,
        error: error ?? null,
        usage,
        ...took,
        version,
        recovered,
      });
      return exitOf(state.status, state.error?.code);
    }
    const paint = terminal.notePaint;
    if (state.status === "completed") terminal.out(outputText(state.output ?? null));
    terminal.note(endLine(state, paint));
    const told = typeof state.output === "object" ? brief(state.output, 240) : "";
    if (told !== "") terminal.note(`  ${paint.bold(harmless(told))}`);
    if (recovered !== null)
      terminal.note(`recovered ${shortId(state.id)}: ${recovered.steps} steps kept, ${recovered.repeated} repeated`);
    if (state.error !== undefined) {
      const { code, message, hint } = state.error;
      terminal.note(`${paint.red(numberOf(code))} ${message}${hint === undefined ? "" : `\n  fix: ${hint}`}`);
    }
    if (this.#project.store.startsWith("sqlite:"))
      terminal.note(paint.dim(`  journal ${relative(terminal.cwd, pathOf(this.#project.store))}`));
    terminal.note(`Next: ${afterRun(state).join("   ")}`);
    return exitOf(state.status, state.error?.code);
  }

  #waiting({ state }: RunProgress): ExitCode {
    const id = shortId(state.id);
    const questions = openQuestions(state);
    const inbox = itemsOf(state);
    if (this.#context.json)
      printJson(this.#context, {
        id: state.id,
        workflow: state.workflow,
        status: state.status,
        questions,
        inbox: inbox.map(itemDocument),
        held: heldInRun(state, []).map(heldDocument),
      });
    for (const item of inbox) {
      if (this.#quiet || item.kind === "outcome") continue;
      this.#context.terminal.note(`${id} waits for you: ${harmless(itemLine(item))}\n  decide: ${itemCommand(item)}`);
    }
    for (const held of this.#quiet ? [] : heldInRun(state, [])) this.#context.terminal.note(heldLine(held));
    for (const { task, key } of questions) {
      if (!this.#quiet)
        this.#context.terminal.note(
          `${id} waits: whether ${key} of ${task} happened is not known\n  settle it: flotilla settle ${id} ${task}/${key} --done or --not-done`,
        );
    }
    return EXIT.waiting;
  }

  async #interrupted({ state }: RunProgress): Promise<ExitCode> {
    const { terminal } = this.#context;
    const id = shortId(state.id);
    if (!this.#session.app.owner) {
      terminal.note(`left: ${id} goes on${this.#served()}.  Next: flotilla watch ${id}   flotilla stop ${id}`);
      return EXIT.interrupted;
    }
    terminal.note("stopping: what is under way may end first; Ctrl-C again stops at once");
    const now = () => void this.#session.close({ drain: false });
    this.#interrupts.second.addEventListener("abort", now, { once: true });
    await this.#session.close({ drain: true });
    terminal.note(`${id} is kept.  Next: flotilla run ${state.workflow} --resume`);
    return EXIT.interrupted;
  }
}

/** What to look at when a run is over. */
function afterRun(state: RunProgress["state"]): string[] {
  const next = nextCommands(state.id, state);
  return state.status === "failed" ? next : [`flotilla show ${shortId(state.id)}`, ...next];
}

/** `FLTnnn` of a code of ours, else the code itself: agents may fail with their own. */
function numberOf(code: string): string {
  return Object.hasOwn(catalogue, code) ? `${catalogue[code as keyof typeof catalogue].id} ${code}` : code;
}

function exitOf(status: string, code: string | undefined): ExitCode {
  if (status === "completed") return EXIT.ok;
  if (status === "stopped") return EXIT.stopped;
  if (code === undefined || !Object.hasOwn(catalogue, code)) return EXIT.failed;
  const { exit } = catalogue[code as keyof typeof catalogue];
  // That a run failed is what matters here, unless a limit or policy ended it or a person is asked.
  return exit === EXIT.stopped || exit === EXIT.waiting ? exit : EXIT.failed;
}

function asksModels({ agents }: FleetDefinition): boolean {
  return Object.values(agents).some((agent) => agent.model !== null);
}
