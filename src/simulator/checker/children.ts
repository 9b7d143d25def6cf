import { type CheckerMaker, TERMINAL } from "./checker.ts";

interface Child {
  parent: string;
  task: string;
  /** How it ended, as its own journal says. */
  end: string | null;
  /** How often its parent heard of that. */
  heard: number;
  started: boolean;
}

/** A child run starts because its parent asked for it, never after its parent's end, with no more than its parent has;
 *  and its parent hears of its end exactly once. */
export const children: CheckerMaker = (_scene, fail) => {
  const known = new Map<string, Child>();
  const ends = new Map<string, { type: string; atMs: number }>();
  const limits = new Map<string, { tokensMax: number; depthMax: number; stepsMax: number }>();
  /** Tasks that were cancelled or ended otherwise than by their child. */
  const over = new Set<string>();
  return {
    promise: "C3: a child run starts and ends once, within its parent's limits, and its parent hears of it once",
    event({ journal, type, data, atMs }) {
      const { task = "", child = "" } = data;
      if (type === "child.requested") {
        if (known.has(child)) fail(`${child} was asked for twice`);
        known.set(child, { parent: journal, task, end: null, heard: 0, started: false });
      }
      if (type === "run.started") {
        if (data.limits !== undefined) limits.set(journal, data.limits);
        if (data.parent !== undefined) started(journal, data.parent, atMs);
      }
      if (type === "child.ended") heard(child, journal, data.status ?? "");
      if (type === "plan.revised") for (const one of data.cancel ?? []) over.add(`${journal}/${one.task}`);
      if (type === "task.cancelled" || type === "task.skipped") over.add(`${journal}/${task}`);
      if (!TERMINAL.has(type)) return;
      ends.set(journal, { type, atMs });
      const own = known.get(journal);
      if (own !== undefined) own.end = type;
    },
    end() {
      for (const [run, { parent, task, end, heard: times, started: isStarted }] of known) {
        const excused = over.has(`${parent}/${task}`) || ends.get(parent)?.type !== "run.completed";
        if (!isStarted && !excused) fail(`${run} was asked for and never started`);
        if (isStarted && end === null) fail(`${run} was started and has not ended`);
        if (times === 0 && !excused) fail(`${parent} never heard that ${run} ended`);
      }
    },
  };

  function started(run: string, parent: { run: string; task: string }, atMs: number): void {
    const child = known.get(run);
    if (child === undefined || child.parent !== parent.run || child.task !== parent.task)
      return fail(`${run} started as a child of ${parent.run}, which did not ask for it`);
    child.started = true;
    // What one transaction writes has no order here.
    if ((ends.get(parent.run)?.atMs ?? atMs) < atMs) fail(`${run} started after its parent's end`);
    const [own, above] = [limits.get(run), limits.get(parent.run)];
    if (own === undefined || above === undefined) return;
    if (own.tokensMax > above.tokensMax || own.depthMax >= above.depthMax || own.stepsMax > above.stepsMax)
      fail(`${run} may do more than its parent`);
  }

  function heard(run: string, parent: string, status: string): void {
    const child = known.get(run);
    if (child?.parent !== parent) return fail(`${parent} heard of ${run}, which is not its child`);
    child.heard += 1;
    if (child.heard > 1) fail(`${parent} heard ${child.heard} times that ${run} ended`);
    if (child.end !== `run.${status}`) fail(`${parent} heard that ${run} ${status}, and it is ${child.end ?? "open"}`);
  }
};
