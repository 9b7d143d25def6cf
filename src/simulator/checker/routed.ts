import type { CheckerMaker } from "./checker.ts";

/** A route gives a task to somebody who fits, and of those to one with the fewest open tasks, by its own record. */
export const routed: CheckerMaker = ({ definition }, fail) => ({
  promise: "C6: a route gives work to the least loaded of those who can do it",
  event({ journal, type, data }) {
    const { task = "", agent = "", route, candidates = [] } = data;
    if (type !== "task.routed" || route === undefined) return;
    const where = `${task} of ${journal}`;
    const fitting = candidates.filter(({ fits }) => fits);
    const chosen = fitting.find((candidate) => candidate.agent === agent);
    const declared = definition.routes?.[route];
    if (chosen === undefined) {
      if (fitting.length > 0 || declared?.otherwise !== agent) fail(`${where} went to ${agent}, which does not fit`);
      return;
    }
    const least = Math.min(...fitting.map(({ load }) => load));
    if (chosen.load > least) fail(`${where} went to ${agent} with ${chosen.load} open tasks, where ${least} was least`);
  },
});
