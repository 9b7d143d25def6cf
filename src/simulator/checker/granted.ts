import { PLAN_AGENT } from "../../core/edit.ts";
import type { CheckerMaker } from "./checker.ts";

/** No agent calls a tool that it was not granted, nor, where another asked it, one that was not passed on to it. */
export const granted: CheckerMaker = ({ definition }, fail) => {
  const passedOn = new Map<string, readonly string[]>();
  return {
    promise: "9: no agent calls a tool that it was not granted",
    event({ journal, type, data }) {
      if (type !== "plan.revised") return;
      for (const { task, tools } of data.add ?? []) if (tools !== undefined) passedOn.set(`${journal}/${task}`, tools);
    },
    call({ kind, agent, name, run, task }) {
      if (kind !== "tool" || agent === PLAN_AGENT) return;
      if (!definition.agents[agent]?.tools.includes(name)) fail(`${agent} called ${name} in ${run}/${task}`);
      if (passedOn.get(`${run}/${task}`)?.includes(name) === false)
        fail(`${agent} called ${name} in ${run}/${task}, which was not passed on to it`);
    },
  };
};
