import type { RunEvent } from "../../core/event.ts";
import type { Json } from "../../core/json.ts";
import { oneLine } from "./brief.ts";
import { duration, plural } from "./number.ts";
import { type Cast, reasoningOf, sentence } from "./sentence.ts";

/** One act of a run's story. */
export interface Act {
  version: number;
  at: number;
  tone: "good" | "bad" | "warning" | "plain";
  text: string;
  /** What the model said of its reasoning in this act; empty when nothing. */
  reasoning: string;
  task: string | null;
}

/** Acts of one agent in one group that follow each other are told as one from this many on. */
const FOLD_FROM = 4;
const REASONING_WIDTH = 240;

interface Work {
  models: number;
  tools: number;
  others: number;
  startedAt: number;
  reasoning: string;
}

/** Who does which task, learned from the plan as it is read. */
export class Company implements Cast {
  readonly #agents = new Map<string, string | null>();
  readonly #groups = new Map<string, string>();
  readonly #open = new Set<string>();

  see(event: RunEvent): void {
    if (event.type === "task.routed") this.#agents.set(event.data.task, event.data.agent);
    if (event.type !== "plan.revised") return;
    for (const { task, kind, agent, group } of event.data.add) {
      this.#agents.set(task, agent);
      if (kind === "group") this.#open.add(task);
      if (group === undefined) continue;
      this.#groups.set(task, group);
      this.#open.add(group);
    }
  }

  agentOf(task: string): string | null {
    return this.#agents.get(task) ?? null;
  }

  groupOf(task: string): string | null {
    return this.#groups.get(task) ?? null;
  }

  /** Whether other tasks are members of this one. */
  isGroup(task: string): boolean {
    return this.#open.has(task);
  }
}

/** Tells a run from its journal, event by event: a sentence for each act, with the steps of a task folded into its end
 *  and the reasoning that the models gave (O1). */
export class Story {
  readonly #company = new Company();
  readonly #work = new Map<string, Work>();
  readonly #acts: (Act & { fold: string | null; folded: Act[] })[] = [];

  add(version: number, event: RunEvent): void {
    this.#company.see(event);
    if (this.#isPartOfAnAct(event)) return;
    const task = "task" in event.data && typeof event.data.task === "string" ? event.data.task : null;
    const work = task === null ? undefined : this.#work.get(task);
    const end = event.type === "task.completed" || event.type === "task.failed";
    // A group's end says nothing beyond its members' ends.
    if (event.type === "task.completed" && this.#company.isGroup(event.data.task)) return;
    const text = `${sentence(event, this.#company)}${end ? workText(work, event.at) : ""}`;
    const reasoning = end ? oneLine(work?.reasoning ?? "", REASONING_WIDTH) : "";
    this.#tell({ version, at: event.at, tone: toneOf(event), text, reasoning, task }, foldKey(event, this.#company));
  }

  /** The acts so far. */
  acts(): Act[] {
    return this.#acts.flatMap(({ fold, folded, ...act }) => {
      if (fold === null) return [act];
      return folded.length < FOLD_FROM ? folded : [{ ...act, text: foldedText(folded, this.#company), reasoning: "" }];
    });
  }

  #isPartOfAnAct(event: RunEvent): boolean {
    switch (event.type) {
      case "tasks.assigned":
        for (const task of event.data.tasks) if (!this.#work.has(task)) this.#work.set(task, freshWork(event.at));
        return true;
      case "step.completed":
      case "step.failed": {
        this.#count(event.data.task, event.data.kind, event.at, event.payload?.output);
        return true;
      }
      case "step.started":
      case "step.asked":
      case "call.reserved":
      case "call.settled":
      case "tasks.bound":
        return true;
      default:
        return false;
    }
  }

  #count(task: string, kind: string, at: number, output: Json | undefined): void {
    const work = this.#work.get(task) ?? freshWork(at);
    if (kind === "model" || kind === "compaction") work.models += 1;
    else if (kind === "tool" || kind === "fetch") work.tools += 1;
    else if (kind === "effect") work.others += 1;
    work.reasoning = [work.reasoning, reasoningOf(output)].filter((part) => part !== "").join(" ");
    this.#work.set(task, work);
  }

  #tell(act: Act, fold: string | null): void {
    const last = this.#acts.at(-1);
    if (last !== undefined && fold !== null && last.fold === fold) last.folded.push(act);
    else this.#acts.push({ ...act, fold, folded: fold === null ? [] : [act] });
  }
}

const freshWork = (startedAt: number): Work => ({ models: 0, tools: 0, others: 0, startedAt, reasoning: "" });

function workText(work: Work | undefined, at: number): string {
  if (work === undefined) return "";
  const { models, tools, others } = work;
  const parts = [duration(at - work.startedAt)];
  if (models > 0) parts.push(plural(models, "model call"));
  if (tools > 0) parts.push(plural(tools, "tool call"));
  if (others > 0) parts.push(plural(others, "step"));
  return `  [${parts.join(", ")}]`;
}

function foldKey(event: RunEvent, company: Company): string | null {
  if (event.type !== "task.completed") return null;
  const group = company.groupOf(event.data.task);
  return group === null ? null : `${group} ${company.agentOf(event.data.task) ?? ""}`;
}

function foldedText(folded: readonly Act[], company: Company): string {
  const task = folded[0]?.task ?? "";
  return `${company.agentOf(task) ?? "task"} ×${folded.length} finished (${company.groupOf(task) ?? ""})`;
}

/** What an event means for the run, beyond its words. */
export function toneOf(event: RunEvent): Act["tone"] {
  switch (event.type) {
    case "task.completed":
    case "run.completed":
      return "good";
    case "task.failed":
    case "run.failed":
    case "step.failed":
      return "bad";
    case "task.retried":
    case "task.released":
    case "task.expired":
    case "task.skipped":
    case "task.cancelled":
    case "step.unknown":
    case "result.late":
    case "run.stopped":
    case "run.paused":
      return "warning";
    default:
      return "plain";
  }
}
