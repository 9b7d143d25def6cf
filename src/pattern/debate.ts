import { z } from "zod";
import type { Binding, Edit, TaskView } from "../core/planner.ts";
import type { Json } from "../core/json.ts";
import { type Workflow, type WorkflowCommon, workflow } from "../definition/workflow.ts";
import { lost } from "./failure.ts";
import { type AgentRef, AgentName, duplicate, seatIds, TaskId } from "./option.ts";
import { type Dispute, bindDispute, disputeEdits, settling } from "./resolve.ts";
import { ResolveShape, type ResolveOptions } from "./resolve-option.ts";
import { definePattern, type PatternView } from "./pattern.ts";

const DebaterShape = z.union([
  AgentName,
  z.strictObject({
    agent: AgentName,
    side: z.string().optional().describe("What this debater argues for."),
    id: TaskId.optional().describe("Default: the agent's name."),
  }),
]);

const DebateShape = z
  .strictObject({
    debaters: z
      .array(DebaterShape)
      .min(2)
      .max(100)
      .describe("Who answers; two with a `side` each make a two-sided debate."),
    rounds: z.int().min(1).max(20).default(1).describe("From the second round on, each sees the others' last answers."),
    judge: AgentName.optional().describe("Gets all answers; its output is the run's."),
    resolve: ResolveShape.optional().describe("How one answer is made of the last ones, in place of a judge."),
    tolerate: z.int().min(0).default(0).describe("How many debaters may fail without failing the run."),
  })
  .superRefine(({ debaters, judge, resolve, tolerate }, issues) => {
    if ((judge === undefined) === (resolve === undefined)) {
      const message = judge === undefined ? "must be given, or `resolve`" : "must not be given beside `resolve`";
      issues.addIssue({ code: "custom", path: ["judge"], message });
    }
    const twice = duplicate(seatIds(debaters.map(debaterOf)));
    if (twice !== null) {
      const message = `gives a second debater the id "${twice.id}"`;
      issues.addIssue({
        code: "custom",
        path: ["debaters", twice.index],
        message,
        params: { code: "DEFINITION_DUPLICATE" },
      });
    }
    if (tolerate >= debaters.length) {
      issues.addIssue({ code: "custom", path: ["tolerate"], message: "must be less than the number of debaters" });
    }
  });

type Options = z.output<typeof DebateShape>;
type View = PatternView<Options>;

/** N independent answers, rounds in which each sees the others', a judge (C3). A debater's tasks are `ID/ROUND`. Its
 *  input: { question, side?, round, rounds, own?, others?: [{ debater, side?, answer }] }. The judge's input:
 *  { question, answers: [{ debater, side?, answer, earlier: [] }], failed: [debater] }. */
export const debatePattern = definePattern({
  name: "debate",
  options: DebateShape,
  agents: ({ debaters, judge, resolve }) =>
    [...debaters.map((debater) => debaterOf(debater).agent), judge, resolve?.judge].filter(
      (agent) => agent !== undefined,
    ),
  plan: (view, change) => {
    if (change.type === "started") return opening(view);
    const { task } = change;
    const dispute = disputeOf(view.options);
    const edits = dispute === null ? [] : disputeEdits(view, dispute, change);
    if (edits.length > 0 || change.type !== "settled") return edits;
    if (task.id === JUDGE || task.id === RESOLVE)
      return [task.status === "completed" ? { edit: "finish", output: task.output ?? null } : lost(task)];
    if (task.id.startsWith(`${RESOLVE}/`)) return [];
    return task.status === "failed" && failed(view).length > view.options.tolerate ? [lost(task)] : [];
  },
  bind: (view, task) => {
    if (task.id === JUDGE) return { input: caseFor(view) };
    const dispute = disputeOf(view.options);
    return (dispute && bindDispute(view, dispute, task)) ?? reply(view, task);
  },
});

type Debater<Output = unknown> = AgentRef<Output> | { agent: AgentRef<Output>; side?: string; id?: string };

export interface DebateWorkflowOptions<Input, Parsed, Output>
  extends WorkflowCommon<Input, Parsed, Output>,
    Omit<z.input<typeof DebateShape>, "debaters" | "judge" | "resolve"> {
  debaters: readonly Debater[];
  judge?: AgentRef<Output>;
  resolve?: ResolveOptions<Output>;
}

