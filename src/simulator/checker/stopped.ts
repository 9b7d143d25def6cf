import { FLEET_JOURNAL } from "../../store/store.ts";
import type { EventFields } from "../history.ts";
import { type CheckerMaker, TERMINAL } from "./checker.ts";

/** What is in flight when a hold or a run's end is on record is aborted within this time. */
const ABORT_MS = 1_000;

/** After a run's end or a hold of its scope is on record nothing of it starts, and what was in flight is aborted within a
 *  second. Holds: of a run in its own journal; of a workflow, an agent or the fleet in the fleet's. */
export const stopped: CheckerMaker = (_scene, fail) => {
  const ended = new Map<string, number>();
  const paused = new Map<string, number>();
  const held = new Map<string, number>();
  const workflows = new Map<string, string>();
  const tasks = new Map<string, { agent: string | null; asker: string | null }>();

  /** Since when a task may not start, and why; null when it may. */
  function closedSince(run: string, task: string): { at: number; why: string } | null {
    const reasons: [number | undefined, string][] = [
      [ended.get(run), "the run's end"],
      [paused.get(run), "the run was paused"],
      [held.get("fleet/"), "the fleet was paused"],
      [held.get(`workflow/${workflows.get(run) ?? ""}`), "its workflow was paused"],
      ...lineOf(run, task).map((agent): [number | undefined, string] => [
        held.get(`agent/${agent}`),
        `agent ${agent} was paused`,
      ]),
    ];
    for (const [at, why] of reasons) if (at !== undefined) return { at, why };
    return null;
  }

  function lineOf(run: string, task: string): string[] {
    const line: string[] = [];
    for (let id: string | null = task; id !== null; ) {
      const known: { agent: string | null; asker: string | null } | undefined = tasks.get(`${run}/${id}`);
      if (known?.agent != null) line.push(known.agent);
      id = known?.asker ?? null;
    }
    return line;
  }

  function placed({ scope = "", name = null }: EventFields): string {
    return `${scope}/${name ?? ""}`;
  }

  return {
    promise: "6: after a stop is committed nothing of its scope starts",
    event({ journal, type, data, atMs }) {
      if (journal === FLEET_JOURNAL) {
        if (type === "hold.placed") held.set(placed(data), held.get(placed(data)) ?? atMs);
        if (type === "hold.lifted") held.delete(placed(data));
        return;
      }
      if (type === "run.started") workflows.set(journal, data.workflow ?? "");
      for (const { task, agent = null, asker } of type === "plan.revised" ? (data.add ?? []) : [])
        tasks.set(`${journal}/${task}`, { agent, asker: asker?.task ?? null });
      if (type === "task.routed") {
        const name = `${journal}/${data.task ?? ""}`;
        tasks.set(name, { agent: data.agent ?? null, asker: tasks.get(name)?.asker ?? null });
      }
      for (const task of type === "tasks.assigned" ? (data.tasks ?? []) : []) {
        const closed = closedSince(journal, task);
        if (closed !== null) fail(`${task} of ${journal} was assigned after ${closed.why}`);
      }
      if (type === "run.paused") paused.set(journal, atMs);
      if (type === "run.resumed") paused.delete(journal);
      if (TERMINAL.has(type)) ended.set(journal, atMs);
    },
    call({ run, task, kind, name, atMs }) {
      const closed = closedSince(run, task);
      if (closed !== null && atMs - closed.at > ABORT_MS)
        fail(`${kind} ${name} of ${run}/${task} was executed ${atMs - closed.at} ms after ${closed.why}`);
    },
  };
};
