import type { Json } from "../core/json.ts";
import { bind, ExpressionFailure } from "../expression/expression.ts";
import { compiledResolve, type Resolve } from "./resolve-option.ts";

/** Where one side stands. */
export interface Position {
  side: string;
  answer: Json;
}

/** A claim, with those who make it. */
export type Count = { claim: Json; sides: string[]; weight: number };

/** What came of counting: the winning claim, or the claims between which it stands. */
export interface Tally {
  counts: Count[];
  winner: Count | null;
  /** Sides whose answers do not say how sure they are. */
  unweighted: string[];
}

/** Counts positions by their claims, votes or confidence (C9). Claims in the order in which they were first made. */
export function tally(policy: Resolve, positions: readonly Position[]): Tally {
  const counts = new Map<string, Count>();
  const unweighted: string[] = [];
  for (const { side, answer } of positions) {
    const claim = claimOf(policy, answer);
    const weight = policy.by === "confidence" ? confidenceOf(policy, answer) : 1;
    if (weight === null) unweighted.push(side);
    const count = counts.get(keyOf(claim)) ?? { claim, sides: [], weight: 0 };
    counts.set(keyOf(claim), { claim, sides: [...count.sides, side], weight: round(count.weight + (weight ?? 0)) });
  }
  const all = [...counts.values()];
  return { counts: all, winner: winnerOf(all, policy.share), unweighted };
}

function winnerOf(counts: readonly Count[], share: number): Count | null {
  const total = counts.reduce((sum, { weight }) => sum + weight, 0);
  const most = Math.max(...counts.map(({ weight }) => weight));
  const [first, second] = counts.filter(({ weight }) => weight === most);
  if (counts.length === 1) return first ?? null;
  return first === undefined || second !== undefined || most <= share * total ? null : first;
}

/** What of an answer must agree with others. */
export function claimOf(policy: Resolve, answer: Json): Json {
  const { on } = compiledResolve(policy);
  if (on !== null) return on.evaluate({ answer: bind(answer) });
  return isFields(answer) && "claim" in answer ? (answer.claim ?? null) : answer;
}

/** Null where an answer does not say it, or says no number from 0 to 1. */
function confidenceOf(policy: Resolve, answer: Json): number | null {
  try {
    const value = compiledResolve(policy).confidence?.evaluate({ answer: bind(answer) });
    return typeof value === "number" && value >= 0 && value <= 1 ? value : null;
  } catch (error) {
    // An answer that is text has no confidence, as little as one without the field.
    if (error instanceof ExpressionFailure) return null;
    throw error;
  }
}

/** Equal for equal JSON, whatever the order of its keys. */
export function keyOf(value: Json): string {
  return JSON.stringify(value, (_, part: Json) =>
    isFields(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part,
  );
}

/** Sums of confidence are compared, and 0.1 + 0.2 is not 0.3. */
const round = (value: number) => Math.round(value * 1e9) / 1e9;

export function isFields(value: Json): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