/** A workflow in which agents debate and one judges. @throws {FlotillaError} DEFINITION_* when an option is wrong */
export function debate<Input = Json, Parsed = Input, Output = Json>(
  options: DebateWorkflowOptions<Input, Parsed, Output>,
): Workflow<Input, Output> {
  const { debaters, rounds, judge, resolve, tolerate, ...common } = options;
  return workflow<Input, Parsed, Output>({
    ...common,
    pattern: debatePattern,
    options: { debaters, rounds, judge, resolve, tolerate },
  });
}

const JUDGE = "judge";
const RESOLVE = "resolve";

/** The last answers, and how one is made of them; null where a judge is. */
function disputeOf(options: Options): Dispute | null {
  const { resolve, rounds } = options;
  if (resolve === undefined) return null;
  const sides = seatsOf(options).map(({ id, agent }) => ({ id, agent, task: `${id}/${rounds}` }));
  return { id: RESOLVE, policy: resolve, sides };
}

/** All tasks at once, so that the whole debate can be seen from its start. */
function opening(view: View): Edit[] {
  const { rounds, judge } = view.options;
  const dispute = disputeOf(view.options);
  const seats = seatsOf(view.options);
  const inRound = (round: number) => seats.map(({ id }) => ({ task: `${id}/${round}`, on: "settled" as const }));
  const debaters = Array.from({ length: rounds }, (_, index) => index + 1).flatMap((round) =>
    seats.map(({ id, agent, side }): Edit => {
      const first =
        round === 1
          ? { input: { question: view.input, ...sided(side), round, rounds } }
          : { needs: inRound(round - 1) };
      return { edit: "add", task: { id: `${id}/${round}`, agent, ...first } };
    }),
  );
  if (dispute !== null) return [...debaters, ...settling(dispute).map((task): Edit => ({ edit: "add", task }))];
  return [...debaters, { edit: "add", task: { id: JUDGE, agent: judge ?? null, needs: inRound(rounds) } }];
}

function reply(view: View, { id: task }: TaskView): Binding {
  const [id = "", number = ""] = task.split("/");
  const last = Number(number) - 1;
  const own = view.task(`${id}/${last}`);
  if (own?.status !== "completed") return { skip: `${id} has no answer of round ${last}` };
  const seats = seatsOf(view.options);
  const side = seats.find((seat) => seat.id === id)?.side;
  const others = seats.flatMap((seat) => (seat.id === id ? [] : answersOf(view, seat, last)));
  const { rounds } = view.options;
  return { input: { question: view.input, ...sided(side), round: last + 1, rounds, own: own.output ?? null, others } };
}

function caseFor(view: View): Json {
  const { rounds } = view.options;
  const answers = seatsOf(view.options).flatMap((seat) =>
    answersOf(view, seat, rounds).map((answer) => ({
      ...answer,
      earlier: Array.from({ length: rounds - 1 }, (_, index) => view.task(`${seat.id}/${index + 1}`)?.output ?? null),
    })),
  );
  return { question: view.input, answers, failed: failed(view) };
}

function answersOf(
  view: View,
  { id, side }: DebateSeat,
  round: number,
): { debater: string; side?: string; answer: Json }[] {
  const task = view.task(`${id}/${round}`);
  return task?.status === "completed" ? [{ debater: id, ...sided(side), answer: task.output ?? null }] : [];
}

/** Debaters that failed in any round. */
function failed(view: View): string[] {
  const rounds = Array.from({ length: view.options.rounds }, (_, index) => index + 1);
  return seatsOf(view.options)
    .map((seat) => seat.id)
    .filter((id) => rounds.some((round) => view.task(`${id}/${round}`)?.status === "failed"));
}

interface DebateSeat {
  id: string;
  agent: string;
  side: string | undefined;
}

function seatsOf({ debaters }: Options): DebateSeat[] {
  const seats = debaters.map(debaterOf);
  const ids = seatIds(seats);
  return seats.map(({ agent, side }, index) => ({ id: ids[index] ?? "", agent, side }));
}

function debaterOf(debater: z.output<typeof DebaterShape>): Exclude<z.output<typeof DebaterShape>, string> {
  return typeof debater === "string" ? { agent: debater } : debater;
}

function sided(side: string | undefined): { side?: string } {
  return side === undefined ? {} : { side };
}
