import { z } from "zod";
import type { JsonSchema } from "../core/definition.ts";
import { findCycle } from "../core/graph.ts";
import type { Json } from "../core/json.ts";

// What a supervisor's lead is asked for, and how its answers are checked.

const SubtaskId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/);

function planShape(workers: readonly string[]) {
  return z.strictObject({
    tasks: z
      .array(
        z.strictObject({
          id: SubtaskId.describe("A short name, unique in the plan."),
          agent: z.enum(workers),
          instruction: z
            .string()
            .min(1)
            .describe("All that the worker needs to know; it sees nothing else but the results of `needs`."),
          needs: z
            .array(z.string())
            .default([])
            .describe("Tasks of this plan whose results it is given; it starts when they are accepted."),
        }),
      )
      .min(1),
  });
}

function reviewShape(workers: readonly string[]) {
  return z.strictObject({
    verdict: z.enum(["accept", "retry", "reassign"]),
    feedback: z.string().optional().describe("What to do better."),
    agent: z.enum(workers).optional().describe("With reassign: who does it next."),
  });
}

export type Plan = z.output<ReturnType<typeof planShape>>;
export type Subtask = Plan["tasks"][number];
export type Review = z.output<ReturnType<typeof reviewShape>>;

interface Acts {
  plan: ReturnType<typeof planShape>;
  review: ReturnType<typeof reviewShape>;
  /** As a task's `output`: models are held to it. */
  planSchema: JsonSchema;
  reviewSchema: JsonSchema;
}

const cache = new WeakMap<readonly string[], Acts>();

/** The acts for these workers; made once for each list. */
export function actsFor(workers: readonly string[]): Acts {
  const known = cache.get(workers);
  if (known !== undefined) return known;
  const [plan, review] = [planShape(workers), reviewShape(workers)];
  const acts = { plan, review, planSchema: jsonSchema(plan), reviewSchema: jsonSchema(review) };
  cache.set(workers, acts);
  return acts;
}

/** The plan, or all that is wrong with it (C4): form, workers, names, needs, cycles, size. */
export function checkPlan(
  output: Json | undefined,
  workers: readonly string[],
  tasksMax: number,
): Plan | { problems: string[] } {
  const parsed = actsFor(workers).plan.safeParse(output);
  if (!parsed.success) return { problems: issuesOf(parsed.error) };
  const { tasks } = parsed.data;
  const needs = new Map(tasks.map((task) => [task.id, task.needs]));
  const problems = tasks.flatMap((task, index) => [
    ...(tasks.findIndex((other) => other.id === task.id) < index ? [`two tasks have the id ${task.id}`] : []),
    ...task.needs
      .filter((need) => !needs.has(need))
      .map((need) => `task ${task.id} needs ${need}, which the plan does not hold`),
  ]);
  if (tasks.length > tasksMax) problems.push(`the plan has ${tasks.length} tasks; at most ${tasksMax} are allowed`);
  const cycle = findCycle(needs, () => []);
  if (cycle !== null) problems.push(`tasks need each other in a cycle: ${cycle.join(" → ")}`);
  return problems.length > 0 ? { problems } : parsed.data;
}

/** The review, or all that is wrong with it. */
export function checkReview(output: Json | undefined, workers: readonly string[]): Review | { problems: string[] } {
  const parsed = actsFor(workers).review.safeParse(output);
  return parsed.success ? parsed.data : { problems: issuesOf(parsed.error) };
}

function issuesOf(error: z.ZodError): string[] {
  return error.issues.map(({ path, message }) => (path.length === 0 ? message : `${path.join(".")}: ${message}`));
}

function jsonSchema(schema: z.ZodType): JsonSchema {
  const { $schema: _, "~standard": __, ...rest } = z.toJSONSchema(schema, { io: "input" });
  return JSON.parse(JSON.stringify(rest)) as JsonSchema;
}
