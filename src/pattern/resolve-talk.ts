import { z } from "zod";
import type { JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { isFields, type Position } from "./resolve-tally.ts";

/** What a side may say in a round of a negotiation (C9): the schema to which it is held. */
export function moveSchema(others: readonly string[]): JsonSchema {
  return {
    type: "object",
    required: ["move", "why"],
    properties: {
      move: {
        enum: ["hold", "concede", "counter"],
        description: "Keep your answer, take another side's, or make a new one.",
      },
      to: { enum: others, description: "With concede: whose answer you take." },
      answer: { description: "With counter: your new answer, in the form of the old one." },
      evidence: { type: "array", items: { type: "string" }, description: "What supports you." },
      why: { type: "string" },
    },
    additionalProperties: false,
  };
}

const MoveShape = z.object({
  move: z.enum(["hold", "concede", "counter"]),
  to: z.string().optional(),
  answer: z.json().optional(),
  evidence: z.array(z.string()).default([]),
  why: z.string().default(""),
});

/** A side after a round, as it is kept in the protocol. */
export interface Standing extends Position {
  evidence: string[];
}

export type Move = { side: string; round: number; move: "hold" | "concede" | "counter"; to?: string; why: string };

/** What a side's words in a round mean for where it stands. A concession to nobody, a counter without an answer, and
 *  silence hold. `before`: where all sides stood. */
export function moved(
  own: Standing,
  said: Json | undefined,
  round: number,
  before: readonly Standing[],
): { standing: Standing; move: Move } {
  const parsed = MoveShape.safeParse(said ?? null);
  const { side } = own;
  if (!parsed.success) return { standing: own, move: { side, round, move: "hold", why: "it said nothing" } };
  const { move, to, answer, evidence, why } = parsed.data;
  const others = before.filter((one) => one.side !== side);
  const other = others.find((one) => one.side === to) ?? (others.length === 1 ? others[0] : undefined);
  if (move === "concede" && other !== undefined) {
    const standing = { side, answer: other.answer, evidence: other.evidence };
    return { standing, move: { side, round, move, to: other.side, why } };
  }
  if (move === "counter" && answer !== undefined)
    return { standing: { side, answer: answer as Json, evidence }, move: { side, round, move, why } };
  const kept = { ...own, evidence: [...new Set([...own.evidence, ...evidence])] };
  return { standing: kept, move: { side, round, move: "hold", why } };
}

/** The evidence that an answer brings itself. */
export function evidenceOf(answer: Json): string[] {
  const given = isFields(answer) ? answer.evidence : undefined;
  return Array.isArray(given) ? given.filter((one) => typeof one === "string") : [];
}
