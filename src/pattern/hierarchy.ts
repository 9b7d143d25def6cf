import { z } from "zod";
import type { JsonSchema } from "../core/definition.ts";
import { findCycle } from "../core/graph.ts";
import type { Binding, Edit, TaskSpec, TaskView } from "../core/planner.ts";
import type { Json } from "../core/json.ts";
import { type Workflow, type WorkflowCommon, workflow } from "../definition/workflow.ts";
import { failure, lost } from "./failure.ts";
import { type AgentRef, AgentName, TaskId } from "./option.ts";
import { definePattern, type PatternView } from "./pattern.ts";

const HierarchyShape = z.strictObject({
  orchestrator: AgentName.describe("Divides the request among domains, and concludes from what they report."),
  domains: z
    .record(TaskId, AgentName)
    .refine((domains) => Object.keys(domains).length > 0, { error: "must hold a domain" })
    .describe("Who coordinates each domain: a workflow, whose run is a scope of its own, or one agent."),
  onFailure: z
    .enum(["report", "fail"])
    .default("report")
    .describe("What the failure of a domain does: it is reported to the orchestrator, or fails the run."),
});

type Options = z.output<typeof HierarchyShape>;
type View = PatternView<Options>;

const Plan = z.object({
  assignments: z
    .array(z.object({ domain: z.string(), instruction: z.string().min(1), needs: z.array(z.string()).default([]) }))
    .min(1),
});
type Plan = z.output<typeof Plan>;

/** How often the orchestrator is asked for a plan before an invalid one fails the run. */
const PLANS_MAX = 3;

/** An orchestrator over domain coordinators over workers (C3). A domain is mostly a workflow, of any pattern, this one
 *  too: its run sees its instruction and what it needs of other domains, the orchestrator sees what domains report, a
 *  failure too. Tasks: `plan/N` { act: "plan", … }, `domain/NAME` { instruction, reports }, `conclude`
 *  { act: "conclude", … }, whose output is the run's. */
export const hierarchyPattern = definePattern({
  name: "hierarchy",
  options: HierarchyShape,
  agents: ({ orchestrator, domains }) => [orchestrator, ...Object.values(domains)],
  plan: (view, change) => {
    if (change.type === "started") return [askForPlan(view, 1, [])];
    const { task } = change;
    const [act, id = ""] = task.id.split("/");
    if (act === "plan") return divided(view, task, Number(id));
    if (act === "conclude")
      return [task.status === "completed" ? { edit: "finish", output: task.output ?? null } : lost(task)];
    return task.status === "failed" && view.options.onFailure === "fail" ? [lost(task)] : [];
  },
  bind: (view, task) => (task.id === "conclude" ? conclusion(view) : order(view, task)),
});

export interface HierarchyWorkflowOptions<Input, Parsed, Output>
  extends WorkflowCommon<Input, Parsed, Output>,
    Omit<z.input<typeof HierarchyShape>, "orchestrator" | "domains"> {
  orchestrator: AgentRef<Output>;
  domains: Readonly<Record<string, AgentRef>>;
}

/** A workflow of domains under an orchestrator. @throws {FlotillaError} DEFINITION_* when an option is wrong */
export function hierarchy<Input = Json, Parsed = Input, Output = Json>(
  options: HierarchyWorkflowOptions<Input, Parsed, Output>,
): Workflow<Input, Output> {
  const { orchestrator, domains, onFailure, ...common } = options;
  const own = { orchestrator, domains, onFailure };
  return workflow<Input, Parsed, Output>({ ...common, pattern: hierarchyPattern, options: own });
}

function askForPlan({ options, input, describe }: View, number: number, problems: readonly string[]): Edit {
  const domains = Object.entries(options.domains).map(([name, seat]) => ({
    name,
    description: describe?.(seat) ?? "",
  }));
  const todo =
    "Divide the request among the domains, at most one instruction for each. Those without needs run at once.";
  const again: { [key: string]: Json } = problems.length === 0 ? {} : { problems: [...problems] };
  const asked = { act: "plan", todo, request: input, domains, ...again };
  const why = number === 1 ? "divide the request" : "divide it again: the last plan was invalid";
  const output = planSchema(Object.keys(options.domains));
  return { edit: "add", task: { id: `plan/${number}`, agent: options.orchestrator, input: asked, output, why } };
}

