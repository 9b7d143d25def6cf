import type { Json } from "../core/json.ts";
import type { RunState } from "../core/state.ts";
import { openItems } from "../runtime/inbox-item.ts";
import { shortId } from "./format/status.ts";
import { itemCommand, itemsOf } from "./inbox-item.ts";

/** A write of which only a person can say whether it happened (F13). */
export interface OpenQuestion {
  task: string;
  agent: string | null;
  key: string;
  /** What was asked of the tool. */
  input: Json | null;
}

export function openQuestions(state: RunState): OpenQuestion[] {
  return [...state.tasks.values()].flatMap((task) =>
    [...task.steps.values()]
      .filter((step) => step.status === "unknown" && step.settle === "person")
      .map(({ key, input }) => ({ task: task.id, agent: task.agent, key, input: input ?? null })),
  );
}

/** Whether a run can go on only when a person acts. */
export function waitsForPerson(state: RunState): boolean {
  if (state.status !== "running") return false;
  if (state.hold !== null) return true;
  let waits = false;
  for (const task of state.tasks.values()) {
    const { status } = task;
    if (status === "ready" || status === "assigned" || status === "delayed") return false;
    if (status === "suspended" && Number.isFinite(task.readyAt)) return false;
    waits ||= openItems(state, task).length > 0;
  }
  return waits;
}

/** What is useful to do after looking at a run. */
export function nextCommands(run: string, state: RunState): string[] {
  const id = shortId(run);
  const [question] = openQuestions(state);
  if (question !== undefined) return [`flotilla settle ${id} ${question.task}/${question.key} --done`];
  const [item] = itemsOf(state);
  if (item !== undefined) return [itemCommand(item)];
  switch (state.status) {
    case "running":
      if (state.hold !== null) return [`flotilla resume ${id}`, `flotilla stop ${id}`];
      return [`flotilla watch ${id}`, `flotilla stop ${id}`];
    case "failed":
      return [`flotilla show ${id} --root-cause`, `flotilla replay ${id}`];
    case "stopped":
    case "completed":
      return [`flotilla replay ${id}`, `flotilla verify ${id}`];
  }
}
