import { type CheckerMaker, TERMINAL } from "./checker.ts";

/** What is in flight when a run ends is aborted within this time. */
const ABORT_MS = 1_000;

/** After a run's end is on record nothing of it starts, and what was in flight is aborted within a second. */
export const stopped: CheckerMaker = (_scene, fail) => {
  const ended = new Map<string, number>();
  return {
    promise: "6: after a stop is committed nothing of its scope starts",
    event({ journal, type, data, atMs }) {
      if (type === "tasks.assigned" && ended.has(journal))
        fail(`${data.tasks?.join(", ")} of ${journal} was assigned after the run's end`);
      if (TERMINAL.has(type)) ended.set(journal, atMs);
    },
    call({ run, task, kind, name, atMs }) {
      const at = ended.get(run);
      if (at !== undefined && atMs - at > ABORT_MS)
        fail(`${kind} ${name} of ${run}/${task} was executed ${atMs - at} ms after the run's end`);
    },
  };
};