/** A sound plan starts, all of it in one revision; the problems of another go back to the orchestrator. */
function divided(view: View, task: TaskView, number: number): readonly Edit[] {
  if (task.status !== "completed") return [lost(task)];
  const { domains, orchestrator } = view.options;
  const parsed = Plan.safeParse(task.output);
  const problems = parsed.success ? problemsIn(parsed.data, domains) : [z.prettifyError(parsed.error)];
  if (parsed.success && problems.length === 0) {
    const tasks = parsed.data.assignments.map(({ domain, needs }): TaskSpec => {
      const after = needs.map((need) => `domain/${need}`);
      return { id: `domain/${domain}`, agent: domains[domain] ?? "", needs: after, why: `the part of ${domain}` };
    });
    const all = tasks.map(({ id }) => ({ task: id, on: "settled" as const }));
    const last = { id: "conclude", agent: orchestrator, needs: all, why: "every domain has reported" };
    return [...tasks, last].map((one) => ({ edit: "add", task: one }));
  }
  if (number < PLANS_MAX) return [askForPlan(view, number + 1, problems)];
  const message = `the orchestrator's plan is invalid after ${PLANS_MAX} attempts: ${problems.join("; ")}`;
  return [{ edit: "fail", error: failure("PLAN_INVALID", message, { problems }), task: task.id }];
}

function problemsIn({ assignments }: Plan, domains: Options["domains"]): string[] {
  const given = assignments.map(({ domain }) => domain);
  const cycle = findCycle(new Map(assignments.map(({ domain, needs }) => [domain, [...needs]])), () => []);
  return [
    ...given.filter((name) => !Object.hasOwn(domains, name)).map((name) => `there is no domain "${name}"`),
    ...given.filter((name, index) => given.indexOf(name) < index).map((name) => `"${name}" has two instructions`),
    ...assignments.flatMap(({ domain, needs }) =>
      needs.filter((need) => !given.includes(need)).map((need) => `"${domain}" needs "${need}", which has none`),
    ),
    ...(cycle === null ? [] : [`domains need each other: ${cycle.join(" → ")}`]),
  ];
}

/** What a domain is told: its instruction, and what the domains that it needs have reported. */
function order(view: View, task: TaskView): Binding {
  const assignment = assignmentsOf(view).find(({ domain }) => task.id === `domain/${domain}`);
  if (assignment === undefined) return { fail: failure("INVARIANT", `${task.id} is in no plan`) };
  const { instruction, needs } = assignment;
  const reports = Object.fromEntries(needs.map((need) => [need, view.task(`domain/${need}`)?.output ?? null]));
  return { input: { instruction, reports } };
}

function conclusion(view: View): Binding {
  const reports = assignmentsOf(view).map(({ domain, instruction }): Json => {
    const task = view.task(`domain/${domain}`);
    const { code, message } = task?.error ?? failure("DEPENDENCY_FAILED", `what ${domain} needs was not done`);
    return task?.status === "completed"
      ? { domain, instruction, result: task.output ?? null }
      : { domain, instruction, error: { code, message } };
  });
  const todo = "Make the final answer to the request from the reports.";
  return { input: { act: "conclude", todo, request: view.input, reports } };
}

function assignmentsOf(view: View): Plan["assignments"] {
  let number = PLANS_MAX;
  while (number > 1 && view.task(`plan/${number}`)?.status !== "completed") number -= 1;
  return Plan.parse(view.task(`plan/${number}`)?.output).assignments;
}

function planSchema(domains: readonly string[]): JsonSchema {
  const name = { type: "string", enum: [...domains] };
  const properties = {
    domain: name,
    instruction: { type: "string", description: "All that it is to do; it sees nothing else of the request." },
    needs: { type: "array", items: name, description: "Domains whose reports it needs." },
  };
  const item = {
    type: "object",
    properties,
    required: ["domain", "instruction", "needs"],
    additionalProperties: false,
  };
  const assignments = { type: "array", minItems: 1, items: item };
  return { type: "object", properties: { assignments }, required: ["assignments"], additionalProperties: false };
}
