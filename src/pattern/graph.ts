import type { z } from "zod";
import type { Json } from "../core/json.ts";
import { type Workflow, type WorkflowCommon, workflow } from "../definition/workflow.ts";
import { compiledGraph } from "./graph-compile.ts";
import { GraphShape, type GraphTaskShape } from "./graph-option.ts";
import { bindGraph, planGraph } from "./graph-plan.ts";
import { type AgentRef } from "./option.ts";
import { definePattern } from "./pattern.ts";

/** The explicit task graph (C1, C3): tasks, what they need, over which list, on which condition. */
export const graphPattern = definePattern({
  name: "graph",
  options: GraphShape,
  agents: ({ tasks }) => Object.values(tasks).map((task) => task.agent),
  tasks: (options) =>
    [...compiledGraph(options).tasks.values()].map(({ id, needs }) => ({ id, needs: needs.map((need) => need.task) })),
  plan: (view, change) => planGraph(compiledGraph(view.options), view, change),
  bind: (view, task) => bindGraph(compiledGraph(view.options), view, task),
});

export interface GraphWorkflowOptions<Input, Parsed, Output>
  extends WorkflowCommon<Input, Parsed, Output>,
    Omit<z.input<typeof GraphShape>, "tasks"> {
  /** The tasks by id. */
  tasks: Record<string, Omit<z.input<typeof GraphTaskShape>, "agent"> & { agent: AgentRef }>;
}

/** A workflow that is an explicit task graph. `needs` gives the edges; tasks that an expression reads (`tasks.ID`) need
 *  not be named there. @throws {FlotillaError} DEFINITION_* when an option is unknown or wrong */
export function graph<Input = Json, Parsed = Input, Output = Json>(
  options: GraphWorkflowOptions<Input, Parsed, Output>,
): Workflow<Input, Output> {
  const { tasks, result, onFailure, ...common } = options;
  return workflow<Input, Parsed, Output>({
    ...common,
    pattern: graphPattern,
    options: { tasks, result, onFailure },
  });
}
