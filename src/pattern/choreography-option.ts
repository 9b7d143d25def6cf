import { z } from "zod";
import { PRIORITY, type PriorityName } from "../core/definition.ts";
import { type Compiled, type Expression, language, type Language, type Template } from "../expression/expression.ts";
import { AgentName, duplicate, seatIds, TaskId, TemplateJson } from "./option.ts";

/** What rules can react to. */
export const REACTIONS = ["started", "completed", "failed"] as const;

export const RuleShape = z.strictObject({
  id: TaskId.optional().describe("Names the rule, and its tasks RULE/NUMBER. Default: its agent's name."),
  on: z.enum(REACTIONS).describe("The event: the run started, or a task of any rule completed or failed."),
  when: z
    .string()
    .min(1)
    .default("true")
    .describe(
      "Which of these events: CEL over `event` (type, task, rule, agent, input, output, error) and `input`. Default: all.",
    ),
  agent: AgentName,
  input: TemplateJson.optional().describe(
    "What the agent is given, with expressions over `event` and `input`. Default: the output of what completed, else the run's input.",
  ),
  priority: z
    .enum(Object.keys(PRIORITY) as [PriorityName, ...PriorityName[]])
    .optional()
    .describe("Of its tasks. Default: the run's."),
});

const Shape = z.strictObject({
  rules: z.array(RuleShape).min(1).max(1_000).describe("Who reacts to what. Every rule that applies to an event does."),
  goal: z
    .string()
    .min(1)
    .optional()
    .describe("Ends the run when it is true: CEL over `event`, `input` and `done` (all that completed so far)."),
  reactionsMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(1_000)
    .describe("Reactions that there ever are; further ones are dropped and counted."),
  onFailed: z
    .enum(["fail", "continue"])
    .default("fail")
    .describe("What a failure does to the run to which no rule reacts."),
  result: TemplateJson.optional().describe(
    "The run's output, with expressions over `log` (ended, done, failed, dropped, open) and `input`. Default: the log.",
  ),
});

/** The options of `choreography`; its expressions are compiled as part of the check. */
export const ChoreographyShape = Shape.superRefine((options, issues) => {
  const twice = duplicate(seatIds(options.rules));
  if (twice !== null) {
    const message = `is called "${twice.id}" as an earlier one is: give it an id of its own`;
    const params = { code: "DEFINITION_DUPLICATE" };
    issues.addIssue({ code: "custom", path: ["rules", twice.index], message, params });
  }
  if (!options.rules.some(({ on }) => on === "started"))
    issues.addIssue({
      code: "custom",
      path: ["rules"],
      message: "no rule reacts to `started`, so nothing ever happens",
    });
  for (const { path, message } of compile(options).problems)
    issues.addIssue({ code: "custom", path, message, params: { code: "DEFINITION_EXPRESSION" } });
});

export type ChoreographyOptions = z.output<typeof Shape>;

export interface CompiledRule {
  id: string;
  when: Expression | null;
  input: Template | null;
}

/** A choreography's expressions, made ready once. */
export interface CompiledChoreography {
  rules: readonly CompiledRule[];
  goal: Expression | null;
  result: Template | null;
  problems: readonly { path: (string | number)[]; message: string }[];
}

const overEvent = language(["input", "event"]);
const overDone = language(["input", "event", "done"]);
const overLog = language(["input", "log"]);

const known = new WeakMap<ChoreographyOptions, CompiledChoreography>();

export function compiled(options: ChoreographyOptions): CompiledChoreography {
  const made = known.get(options) ?? compile(options);
  known.set(options, made);
  return made;
}

function compile({ rules, goal, result }: ChoreographyOptions): CompiledChoreography {
  const problems: CompiledChoreography["problems"][number][] = [];
  const take = <T>(path: (string | number)[], part: Compiled<T>): T | null => {
    if (part.ok) return part.value;
    problems.push({ path, message: part.problem });
    return null;
  };
  const template = (path: (string | number)[], over: Language, source: ChoreographyOptions["result"]) =>
    source === undefined ? null : take(path, over.template(source));
  const ids = seatIds(rules);
  return {
    rules: rules.map(({ when, input }, index) => ({
      id: ids[index] ?? "",
      when: take(["rules", index, "when"], overEvent.expression(when)),
      input: template(["rules", index, "input"], overEvent, input),
    })),
    goal: goal === undefined ? null : take(["goal"], overDone.expression(goal)),
    result: template(["result"], overLog, result),
    problems,
  };
}
