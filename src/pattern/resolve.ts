import type { Binding, Change, Edit, PersonAsk, RunView, TaskSpec, TaskView } from "../core/planner.ts";
import type { Json } from "../core/json.ts";
import { failure } from "./failure.ts";
import type { Resolve } from "./resolve-option.ts";
import { claimOf, keyOf, type Position, type Tally, tally } from "./resolve-tally.ts";
import { evidenceOf, type Move, moved, moveSchema, type Standing } from "./resolve-talk.ts";

/** What of a run a dispute looks at. */
type View = Pick<RunView, "task" | "input">;

/** Agents that answer one question, and how one answer is made of theirs (C9). Its tasks: the answers, wherever they
 *  are; `ID/settle`, which nobody does and whose output is the record of how it was settled; in a negotiation
 *  `ID/negotiate/SIDE/ROUND`; and `ID`, whose output is the answer. */
export interface Dispute {
  id: string;
  policy: Resolve;
  sides: readonly { id: string; agent: string; task: string }[];
  /** What was asked; default: the run's input. */
  question?(view: View): Json;
}

/** How a dispute was settled: what the task `ID/settle` puts on record. */
export type Settlement = {
  by: Resolve["by"];
  /** Absent where the judge decides, or nobody can. */
  answer?: Json;
  counts: { claim: Json; sides: string[]; weight: number }[];
  /** The claims between which it stood, and what the tie did. */
  tie: { between: Json[]; to: Resolve["tie"] } | null;
  failed: string[];
  unweighted: string[];
  protocol: Move[];
  /** A person decides. */
  person?: true;
  why: string;
};

/** The tasks that settle a dispute, beside the answers. */
export function settling({ id, policy, sides }: Dispute): TaskSpec[] {
  const needs = sides.map(({ task }) => ({ task, on: "settled" as const }));
  // Whoever is the judge in any case has the task from the start.
  const agent = policy.by === "judge" ? (policy.judge ?? null) : null;
  return [
    { id: `${id}/settle`, agent: null, needs, why: `the answers to ${id} are settled by ${policy.by}` },
    { id, agent, needs: [`${id}/settle`] },
  ];
}

/** Binds the dispute's own tasks: null for others. */
export function bindDispute(view: View, dispute: Dispute, { id }: TaskView): Binding | null {
  if (id === `${dispute.id}/settle`) return settle(view, dispute);
  if (id !== dispute.id) return null;
  const settlement = view.task(`${id}/settle`)?.output as unknown as Settlement;
  if (settlement.answer !== undefined) return { output: settlement.answer };
  if (settlement.person === true) return { person: questionOf(view, dispute, settlement) };
  if (dispute.policy.judge !== undefined && (settlement.by === "judge" || settlement.tie?.to === "judge"))
    return { input: caseOf(view, dispute, settlement) };
  const { counts, why, failed } = settlement;
  return { fail: failure("DISAGREEMENT", `${id}: ${why}`, { counts, failed }) };
}

/** What a change means for a dispute; none when it is not one of its tasks. */
export function disputeEdits(view: View, dispute: Dispute, change: Change): readonly Edit[] {
  if (change.type === "started") return [];
  const { id } = change.task;
  if (change.type === "unrouted" && id === dispute.id) {
    const why = "the answers are tied";
    return [{ edit: "route", task: id, agent: dispute.policy.judge ?? "", why }];
  }
  if (change.type === "unbound" && id === `${dispute.id}/settle`) return talk(view, dispute, 1);
  if (change.type === "settled" && id.startsWith(`${dispute.id}/negotiate/`)) return talked(view, dispute, id);
  return [];
}

function settle(view: View, dispute: Dispute): Binding {
  const { policy } = dispute;
  const positions = positionsOf(view, dispute);
  if (positions.length === 0 && dispute.sides.some(({ task }) => view.task(task)?.status === "skipped"))
    return { skip: "nobody was asked" };
  const counted = tally(policy, positions);
  if (positions.length < policy.quorum)
    return recorded(view, dispute, counted, { why: `there are ${positions.length} of ${policy.quorum} answers` });
  if (policy.by === "judge") return recorded(view, dispute, counted, { why: `${policy.judge} judges` });
  if (policy.by === "human" && counted.counts.length > 1)
    return recorded(view, dispute, counted, { person: true, why: "a person decides" });
  if (policy.by === "negotiation" && counted.counts.length > 1) return { later: true };
  return decided(view, dispute, counted, positions);
}

/** By the count, or by what is declared for a tie. */
function decided(view: View, dispute: Dispute, counted: Tally, positions: readonly Position[], protocol: Move[] = []) {
  const { policy } = dispute;
  const { winner, counts } = counted;
  const answerOf = (side: string | undefined) => positions.find((one) => one.side === side)?.answer ?? null;
  if (winner !== null) {
    const why = counts.length === 1 ? "all agree" : `${winner.sides.join(", ")} outweigh the others`;
    return recorded(view, dispute, counted, { answer: answerOf(winner.sides[0]), protocol, why });
  }
  const most = Math.max(...counts.map(({ weight }) => weight));
  const talked = policy.by === "negotiation";
  const tied = counts.filter(({ weight }) => talked || weight === most);
  const between = (tied.length > 1 ? tied : counts).map(({ claim }) => claim);
  const tie = { between, to: policy.tie };
  const sides = tied.map((count) => `${count.sides.join(" and ")} (${count.weight})`).join(" against ");
  const words = talked ? `no agreement in ${policy.roundsMax} rounds` : "it is a tie";
  const why = tied.length > 1 ? `${words}: ${sides}` : `${sides} has no more than the share ${policy.share}`;
  const answer = policy.tie === "first" ? { answer: answerOf(tied[0]?.sides[0]) } : {};
  const person = policy.tie === "human" ? { person: true as const } : {};
  return recorded(view, dispute, counted, { ...answer, ...person, tie, protocol, why });
}

