import type { RunEvent } from "../../core/event.ts";
import { emptyRun, emptyScratch, evolve, type RunState, SETTLED, type TaskState } from "../../core/state.ts";
import type { Notice } from "../../runtime/coordinator.ts";
import { itemOf, openItems } from "../../runtime/inbox-item.ts";
import type { Paint } from "../paint.ts";
import { brief, harmless, oneLine } from "./brief.ts";
import { usageText } from "./cost.ts";
import { clock, duration, plural } from "./number.ts";
import { errorText, sentence } from "./sentence.ts";
import { runSign, shortId, taskSign } from "./status.ts";

export interface ProgressOptions {
  paint: Paint;
  /** One line for every step too. */
  verbose: boolean;
  /** Members of groups larger than this are told as one, when the group has ended. */
  foldFrom: number;
  /** In front of every line, where several runs are shown. */
  prefix: string;
}

/** Groups beyond this many members are told as one line on a terminal (ux.md, section 3). */
export const FOLD_FROM = 12;
const TASKS_SHOWN = 6;
const SAID_WIDTH = 70;

/** What a run is doing, from its events: lines that stay, and lines for now. Times come from the events. */
export class RunProgress {
  readonly state: RunState;
  readonly #options: ProgressOptions;
  readonly #startedAt = new Map<string, number>();
  readonly #doing = new Map<string, string>();

  constructor(run: string, options: ProgressOptions) {
    this.state = emptyRun(run);
    this.#options = options;
  }

  /** Takes the next event in; returns the line that it is worth, or null. */
  add(event: RunEvent): string | null {
    evolve(this.state, event);
    this.state.scratch = emptyScratch();
    if (event.type === "tasks.assigned") for (const task of event.data.tasks) this.#begin(task, event.at);
    if ("task" in event.data && typeof event.data.task === "string") this.#note(event.data.task, event);
    const line = this.#lineOf(event);
    return line === null ? null : `${this.#options.prefix}${harmless(line)}`;
  }

  /** What streams beside the events: shown as what the task is doing now. */
  stream(notice: Exclude<Notice, { type: "event" }>): void {
    if (notice.type === "status") this.#doing.set(notice.task, oneLine(notice.text, SAID_WIDTH));
    if (notice.type === "token") this.#say(notice.task, notice.text);
  }

  /** The head line and the tasks at work, for the moment `now`. */
  live(now: number): string[] {
    const { paint } = this.#options;
    const active = this.#active();
    const shown = active.slice(0, TASKS_SHOWN).map((task) => this.#taskLine(task, now));
    const more = active.length > TASKS_SHOWN ? [paint.dim(`  and ${active.length - TASKS_SHOWN} more`)] : [];
    return [this.headline(now), ...shown, ...more].map(harmlessLine);
  }

  /** `incident r-7f3a91 running  14/19 tasks  0:08  12k tokens · simulated`. */
  headline(now: number): string {
    const { paint } = this.#options;
    const { state } = this;
    const { completed, failed, skipped, cancelled } = state.counts;
    const settled = completed + failed + skipped + cancelled;
    const cost = usageText(state.usage);
    const head = `${runSign(state.status, paint)} ${paint.bold(`${state.workflow} ${shortId(state.id)}`)} ${state.hold === null ? state.status : "paused"}`;
    const parts = [head, `${settled}/${state.tasks.size} tasks`, clock((state.endedAt ?? now) - state.startedAt)];
    return [...parts, ...(cost === "" ? [] : [cost])].join("  ");
  }

  #active(): TaskState[] {
    const order = { blocked: 0, escalated: 0, assigned: 1, delayed: 2, suspended: 3 } as const;
    const rank = ({ status }: TaskState): number | undefined => (order as { [status: string]: number })[status];
    const active = [...this.state.tasks.values()].filter((task) => rank(task) !== undefined);
    return active.toSorted((a, b) => (rank(a) ?? 0) - (rank(b) ?? 0));
  }

