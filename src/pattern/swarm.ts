import type { z } from "zod";
import type { Json } from "../core/json.ts";
import { type Workflow, type WorkflowCommon, workflow } from "../definition/workflow.ts";
import type { AgentRef } from "./option.ts";
import { definePattern } from "./pattern.ts";
import { atGoal, claim, claimNext, conclude, opening, postedBy, unclaimed } from "./swarm-board.ts";
import { type MemberShape, SwarmShape } from "./swarm-option.ts";
import { expressive, lost } from "./failure.ts";

/** Agents claim work from a shared board by what they take; finished work can add more; there is no central plan (C3).
 *
 *  An item is a task `TYPE/NUMBER`, or `TYPE/KEY` when it has a key, and waits without an agent until one claims it: the
 *  choice is a `task.routed`. Its input: { request, item: { type, content, key? }, from? }. The run ends when nothing is
 *  open any more, or by its goal. */
export const swarmPattern = definePattern({
  name: "swarm",
  options: SwarmShape,
  agents: ({ members }) => members.map(({ agent }) => agent),
  plan: (view, change) =>
    expressive("the swarm", () => {
      if (change.type === "started") return opening(view);
      const { task } = change;
      if (change.type === "unrouted") return claim(view, task);
      const { onFailed, onUnclaimed } = view.options;
      if (task.status === "failed" && onFailed === "fail") return [lost(task)];
      if (task.status === "cancelled" && onUnclaimed === "fail") return [unclaimed(task)];
      const goal = atGoal(view, task);
      if (goal !== null) return [goal];
      const posted = postedBy(view, task);
      if (posted.length === 0 && view.open === 0) return [conclude(view, "quiescence")];
      return [...posted, ...claimNext(view)];
    }),
});

type Member = Omit<z.input<typeof MemberShape>, "agent"> & { agent: AgentRef };

export interface SwarmWorkflowOptions<Input, Parsed, Output>
  extends WorkflowCommon<Input, Parsed, Output>,
    Omit<z.input<typeof SwarmShape>, "members" | "types"> {
  members: readonly Member[];
  /** Schemas of the items' contents by type. */
  types?: Readonly<Record<string, z.ZodType>>;
}

/** A workflow in which agents claim work from a board. Without `output` its result is JSON: see `board` in the docs.
 *  @throws {FlotillaError} DEFINITION_* when an option is wrong */
export function swarm<Input = Json, Parsed = Input, Output = Json>(
  options: SwarmWorkflowOptions<Input, Parsed, Output>,
): Workflow<Input, Output> {
  const { members, board, types, goal, itemsMax, onFailed, onUnclaimed, result, ...common } = options;
  return workflow<Input, Parsed, Output>({
    ...common,
    pattern: swarmPattern,
    options: { members, board, types, goal, itemsMax, onFailed, onUnclaimed, result },
  });
}
