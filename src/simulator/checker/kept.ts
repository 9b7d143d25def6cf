import type { CheckerMaker } from "./checker.ts";

/** A planned task and its revision: what it asks of others while it works, and asks anew, is no part of the plan. */
const WORK = /^do\/[^/]+\/\d+$/;

/** What a planner's workers have finished is kept: no revision cancels it, and none has it done again. In the simulated
 *  fleet nothing but a failure revises a plan. */
export const kept: CheckerMaker = ({ definition }, fail) => {
  const planned = new Set<string>();
  const finished = new Set<string>();
  const nameOf = (run: string, task: string) => `${run}/${task.slice(0, task.lastIndexOf("/"))}`;
  return {
    promise: "C5: a revision keeps finished work",
    event({ journal, type, data }) {
      const { task = "", workflow = "", add = [] } = data;
      if (type === "run.started" && definition.workflows[workflow]?.pattern === "planner") planned.add(journal);
      if (!planned.has(journal)) return;
      if (type === "task.completed" && WORK.test(task)) finished.add(nameOf(journal, task));
      if (type === "task.reopened") finished.delete(nameOf(journal, task));
      if (type !== "plan.revised") return;
      for (const spec of add)
        if (WORK.test(spec.task) && finished.has(nameOf(journal, spec.task)))
          fail(`${spec.task} of ${journal} is added although it is finished`);
    },
  };
};