  #taskLine(task: TaskState, now: number): string {
    const { paint } = this.#options;
    const since = this.#startedAt.get(task.id);
    const took = since === undefined ? "" : clock(now - since);
    return `  ${taskSign(task.status, paint)} ${nameOf(task)}  ${paint.dim(took)}  ${paint.dim(this.#doingOf(task, now))}`;
  }

  #doingOf(task: TaskState, now: number): string {
    switch (task.status) {
      case "blocked": {
        const step = [...task.steps.values()].find(({ status }) => status === "unknown");
        return `waiting for you: flotilla settle ${shortId(this.state.id)} ${task.id}/${step?.key ?? ""}`;
      }
      case "delayed":
        return `again in ${duration(Math.max(0, task.readyAt - now))}: ${task.error === undefined ? "" : errorText(task.error)}`;
      case "escalated":
        return this.#waitOf(task);
      case "suspended":
        if (task.child !== null) return `run ${shortId(task.child.run)}`;
        if (task.follows) return "waits for another task that does the same";
        if (!Number.isFinite(task.readyAt)) return this.#waitOf(task);
        return `waits ${duration(Math.max(0, task.readyAt - now))}`;
      default:
        return this.#doing.get(task.id) ?? "";
    }
  }

  #begin(task: string, at: number): void {
    if (!this.#startedAt.has(task)) this.#startedAt.set(task, at);
  }

  /** What a task waits for that holds no process. */
  #waitOf(task: TaskState): string {
    const [item] = openItems(this.state, task).map(itemOf);
    return item === undefined
      ? `waits for ${task.waits.join(", ")}`
      : `waiting for you: ${shortId(item.id)} ${item.tool ?? item.title} ${brief(item.arguments, SAID_WIDTH)}`;
  }

  #note(task: string, event: RunEvent): void {
    if (event.type === "step.completed" || event.type === "step.started")
      this.#doing.set(task, `after ${event.data.key}`);
    const state = this.state.tasks.get(task);
    if (state !== undefined && SETTLED.has(state.status)) this.#doing.delete(task);
  }

  #say(task: string, text: string): void {
    const before = this.#doing.get(task) ?? "";
    const said = `${before.startsWith("“") ? before.slice(1) : ""}${text}`;
    this.#doing.set(task, `“${oneLine(said.slice(-SAID_WIDTH), SAID_WIDTH)}`);
  }

  #lineOf(event: RunEvent): string | null {
    const { paint, verbose } = this.#options;
    switch (event.type) {
      case "task.completed":
        return this.#completed(event.data.task, event.at);
      case "task.failed":
        return `${paint.red("✗")} ${this.#named(event.data.task)}${this.#took(event.data.task, event.at)}  ${paint.red(errorText(event.data.error))}`;
      case "task.skipped":
      case "task.cancelled":
        return this.#isFolded(event.data.task)
          ? null
          : `${paint.dim("–")} ${this.#named(event.data.task)}  ${paint.dim(`${event.type.slice("task.".length)}: ${event.data.why}`)}`;
      case "task.retried":
        return `${paint.yellow("↻")} ${this.#named(event.data.task)}  again in ${duration(event.data.delayMs)}: ${errorText(event.data.error)}`;
      case "task.released":
        return `${paint.yellow("↻")} ${this.#named(event.data.task)}  taken back: ${event.data.why}${event.data.suspect ? "; goes on alone" : ""}`;
      case "task.escalated":
        return this.#escalated(event.data.task);
      case "escalation.decided": {
        const { choice, by, note, task } = event.data;
        return `${paint.yellow("↻")} ${this.#named(task)}  ${choice} by ${by}${note === "" ? "" : `: ${note}`}`;
      }
      case "step.asked":
        return event.data.ask.ask === "approval" ? this.#asked(event.data.task, event.data.key) : null;
      case "approval.decided": {
        const { decision, by, note, edited, task } = event.data;
        const how = `${decision}${edited ? ", edited," : ""} by ${by}${note === "" ? "" : `: ${note}`}`;
        return `${decision === "approved" ? paint.green("✓") : paint.yellow("–")} ${this.#named(task)}  ${how}`;
      }
      case "run.paused":
        return `${paint.yellow("‖")} ${sentence(event, this)}.  Let it go on: flotilla resume ${shortId(this.state.id)}`;
      case "run.resumed":
        return `${paint.green("▶")} ${sentence(event, this)}`;
      case "step.unknown":
        return `${paint.yellow("◐")} ${this.#named(event.data.task)}  interrupted inside ${event.data.key}: whether it happened is not known`;
      case "step.completed":
      case "step.failed":
      case "step.started":
      case "step.settled":
      case "result.late":
      case "plan.revised":
      case "task.routed":
        return verbose ? paint.dim(`· ${oneLine(sentence(event, this), 160)}`) : null;
      default:
        return null;
    }
  }

  #asked(id: string, key: string): string | null {
    const task = this.state.tasks.get(id);
    const item =
      task &&
      openItems(this.state, task)
        .map(itemOf)
        .find(({ step }) => step === key);
    if (item === undefined) return null;
    const what = `waits for you: ${item.tool} ${brief(item.arguments, SAID_WIDTH)}`;
    return `${this.#options.paint.yellow("◐")} ${this.#named(id)}  ${what}  flotilla approve ${shortId(item.id)}`;
  }

  #escalated(id: string): string | null {
    const task = this.state.tasks.get(id);
    const item =
      task &&
      openItems(this.state, task)
        .map(itemOf)
        .find(({ kind }) => kind === "escalation");
    if (item === undefined) return null;
    const what = `waits for you: ${oneLine(item.title, 160)}`;
    return `${this.#options.paint.yellow("◐")} ${this.#named(id)}  ${what}  flotilla decide ${shortId(item.id)} retry`;
  }

  #completed(id: string, at: number): string | null {
    const { paint } = this.#options;
    const task = this.state.tasks.get(id);
    // What a pattern planned in a host shows in the tasks that it added.
    if (task === undefined || task.kind === "plan" || this.#isFolded(id)) return null;
    if (task.kind === "group") {
      const members = task.members ?? [];
      if (members.length <= this.#options.foldFrom) return null;
      return `${paint.green("✓")} ${id}  ${this.agentOf(members[0] ?? "") ?? "task"} ×${members.length}`;
    }
    const said = brief(task.output, SAID_WIDTH);
    return `${paint.green("✓")} ${this.#named(id)}${this.#took(id, at)}${said === "" ? "" : `  ${paint.dim(said)}`}`;
  }

  #isFolded(id: string): boolean {
    const group = this.state.tasks.get(id)?.group ?? null;
    const members = group === null ? null : (this.state.tasks.get(group)?.members ?? null);
    return members !== null && members.length > this.#options.foldFrom;
  }

  agentOf(task: string): string | null {
    return this.state.tasks.get(task)?.agent ?? null;
  }

  #named(id: string): string {
    const task = this.state.tasks.get(id);
    return task === undefined ? id : nameOf(task);
  }

  #took(id: string, at: number): string {
    const since = this.#startedAt.get(id);
    this.#startedAt.delete(id);
    return since === undefined ? "" : `  ${this.#options.paint.dim(duration(at - since))}`;
  }
}

function nameOf({ id, agent }: TaskState): string {
  return agent === null || agent === id ? id : `${agent} ${id}`;
}

const harmlessLine = (line: string): string => line.replaceAll("\n", " ");

/** The last words on a run: how it ended, what it took. */
export function endLine(state: RunState, paint: Paint): string {
  const took = duration((state.endedAt ?? state.startedAt) - state.startedAt);
  const cost = usageText(state.usage);
  const parts = [
    `${state.status} in ${took}`,
    plural(state.tasks.size, "task"),
    plural(state.usage.steps, "step"),
    ...(cost === "" ? [] : [cost]),
  ];
  return `${runSign(state.status, paint)} ${paint.bold(`${state.workflow} ${shortId(state.id)}`)} ${parts.join(" · ")}`;
}
