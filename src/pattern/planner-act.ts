import { z } from "zod";
import type { JsonSchema } from "../core/definition.ts";
import { findCycle } from "../core/graph.ts";
import type { AgentProfile, RunLeft } from "../core/planner.ts";
import { language } from "../expression/expression.ts";

// What a planner is asked for, and how its answers are checked (C4, C5).

const overOutput = language(["output"]);

function taskShape(workers: readonly string[]) {
  return z.strictObject({
    id: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/)
      .describe("A short name, unique in the plan."),
    agent: z.enum(workers),
    instruction: z.string().min(1).describe("All that the worker needs to know, beside the results of `needs`."),
    needs: z.array(z.string()).default([]).describe("Tasks of this plan whose results it is given."),
    requires: z
      .strictObject({
        tools: z.array(z.string()).default([]),
        domains: z.array(z.string()).default([]),
        taskTypes: z.array(z.string()).default([]),
      })
      .optional()
      .describe("What its agent must be able to do."),
    expect: z
      .string()
      .optional()
      .describe("What its result must be: CEL over `output`. Anything else revises the plan."),
    tokens: z.int().min(0).optional().describe("How many tokens it may need."),
  });
}

const planShape = (workers: readonly string[]) => z.strictObject({ tasks: z.array(taskShape(workers)).min(1) });

function patchShape(workers: readonly string[]) {
  return z.strictObject({
    why: z.string().min(1).describe("Why the plan is revised so."),
    add: z.array(taskShape(workers)).default([]).describe("New tasks."),
    replace: z.array(taskShape(workers)).default([]).describe("Tasks that are to be done otherwise, under their ids."),
    cancel: z.array(z.string()).default([]).describe("Tasks that are not needed any more."),
    accept: z.array(z.string()).default([]).describe("Results that are good although they were not expected."),
    giveUp: z.boolean().default(false).describe("The request cannot be met: ends the run."),
  });
}

export type PlannedTask = z.output<ReturnType<typeof taskShape>>;
export type Patch = z.output<ReturnType<typeof patchShape>>;

interface Acts {
  plan: ReturnType<typeof planShape>;
  patch: ReturnType<typeof patchShape>;
  /** As a task's `output`: models are held to it. */
  planSchema: JsonSchema;
  patchSchema: JsonSchema;
}

const cache = new WeakMap<readonly string[], Acts>();

/** The acts for these workers; made once for each list. */
export function actsFor(workers: readonly string[]): Acts {
  const known = cache.get(workers);
  if (known !== undefined) return known;
  const [plan, patch] = [planShape(workers), patchShape(workers)];
  const acts = { plan, patch, planSchema: jsonSchema(plan), patchSchema: jsonSchema(patch) };
  cache.set(workers, acts);
  return acts;
}

/** What a plan is checked against. */
export interface Bounds {
  tasksMax: number;
  profile(agent: string): AgentProfile | undefined;
  left: RunLeft | undefined;
}

/** All that is wrong with the tasks of a plan: names, needs, cycles, capabilities, size, budget. `done`: those of which
 *  nothing has to be done any more. */
export function planProblems(
  tasks: readonly PlannedTask[],
  bounds: Bounds,
  done: ReadonlySet<string> = new Set(),
): string[] {
  const needs = new Map(tasks.map((task) => [task.id, task.needs]));
  const open = tasks.filter(({ id }) => !done.has(id));
  const problems = tasks.flatMap((task, index) => [
    ...(tasks.findIndex((other) => other.id === task.id) < index ? [`two tasks have the id ${task.id}`] : []),
    ...task.needs
      .filter((need) => !needs.has(need))
      .map((need) => `task ${task.id} needs ${need}, which the plan does not hold`),
  ]);
  problems.push(...open.flatMap((task) => [...lacks(task, bounds), ...expectProblem(task)]));
  const cycle = findCycle(needs, () => []);
  if (cycle !== null) problems.push(`tasks need each other in a cycle: ${cycle.join(" → ")}`);
  if (tasks.length > bounds.tasksMax)
    problems.push(`the plan has ${tasks.length} tasks; at most ${bounds.tasksMax} are allowed`);
  return [...problems, ...budgetProblems(open, bounds)];
}

function lacks({ id, agent, requires, tokens }: PlannedTask, { profile }: Bounds): string[] {
  const able = profile(agent);
  if (able === undefined) return [];
  const missing = (["tools", "domains", "taskTypes"] as const).flatMap((kind) =>
    (requires?.[kind] ?? []).filter((one) => !able[kind].includes(one)).map((one) => `${kind} ${one}`),
  );
  return [
    ...(missing.length === 0 ? [] : [`task ${id} requires ${missing.join(", ")}, which ${agent} does not have`]),
    ...(tokens !== undefined && tokens > able.tokensMax
      ? [`task ${id} may need ${tokens} tokens; ${agent} has ${able.tokensMax} for a task`]
      : []),
  ];
}

function expectProblem({ id, expect }: PlannedTask): string[] {
  const compiled = expect === undefined ? null : overOutput.expression(expect);
  return compiled === null || compiled.ok ? [] : [`what task ${id} expects is no expression: ${compiled.problem}`];
}

function budgetProblems(open: readonly PlannedTask[], { left }: Bounds): string[] {
  if (left === undefined) return [];
  const tokens = open.reduce((sum, task) => sum + (task.tokens ?? 0), 0);
  return [
    ...(tokens > left.tokens ? [`the plan may need ${tokens} tokens; the run has ${left.tokens} left`] : []),
    ...(open.length > left.tasks ? [`the plan has ${open.length} open tasks; the run may add ${left.tasks}`] : []),
  ];
}

/** Compiled, once for each text. */
export function expectation(source: string) {
  return overOutput.expression(source);
}

export function issuesOf(error: z.ZodError): string[] {
  return error.issues.map(({ path, message }) => (path.length === 0 ? message : `${path.join(".")}: ${message}`));
}

function jsonSchema(schema: z.ZodType): JsonSchema {
  const { $schema: _, "~standard": __, ...rest } = z.toJSONSchema(schema, { io: "input" });
  return JSON.parse(JSON.stringify(rest)) as JsonSchema;
}