function recorded(
  view: View,
  { policy, sides }: Dispute,
  { counts, unweighted }: Tally,
  given: Pick<Settlement, "why"> & Partial<Settlement>,
): { output: Json } {
  const failed = sides.filter(({ task }) => view.task(task)?.status !== "completed").map(({ id }) => id);
  const settlement: Settlement = { by: policy.by, counts, tie: null, failed, unweighted, protocol: [], ...given };
  return { output: settlement as unknown as Json };
}

function positionsOf(view: View, { sides }: Dispute): Standing[] {
  return sides.flatMap(({ id, task }): Standing[] => {
    const { status, output = null } = view.task(task) ?? {};
    return status === "completed" ? [{ side: id, answer: output, evidence: evidenceOf(output) }] : [];
  });
}

/** A round in which each side sees where the others stand. */
function talk(view: View, dispute: Dispute, round: number): Edit[] {
  const { standings } = replayed(view, dispute, round - 1);
  const names = standings.map(({ side }) => side);
  return standings.map(({ side, answer, evidence }): Edit => {
    const others = standings.filter((one) => one.side !== side);
    const input = {
      act: "negotiate",
      todo: "Others answer otherwise. Hold, concede to a side that is right, or counter with a better answer.",
      question: dispute.question?.(view) ?? view.input,
      side,
      round,
      rounds: dispute.policy.roundsMax,
      own: { answer, evidence },
      others: others.map((one) => ({ ...one })),
    };
    const agent = dispute.sides.find(({ id }) => id === side)?.agent ?? "";
    const id = `${dispute.id}/negotiate/${side}/${round}`;
    const output = moveSchema(names.filter((name) => name !== side));
    return { edit: "add", task: { id, agent, input, output, why: `round ${round} of ${dispute.id}` } };
  });
}

/** When all of a round have spoken: agreement, another round, or a tie. */
function talked(view: View, dispute: Dispute, last: string): readonly Edit[] {
  const round = Number(last.split("/").at(-1));
  const open = positionsOf(view, dispute).some(({ side }) => {
    const status = view.task(`${dispute.id}/negotiate/${side}/${round}`)?.status ?? "waiting";
    return !["completed", "failed", "skipped", "cancelled"].includes(status);
  });
  if (open || view.task(`${dispute.id}/settle`)?.status !== "unbound") return [];
  const { standings, protocol } = replayed(view, dispute, round);
  const counted = tally(dispute.policy, standings);
  if (counted.counts.length > 1 && round < dispute.policy.roundsMax) return talk(view, dispute, round + 1);
  const agreed = counted.counts.length === 1;
  const binding = decided(view, dispute, agreed ? counted : { ...counted, winner: null }, standings, protocol);
  return [{ edit: "bind", task: `${dispute.id}/settle`, binding }];
}

/** Where all stand after some rounds, and what was said until then. */
function replayed(view: View, dispute: Dispute, rounds: number): { standings: Standing[]; protocol: Move[] } {
  let standings = positionsOf(view, dispute);
  const protocol: Move[] = [];
  for (let round = 1; round <= rounds; round++) {
    const before = standings;
    standings = before.map((own) => {
      const said = view.task(`${dispute.id}/negotiate/${own.side}/${round}`)?.output;
      const { standing, move } = moved(own, said, round, before);
      protocol.push(move);
      return standing;
    });
  }
  return { standings, protocol };
}

/** What a person is shown: who answers what by which evidence, and why agents could not settle it. Where it is a tie,
 *  one of those in it is chosen. */
function questionOf(view: View, dispute: Dispute, settlement: Settlement): PersonAsk {
  const { id, policy } = dispute;
  const { tie, protocol, counts, failed, why } = settlement;
  const rounds = Math.max(0, ...protocol.map(({ round }) => round));
  const { standings } = replayed(view, dispute, rounds);
  const open = standings.filter(
    ({ answer }) => tie === null || tie.between.some((claim) => sameClaim(policy, claim, answer)),
  );
  const answers = open.map(({ side, answer, evidence }) => ({ side, answer, evidence }));
  const { deadlineMs = null, onDeadline = "fail", to = [] } = policy.person ?? {};
  return {
    error: failure("DISAGREEMENT", `${id}: ${why}`, { counts, failed }),
    input: {
      question: dispute.question?.(view) ?? view.input,
      why,
      answers,
      failed,
      protocol: protocol as unknown as Json,
    },
    choices: open.map(({ side, answer }) => ({ name: side, output: answer })),
    deadlineMs,
    onDeadline: onDeadline === "first" ? "choose" : "fail",
    to,
  };
}

const sameClaim = (policy: Resolve, claim: Json, answer: Json): boolean =>
  keyOf(claimOf(policy, answer)) === keyOf(claim);

function caseOf(view: View, dispute: Dispute, { failed, protocol, tie }: Settlement): Json {
  const answers = positionsOf(view, dispute).map(({ side, answer }) => ({ side, answer }));
  const more: Record<string, Json> = tie === null ? {} : { tie: tie.between, protocol: protocol as unknown as Json };
  return { question: dispute.question?.(view) ?? view.input, answers, failed, ...more };
}
