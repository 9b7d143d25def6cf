import { z } from "zod";
import type { Json } from "../core/json.ts";
import { type Workflow, type WorkflowCommon, workflow } from "../definition/workflow.ts";
import { type AgentRef, AgentName } from "./option.ts";
import { definePattern } from "./pattern.ts";
import { askForPlan, planned, reviewed, synthesised, worked } from "./supervisor-plan.ts";

const SupervisorShape = z.strictObject({
  lead: AgentName.describe("Plans, reviews each result, and makes the run's output of the accepted ones."),
  workers: z.array(AgentName).min(1).describe("Agents that the lead may give work to."),
  roundsMax: z.int().min(1).max(100).default(3).describe("Attempts at one subtask before it counts as rejected."),
  tasksMax: z.int().min(1).max(1_000).default(32).describe("Subtasks in a plan."),
  onRejected: z
    .enum(["fail", "synthesise"])
    .default("fail")
    .describe("What a rejected subtask does to the run: fails it, or leaves it to the lead, which is told of it."),
});

export type SupervisorOptions = z.output<typeof SupervisorShape>;

/** A lead plans, delegates, reviews each result (accept, retry with feedback, reassign) and synthesises (C3, C4).
 *
 *  The lead's tasks are ordinary tasks whose input says the act: `plan/N` { act: "plan", … }, `review/ID/N`
 *  { act: "review", … } with output schemas of their own, and `synthesise` { act: "synthesise", … } with the lead's own
 *  output, which is the run's. Workers' tasks are `work/ID/N`: { instruction, results, feedback?, previous? }. */
export const supervisorPattern = definePattern({
  name: "supervisor",
  options: SupervisorShape,
  agents: ({ lead, workers }) => [lead, ...workers],
  plan: (view, change) => {
    if (change.type === "started") return [askForPlan(view, 1)];
    const [act, id = "", number = ""] = change.task.id.split("/");
    if (act === "plan") return planned(view, change.task, Number(id));
    if (act === "work") return worked(view, change.task, id, Number(number));
    if (act === "review") return reviewed(view, change.task, id, Number(number));
    return synthesised(change.task);
  },
});

export interface SupervisorWorkflowOptions<Input, Parsed, Output>
  extends WorkflowCommon<Input, Parsed, Output>,
    Omit<z.input<typeof SupervisorShape>, "lead" | "workers"> {
  lead: AgentRef<Output>;
  workers: readonly AgentRef[];
}

/** A workflow that a lead plans, reviews and concludes. @throws {FlotillaError} DEFINITION_* when an option is wrong */
export function supervisor<Input = Json, Parsed = Input, Output = Json>(
  options: SupervisorWorkflowOptions<Input, Parsed, Output>,
): Workflow<Input, Output> {
  const { lead, workers, roundsMax, tasksMax, onRejected, ...common } = options;
  return workflow<Input, Parsed, Output>({
    ...common,
    pattern: supervisorPattern,
    options: { lead, workers, roundsMax, tasksMax, onRejected },
  });
}
