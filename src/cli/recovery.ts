import { isChild } from "../core/seat.ts";
import type { RunEvent } from "../core/event.ts";
import type { Json } from "../core/json.ts";
import { isFlotillaError } from "../error.ts";
import { canonicalJson } from "../message/canonical.ts";
import { readRun } from "../runtime/journal.ts";
import type { Store } from "../store/store.ts";

/** How far a run had come when its process died. */
export interface Unfinished {
  run: string;
  workflow: string;
  version: number;
}

const UNFINISHED_MAX = 1_000;

/** Runs that have not ended, newest first, with what is on record of each at this moment. */
export async function unfinishedRuns(store: Store | null): Promise<Unfinished[]> {
  const rows = store === null ? [] : await store.runs({ status: "running", limit: UNFINISHED_MAX });
  // The child of a run is its parent's to tell of.
  return rows.filter(({ id }) => !isChild(id)).map(({ id, workflow, version }) => ({ run: id, workflow, version }));
}

/** The newest unfinished run of this workflow and input; runs that cannot be read are passed over. */
export async function sameRun(
  store: Store,
  runs: readonly Unfinished[],
  workflow: string,
  input: Json,
): Promise<Unfinished | null> {
  const wanted = canonicalJson(input);
  for (const unfinished of runs) {
    if (unfinished.workflow !== workflow) continue;
    const given = await inputOf(store, unfinished.run);
    if (given !== undefined && canonicalJson(given) === wanted) return unfinished;
  }
  return null;
}

async function inputOf(store: Store, run: string): Promise<Json | undefined> {
  try {
    for await (const { event } of readRun(store, run)) return event.payload?.input;
  } catch (error) {
    if (!isFlotillaError(error)) throw error;
  }
  return undefined;
}

/** Counts what a continued run kept and what it did again, from its journal: the steps that had an outcome, and the
 *  results of tasks, at the takeover; and how many of those were put on record once more after it (F8). */
export class Recovery {
  readonly #version: number;
  readonly #steps = new Set<string>();
  readonly #tasks = new Set<string>();
  repeated = 0;

  /** `version`: the last event before the takeover. */
  constructor(version: number) {
    this.#version = version;
  }

  /** Finished steps on record at the takeover. */
  get steps(): number {
    return this.#steps.size;
  }

  /** Results on record at the takeover. */
  get tasks(): number {
    return this.#tasks.size;
  }

  add(version: number, event: RunEvent): void {
    if (version <= this.#version) this.#keep(event);
    else if (this.#isKept(event)) this.repeated += 1;
  }

  #keep(event: RunEvent): void {
    if (event.type === "step.completed" || event.type === "step.failed" || event.type === "step.settled") {
      this.#steps.add(`${event.data.task}/${event.data.key}`);
    } else if (event.type === "task.completed") {
      this.#tasks.add(event.data.task);
    }
  }

  #isKept(event: RunEvent): boolean {
    if (event.type === "step.started" || event.type === "step.completed" || event.type === "step.failed") {
      return this.#steps.has(`${event.data.task}/${event.data.key}`);
    }
    if (event.type === "tasks.assigned") return event.data.tasks.some((task) => this.#tasks.has(task));
    return event.type === "task.completed" && this.#tasks.has(event.data.task);
  }
}
