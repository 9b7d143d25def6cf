import { isOpenApproval } from "../core/approval.ts";
import { choicesOf, ESCALATION_CHOICES } from "../core/escalation.ts";
import type { RunEvent } from "../core/event.ts";
import type { Json } from "../core/json.ts";
import {
  type Escalated,
  type RunState,
  SETTLED,
  type StepState,
  type StepStatus,
  type TaskState,
} from "../core/state.ts";
import type { ErrorRecord } from "../error.ts";
import { canonicalJson, sha256 } from "../message/canonical.ts";
import type { InboxRow } from "../store/store.ts";

/** `approval`: a tool call that a person must allow. `escalation`: a task that failed for good, where that is declared to
 *  wait. `outcome`: a write of which only a person can say whether it happened (F13). */
export type InboxKind = "approval" | "escalation" | "outcome";

/** What can be decided, by kind. */
export const CHOICES = {
  approval: ["approve", "reject"],
  escalation: ESCALATION_CHOICES,
  outcome: ["done", "not-done"],
} as const satisfies Record<InboxKind, readonly string[]>;

export type Choice = (typeof CHOICES)[InboxKind][number];

/** Something that waits for a person, or did (F9). */
export interface InboxItem {
  /** Made from the hash of exactly what is asked: whoever decides on it decides on nothing else. */
  id: string;
  kind: InboxKind;
  run: string;
  workflow: string;
  task: string;
  agent: string | null;
  /** The step that waits; null when the whole task does. */
  step: string | null;
  /** What is asked, in a sentence. */
  title: string;
  tool: string | null;
  /** What the tool is to be called with, or what the failed task was given; null when that is too long for a list: `flotilla show RUN --step` has it. */
  arguments: Json | null;
  /** Hash of the exact action: definition, run, task, step, tool and arguments. */
  action: string;
  /** Attempts at the task so far, what the last one failed with, and its last steps. */
  tried: { attempts: number; error: ErrorRecord | null; steps: readonly { step: string; status: StepStatus }[] };
  options: readonly Choice[];
  /** Of which answers one may `choose`, by name; absent where nothing can be chosen. */
  answers?: readonly string[];
  /** Milliseconds since the epoch. */
  at: number;
  /** When the default decides; null: never. */
  deadline: number | null;
  onDeadline: Choice | null;
  /** Names of those who are asked; none: anybody. */
  to: readonly string[];
  /** Null while it waits. */
  decided: InboxDecided | null;
}

export interface InboxDecided {
  at: number;
  /** What was chosen, or `withdrawn`: what it asked about is over. */
  choice: Choice | "withdrawn";
  by: string;
  note: string;
  /** Whether other arguments were approved than those that were asked about. */
  edited: boolean;
}

const ID_HEX = 20;
const STEPS_SHOWN = 5;
const ARGUMENTS_CHARACTERS_MAX = 32_768;

/** What a task asks of people, as it follows from the run's state alone. */
export function openItems(state: RunState, task: TaskState): InboxRow[] {
  if (SETTLED.has(task.status)) return [];
  const rows: InboxRow[] = [];
  if (task.escalated !== null) rows.push(escalationRow(state, task, task.escalated));
  for (const step of task.steps.values()) {
    if (isOpenApproval(step)) rows.push(approvalRow(state, task, step));
    else if (task.status === "blocked" && step.status === "unknown" && step.settle === "person")
      rows.push(outcomeRow(state, task, step));
  }
  return rows;
}

type Asked = { tool?: string; arguments?: Json };

function approvalRow(state: RunState, task: TaskState, step: StepState): InboxRow {
  const { ask, at } = step.asked ?? { ask: undefined, at: 0 };
  const { tool = step.name, arguments: given = null } = (step.input ?? {}) as Asked;
  return rowOf(state, task, step, {
    kind: "approval",
    title: `${task.agent ?? task.id} asks to call ${tool}`,
    tool,
    given,
    about: { arguments: ask?.argumentsHash ?? "", askedAt: at, tool },
    at,
    deadline: ask?.deadline ?? null,
    onDeadline: ask?.deadline == null ? null : ask.onDeadline === "approve" ? "approve" : "reject",
    to: ask?.to ?? [],
  });
}

