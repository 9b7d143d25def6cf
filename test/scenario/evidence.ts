import type { RunEvent } from "../../src/core/event.ts";
import { emptyRun, evolve, type TaskState, taskOf } from "../../src/core/state.ts";
import type { FleetEventData } from "../../src/runtime/fleet-journal.ts";
import { readJournal, readRun } from "../../src/runtime/journal.ts";
import { FLEET_JOURNAL, type Store } from "../../src/store/store.ts";
import type { Diary } from "./diary.ts";

/** Steps of each agent of the `works` fixture that have a diary, in order. */
export const CALLS: Readonly<Record<string, readonly string[]>> = {
  gatherer: ["look#1", "look#2"],
  actor: ["post#1", "pay#1", "tell#1"],
};

/** A process that was killed, and where the attempts were that died with it. */
export interface Death {
  /** Attempts with a call that had begun and was not on record. */
  inStep: number;
  /** Attempts with a write that was intended and not done. */
  between: number;
}

/** What the journals say about how everything went, beside the diary of those who did it. */
export interface Evidence {
  runs: number;
  deaths: ReadonlyMap<string, Death>;
  /** Calls on record, and how often they were begun altogether. */
  recorded: number;
  begun: number;
  /** What must not be, in words. */
  wrong: readonly string[];
}

/** Reads every journal, and holds it against the diary. */
export async function evidenceOf(store: Store, diary: Diary): Promise<Evidence> {
  const epochs = await epochsOf(store);
  const deaths = new Map<string, Death>();
  const found: Evidence & { wrong: string[] } = { runs: 0, deaths, recorded: 0, begun: 0, wrong: [] };
  for (const { id } of await store.runs({ limit: 10_000 })) {
    found.runs += 1;
    await readOne(store, id, { diary, epochs, deaths, found });
  }
  return found;
}

interface Reading {
  diary: Diary;
  epochs: ReadonlyMap<string, number>;
  deaths: Map<string, Death>;
  found: Evidence & { wrong: string[] };
}

async function readOne(store: Store, run: string, reading: Reading): Promise<void> {
  const state = emptyRun(run);
  const assignedAt = new Map<string, number>();
  /** Tasks with a question that was raised since they were last given out. */
  const asked = new Set<string>();
  for await (const { event } of readRun(store, run)) {
    if (event.type === "tasks.assigned")
      for (const task of event.data.tasks) {
        assignedAt.set(task, event.at);
        asked.delete(task);
      }
    if (event.type === "step.unknown") asked.add(event.data.task);
    if (event.type === "task.released") {
      const death = release(taskOf(state, event.data.task), event, assignedAt, run, reading);
      if (asked.has(event.data.task)) death.between += 1;
    }
    if (event.type === "step.completed" && event.data.kind === "tool") judge(run, event, reading);
    evolve(state, event);
  }
}

function release(
  task: TaskState,
  event: Extract<RunEvent, { type: "task.released" }>,
  assignedAt: ReadonlyMap<string, number>,
  run: string,
  { diary, epochs, deaths }: Reading,
): Death {
  const worker = task.worker ?? "";
  const name = event.data.suspect ? `host ${worker}` : `coordinator ${epochs.get(worker)}`;
  const death = deaths.get(name) ?? { inStep: 0, between: 0 };
  deaths.set(name, death);
  const since = assignedAt.get(task.id) ?? 0;
  const open = (CALLS[task.agent ?? ""] ?? []).filter((step) => task.steps.get(step)?.status !== "completed");
  const begun = (step: string) => diary.begins(run, task.id, step).some(({ at }) => at >= since && at <= event.at);
  if (open.some(begun)) death.inStep += 1;
  return death;
}

/** A call on record must have been begun before that and never after, and a write must have happened exactly once. */
function judge(run: string, event: Extract<RunEvent, { type: "step.completed" }>, { diary, found }: Reading): void {
  const { task, key, name } = event.data;
  const begins = diary.begins(run, task, key);
  const effects = diary.effects(run, task, key);
  found.recorded += 1;
  found.begun += begins.length;
  const what = `${key} of ${task} in ${run}`;
  if (begins.length === 0) found.wrong.push(`${what} is on record and was never begun`);
  if (begins.some(({ at }) => at > event.at)) found.wrong.push(`${what} was begun again after it was on record`);
  if (name !== "look" && effects.length !== 1) found.wrong.push(`${what} happened ${effects.length} times`);
}

/** In which life of the coordinator each worker was. */
async function epochsOf(store: Store): Promise<Map<string, number>> {
  const epochs = new Map<string, number>();
  let epoch = 0;
  for await (const { opened } of readJournal(store, FLEET_JOURNAL)) {
    if (opened.event?.type === "fleet.opened") epoch += 1;
    if (opened.event?.type !== "worker.started") continue;
    epochs.set((opened.event.data as FleetEventData["worker.started"]).worker, epoch);
  }
  return epochs;
}
