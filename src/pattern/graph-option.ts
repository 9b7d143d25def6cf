import { z } from "zod";
import { PRIORITY, type PriorityName } from "../core/definition.ts";
import { compileGraph } from "./graph-compile.ts";
import { AgentName, duplicate, type Seat, seatIds, TaskId, TemplateJson } from "./option.ts";
import { ResolveShape } from "./resolve-option.ts";

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

/** An agent among several that are asked the same. */
export const SideShape = z.union([AgentName, z.strictObject({ agent: AgentName, id: TaskId.optional() })]);

/** Several agents in one place, and how one answer is made of theirs (C9). */
export const severally = {
  agents: z.array(SideShape).min(2).max(100).optional().describe("Agents that are all asked the same, with `resolve`."),
  resolve: ResolveShape.optional(),
};

/** What is wrong with who does a task; null when nothing is. */
export function whoProblem({
  agent,
  agents,
  resolve,
  forEach,
}: {
  agent?: string | undefined;
  agents?: readonly Side[] | undefined;
  resolve?: unknown;
  forEach?: unknown;
}): { key: string; message: string } | null {
  if (agents === undefined) {
    if (agent === undefined) return { key: "agent", message: "must be given, or `agents`" };
    return resolve === undefined ? null : { key: "resolve", message: "goes with `agents`" };
  }
  if (agent !== undefined) return { key: "agents", message: "must not be given beside `agent`" };
  if (resolve === undefined) return { key: "resolve", message: "must say how one answer is made of several" };
  if (forEach !== undefined) return { key: "forEach", message: "does not go with `agents`" };
  const twice = duplicate(seatIds(agents.map(sideOf)));
  return twice === null ? null : { key: "agents", message: `gives a second agent the id "${twice.id}"` };
}

type Side = z.output<typeof SideShape>;

const sideOf = (side: Side): Seat => (typeof side === "string" ? { agent: side } : side);

export const GraphTaskShape = z.strictObject({
  agent: AgentName.optional(),
  ...severally,
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
    for (const [id, task] of Object.entries(options.tasks)) {
      const problem = whoProblem(task);
      if (problem !== null)
        issues.addIssue({ code: "custom", path: ["tasks", id, problem.key], message: problem.message });
    }
    for (const { path, message } of compileGraph(options).problems) {
      issues.addIssue({ code: "custom", path, message, params: { code: "DEFINITION_EXPRESSION" } });
    }
  });

export type GraphOptions = z.output<typeof GraphShape>;
export type GraphTask = z.output<typeof GraphTaskShape>;

/** Every agent that a task names. */
export function agentsOfTask({
  agent,
  agents = [],
  resolve,
}: Pick<GraphTask, "agent" | "agents" | "resolve">): string[] {
  return [agent, ...agents.map((side) => sideOf(side).agent), resolve?.judge].filter((name) => name !== undefined);
}
