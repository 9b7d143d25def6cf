import { catalogue, type ErrorRecord } from "../error.ts";
import { DEADLINE } from "./approval.ts";
import type { EscalationPolicy, FleetDefinition } from "./definition.ts";
import type { EventData, Proof, RunEvent } from "./event.ts";
import type { Json } from "./json.ts";
import type { PersonAsk } from "./planner.ts";
import type { RunState, StepState, TaskState } from "./state.ts";

/** What can be done about a task that failed for good (F9). `fail`: nothing; the pattern decides what follows. */
export const FAILURE_CHOICES = ["retry", "reassign", "edit", "skip", "fail", "abort"] as const;
/** What can be done where agents did not agree (C9). `choose`: one of their answers. */
export const DISPUTE_CHOICES = ["choose", "edit", "skip", "fail", "abort"] as const;
export const ESCALATION_CHOICES = [...FAILURE_CHOICES, "choose"] as const;
export type EscalationChoice = (typeof ESCALATION_CHOICES)[number];

/** What a person says of a failed task. */
export interface EscalationDecision {
  task: string;
  /** The failure that it is about: attempts at the task are counted, so that it is about no other. */
  attempt: number;
  choice: EscalationChoice;
  /** `reassign`: to whom. */
  agent: string | null;
  /** `choose`: which, by name. */
  answer?: string;
  /** `edit`: the task's output, already held to its schema. */
  output: Json;
  by: string;
  note: string;
}

/** What deciding on failed tasks needs of the decider. */
export interface EscalationDesk {
  readonly state: RunState;
  readonly context: {
    readonly now: number;
    escalation?(agent: string | null): EscalationPolicy | null;
    hasAgent(agent: string): boolean;
  };
  emit(event: RunEvent): void;
  cancelAsked(task: TaskState): void;
  endFailed(error: ErrorRecord, task: string | null): void;
}

/** Whether a failed task waits for a person: by its agent's declaration, else by its workflow's. Null: it does not. */
export function escalationPolicy(
  definition: FleetDefinition,
  workflow: string,
  agent: string | null,
): EscalationPolicy | null {
  const own = agent === null ? undefined : definition.agents[agent]?.escalation;
  return own ?? definition.workflows[workflow]?.escalation ?? null;
}

/** A task failed for good: it waits for a person where that is declared, else it has failed. */
export function failOrEscalate(desk: EscalationDesk, task: TaskState, error: ErrorRecord, proof?: Proof): void {
  const { id, attempt } = task;
  const { now } = desk.context;
  const data = { task: id, attempt, error, ...(proof === undefined ? {} : { proof }) };
  const policy = task.kind === "agent" ? (desk.context.escalation?.(task.agent) ?? null) : null;
  if (policy === null) return desk.emit({ type: "task.failed", at: now, data });
  desk.cancelAsked(task);
  const { deadlineMs, onDeadline, to } = policy;
  const deadline = deadlineMs === null ? null : now + deadlineMs;
  desk.emit({ type: "task.escalated", at: now, data: { ...data, deadline, onDeadline, to: [...to] } });
}

/** Agents did not agree on a task: a person says what its output is. */
export function askPerson(desk: EscalationDesk, { id, attempt }: TaskState, ask: PersonAsk): void {
  const { now } = desk.context;
  const { choices, deadlineMs, error, input, onDeadline, to } = ask;
  const deadline = deadlineMs === null ? null : now + deadlineMs;
  desk.emit({
    type: "task.escalated",
    at: now,
    data: { attempt, choices: choices.map(({ name }) => name), deadline, error, onDeadline, task: id, to: [...to] },
    payload: { input, outputs: Object.fromEntries(choices.map(({ name, output }) => [name, output])) },
  });
}

