import { z } from "zod";
import { type Compiled, type Expression, language } from "../expression/expression.ts";
import { AgentName, type AgentRef } from "./option.ts";

/** A year. */
const DEADLINE_MS_MAX = 366 * 24 * 3_600_000;

const Shape = z
  .strictObject({
    by: z
      .enum(["vote", "confidence", "judge", "negotiation", "human"])
      .describe(
        "How one answer is made of several: the most votes, the most confidence, a judge, talking, or a person.",
      ),
    on: z
      .string()
      .min(1)
      .optional()
      .describe("What of an answer must agree: CEL over `answer`. Default: its `claim`, or all of it."),
    confidence: z
      .string()
      .min(1)
      .default("answer.confidence")
      .describe("How sure an answer is, 0 to 1: CEL over `answer`. An answer that does not say so weighs nothing."),
    share: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe("The winner must have more than this share of votes or confidence; else it is a tie."),
    quorum: z.int().min(1).max(100).default(1).describe("Answers that there must be at least."),
    roundsMax: z.int().min(1).max(20).default(3).describe("Rounds of a negotiation; without agreement it is a tie."),
    tie: z
      .enum(["fail", "first", "judge", "human"])
      .default("fail")
      .describe("What a tie does: fails, goes to the first of those in it, to the judge, or to a person."),
    judge: AgentName.optional().describe("Gets all answers where a judge decides; its output counts."),
    person: z
      .strictObject({
        deadlineMs: z.int().min(1).max(DEADLINE_MS_MAX).optional().describe("Default: as long as the run lasts."),
        onDeadline: z
          .enum(["fail", "first"])
          .default("fail")
          .describe("What holds when nobody decides in time: it fails, or the first of the answers."),
        to: z.array(z.string().min(1)).default([]).describe("Names of those who are asked. Default: anybody."),
      })
      .optional()
      .describe("How a person is asked, in the inbox, where one decides."),
  })
  .describe("How disagreement between several agents is resolved.");

/** A declared policy for outputs that conflict (C9). */
export const ResolveShape = Shape.superRefine((policy, issues) => {
  if (policy.judge === undefined && (policy.by === "judge" || policy.tie === "judge"))
    issues.addIssue({ code: "custom", path: ["judge"], message: "must be given, since a judge may have to decide" });
  if (policy.person !== undefined && policy.by !== "human" && policy.tie !== "human")
    issues.addIssue({ code: "custom", path: ["person"], message: "goes with `by: human` or `tie: human`" });
  for (const { path, message } of compileResolve(policy).problems)
    issues.addIssue({ code: "custom", path, message, params: { code: "DEFINITION_EXPRESSION" } });
});

export type Resolve = z.output<typeof Shape>;

/** A policy in TypeScript: its judge may stand there by value. */
export type ResolveOptions<Output = unknown> = Omit<z.input<typeof Shape>, "judge"> & { judge?: AgentRef<Output> };

interface CompiledResolve {
  on: Expression | null;
  confidence: Expression | null;
  problems: readonly { path: string[]; message: string }[];
}

const overAnswer = language(["answer"]);
const known = new WeakMap<Resolve, CompiledResolve>();

export function compiledResolve(policy: Resolve): CompiledResolve {
  const compiled = known.get(policy) ?? compileResolve(policy);
  known.set(policy, compiled);
  return compiled;
}

function compileResolve({ on, confidence }: Resolve): CompiledResolve {
  const problems: { path: string[]; message: string }[] = [];
  const take = (key: string, part: Compiled<Expression>): Expression | null => {
    if (part.ok) return part.value;
    problems.push({ path: [key], message: part.problem });
    return null;
  };
  return {
    on: on === undefined ? null : take("on", overAnswer.expression(on)),
    confidence: take("confidence", overAnswer.expression(confidence)),
    problems,
  };
}