function outcomeRow(state: RunState, task: TaskState, step: StepState): InboxRow {
  return rowOf(state, task, step, {
    kind: "outcome",
    title: `whether ${step.key} of ${task.agent ?? task.id} happened is not known`,
    tool: step.name,
    given: step.input ?? null,
    about: { arguments: step.inputHash, attempt: task.attempt, tool: step.name },
    at: task.readyAt,
    deadline: null,
    onDeadline: null,
    to: [],
  });
}

function escalationRow(state: RunState, task: TaskState, escalated: Escalated): InboxRow {
  const { at, deadline, onDeadline, to, choices } = escalated;
  const { code, message } = task.error ?? { code: "AGENT_FAILED", message: "it failed" };
  return rowOf(state, task, null, {
    kind: "escalation",
    title: choices === undefined ? `${task.agent ?? task.id} failed: ${code}: ${message}` : message,
    tool: null,
    given: task.input ?? null,
    about: { attempt: task.attempt, code, failedAt: at },
    at,
    deadline,
    onDeadline: deadline === null ? null : onDeadline,
    to,
    ...(choices === undefined ? {} : { answers: choices.map(({ name }) => name) }),
  });
}

interface Asking {
  kind: InboxKind;
  title: string;
  tool: string | null;
  given: Json;
  /** What tells this question from every other of its step. */
  about: { [key: string]: Json };
  at: number;
  deadline: number | null;
  onDeadline: Choice | null;
  to: readonly string[];
  answers?: readonly string[];
}

type Body = Omit<InboxItem, "id" | "kind" | "run" | "at" | "deadline">;

function rowOf(state: RunState, task: TaskState, step: StepState | null, asking: Asking): InboxRow {
  const { kind, title, tool, given, about, at, deadline, onDeadline, to, answers } = asking;
  const identity = {
    ...about,
    definition: state.definition,
    kind,
    run: state.id,
    step: step?.key ?? null,
    task: task.id,
  };
  const action = sha256(canonicalJson(identity)).toString("hex");
  const body: Body = {
    workflow: state.workflow,
    task: task.id,
    agent: task.agent,
    step: step?.key ?? null,
    title,
    tool,
    arguments: JSON.stringify(given).length > ARGUMENTS_CHARACTERS_MAX ? null : given,
    action,
    tried: { attempts: task.attempt, error: task.error ?? null, steps: lastSteps(task) },
    options: kind === "escalation" ? choicesOf(task) : CHOICES[kind],
    ...(answers === undefined ? {} : { answers }),
    onDeadline,
    to,
    decided: null,
  };
  return { id: idOf(action), run: state.id, kind, at, deadline, decidedAt: null, bytes: bytesOf(body) };
}

function lastSteps({ steps }: TaskState): { step: string; status: StepStatus }[] {
  return [...steps.values()].slice(-STEPS_SHOWN).map(({ key, status }) => ({ step: key, status }));
}

const idOf = (action: string): string => `a-${action.slice(0, ID_HEX)}`;
const bytesOf = (body: Body): Uint8Array => Buffer.from(JSON.stringify(body));

export function itemOf({ id, kind, run, at, deadline, bytes }: InboxRow): InboxItem {
  const body = JSON.parse(Buffer.from(bytes).toString("utf8")) as Body;
  return { id, kind: kind as InboxKind, run, ...body, at, deadline };
}

/** The row of an item that waits no longer, with what the events say of that. */
export function decidedRow(row: InboxRow, events: readonly RunEvent[]): InboxRow {
  const item = itemOf(row);
  const decided = decisionIn(item, events);
  const { id, kind, run, at, deadline, ...body } = { ...item, decided };
  return { ...row, decidedAt: decided.at, bytes: bytesOf(body) };
}

function decisionIn({ kind, task, step }: InboxItem, events: readonly RunEvent[]): InboxDecided {
  for (const { type, data, at } of events) {
    if (type === "escalation.decided" && kind === "escalation" && data.task === task)
      return { at, choice: data.choice, by: data.by, note: data.note, edited: data.choice === "edit" };
    if ((type !== "approval.decided" && type !== "step.settled") || data.task !== task || data.key !== step) continue;
    const { by, note } = data;
    if (type === "step.settled") return { at, choice: data.outcome, by, note, edited: false };
    return { at, choice: data.decision === "approved" ? "approve" : "reject", by, note, edited: data.edited };
  }
  return { at: events.at(-1)?.at ?? 0, choice: "withdrawn", by: "", note: "", edited: false };
}
