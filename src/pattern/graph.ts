import type { z } from "zod";
import type { Json } from "../core/json.ts";
import { type Workflow, type WorkflowCommon, workflow } from "../definition/workflow.ts";
import { compiledGraph } from "./graph-compile.ts";
import { agentsOfTask, GraphShape, type GraphTaskShape } from "./graph-option.ts";
import { bindGraph, planGraph } from "./graph-plan.ts";
import { type AgentRef } from "./option.ts";
import type { ResolveOptions } from "./resolve-option.ts";
import { definePattern } from "./pattern.ts";

/** The explicit task graph (C1, C3): tasks, what they need, over which list, on which condition. */
export const graphPattern = definePattern({
  name: "graph",
  options: GraphShape,
  agents: ({ tasks }) => Object.values(tasks).flatMap(agentsOfTask),
  tasks: (options) =>
    [...compiledGraph(options).tasks.values()].map(({ id, needs }) => ({ id, needs: needs.map((need) => need.task) })),
  plan: (view, change) => planGraph(compiledGraph(view.options), view, change),
  bind: (view, task) => bindGraph(compiledGraph(view.options), view, task),
});

type SeatedTask = Omit<z.input<typeof GraphTaskShape>, keyof Who> & Who;

/** Who does it: one agent, or several and how one answer is made of theirs. */
export type Who =
  | { agent: AgentRef; agents?: undefined; resolve?: undefined }
  | { agent?: undefined; agents: readonly (AgentRef | { agent: AgentRef; id?: string })[]; resolve: ResolveOptions };

export interface GraphWorkflowOptions<Input, Parsed, Output>
  extends WorkflowCommon<Input, Parsed, Output>,
    Omit<z.input<typeof GraphShape>, "tasks"> {
  /** The tasks by id. */
  tasks: Record<string, SeatedTask>;
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
