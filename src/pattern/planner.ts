import { z } from "zod";
import type { Json } from "../core/json.ts";
import { type Workflow, type WorkflowCommon, workflow } from "../definition/workflow.ts";
import { type AgentRef, AgentName } from "./option.ts";
import { definePattern } from "./pattern.ts";
import { expectation } from "./planner-act.ts";
import { askForPlan, bindWork, concluded, planned, revised, worked } from "./planner-plan.ts";

const Shape = z.strictObject({
  planner: AgentName.describe("Plans, revises the plan when something unforeseen happens, and concludes."),
  workers: z.array(AgentName).min(1).describe("Agents that the plan may give work to."),
  tasksMax: z.int().min(1).max(1_000).default(32).describe("Tasks in a plan."),
  attemptsMax: z
    .int()
    .min(1)
    .max(20)
    .default(3)
    .describe("How often a plan or a patch may be wrong before the run fails."),
  revisionsMax: z.int().min(0).max(100).default(5).describe("How often the plan may be revised."),
  expect: z
    .string()
    .min(1)
    .optional()
    .describe("What every result must be: CEL over `output`. Anything else revises the plan."),
  reviewer: AgentName.optional().describe("Says of every result whether the plan expects it: { expected, why }."),
});

const PlannerShape = Shape.superRefine(({ expect }, issues) => {
  const compiled = expect === undefined ? null : expectation(expect);
  if (compiled === null || compiled.ok) return;
  const params = { code: "DEFINITION_EXPRESSION" };
  issues.addIssue({ code: "custom", path: ["expect"], message: compiled.problem, params });
});

export type PlannerOptions = z.output<typeof Shape>;

/** A planner makes a task graph of the request, against what the workers can do (C4); what fails, surprises or is
 *  objected to revises the rest of it by patches, so often (C5). Plans and patches are checked before any of them runs;
 *  finished work is kept, superseded tasks are cancelled, and each revision is on record with its reason.
 *
 *  The planner's tasks: `plan/N` { act: "plan", … }, `revise/REVISION/N` { act: "revise", … } and `conclude`
 *  { act: "conclude", … }, whose output is the run's. Workers' tasks are `do/ID/N`: { instruction, results }. */
export const plannerPattern = definePattern({
  name: "planner",
  options: PlannerShape,
  agents: ({ planner, workers, reviewer }) => [planner, ...workers, ...(reviewer === undefined ? [] : [reviewer])],
  plan: (view, change) => {
    if (change.type === "started") return [askForPlan(view, 1)];
    if (change.type !== "settled") return [];
    const [act, id = "", number = ""] = change.task.id.split("/");
    if (act === "plan") return planned(view, change.task, Number(id));
    if (act === "do" || act === "review") return worked(view, change.task, id, Number(number));
    if (act === "revise") return revised(view, change.task, Number(id), Number(number));
    return concluded(change.task);
  },
  bind: bindWork,
});

export interface PlannerWorkflowOptions<Input, Parsed, Output>
  extends WorkflowCommon<Input, Parsed, Output>,
    Omit<z.input<typeof Shape>, "planner" | "workers" | "reviewer"> {
  planner: AgentRef<Output>;
  workers: readonly AgentRef[];
  reviewer?: AgentRef;
}

/** A workflow that a planner plans and revises. @throws {FlotillaError} DEFINITION_* when an option is wrong */
export function planner<Input = Json, Parsed = Input, Output = Json>(
  options: PlannerWorkflowOptions<Input, Parsed, Output>,
): Workflow<Input, Output> {
  const { planner: lead, workers, tasksMax, attemptsMax, revisionsMax, expect, reviewer, ...common } = options;
  return workflow<Input, Parsed, Output>({
    ...common,
    pattern: plannerPattern,
    options: { planner: lead, workers, tasksMax, attemptsMax, revisionsMax, expect, reviewer },
  });
}
