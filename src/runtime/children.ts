import type { ChildRequest } from "../core/child-share.ts";
import { childStart, usageOf } from "../core/child.ts";
import type { RunEvent } from "../core/event.ts";
import { type RunState, SETTLED } from "../core/state.ts";
import { isFlotillaError } from "../error.ts";
import type { HotRun, Ledger } from "./ledger.ts";

/** The outbox's topic for parcels. */
export const PARCELS = "run";

/** What a commit of one run has to say to another: it leaves with the commit, and carries no more than whom it concerns;
 *  the rest is in the journals. */
export type Parcel =
  | { op: "start"; child: string; parent: string; task: string }
  | { op: "stop"; child: string; why: string }
  | { op: "pause" | "resume"; child: string; why: string; by: string }
  | { op: "end"; child: string };

/** The parcels that follow from a batch: children that were asked for, children whose task is over before they are, and
 *  the end of a run that is a child. `touched`: tasks whose status may have changed. */
export function parcelsOf(state: RunState, events: readonly RunEvent[], touched: ReadonlySet<string>): Parcel[] {
  const parcels: Parcel[] = [];
  for (const event of events) {
    if (event.type === "child.requested")
      parcels.push({ op: "start", child: event.data.child, parent: state.id, task: event.data.task });
  }
  for (const id of touched) {
    const task = state.tasks.get(id);
    if (task === undefined || task.child === null || task.childEnded || !SETTLED.has(task.status)) continue;
    parcels.push({ op: "stop", child: task.child.run, why: `${id} of ${state.id}, whose work it is, is over` });
  }
  for (const event of events) {
    if (event.type !== "run.paused" && event.type !== "run.resumed") continue;
    const op = event.type === "run.paused" ? "pause" : "resume";
    const { why, by } = event.data;
    for (const { run } of openChildren(state)) parcels.push({ op, child: run, why, by });
  }
  if (state.parent !== null && events.some(({ type }) => ENDS.has(type))) parcels.push({ op: "end", child: state.id });
  return parcels;
}

function* openChildren(state: RunState): Iterable<ChildRequest> {
  for (const { child, childEnded, status } of state.tasks.values())
    if (child !== null && !childEnded && !SETTLED.has(status)) yield child;
}

const ENDS: ReadonlySet<string> = new Set(["run.completed", "run.failed", "run.stopped"]);

/** Delivers parcels. Each may come more than once: a child that exists is not started again, one that has ended is not
 *  stopped, and a parent hears of an end once. */
export class Children {
  readonly #ledger: Ledger;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** Resolves with false when it must be tried again. @throws {FlotillaError} STORE_*, QUEUE_FULL */
  async deliver(parcel: Parcel): Promise<boolean> {
    try {
      if (parcel.op === "start") return await this.#start(parcel);
      if (parcel.op === "end") return await this.#end(parcel.child);
      const { op, child, why } = parcel;
      if (op === "stop") await this.#ledger.submit(child, { type: "run.stop", why, by: "its parent" });
      else await this.#ledger.submit(child, { type: `run.${op}`, why, by: parcel.by });
      return true;
    } catch (error) {
      // Never started, or removed since: there is nothing left to do.
      if (isFlotillaError(error) && error.code === "RUN_UNKNOWN") return true;
      throw error;
    }
  }

  async #start({ child, parent, task: id }: Extract<Parcel, { op: "start" }>): Promise<boolean> {
    const hot = await this.#ledger.open(parent);
    const task = hot.state.tasks.get(id);
    if (task?.child?.run !== child) return false;
    // That it is over may not be durable yet.
    if (SETTLED.has(task.status)) return hot.idle;
    try {
      await this.#ledger.submit(child, childStart(hot.state, task, task.child));
      return true;
    } catch (error) {
      // Its parent changed meanwhile, or its own start was dropped with a commit that failed: it is looked at again.
      if (isFlotillaError(error) && (error.code === "CANCELLED" || error.code === "RUN_UNKNOWN")) return false;
      throw error;
    }
  }

  async #end(child: string): Promise<boolean> {
    const { state }: HotRun = await this.#ledger.open(child);
    const { parent, status, output = null, error = null } = state;
    if (parent === null || status === "running") return false;
    const used = usageOf(state);
    await this.#ledger.submit(parent.run, { type: "child.end", task: parent.task, child, status, output, error, used });
    return true;
  }
}
