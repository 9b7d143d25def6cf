import type { SwarmOptions } from "../../pattern/swarm-option.ts";
import { type CheckerMaker, TERMINAL } from "./checker.ts";

/** An item of a swarm's board is claimed once, by an agent that holds fewer than it may. */
export const claims: CheckerMaker = ({ definition }, fail) => {
  const swarms = new Map<string, SwarmOptions>();
  const claimed = new Set<string>();
  /** Open claims by run and agent. */
  const held = new Map<string, Set<string>>();
  const holding = (run: string, agent: string): Set<string> => {
    const key = `${run}/${agent}`;
    const claims = held.get(key) ?? new Set();
    held.set(key, claims);
    return claims;
  };
  return {
    promise: "C3: no agent claims what another holds, nor more than it may",
    event({ journal, type, data }) {
      const { task = "", agent = "", workflow = "" } = data;
      if (type === "run.started" && definition.workflows[workflow]?.pattern === "swarm")
        swarms.set(journal, definition.workflows[workflow].options as unknown as SwarmOptions);
      const swarm = swarms.get(journal);
      if (swarm === undefined) return;
      if (TERMINAL.has(type)) swarms.delete(journal);
      const done = type === "plan.revised" ? (data.cancel ?? []).map((one) => one.task) : ENDS.has(type) ? [task] : [];
      for (const { agent: member } of swarm.members) for (const id of done) holding(journal, member).delete(id);
      if (type !== "task.routed") return;
      if (claimed.has(`${journal}/${task}`)) fail(`${task} of ${journal} was claimed again, by ${agent}`);
      claimed.add(`${journal}/${task}`);
      const own = holding(journal, agent).add(task);
      const { claimsMax = 0 } = swarm.members.find((member) => member.agent === agent) ?? {};
      if (own.size > claimsMax) fail(`${agent} holds ${own.size} of ${claimsMax} items in ${journal}`);
    },
  };
};

const ENDS: ReadonlySet<string> = new Set(["task.completed", "task.failed", "task.skipped", "task.cancelled"]);
