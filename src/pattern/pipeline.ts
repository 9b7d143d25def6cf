import { z } from "zod";
import type { Json } from "../core/json.ts";
import { type Workflow, type WorkflowCommon, workflow } from "../definition/workflow.ts";
import { compiledGraph, compileGraph } from "./graph-compile.ts";
import type { Who } from "./graph.ts";
import { agentsOfTask, type GraphOptions, severally, whoProblem } from "./graph-option.ts";
import { bindGraph, planGraph } from "./graph-plan.ts";
import { type AgentRef, AgentName, duplicate, type Seat, seatIds, TaskId, TemplateJson } from "./option.ts";
import { definePattern } from "./pattern.ts";

const StageShape = z.union([
  AgentName,
  z.strictObject({
    agent: AgentName.optional(),
    ...severally,
    id: TaskId.optional().describe("Default: the agent's name."),
    input: TemplateJson.optional().describe("Default: the output of the stage before, the run's input for the first."),
  }),
]);

const Stages = z.strictObject({
  stages: z.array(StageShape).min(1).describe("Agents, each given what the one before made of it."),
});

const PipelineShape = Stages.superRefine((options, issues) => {
  for (const [index, stage] of options.stages.map(stageOf).entries()) {
    const problem = whoProblem(stage) ?? (stage.agent === undefined && stage.id === undefined ? NAMELESS : null);
    if (problem === null) continue;
    issues.addIssue({ code: "custom", path: ["stages", index, problem.key], message: problem.message });
    return;
  }
  const ids = idsOf(options);
  const twice = duplicate(ids);
  if (twice !== null) {
    const message = `gives a second stage the id "${twice.id}"`;
    issues.addIssue({
      code: "custom",
      path: ["stages", twice.index],
      message,
      params: { code: "DEFINITION_DUPLICATE" },
    });
    return;
  }
  for (const { path, message } of compileGraph(chain(options)).problems) {
    const [, id = "", ...rest] = path;
    const params = { code: "DEFINITION_EXPRESSION" };
    issues.addIssue({ code: "custom", path: ["stages", ids.indexOf(id), ...rest], message, params });
  }
});

type PipelineOptions = z.output<typeof PipelineShape>;

const chains = new WeakMap<PipelineOptions, GraphOptions>();

const graphOf = (options: PipelineOptions) => {
  const known = chains.get(options) ?? chain(options);
  chains.set(options, known);
  return compiledGraph(known);
};

/** Agents in a row, each given the output of the one before (C3): a graph whose tasks form a chain. */
export const pipelinePattern = definePattern({
  name: "pipeline",
  options: PipelineShape,
  agents: ({ stages }) => stages.flatMap((stage) => agentsOfTask(stageOf(stage))),
  tasks: (options) =>
    [...graphOf(options).tasks.values()].map(({ id, needs }) => ({ id, needs: needs.map((need) => need.task) })),
  plan: (view, change) => planGraph(graphOf(view.options), view, change),
  bind: (view, task) => bindGraph(graphOf(view.options), view, task),
});

type Stage<Output = unknown> = AgentRef<Output> | { agent: AgentRef<Output>; id?: string; input?: Json } | SeveralStage;

type SeveralStage = Extract<Who, { agents: unknown }> & { id: string; input?: Json };

export interface PipelineWorkflowOptions<Input, Parsed, Output> extends WorkflowCommon<Input, Parsed, Output> {
  /** At least one; the run's output is the last one's. */
  stages: readonly [...Stage[], Stage<Output>];
}

/** A workflow of agents in a row. @throws {FlotillaError} DEFINITION_* when an option is unknown or wrong */
export function pipeline<Input = Json, Parsed = Input, Output = Json>(
  options: PipelineWorkflowOptions<Input, Parsed, Output>,
): Workflow<Input, Output> {
  const { stages, ...common } = options;
  return workflow<Input, Parsed, Output>({ ...common, pattern: pipelinePattern, options: { stages } });
}

function stageOf(stage: z.output<typeof StageShape>): Exclude<z.output<typeof StageShape>, string> {
  return typeof stage === "string" ? { agent: stage } : stage;
}

const NAMELESS = { key: "id", message: "must be given where several agents are asked" };

function idsOf({ stages }: z.output<typeof Stages>): string[] {
  return seatIds(stages.map(stageOf).map(({ agent = "", id }): Seat => ({ agent, id })));
}

function chain({ stages }: PipelineOptions): GraphOptions {
  const ids = idsOf({ stages });
  const tasks = stages
    .map(stageOf)
    .map(({ agent, agents, resolve, input }, index): [string, GraphOptions["tasks"][string]] => {
      const before = ids[index - 1];
      return [
        ids[index] ?? "",
        {
          agent,
          agents,
          resolve,
          needs: before === undefined ? [] : [before],
          ...(input === undefined ? {} : { input }),
        },
      ];
    });
  return { tasks: Object.fromEntries(tasks), onFailure: "stop" };
}