/** Takes a person's decision in; one about anything but this very failure changes nothing. */
export function decideEscalation(desk: EscalationDesk, decision: EscalationDecision): void {
  const task = desk.state.tasks.get(decision.task);
  if (task?.status !== "escalated" || task.attempt !== decision.attempt) return;
  if (!choicesOf(task).includes(decision.choice)) return;
  if (decision.choice === "choose" && chosen(task, decision.answer) === undefined) return;
  if (decision.choice === "reassign" && (decision.agent === null || !desk.context.hasAgent(decision.agent))) return;
  conclude(desk, task, decision);
}

/** What can be done about a task that waits for a person. */
export function choicesOf({ escalated }: TaskState): readonly EscalationChoice[] {
  return escalated?.choices === undefined ? FAILURE_CHOICES : DISPUTE_CHOICES;
}

/** The answer of this name; without a name the first, which is the default. */
function chosen({ escalated }: TaskState, name?: string) {
  const { choices = [] } = escalated ?? {};
  return name === undefined ? choices[0] : choices.find((one) => one.name === name);
}

/** Its deadline came: the declared default is done. */
export function escalationDue(desk: EscalationDesk, task: TaskState): void {
  const { escalated } = task;
  if (task.status !== "escalated" || escalated?.deadline == null || escalated.deadline > desk.context.now) return;
  const note = `nobody decided within ${escalated.deadline - escalated.at} ms`;
  const decision = { task: task.id, attempt: task.attempt, agent: null, output: null, by: DEADLINE, note };
  conclude(desk, task, { ...decision, choice: escalated.onDeadline });
}

function conclude(desk: EscalationDesk, task: TaskState, decision: EscalationDecision): void {
  const { choice, by, note, output, agent } = decision;
  const { attempt, id } = task;
  const at = desk.context.now;
  const answer = choice === "choose" ? chosen(task, decision.answer) : undefined;
  const error = task.error ?? unknownError(id);
  const data: EventData["escalation.decided"] = {
    agent: choice === "reassign" ? agent : null,
    by,
    choice,
    note,
    task: id,
    ...(answer === undefined ? {} : { answer: answer.name }),
  };
  desk.emit({ type: "escalation.decided", at, data });
  switch (choice) {
    case "retry":
    case "reassign":
      return;
    case "edit":
      return desk.emit({ type: "task.completed", at, data: { attempt, task: id }, payload: { output } });
    case "choose":
      return desk.emit({
        type: "task.completed",
        at,
        data: { attempt, task: id },
        payload: { output: answer?.output ?? null },
      });
    case "skip":
      return desk.emit({ type: "task.skipped", at, data: { because: null, task: id, why: whyOf(by, note) } });
    case "fail":
      return desk.emit({ type: "task.failed", at, data: { attempt, error, task: id } });
    case "abort":
      desk.emit({ type: "task.failed", at, data: { attempt, error, task: id } });
      return desk.endFailed(error, id);
    default:
      choice satisfies never;
  }
}

const whyOf = (by: string, note: string): string => `${by} skipped it${note === "" ? "" : `: ${note}`}`;

function unknownError(id: string): ErrorRecord {
  const { class: cls, fix } = catalogue.AGENT_FAILED;
  return { code: "AGENT_FAILED", class: cls, message: `${id} failed`, hint: fix };
}

/** What a task that a person has tried again may keep of its record: all up to its last write, which must not happen
 *  again. What came after that led to the failure, and is done anew. The rest is as a crash at that point would have
 *  left it, so the agent resumes from it. */
export function keptSteps(steps: ReadonlyMap<string, StepState>): Map<string, StepState> {
  const all = [...steps];
  const last = all.findLastIndex(([, step]) => wasWritten(step));
  return new Map(all.slice(0, last + 1));
}

function wasWritten({ idempotencyKey, status, outcome, error }: StepState): boolean {
  if (idempotencyKey === null) return false;
  // What failed was not done, but for a write that answered something that makes no sense: it did run.
  if (status === "failed") return error?.code === "TOOL_OUTPUT_INVALID";
  return status !== "settled" || outcome === "done";
}
