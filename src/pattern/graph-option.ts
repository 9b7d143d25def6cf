import { z } from "zod";
import { PRIORITY, type PriorityName } from "../core/definition.ts";
import { compileGraph } from "./graph-compile.ts";
import { AgentName, TaskId, TemplateJson } from "./option.ts";

const Need = z.union([
  z.string(),
  z.strictObject({
    task: z.string(),
    on: z
      .enum(["completed", "settled", "failed"])
      .default("completed")
      .describe("What must have become of it. `settled`: whatever it was."),
  }),
]);

export const GraphTaskShape = z.strictObject({
  agent: AgentName,
  needs: z
    .union([Need, z.array(Need)])
    .optional()
    .describe("Tasks that come first. Those that an expression reads need not be named again."),
  input: TemplateJson.optional().describe(
    "Default: the run's input without needs, the output of a single need, a map of outputs by task for several; in forEach the item.",
  ),
  forEach: z
    .union([z.string(), z.array(TemplateJson)])
    .optional()
    .describe(
      "A list, or an expression that gives one: the task runs once for each item, and its output is the list of outputs.",
    ),
  when: z.string().optional().describe("A condition: the task is skipped when it is false, and so is what needs it."),
  priority: z.enum(Object.keys(PRIORITY) as [PriorityName, ...PriorityName[]]).optional(),
  why: z.string().optional().describe("What it is for, for people."),
});

/** The options of `graph`. Expressions are compiled as part of the check, so that a mistake in one is found where it stands. */
export const GraphShape = z
  .strictObject({
    tasks: z
      .record(TaskId, GraphTaskShape)
      .refine((tasks) => Object.keys(tasks).length > 0, { error: "must hold a task" }),
    result: TemplateJson.optional().describe(
      "The run's output. Default: the output of the task that no other needs; a map of outputs by task for several.",
    ),
    onFailure: z
      .enum(["stop", "continue"])
      .default("stop")
      .describe("`stop`: the first failure fails the run. `continue`: what does not need the failed task goes on."),
  })
  .superRefine((options, issues) => {
    for (const { path, message } of compileGraph(options).problems) {
      issues.addIssue({ code: "custom", path, message, params: { code: "DEFINITION_EXPRESSION" } });
    }
  });

export type GraphOptions = z.output<typeof GraphShape>;
export type GraphTask = z.output<typeof GraphTaskShape>;
