import type { RecordedNeed } from "../history.ts";
import type { CheckerMaker } from "./checker.ts";

const ENDS: Readonly<Record<string, string>> = {
  "task.completed": "completed",
  "task.failed": "failed",
  "task.skipped": "skipped",
  "task.cancelled": "cancelled",
};

/** No task is given to a worker before its needs are settled as its edges demand, and no cycle is on record. */
export const edges: CheckerMaker = (_scene, fail) => {
  const needs = new Map<string, readonly RecordedNeed[]>();
  const settled = new Map<string, string>();
  const depths = new Map<string, number>();
  return {
    promise: "3: no task starts before its dependencies; no cycle enters a graph",
    event({ journal, type, data }) {
      const end = ENDS[type];
      if (end !== undefined) settled.set(`${journal}/${data.task}`, end);
      if (type === "plan.revised") {
        const { add = [], cancel = [] } = data;
        for (const { task } of cancel) settled.set(`${journal}/${task}`, "cancelled");
        for (const spec of add) needs.set(`${journal}/${spec.task}`, spec.needs.map(inFull));
        for (const spec of add) depthOf(journal, spec.task, []);
      }
      if (type === "tasks.assigned") for (const task of data.tasks ?? []) assigned(journal, task);
    },
  };

  function assigned(journal: string, task: string): void {
    for (const need of needs.get(`${journal}/${task}`) ?? []) {
      const status = settled.get(`${journal}/${need.task}`);
      if (status !== undefined && (need.on === "settled" || need.on === status)) continue;
      fail(`${task} of ${journal} was assigned while ${need.task} was ${status ?? "open"}, which it needs ${need.on}`);
    }
  }

  function depthOf(run: string, task: string, path: readonly string[]): number {
    const known = depths.get(`${run}/${task}`);
    if (known !== undefined) return known;
    if (path.includes(task)) {
      fail(`${run} holds a cycle: ${[...path, task].join(" → ")}`);
      return 0;
    }
    const below = (needs.get(`${run}/${task}`) ?? []).map((need) => depthOf(run, need.task, [...path, task]));
    const depth = Math.max(0, ...below.map((one) => one + 1));
    depths.set(`${run}/${task}`, depth);
    return depth;
  }
};

/** An id alone stands for a task that must have completed. */
function inFull(need: string | RecordedNeed): RecordedNeed {
  return typeof need === "string" ? { task: need, on: "completed" } : need;
}
