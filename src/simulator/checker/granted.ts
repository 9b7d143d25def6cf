import { PLAN_AGENT } from "../../core/decide.ts";
import type { CheckerMaker } from "./checker.ts";

/** No agent calls a tool that it was not granted. */
export const granted: CheckerMaker = ({ definition }, fail) => ({
  promise: "9: no agent calls a tool that it was not granted",
  call({ kind, agent, name, run, task }) {
    if (kind !== "tool" || agent === PLAN_AGENT) return;
    if (!definition.agents[agent]?.tools.includes(name)) fail(`${agent} called ${name} in ${run}/${task}`);
  },
});
