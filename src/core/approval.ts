import { catalogue, type ErrorCode, type ErrorRecord } from "../error.ts";
import type { ApprovalPolicy, FleetDefinition } from "./definition.ts";
import type { RunEvent } from "./event.ts";
import type { Json } from "./json.ts";
import type { RunState, StepState, TaskState } from "./state.ts";

/** What a person says of a call that waits for approval. */
export interface ApprovalDecision {
  task: string;
  /** The step that asked. */
  key: string;
  /** Hash of the exact action that was decided on; on record, and checked by whoever computes hashes. */
  action: string;
  /** Hash of the arguments that were decided on: the question must still be about these. */
  argumentsHash: string;
  approved: boolean;
  /** Other arguments, to be used in place of those that were asked about; null: just those. */
  edited: { arguments: Json; argumentsHash: string } | null;
  by: string;
  note: string;
}

/** A tool call as a worker reports it. */
interface ReportedCall {
  phase: "started" | "asked" | "completed" | "failed";
  kind: string;
  key: string;
  name: string;
  inputHash: string;
  approval?: string;
}

/** What deciding on approvals needs of the decider. */
export interface ApprovalDesk {
  readonly state: RunState;
  readonly context: { readonly now: number };
  emit(event: RunEvent): void;
  answer(task: TaskState, key: string, answer: { output: Json } | { error: ErrorRecord }): void;
}

/** Who decides when nobody did in time. */
export const DEADLINE = "deadline";

/** Whether calls of a tool by an agent wait for a person: what the tool declares, or the agent's grant, which can only
 *  tighten it. Null: they do not. */
export function approvalPolicy(definition: FleetDefinition, agent: string | null, tool: string): ApprovalPolicy | null {
  const declared = Object.hasOwn(definition.tools, tool) ? definition.tools[tool]?.approval : undefined;
  const grants = agent === null ? undefined : definition.agents[agent]?.approvals;
  const granted = grants !== undefined && Object.hasOwn(grants, tool) ? grants[tool] : undefined;
  if (declared === undefined || granted === undefined) return granted ?? declared ?? null;
  return {
    deadlineMs: earlier(declared.deadlineMs, granted.deadlineMs),
    onDeadline: declared.onDeadline === "reject" ? "reject" : granted.onDeadline,
    to: granted.to.length > 0 ? granted.to : declared.to,
  };
}

const earlier = (one: number | null, other: number | null): number | null =>
  one === null || other === null ? (one ?? other) : Math.min(one, other);

/** Takes a person's decision in; one that is about anything but an open question changes nothing (F9). */
export function decideApproval(desk: ApprovalDesk, decision: ApprovalDecision): void {
  const task = desk.state.tasks.get(decision.task);
  const step = task?.steps.get(decision.key);
  if (task === undefined || !isOpenApproval(step) || step.asked.ask.argumentsHash !== decision.argumentsHash) return;
  const { action, approved, by, edited, note } = decision;
  conclude(desk, task, step, { action, approved, by, edited, note });
}

/** The deadline of an approval: its declared default decides. */
export function approvalDue(desk: ApprovalDesk, task: TaskState, step: StepState): void {
  if (!isOpenApproval(step)) return;
  const { deadline, onDeadline } = step.asked.ask;
  const note = `nobody decided within ${(deadline ?? desk.context.now) - step.asked.at} ms; the default is to ${onDeadline ?? "reject"}`;
  conclude(desk, task, step, { action: "", approved: onDeadline === "approve", by: DEADLINE, edited: null, note });
}

type OpenApproval = StepState & { asked: NonNullable<StepState["asked"]> };

/** A question to a person that has no answer yet. */
export function isOpenApproval(step: StepState | undefined): step is OpenApproval {
  return step?.status === "asked" && step.asked?.ask.ask === "approval";
}

function conclude(
  desk: ApprovalDesk,
  task: TaskState,
  step: OpenApproval,
  { action, approved, by, edited, note }: Omit<ApprovalDecision, "task" | "key" | "argumentsHash">,
): void {
  const { ask } = step.asked;
  const argumentsHash = edited?.argumentsHash ?? ask.argumentsHash ?? "";
  const decision = approved ? "approved" : "rejected";
  desk.emit({
    type: "approval.decided",
    at: desk.context.now,
    data: { action, argumentsHash, by, decision, edited: edited !== null, key: step.key, note, task: task.id },
    ...(edited === null ? {} : { payload: { arguments: edited.arguments } }),
  });
  if (approved) return desk.answer(task, step.key, { output: { arguments: edited?.arguments ?? null, by, note } });
  desk.answer(task, step.key, { error: refusal(ask.tool ?? "", by, note) });
}

function refusal(tool: string, by: string, note: string): ErrorRecord {
  if (by === DEADLINE) return record("APPROVAL_EXPIRED", `${tool} was not called: ${note}`);
  return record("APPROVAL_REJECTED", `${by} rejected the call of ${tool}${note === "" ? "" : `: ${note}`}`);
}

function record(code: ErrorCode, message: string): ErrorRecord {
  const { class: cls, fix } = catalogue[code];
  return { code, class: cls, message, hint: fix };
}

/** Why a tool call must not be believed, in words; null when it may be. A call of a tool that needs approval is begun
 *  with the arguments that were approved, and under that approval once (F9). One that was refused before it began has
 *  none. */
export function unapproved(task: TaskState, call: ReportedCall, policy: ApprovalPolicy | null): string | null {
  if (policy === null || call.kind !== "tool" || call.phase === "asked" || task.steps.has(call.key)) return null;
  const given = call.approval === undefined ? undefined : task.steps.get(call.approval);
  if (given === undefined && call.phase === "failed") return null;
  const approved = given?.approved ?? null;
  if (given === undefined || approved === null) return `${call.key} was not approved`;
  if (given.asked?.ask.tool !== call.name) return `${given.key} approves another tool than ${call.name}`;
  if (approved.argumentsHash !== call.inputHash)
    return `${given.key} approves other arguments than those of ${call.key}`;
  return approved.usedBy === null ? null : `${given.key} was used by ${approved.usedBy}`;
}
