import { z } from "zod";
import { checkJsonSchema } from "../definition/json-schema.ts";
import { type Compiled, type Expression, language, type Language, type Template } from "../expression/expression.ts";
import { AgentName, duplicate, TaskId, TemplateJson } from "./option.ts";

export const MemberShape = z.strictObject({
  agent: AgentName,
  takes: z
    .string()
    .min(1)
    .default("true")
    .describe("Which items it takes: CEL over `item` (type, content, key) and `input`. Default: any."),
  claimsMax: z.int().min(1).max(10_000).default(1).describe("Items that it holds at a time."),
  adds: z
    .array(TaskId)
    .default([])
    .describe("Types of items that its results may add. Its output is then { result, more: [items] }."),
});

const Content = z.record(z.string(), z.json()).superRefine((schema, issues) => {
  const [fault] = checkJsonSchema(schema, []);
  if (fault !== undefined) issues.addIssue({ code: "custom", message: fault.message, path: [...fault.path] });
  if (JSON.stringify(schema).includes('"$ref"'))
    issues.addIssue({ code: "custom", message: "must not hold $ref, since it becomes part of another schema" });
});

const Shape = z.strictObject({
  members: z.array(MemberShape).min(1).max(1_000).describe("Agents that claim work from the board."),
  board: TemplateJson.default("${ input }").describe(
    "The first items: a list of { type, content, key?, priority? }, or an expression that gives one. Default: the run's input.",
  ),
  types: z
    .record(TaskId, Content)
    .optional()
    .describe("The types of items that there are, each with a JSON Schema of its content. Absent: any."),
  goal: z
    .string()
    .min(1)
    .optional()
    .describe("Ends the run when it is true: CEL over `last` (the item just done), `done` (all of them) and `input`."),
  itemsMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(1_000)
    .describe("Items that are ever posted; what is beyond is dropped and reported."),
  onFailed: z
    .enum(["continue", "fail"])
    .default("continue")
    .describe("What an item does to the run whose agent failed."),
  onUnclaimed: z.enum(["report", "fail"]).default("report").describe("What an item does to the run that nobody takes."),
  result: TemplateJson.optional().describe(
    "The run's output, with expressions over `board` (ended, done, failed, unclaimed, dropped) and `input`. Default: the board.",
  ),
});

/** The options of `swarm`; its expressions are compiled as part of the check. */
export const SwarmShape = Shape.superRefine((options, issues) => {
  const twice = duplicate(options.members.map(({ agent }) => agent));
  if (twice !== null) {
    const message = `names "${twice.id}" a second time`;
    issues.addIssue({
      code: "custom",
      path: ["members", twice.index],
      message,
      params: { code: "DEFINITION_DUPLICATE" },
    });
  }
  for (const [index, { adds }] of options.members.entries()) {
    for (const [place, type] of adds.entries()) {
      if (options.types === undefined || Object.hasOwn(options.types, type)) continue;
      const message = `adds "${type}", which is not among \`types\`: ${Object.keys(options.types).join(", ")}`;
      issues.addIssue({ code: "custom", path: ["members", index, "adds", place], message });
    }
  }
  for (const { path, message } of compileSwarm(options).problems)
    issues.addIssue({ code: "custom", path, message, params: { code: "DEFINITION_EXPRESSION" } });
});

export type SwarmOptions = z.output<typeof Shape>;
export type SwarmMember = SwarmOptions["members"][number];

/** A swarm's expressions, made ready once. */
export interface CompiledSwarm {
  board: Template | null;
  goal: Expression | null;
  result: Template | null;
  takes: readonly (Expression | null)[];
  problems: readonly { path: (string | number)[]; message: string }[];
}

const overInput = language(["input"]);
const overItem = language(["input", "item"]);
const overDone = language(["input", "last", "done"]);
const overBoard = language(["input", "board"]);

const known = new WeakMap<SwarmOptions, CompiledSwarm>();

export function compiledSwarm(options: SwarmOptions): CompiledSwarm {
  const compiled = known.get(options) ?? compileSwarm(options);
  known.set(options, compiled);
  return compiled;
}

function compileSwarm({ board, goal, result, members }: SwarmOptions): CompiledSwarm {
  const problems: CompiledSwarm["problems"][number][] = [];
  const take = <T>(path: (string | number)[], part: Compiled<T>): T | null => {
    if (part.ok) return part.value;
    problems.push({ path, message: part.problem });
    return null;
  };
  const expression = (path: (string | number)[], over: Language, source: string | undefined) =>
    source === undefined ? null : take(path, over.expression(source));
  return {
    board: take(["board"], overInput.template(board)),
    goal: expression(["goal"], overDone, goal),
    result: result === undefined ? null : take(["result"], overBoard.template(result)),
    takes: members.map(({ takes }, index) => expression(["members", index, "takes"], overItem, takes)),
    problems,
  };
}
