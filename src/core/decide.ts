import { approvalDue, decideApproval, unapproved } from "./approval.ts";
import { catalogue, type ErrorCode, type ErrorRecord, toErrorRecord } from "../error.ts";
import type { JsonSchema } from "./definition.ts";
import { childError, childLimits } from "./child.ts";
import { childId, workflowIn } from "./seat.ts";
import { bindingProblem, editsProblem, PLAN_AGENT, usersEditsProblem } from "./edit.ts";
import type { Ask, Need, Payload, RunEvent, TaskSpecData } from "./event.ts";
import { answerFact, propagate, setFact } from "./correction.ts";
import { decideEscalation, askPerson, escalationDue, failOrEscalate } from "./escalation.ts";
import { idleDraws, overdrafts } from "./account.ts";
import { isRedone } from "./fork.ts";
import { findCycle } from "./graph.ts";
import { handing as planHandover, handoverInput, lasting, refusal } from "./handover.ts";
import { hiring } from "./hire.ts";
import { heldMs, type Hold, isHeld } from "./hold.ts";
import type { Json } from "./json.ts";
import {
  accountAlerts,
  alertsOf,
  callRefusal,
  chargedOf,
  drawsFor,
  excessOf,
  isOpenCall,
  isReservedFor,
  lostCalls,
  usd,
} from "./money.ts";
import type { Binding, Change, Edit, RunView, TaskSpec, TaskView, RunLeft } from "./planner.ts";
import { decideReuse } from "./reuse.ts";
import { CLASSIFY, type RouteChoice, type RouteQuestion } from "./route.ts";
import { retryDelayMs } from "./retry.ts";
import {
  evolve,
  hasOpenQuestion,
  normalNeed,
  type RunState,
  SETTLED,
  type StepState,
  type TaskState,
  taskOf,
  viewOf,
} from "./state.ts";
import type { Command, DecideContext, StepRecord } from "./command.ts";

const ENDS: ReadonlySet<RunEvent["type"]> = new Set(["run.completed", "run.failed", "run.stopped"] as const);
/** After these an attempt may be over, or somebody asks. */
const RETURNING: ReadonlySet<Command["type"]> = new Set([
  ...(["budget.return", "task.complete", "task.fail", "task.release", "task.suspend"] as const),
]);

/** Our own observations, which say nothing when they are out of date. */
const QUIETLY_LATE: ReadonlySet<Command["type"]> = new Set(["task.release", "call.reserve", "call.settle"]);

/** Deaths of a host, with the task alone in it and no step finished in between, that convict a task. */
export const CRASHES_ALONE_MAX = 2;

/** Name of the timer that ends a run at its limit of time. */
export const DEADLINE_TIMER = "deadline";

/** Decides what a command means for a run: returns the events, already applied to `state`, which the caller owns and
 *  drops when they cannot be committed. Folding the same events over the same earlier state gives an equal state.
 *  An empty list means that the command changes nothing (a repeat). Pure but for that: no clock, randomness, id, I/O. */
export function decide(state: RunState, command: Command, context: DecideContext): RunEvent[] {
  const decision = new Decision(state, context);
  decision.handle(command);
  decision.closeCalls(command.type);
  return decision.events;
}

class Decision {
  readonly events: RunEvent[] = [];
  readonly state: RunState;
  readonly context: DecideContext;
  #view: RunView | null = null;

  constructor(state: RunState, context: DecideContext) {
    this.state = state;
    this.context = context;
  }

  handle(command: Command): void {
    if (command.type === "run.start") return this.start(command);
    if (this.state.status !== "running") return this.afterEnd(command);
    switch (command.type) {
      case "tasks.assign":
        return this.assign(command);
      case "step.record":
        return this.recordStep(command);
      case "call.reserve":
        return this.reserve(command);
      case "call.settle":
        return this.settleCall(command);
      case "budget.return":
        return; // As after every command: see `closeCalls`.
      case "task.complete":
        return this.complete(command);
      case "task.fail":
        return this.fail(command);
      case "task.suspend":
        return this.suspend(command);
      case "task.release":
        return this.release(command);
      case "task.expire":
        return this.expire(command.task);
      case "child.end":
        return this.endChild(command);
      case "late.record":
        return this.late(command.what, command.task, command.attempt, command.why);
      case "timer.fire":
        return this.fire(command.name);
      case "step.settle":
        return this.settleStep(command);
      case "run.fork":
        return this.fork(command);
      case "fact.set":
        return this.setFact(command);
      case "approval.decide":
        decideApproval(this, command);
        return this.react();
      case "escalation.decide":
        decideEscalation(this, command);
        return this.react();
      case "run.stop":
        this.emit({ type: "run.stopped", at: this.context.now, data: { why: command.why, by: command.by } });
        return;
      case "run.pause":
        return this.pause(command);
      case "run.resume":
        if (this.state.hold === null) return;
        return this.emit({ type: "run.resumed", at: this.now, data: { why: command.why, by: command.by } });
      default:
        command satisfies never;
    }
  }

  private fork({ from, at, changed, changes, effects, stubs, by }: Extract<Command, { type: "run.fork" }>): void {
    if (this.state.fork !== null) return;
    const others = new Set(changed);
    const redone = [...this.state.tasks.values()].filter((task) => isRedone(task, others));
    const data = { at, by, changes: [...changes], effects, from };
    this.emit({ type: "run.forked", at: this.now, data, payload: { stubs } });
    for (const task of redone) {
      this.cancelAsked(task);
      this.emit({ type: "task.reopened", at: this.now, data: { task: task.id, why: `forked from ${from}` } });
    }
    for (const task of this.state.tasks.values()) {
      if (task.status !== "assigned") continue;
      const { id, attempt } = task;
      const why = "its attempt is the other run's";
      this.emit({ type: "task.released", at: this.now, data: { task: id, attempt, why, suspect: false } });
    }
    if (this.state.tasks.size === 0) this.revise({ type: "started" }, "started");
    this.react();
  }

  /** No call outlives its attempt. */
  closeCalls(command: Command["type"]): void {
    const { money } = this.state;
    if (money.open.size > 0) for (const event of lostCalls(this.state, this.now)) this.emit(event);
    if (money.allotments.size === 0 || !RETURNING.has(command)) return;
    if (money.open.size === 0 || command === "budget.return") this.giveBack();
  }

  /** The run ends: calls that are under way will not be heard of any more. */
  private closeBooks(): void {
    for (const event of lostCalls(this.state, this.now, "all")) this.emit(event);
    this.giveBack();
  }

  private giveBack(): void {
    const accounts = idleDraws(this.state);
    if (accounts.length > 0) this.emit({ type: "budget.returned", at: this.now, data: { accounts } });
  }

  /** Made when a planner is asked, which most commands do not need. */
  private get view(): RunView {
    this.#view ??= viewFor(this.state, this.context);
    return this.#view;
  }

  emit(event: RunEvent): void {
    // Nothing follows the end of a run but what comes too late.
    if (ENDS.has(event.type)) this.closeBooks();
    this.events.push(event);
    evolve(this.state, event);
  }

  private get now(): number {
    return this.context.now;
  }

  private start(command: Extract<Command, { type: "run.start" }>): void {
    if (this.state.version > 0) return;
    this.emit({
      type: "run.started",
      at: this.now,
      data: {
        run: this.state.id,
        workflow: command.workflow,
        pattern: command.pattern,
        definition: command.definition,
        priority: command.priority,
        limits: command.limits,
        queue: command.queue,
        by: command.by,
        ...(command.idempotencyKey === undefined ? {} : { idempotencyKey: command.idempotencyKey }),
        ...(command.parent === undefined ? {} : { parent: command.parent }),
        ...(command.tools === undefined ? {} : { tools: command.tools }),
      },
      payload: { input: command.input },
    });
    if (command.paused !== undefined) this.pause({ type: "run.pause", ...command.paused });
    this.revise({ type: "started" }, "started");
    this.react();
  }

  private assign({ tasks, worker, why }: Extract<Command, { type: "tasks.assign" }>): void {
    const { holds = [], epoch = 0 } = this.context;
    const since = epoch === 0 ? {} : { epoch };
    const byAttempt = new Map<number, string[]>();
    for (const id of tasks) {
      const task = this.state.tasks.get(id);
      if (task === undefined || (task.status !== "ready" && task.status !== "delayed")) continue;
      // Nothing of a scope that is held starts, whoever asks (X5).
      if (isHeld(holds, this.state, task)) continue;
      const attempt = task.attempt + 1;
      const together = byAttempt.get(attempt);
      if (together === undefined) byAttempt.set(attempt, [id]);
      else together.push(id);
    }
    for (const [attempt, together] of byAttempt) {
      this.emit({ type: "tasks.assigned", at: this.now, data: { attempt, ...since, tasks: together, why, worker } });
    }
  }

  /** What is with workers is taken back: it was no fault of the attempts, which do not count as tries. */
  private pause({ why, by }: Extract<Command, { type: "run.pause" }>): void {
    if (this.state.hold !== null) return;
    this.emit({ type: "run.paused", at: this.now, data: { why, by } });
    for (const { id, status, attempt } of [...this.state.tasks.values()]) {
      if (status === "assigned")
        this.release({ type: "task.release", task: id, attempt, why: `paused by ${by}: ${why}`, suspect: false });
    }
  }

  /** Time in which a task, or with null the whole run, was held: no limit counts it. */
  private heldMs(task: TaskState | null, from: number): number {
    return heldMs(this.context.holds ?? [], this.state, task, from, this.now);
  }

  /** The current attempt of an assigned task, or null after recording that the sender is late. */
  private current(command: { type: string; task: string; attempt: number }): TaskState | null {
    const task = this.state.tasks.get(command.task);
    if (task?.status === "assigned" && task.attempt === command.attempt) return task;
    const why = task === undefined ? "no such task" : `task is ${task.status} at attempt ${task.attempt}`;
    this.late(command.type, command.task, command.attempt, why);
    return null;
  }

  private late(what: string, task: string, attempt: number, why: string): void {
    this.emit({ type: "result.late", at: this.now, data: { task, attempt, what, why } });
  }

  private afterEnd(command: Command): void {
    if (command.type === "late.record") {
      this.late(command.what, command.task, command.attempt, command.why);
    } else if ("attempt" in command && !QUIETLY_LATE.has(command.type)) {
      this.late(command.type, command.task, command.attempt, `run is ${this.state.status}`);
    }
  }

  private recordStep(command: Extract<Command, { type: "step.record" }>): void {
    const task = this.current(command);
    if (task === null) return;
    const { step } = command;
    const known = task.steps.get(step.key);
    if (known !== undefined && !advances(known, step)) return;
    const forbidden = unapproved(task, step, this.context.approval?.(task.agent, step.name) ?? null);
    if (forbidden !== null) return this.refuseStep(task, forbidden);
    const input: Payload = step.input === undefined ? {} : { input: step.input };
    const durationMs = step.durationMs ?? 0;
    const { inputHash, key, kind, name } = step;
    const proof = step.proof === undefined ? {} : { proof: step.proof };
    const usage = step.usage === undefined ? {} : { usage: step.usage };
    const call = step.call === undefined ? {} : { call: step.call };
    const approval = step.approval === undefined ? {} : { approval: step.approval };
    const { attempt, id } = task;
    const excess =
      step.usage === undefined || step.call === undefined
        ? null
        : excessOf(this.state, { attempt, call: step.call, task: id, usage: step.usage });
    // Keys in canonical order: see the note at `canonicalJson`.
    if (step.phase === "started") {
      const { idempotencyKey = key, settle = "person" } = step;
      const data = { ...approval, attempt, idempotencyKey, inputHash, key, kind, name, ...proof, settle, task: id };
      this.emit({ type: "step.started", at: this.now, data, payload: input });
    } else if (step.phase === "asked") {
      if (step.ask === undefined) return;
      const data = { ask: step.ask, attempt, inputHash, key, kind, name, ...proof, task: id };
      this.emit({ type: "step.asked", at: this.now, data, payload: input });
      this.put(task, key, step.ask, step.input ?? null);
      this.react();
      // What was answered at once is a step, and counts.
      if (this.state.status === "running") this.checkUsage(task);
      return;
    } else {
      const before = { ...approval, attempt, ...call, durationMs };
      const after = { inputHash, key, kind, name, ...proof, task: id, ...usage };
      if (step.phase === "completed") {
        const data = { ...before, ...after };
        this.emit({ type: "step.completed", at: this.now, data, payload: { ...input, output: step.output ?? null } });
      } else {
        const error = step.error ?? errorRecord("AGENT_FAILED", "the step failed without saying why");
        this.emit({ type: "step.failed", at: this.now, data: { ...before, error, ...after }, payload: input });
      }
    }
    if (excess !== null) {
      const accounts = overdrafts(this.state);
      const data = accounts.length === 0 ? excess : { accounts, ...excess };
      this.emit({ type: "budget.exceeded", at: this.now, data });
    }
    this.alert();
    this.checkUsage(task);
  }

  private reserve(command: Extract<Command, { type: "call.reserve" }>): void {
    const { task, attempt, call, model, tokens, costMicroUsd, ask } = command;
    if (isReservedFor(this.state, command) || callRefusal(this.state, command, this.context) !== null) return;
    if (isOpenCall(this.state, command)) {
      const lost = { attempt, call, outcome: "unsettled", task } as const;
      this.emit({ type: "call.settled", at: this.now, data: lost });
    }
    const draws = drawsFor(this.state, command, this.context);
    const alerts = accountAlerts(draws, this.context.accounts);
    const accounts = draws.length === 0 ? {} : { accounts: draws };
    const asked = ask === undefined ? {} : { ask };
    const data = { ...accounts, ...asked, attempt, call, costMicroUsd, model, task, tokens };
    this.emit({ type: "call.reserved", at: this.now, data });
    for (const alert of alerts) this.emit({ type: "budget.alerted", at: this.now, data: alert });
  }

  private settleCall({ task, attempt, call, outcome }: Extract<Command, { type: "call.settle" }>): void {
    if (!isOpenCall(this.state, { task, attempt, call })) return;
    this.emit({ type: "call.settled", at: this.now, data: { attempt, call, outcome, task } });
    this.alert();
  }

  private alert(): void {
    for (const data of alertsOf(this.state)) this.emit({ type: "budget.alerted", at: this.now, data });
  }

  /** A worker that makes a call which nobody allowed is not believed: the task ends, before it may go on. */
  private refuseStep(task: TaskState, why: string): void {
    const { attempt, id } = task;
    this.late("step.record", id, attempt, why);
    const error = errorRecord("APPROVAL_MISSING", why);
    this.raiseQuestions(task);
    this.emit({ type: "task.failed", at: this.now, data: { task: id, attempt, error } });
    this.react();
  }

  /** The work of a task is a run of its own: it is asked for in this commit, and started when that is durable. */
  private requestChild(task: TaskState): void {
    if (SETTLED.has(task.status)) return;
    const name = workflowIn(task.agent) ?? "";
    const workflow = this.context.workflow?.(name) ?? null;
    const fail = (error: ErrorRecord) =>
      this.emit({ type: "task.failed", at: this.now, data: { task: task.id, attempt: task.attempt, error } });
    if (workflow === null)
      return fail(errorRecord("PLAN_INVALID", `there is no workflow "${name}" for task ${task.id}`));
    const problems = workflow.problems(task.input ?? null);
    const message = `the input of workflow "${name}" is not what it takes: ${problems.join("; ")}`;
    if (problems.length > 0) return fail(errorRecord("INPUT_INVALID", message));
    const given = childLimits(this.state, task, workflow.limits, {
      now: this.now,
      heldMs: this.heldMs(null, this.state.startedAt),
    });
    if ("error" in given) return fail(given.error);
    const child = childId(this.state.id, this.state.children + 1);
    const { limits } = given;
    const data = { child, limits, pattern: workflow.pattern, task: task.id, workflow: name };
    this.emit({ type: "child.requested", at: this.now, data });
  }

  /** A child's end is heard once. What it used counts also when its task was over before. */
  private endChild({ task: id, child, status, output, error, used }: Extract<Command, { type: "child.end" }>): void {
    const task = this.state.tasks.get(id);
    if (task?.child?.run !== child || task.childEnded) return;
    this.emit({ type: "child.ended", at: this.now, data: { child, status, task: id, used } });
    if (SETTLED.has(task.status)) return this.checkUsage(task);
    const data = { task: id, attempt: task.attempt };
    if (status === "completed") {
      this.emit({ type: "task.completed", at: this.now, data, payload: { output } });
    } else {
      this.emit({ type: "task.failed", at: this.now, data: { ...data, error: childError(child, status, error) } });
    }
    this.checkUsage(task);
    this.react();
  }

  private checkUsage(task: TaskState): void {
    const { usage, limits } = this.state;
    const { tokens, costMicroUsd } = chargedOf(this.state);
    if (usage.steps > limits.stepsMax) {
      this.endFailed(errorRecord("LIMIT_STEPS", `the run made ${usage.steps} of ${limits.stepsMax} steps`), task.id);
    } else if (tokens > limits.tokensMax) {
      this.endFailed(errorRecord("LIMIT_TOKENS", `the run used ${tokens} of ${limits.tokensMax} tokens`), task.id);
    } else if (limits.costMicroUsdMax !== null && costMicroUsd > limits.costMicroUsdMax) {
      const message = `the run spent ${usd(costMicroUsd)} of ${usd(limits.costMicroUsdMax)}`;
      this.endFailed(errorRecord("LIMIT_COST", message), task.id);
    }
  }

  private complete(command: Extract<Command, { type: "task.complete" }>): void {
    const task = this.current(command);
    if (task === null) return;
    if (task.kind === "plan") return this.completePlan(task, command);
    // An agent that ends without waiting for its write leaves the question open, on the record.
    this.raiseQuestions(task);
    this.emit({
      type: "task.completed",
      at: this.now,
      data: { attempt: task.attempt, ...(command.proof === undefined ? {} : { proof: command.proof }), task: task.id },
      payload: { output: command.output },
    });
    this.react();
  }

  /** A user's own pattern ran in a host: its output is edits of the graph. */
  private completePlan(task: TaskState, command: Extract<Command, { type: "task.complete" }>): void {
    this.emit({
      type: "task.completed",
      at: this.now,
      data: { attempt: task.attempt, ...(command.proof === undefined ? {} : { proof: command.proof }), task: task.id },
      payload: { output: command.output },
    });
    const malformed = usersEditsProblem(command.output);
    if (malformed !== null) return this.endFailed(errorRecord("PLAN_INVALID", malformed), task.id);
    this.apply(command.output as unknown as readonly Edit[], `planned by ${task.id}`);
    this.react();
  }

  private fail(command: Extract<Command, { type: "task.fail" }>): void {
    const task = this.current(command);
    if (task === null) return;
    this.raiseQuestions(task);
    const proof = command.proof === undefined ? {} : { proof: command.proof };
    const delayMs = retryDelayMs(this.context.retry(task.agent), task.tries, command.error, this.context.roll);
    const data = { task: task.id, attempt: task.attempt, error: command.error, ...proof };
    if (delayMs !== null) {
      this.emit({ type: "task.retried", at: this.now, data: { ...data, delayMs, readyAt: this.now + delayMs } });
      return;
    }
    if (hasOpenQuestion(task)) {
      // The work failed for good, yet whether its write happened is still open: a person settles that first.
      this.emit({ type: "task.retried", at: this.now, data: { ...data, delayMs: 0, readyAt: this.now } });
      return;
    }
    failOrEscalate(this, task, command.error, command.proof);
    this.react();
  }

  private suspend(command: Extract<Command, { type: "task.suspend" }>): void {
    const task = this.current(command);
    if (task === null) return;
    const { waits = [] } = command;
    this.emit({
      type: "task.suspended",
      at: this.now,
      data: {
        task: task.id,
        attempt: task.attempt,
        wakeAt: command.wakeAt,
        ...(waits.length === 0 ? {} : { waits: [...waits] }),
        ...(command.proof === undefined ? {} : { proof: command.proof }),
      },
    });
    this.wakeFor(task);
  }

  /** Does what a step asks for, or answers at once why not: that is the asker's to meet, and ends nothing else. */
  private put(task: TaskState, key: string, ask: Ask, input: Json): void {
    // A person is asked by its being on record.
    if (ask.ask === "approval") return;
    if (ask.ask === "handover") return this.handOver(task, key, ask, input);
    if (ask.ask !== "call") return answerFact(this, task, key, ask, input);
    const id = this.newId(`${task.id}/${key}`);
    const spec: TaskSpec = {
      id,
      ...(ask.agent === undefined ? {} : { agent: ask.agent }),
      input,
      priority: task.priority,
      why: `asked by ${task.id}`,
    };
    const hired = hiring(this.state, task, ask.agent ?? "", this.context.grant);
    if ("error" in hired) return this.answer(task, key, hired);
    const problem = this.problemOf([spec], task.depth + 1);
    if (problem !== null) return this.answer(task, key, { error: problem });
    this.emitRevision([spec], [], `${task.agent} asks ${ask.agent}`, {
      depth: task.depth + 1,
      asker: { key, task: task.id },
      tools: hired.tools,
    });
  }

  /** C14: another agent does the task, as a task whose outcome is this one's. */
  private handOver(task: TaskState, key: string, ask: Ask, given: Json): void {
    const said = handoverInput(given);
    if (said === null) return this.answer(task, key, refusal(task, `${key} does not say what is handed over`));
    const to = ask.agent ?? "";
    const why = ask.why ?? "";
    const handing = planHandover(this.state, task, to, { why, said }, this.context.grant);
    if ("error" in handing) return this.answer(task, key, handing);
    const { handed, input, tools } = handing;
    const id = this.newId(`${task.id}/${key}`);
    const output = said.output === null ? {} : { output: said.output as JsonSchema };
    const spec: TaskSpec = { id, agent: to, input, ...output, priority: task.priority, why: `in place of ${task.id}` };
    const problem = this.problemOf([spec], task.depth);
    if (problem !== null) return this.answer(task, key, refusal(task, problem.message));
    const asker = { key, task: task.id };
    this.emitRevision([spec], [], `${task.agent} hands ${task.id} over to ${to}`, { depth: task.depth, asker, tools });
    const data = { agent: to, by: task.agent ?? "", from: task.id, hop: handed.path.length, task: id, why };
    this.emit({ type: "task.handed", at: this.now, data, payload: { handed: handed as unknown as Json } });
  }

  /** A task that a person has tried again may ask again. */
  private newId(wanted: string): string {
    let id = wanted;
    for (let again = 2; this.state.tasks.has(id); again++) id = `${wanted}~${again}`;
    return id;
  }

  /** Answers a question of a task; the first answer counts. */
  answer(task: TaskState, key: string, answer: { output: Json } | { error: ErrorRecord }): void {
    const step = task.steps.get(key);
    if (step?.status !== "asked" || step.asked === null) return;
    const { inputHash, kind, name } = step;
    const durationMs = Math.max(0, this.now - step.asked.at);
    const data = { attempt: task.attempt, durationMs, inputHash, key, kind, name, task: task.id };
    if ("error" in answer) {
      this.emit({ type: "step.failed", at: this.now, data: { ...data, error: answer.error } });
    } else {
      this.emit({ type: "step.completed", at: this.now, data, payload: { output: answer.output } });
    }
    this.wakeFor(task);
  }

  /** A task that is suspended for answers goes on with the first of them. */
  private wakeFor(task: TaskState): void {
    if (task.status !== "suspended") return;
    const answered = task.waits.some((key) => task.steps.get(key)?.status !== "asked");
    if (answered) this.emit({ type: "task.woken", at: this.now, data: { task: task.id } });
  }

  /** The outcome of a task that a step asked for is that step's answer. */
  private answerWith({ asker, id, status, output, error }: TaskState): void {
    const task = asker === null ? undefined : this.state.tasks.get(asker.task);
    if (asker === null || task === undefined || SETTLED.has(task.status)) return;
    if (asker.key === CLASSIFY) return this.seek(task);
    if (status === "completed") return this.answer(task, asker.key, { output: output ?? null });
    const failed = error ?? errorRecord("CANCELLED", `task ${id} was ${status}`);
    const handedOver = task.steps.get(asker.key)?.asked?.ask.ask === "handover";
    this.answer(task, asker.key, { error: handedOver ? lasting(failed) : failed });
  }

  /** What a task asked for is no use when it is over. */
  cancelAsked(task: TaskState): void {
    for (const id of [...task.asked]) {
      if (SETTLED.has(taskOf(this.state, id).status)) continue;
      this.emit({
        type: "task.cancelled",
        at: this.now,
        data: { task: id, why: `${task.id}, which asked for it, is over` },
      });
    }
  }

  private setFact(command: Extract<Command, { type: "fact.set" }>): void {
    const { fact, value, by, why, until, base } = command;
    const version = this.state.facts.get(fact)?.at(-1)?.version ?? 0;
    if (base !== undefined && base !== version) {
      const data = { base, by, fact, task: null, version };
      return this.emit({ type: "fact.conflicted", at: this.now, data, payload: { value } });
    }
    setFact(this, { fact, value, by, task: null, why, until });
    this.react();
  }

  /** The deadline of a question: `name` is its task and key. */
  private askDue(name: string): void {
    const place = name.lastIndexOf("\n");
    const task = this.state.tasks.get(name.slice(0, place));
    const step = task?.steps.get(name.slice(place + 1));
    const { deadline = null } = step?.asked?.ask ?? {};
    if (task === undefined || step === undefined || deadline === null) return;
    if (deadline + this.heldMs(answererOf(this.state, task, step.key), step.asked?.at ?? deadline) > this.now) return;
    if (step.asked?.ask.ask === "approval") {
      approvalDue(this, task, step);
      return this.react();
    }
    const message = `${step.name} had no answer within ${deadline - (step.asked?.at ?? 0)} ms`;
    this.answer(task, step.key, { error: errorRecord("STEP_TIMEOUT", message) });
    const child = task.asked.find((id) => taskOf(this.state, id).asker?.key === step.key);
    if (child !== undefined)
      this.emit({
        type: "task.cancelled",
        at: this.now,
        data: { task: child, why: `${task.id} waits for it no longer` },
      });
    this.react();
  }

  private release(command: Extract<Command, { type: "task.release" }>): void {
    const task = this.state.tasks.get(command.task);
    // A release is our own observation, not a message: one that is out of date says nothing.
    if (task?.status !== "assigned" || task.attempt !== command.attempt) return;
    this.raiseQuestions(task);
    const open = hasOpenQuestion(task);
    this.emit({
      type: "task.released",
      at: this.now,
      data: { task: task.id, attempt: task.attempt, why: command.why, suspect: command.suspect },
    });
    // Deaths that it shared prove nothing; those that happened with nobody else there do.
    if (command.suspect && task.crashesAlone >= CRASHES_ALONE_MAX && !open) {
      const who = task.kind === "plan" ? `pattern "${this.state.pattern}"` : (task.agent ?? task.id);
      const message = `${who} killed its process ${task.crashes} times, ${task.crashesAlone} of them alone in it: ${command.why}`;
      const error = errorRecord("AGENT_CONVICTED", message);
      failOrEscalate(this, task, error);
      this.react();
    }
  }

  /** Writes that were intended and have no outcome: unknown until found out (F13). */
  private raiseQuestions(task: TaskState): void {
    for (const step of task.steps.values()) {
      if (step.status !== "started") continue;
      this.emit({
        type: "step.unknown",
        at: this.now,
        data: { task: task.id, key: step.key, settle: step.settle },
      });
    }
  }

  private expire(id: string): void {
    const task = this.state.tasks.get(id);
    if (task === undefined || (task.status !== "ready" && task.status !== "delayed")) return;
    // It may have been given out and come back since somebody looked.
    const { queueMs } = this.state.limits;
    if (queueMs === null || isHeld(this.context.holds ?? [], this.state, task)) return;
    if (task.readyAt + queueMs + this.heldMs(task, task.readyAt) > this.now) return;
    this.emit({ type: "task.expired", at: this.now, data: { task: id } });
    const error = errorRecord(
      "TASK_EXPIRED",
      `task ${id} waited for a worker longer than limits.queueMs, ${this.state.limits.queueMs} ms`,
    );
    failOrEscalate(this, task, error);
    this.react();
  }

  private fire(name: string): void {
    if (name === DEADLINE_TIMER) {
      const { startedAt, limits } = this.state;
      const heldMs = this.heldMs(null, startedAt);
      if (heldMs > 0 && startedAt + limits.timeMs + heldMs > this.now) return;
      const message = `the run took longer than ${this.state.limits.timeMs} ms`;
      this.endFailed(errorRecord("LIMIT_TIME", message), null);
      return;
    }
    if (name.startsWith("escalation/")) {
      const task = this.state.tasks.get(name.slice("escalation/".length));
      if (task !== undefined) escalationDue(this, task);
      return this.react();
    }
    if (name.startsWith("ask/")) return this.askDue(name.slice("ask/".length));
    const id = name.startsWith("wake/") ? name.slice("wake/".length) : null;
    const task = id === null ? undefined : this.state.tasks.get(id);
    if (task?.status === "suspended" && task.readyAt <= this.now) {
      this.emit({ type: "task.woken", at: this.now, data: { task: task.id } });
    }
  }

  private settleStep(command: Extract<Command, { type: "step.settle" }>): void {
    const task = this.state.tasks.get(command.task);
    // While an attempt finds out for itself, whoever looked from outside may have seen it before the write.
    if (task?.steps.get(command.key)?.status !== "unknown" || task.status === "assigned") return;
    this.emit({
      type: "step.settled",
      at: this.now,
      data: { task: command.task, key: command.key, outcome: command.outcome, by: command.by, note: command.note },
      payload: { output: command.output ?? null },
    });
  }

  /** Follows what the events so far have set off until nothing is left to decide. */
  private react(): void {
    const { scratch } = this.state;
    while (this.state.status === "running") {
      const doomed = scratch.doomed.shift();
      if (doomed !== undefined) {
        this.skip(doomed.task, doomed.because);
        continue;
      }
      if (scratch.unbound.length > 0) {
        this.bindAll(scratch.unbound.splice(0));
        continue;
      }
      const unrouted = scratch.unrouted.shift();
      if (unrouted !== undefined) {
        this.seek(taskOf(this.state, unrouted));
        continue;
      }
      const full = scratch.full.shift();
      if (full !== undefined) {
        this.closeGroup(taskOf(this.state, full));
        continue;
      }
      const childless = scratch.childless.shift();
      if (childless !== undefined) {
        this.requestChild(taskOf(this.state, childless));
        continue;
      }
      const repeated = scratch.repeated.shift();
      if (repeated !== undefined) {
        decideReuse(this, taskOf(this.state, repeated));
        continue;
      }
      const settled = scratch.settled.shift();
      if (settled === undefined) return this.expectEnd();
      const task = taskOf(this.state, settled);
      this.cancelAsked(task);
      if (task.asker !== null) {
        this.answerWith(task);
      } else if (task.kind === "plan" && task.status === "failed") {
        this.endFailed(task.error ?? errorRecord("PLAN_INVALID", "the pattern failed"), task.id);
      } else if (task.kind !== "plan") {
        propagate(this, task);
        this.revise({ type: "settled", task: viewOf(task) }, `${task.id} ${task.status}`);
      }
    }
  }

  /** A run in which nothing is open and nothing ends it would wait for ever. */
  private expectEnd(): void {
    if (this.state.openTasks === 0) {
      const message =
        "the pattern left the run without open tasks and did not end it: plan() must answer with finish or fail in the end";
      this.endFailed(errorRecord("PLAN_INVALID", message), null);
    } else if (this.state.underWay === 0) {
      this.expectWord();
    }
  }

  /** Whoever may give inputs and agents later may also forget to. */
  private expectWord(): void {
    const [first] = this.state.awaiting;
    if (first === undefined) return;
    const what = taskOf(this.state, first).status === "unrouted" ? "agent" : "input";
    const message = `nothing is under way any more, and the pattern has given no ${what} to ${[...this.state.awaiting].join(", ")}`;
    this.endFailed(errorRecord("PLAN_INVALID", message), first);
  }

  /** A task is ready but for somebody to do it. */
  private seek(task: TaskState): void {
    if (task.status !== "unrouted") return;
    if (task.route !== null) return this.follow(task, task.route);
    this.revise({ type: "unrouted", task: viewOf(task) }, `${task.id} is open`);
  }

  /** The route that stands in a task's seat says who does it, perhaps after its classifier. */
  private follow(task: TaskState, name: string): void {
    const router = this.context.router?.(name);
    const data = { attempt: task.attempt, task: task.id };
    if (router === undefined) {
      const error = errorRecord("DEFINITION_MISSING", `there is no route "${name}"`);
      return this.emit({ type: "task.failed", at: this.now, data: { ...data, error } });
    }
    const choice = router(this.routeQuestion(task));
    if ("fail" in choice) {
      this.emit({ type: "task.failed", at: this.now, data: { ...data, error: choice.fail } });
    } else if ("classify" in choice) {
      this.classify(task, choice.classify);
    } else {
      const { agent, candidates, priority, why } = choice;
      const ranked = priority === undefined ? {} : { priority };
      const routed = {
        agent,
        candidates: [...candidates],
        ...ranked,
        ...this.reuseOf(agent),
        route: name,
        task: task.id,
        why,
      };
      this.emit({ type: "task.routed", at: this.now, data: routed });
    }
  }

  private routeQuestion(task: TaskState): RouteQuestion {
    const { loads, tasks } = this.state;
    const load = (agent: string) => (loads.get(agent) ?? 0) + (this.context.loadElsewhere?.(agent) ?? 0);
    const asked = tasks.get(`${task.id}/${CLASSIFY}`);
    const question = { input: task.input ?? null, load };
    if (asked === undefined) return question;
    if (asked.status === "completed") return { ...question, classified: { output: asked.output ?? null } };
    const error = asked.error ?? errorRecord("CANCELLED", `task ${asked.id} was ${asked.status}`);
    return { ...question, classified: { error } };
  }

  private classify(
    task: TaskState,
    { agent, input, output }: Extract<RouteChoice, { classify: unknown }>["classify"],
  ): void {
    const why = `what ${task.id} is about`;
    const spec: TaskSpec = { id: `${task.id}/${CLASSIFY}`, agent, input, output, priority: task.priority, why };
    const error = this.problemOf([spec], task.depth + 1);
    if (error !== null) {
      this.emit({ type: "task.failed", at: this.now, data: { task: task.id, attempt: task.attempt, error } });
      return;
    }
    const asker = { key: CLASSIFY, task: task.id };
    this.emitRevision([spec], [], `${agent} says ${why}`, { depth: task.depth + 1, asker });
  }

  private route({ task: id, agent, why, candidates, output }: Extract<Edit, { edit: "route" }>): void {
    const task = this.state.tasks.get(id);
    if (task?.status !== "unrouted" || this.state.status !== "running") return;
    const isRoute = this.context.router?.(agent) !== undefined;
    if (isRoute || !this.context.hasAgent(agent)) {
      const problem = isRoute
        ? `"${agent}" is a route, and only an agent can claim ${id}`
        : agentProblem({ id, agent });
      return this.endFailed(errorRecord("PLAN_INVALID", problem), id);
    }
    const considered = candidates === undefined ? {} : { candidates: [...candidates] };
    const data = {
      agent,
      ...considered,
      ...(output === undefined ? {} : { output }),
      ...this.reuseOf(agent),
      task: id,
      why,
    };
    this.emit({ type: "task.routed", at: this.now, data });
  }

  /** Written into the task, so that who shares its work follows from the run's own events. */
  private reuseOf(agent: string | null | undefined): { reuseMs?: number } {
    const reuseMs = typeof agent === "string" ? (this.context.reuseMs?.(agent) ?? null) : null;
    return reuseMs === null ? {} : { reuseMs };
  }

  private skip(id: string, because: string): void {
    const task = taskOf(this.state, id);
    if (SETTLED.has(task.status)) return;
    const cause = taskOf(this.state, because);
    this.emit({
      type: "task.skipped",
      at: this.now,
      data: { task: id, why: `${because} ${cause.status}`, because },
    });
    for (const member of this.openMembersOf(id)) {
      this.emit({ type: "task.cancelled", at: this.now, data: { task: member, why: `${id} was skipped` } });
    }
  }

  /** What would be left running if the group ended now, its members' members too. */
  private openMembersOf(id: string): string[] {
    const open = (taskOf(this.state, id).members ?? []).filter(
      (member) => !SETTLED.has(taskOf(this.state, member).status),
    );
    return open.flatMap((member) => [member, ...this.openMembersOf(member)]);
  }

  /** Asks for the inputs of tasks whose needs are met; those that get theirs at once share an event. */
  private bindAll(ids: readonly string[]): void {
    const inputs: [string, Json][] = [];
    const others: [TaskState, Binding][] = [];
    for (const id of ids) {
      const task = taskOf(this.state, id);
      if (task.status !== "unbound") continue;
      const binding = this.bindingOf(task);
      if (binding === null) return;
      if ("input" in binding) inputs.push([id, binding.input]);
      else others.push([task, binding]);
    }
    this.emitBound(inputs);
    for (const [task, binding] of others) if (task.status === "unbound") this.applyBinding(task, binding);
  }

  /** The planner's answer for a task; null when it gave none that is sound, which ended the run. */
  bindingOf(task: TaskState): Binding | null {
    const { planner } = this.context;
    const unbound = errorRecord("PLAN_INVALID", `the pattern gives no input for task ${task.id}`);
    const binding = this.ask(() => planner.bind?.(this.view, viewOf(task)) ?? { fail: unbound });
    if (binding === null) return null;
    const malformed = bindingProblem(binding);
    if (malformed === null) return binding;
    this.endFailed(errorRecord("PLAN_INVALID", malformed), task.id);
    return null;
  }

  private emitBound(inputs: readonly [string, Json][]): void {
    if (inputs.length === 0) return;
    const tasks = inputs.map(([id]) => id);
    this.emit({ type: "tasks.bound", at: this.now, data: { tasks }, payload: Object.fromEntries(inputs) });
  }

  private applyBinding(task: TaskState, binding: Binding): void {
    if ("later" in binding) {
      this.revise({ type: "unbound", task: viewOf(task) }, `${task.id} waits for its input`);
    } else if ("input" in binding) {
      this.emitBound([[task.id, binding.input]]);
    } else if ("output" in binding) {
      this.emit({
        type: "task.completed",
        at: this.now,
        data: { attempt: task.attempt, task: task.id },
        payload: { output: binding.output },
      });
    } else if ("skip" in binding) {
      this.emit({ type: "task.skipped", at: this.now, data: { task: task.id, why: binding.skip, because: null } });
    } else if ("person" in binding) {
      askPerson(this, task, binding.person);
    } else if ("fail" in binding) {
      this.emit({
        type: "task.failed",
        at: this.now,
        data: { task: task.id, attempt: task.attempt, error: binding.fail },
      });
    } else if (binding.members.length === 0) {
      // An empty group has an empty list for its output.
      this.emit({
        type: "task.completed",
        at: this.now,
        data: { task: task.id, attempt: task.attempt },
        payload: { output: [] },
      });
    } else {
      this.apply(
        binding.members.map((member) => ({ edit: "add", task: { ...member, group: task.id } })),
        `members of ${task.id}`,
      );
    }
  }

  private closeGroup(group: TaskState): void {
    if (SETTLED.has(group.status)) return;
    const members = (group.members ?? []).map((id) => taskOf(this.state, id));
    const broken = members.find((member) => member.status !== "completed");
    const data = { task: group.id, attempt: group.attempt };
    if (broken === undefined) {
      this.emit({ type: "task.completed", at: this.now, data });
    } else {
      const error =
        broken.error ?? errorRecord("DEPENDENCY_FAILED", `member ${broken.id} of ${group.id} was ${broken.status}`);
      this.emit({ type: "task.failed", at: this.now, data: { ...data, error } });
    }
  }

  private revise(change: Change, why: string): void {
    const edits = this.ask(() => this.context.planner.plan(this.view, change));
    if (edits !== null) this.apply(edits, why);
  }

  /** Asks the planner; one that throws ends its own run and nothing else. */
  private ask<T>(question: () => T): T | null {
    try {
      return question();
    } catch (error) {
      const record = toErrorRecord(error, "PLAN_INVALID");
      this.endFailed(record, null);
      return null;
    }
  }

  private apply(edits: readonly Edit[], why: string): void {
    const malformed = editsProblem(edits);
    if (malformed !== null) return this.endFailed(errorRecord("PLAN_INVALID", malformed), null);
    if (edits.length === 0) return;
    const add: TaskSpec[] = [];
    const added = new Set<string>();
    const cancel = new Map<string, string>();
    const bind: Extract<Edit, { edit: "bind" }>[] = [];
    const routed: Extract<Edit, { edit: "route" }>[] = [];
    let reason = why;
    let end: Extract<Edit, { edit: "finish" | "fail" }> | null = null;
    for (const edit of edits) {
      if (edit.edit === "add") {
        if (this.state.tasks.has(edit.task.id) || added.has(edit.task.id)) continue;
        added.add(edit.task.id);
        add.push(edit.task);
      } else if (edit.edit === "cancel") {
        const task = this.state.tasks.get(edit.task);
        if (task === undefined || SETTLED.has(task.status)) continue;
        for (const id of [task.id, ...this.openMembersOf(task.id)]) if (!cancel.has(id)) cancel.set(id, edit.why);
      } else if (edit.edit === "bind") {
        bind.push(edit);
      } else if (edit.edit === "route") {
        routed.push(edit);
      } else if (edit.edit === "explain") {
        reason = edit.why;
      } else {
        end = edit;
        break;
      }
    }
    if (add.length > 0 || cancel.size > 0) {
      const problem = this.problemOf(add);
      if (problem !== null) return this.endFailed(problem, null);
      this.emitRevision(
        add,
        [...cancel].map(([task, why]) => ({ task, why })),
        reason,
      );
    }
    for (const { task: id, binding } of bind) {
      const task = this.state.tasks.get(id);
      // One that says `later` once more has nothing to say yet.
      if (task?.status === "unbound" && this.state.status === "running" && !("later" in binding))
        this.applyBinding(task, binding);
    }
    for (const edit of routed) this.route(edit);
    if (end?.edit === "finish") {
      this.finish(end.output);
    } else if (end?.edit === "fail") {
      this.endFailed(end.error, end.task ?? null);
    }
  }

  /** A run never completes with an output that its workflow does not promise (F7). */
  private finish(output: Json): void {
    const problems = this.context.outputProblems?.(output) ?? [];
    if (problems.length === 0) return this.emit({ type: "run.completed", at: this.now, data: {}, payload: { output } });
    const message = `the run's output does not match the output schema of workflow "${this.state.workflow}": ${problems.join("; ")}`;
    this.endFailed(errorRecord("OUTPUT_INVALID", message), null);
  }

  /** C1, C4: nothing of a revision is added unless all of it is sound. */
  private problemOf(add: readonly TaskSpec[], base: number | null = null): ErrorRecord | null {
    const added = new Map(add.map((task) => [task.id, (task.needs ?? []).map((need) => normalNeed(need).task)]));
    const groups = new Set(add.filter((task) => task.kind === "group").map((task) => task.id));
    for (const task of add) {
      const unknown = added.get(task.id)?.find((need) => !added.has(need) && !this.state.tasks.has(need));
      if (unknown !== undefined)
        return errorRecord("PLAN_INVALID", `task ${task.id} needs ${unknown}, which does not exist`);
      if (task.group !== undefined && !groups.has(task.group) && !this.takesMembers(task.group)) {
        return errorRecord("PLAN_INVALID", `task ${task.id} is a member of ${task.group}, which is not an open group`);
      }
      // What an agent may call is granted to it, not to the workflow.
      const mayWork = (agent: string) => base !== null || this.context.hasAgent(agent);
      if (task.kind !== "group" && task.agent !== null && (task.agent === undefined || !mayWork(task.agent))) {
        return errorRecord("PLAN_INVALID", agentProblem(task));
      }
    }
    const cycle = this.cycleWith(added, add);
    if (cycle !== null) return errorRecord("CYCLE", `tasks depend on each other in a cycle: ${cycle.join(" → ")}`);
    const { depthMax, tasksMax } = this.state.limits;
    const depthOf = this.depthsOf(add);
    const deep = add.find((task) => (base ?? 0) + depthOf(task) > depthMax);
    if (deep !== undefined) return errorRecord("LIMIT_DEPTH", `task ${deep.id} is nested deeper than ${depthMax}`);
    const total = this.state.tasks.size + this.state.childTasks + this.state.allotted.tasks + add.length;
    return total > tasksMax ? errorRecord("LIMIT_TASKS", `the run would have ${total} of ${tasksMax} tasks`) : null;
  }

  private takesMembers(id: string): boolean {
    const task = this.state.tasks.get(id);
    return task !== undefined && !SETTLED.has(task.status) && (task.kind === "group" || task.status === "unbound");
  }

  /** A group waits for its members as a task does for its needs, so a member that waits for its group is a cycle too. */
  private cycleWith(added: Map<string, string[]>, add: readonly TaskSpec[]): string[] | null {
    const needsOf = (id: string) => {
      const task = this.state.tasks.get(id);
      if (task === undefined || SETTLED.has(task.status)) return [];
      return [...task.needs.map((need) => need.task), ...(task.members ?? [])];
    };
    const mayWait = add.some(
      (task) => task.group !== undefined && (task.kind === "group" || (task.needs?.length ?? 0) > 0),
    );
    if (!mayWait) return findCycle(added, needsOf);
    for (const { id, group } of add) {
      if (group === undefined) continue;
      const waitsFor = added.get(group) ?? needsOf(group);
      waitsFor.push(id);
      added.set(group, waitsFor);
    }
    return findCycle(added, needsOf, true);
  }

  /** How many groups a new task is in, one inside the other; groups of the same revision may come in any order. */
  private depthsOf(add: readonly TaskSpec[]): (task: TaskSpec) => number {
    const added = new Map(add.map((task) => [task.id, task]));
    return (task) => {
      let depth = 0;
      for (let group = task.group; group !== undefined; group = added.get(group)?.group) {
        depth += 1;
        const known = this.state.tasks.get(group);
        if (known !== undefined) return known.depth + depth;
      }
      return depth;
    };
  }

  private emitRevision(
    add: readonly TaskSpec[],
    cancel: { task: string; why: string }[],
    why: string,
    asked?: { depth: number; asker: { task: string; key: string }; tools?: readonly string[] },
  ): void {
    const inputs: [string, Json][] = [];
    const depthOf = this.depthsOf(add);
    // Keys in canonical order: see the note at `canonicalJson`.
    const routeOf = ({ agent }: TaskSpec) =>
      typeof agent === "string" && this.context.router?.(agent) !== undefined ? agent : null;
    const specs = add.map((task): TaskSpecData => {
      const kind = task.kind ?? "agent";
      const depth = (asked?.depth ?? 0) + depthOf(task);
      if (task.input !== undefined) inputs.push([task.id, task.input]);
      return {
        agent: routeOf(task) === null ? (task.agent ?? null) : null,
        ...(asked === undefined ? {} : { asker: asked.asker }),
        ...(task.input === undefined && kind !== "group" ? { deferred: true } : {}),
        ...(depth === 0 ? {} : { depth }),
        ...(task.group === undefined ? {} : { group: task.group }),
        kind: kindOf(kind, task.agent),
        needs: (task.needs ?? []).map(recordedNeed),
        ...(task.output === undefined ? {} : { output: task.output }),
        ...(task.priority === undefined ? {} : { priority: task.priority }),
        ...(kind === "agent" && routeOf(task) === null ? this.reuseOf(task.agent) : {}),
        ...(routeOf(task) === null ? {} : { route: routeOf(task) ?? "" }),
        task: task.id,
        ...(asked?.tools === undefined ? {} : { tools: [...asked.tools] }),
        ...(task.why === undefined ? {} : { why: task.why }),
      };
    });
    const payload = Object.fromEntries(inputs);
    this.emit({ type: "plan.revised", at: this.now, data: { add: specs, cancel, why }, payload });
  }

  endFailed(error: ErrorRecord, task: string | null): void {
    this.emit({ type: "run.failed", at: this.now, data: { error, task } });
  }
}

/** The task that answers a question, or the asker itself: a hold of either stops the question's clock. */
function answererOf(state: RunState, task: TaskState, key: string): TaskState {
  const id = task.asked.find((one) => state.tasks.get(one)?.asker?.key === key);
  return (id === undefined ? undefined : state.tasks.get(id)) ?? task;
}

/** When a timer is due that counts no time under a hold; null for those that follow the clock alone. */
export function dueAfterHolds(state: RunState, holds: readonly Hold[], name: string, now: number): number | null {
  if (name === DEADLINE_TIMER) {
    const { startedAt, limits } = state;
    return startedAt + limits.timeMs + heldMs(holds, state, null, startedAt, now);
  }
  if (!name.startsWith("ask/")) return null;
  const place = name.lastIndexOf("\n");
  const task = state.tasks.get(name.slice("ask/".length, place));
  const asked = task?.steps.get(name.slice(place + 1))?.asked ?? null;
  if (task === undefined || asked === null || asked.ask.deadline === null) return null;
  const answerer = answererOf(state, task, name.slice(place + 1));
  return asked.ask.deadline + heldMs(holds, state, answerer, asked.at, now);
}

function kindOf(kind: "agent" | "group", agent: string | null | undefined): TaskSpecData["kind"] {
  if (agent === PLAN_AGENT) return "plan";
  return kind === "agent" && workflowIn(agent) !== null ? "run" : kind;
}

function agentProblem({ id, agent }: TaskSpec): string {
  if (agent === undefined || agent === null) return `task ${id} has no agent`;
  return `task ${id} is for agent "${agent}", which is not among those that the workflow names`;
}

function advances(known: StepState, step: StepRecord): boolean {
  if (step.phase === "asked" || known.status === "asked") return false;
  // Another try of a write is intended again, on the record: a crash in it must not go unnoticed either (F13).
  if (step.phase === "started")
    return known.status === "unknown" || (known.status === "settled" && known.outcome === "not-done");
  return known.status === "started" || known.status === "unknown" || known.status === "settled";
}

/** As an event holds it: what nearly every need is takes its id alone. */
function recordedNeed(need: string | Need): string | Need {
  if (typeof need === "string") return need;
  return need.on === "completed" ? need.task : { on: need.on, task: need.task };
}

/** Views by context: whoever decides on one run many times, in one context, makes the view of it once. */
const views = new WeakMap<DecideContext, { state: RunState; view: RunView }>();

function viewFor(state: RunState, context: DecideContext): RunView {
  const known = views.get(context);
  if (known?.state === state) return known.view;
  const view = runView(state, context);
  views.set(context, { state, view });
  return view;
}

function runView(state: RunState, { options, describe, profile }: DecideContext): RunView {
  return {
    id: state.id,
    options,
    ...(describe === undefined ? {} : { describe }),
    ...(profile === undefined ? {} : { profile }),
    left: () => leftOf(state),
    get input() {
      return state.input;
    },
    get open() {
      return state.openTasks;
    },
    get size() {
      return state.planned;
    },
    load: (agent) => state.loads.get(agent) ?? 0,
    *awaiting() {
      for (const id of state.awaiting) if (taskOf(state, id).route === null) yield viewOf(taskOf(state, id));
    },
    task(id) {
      const task = state.tasks.get(id);
      return task && viewOf(task);
    },
    *tasks() {
      // What agents asked each other is theirs; a pattern sees what it planned.
      for (const task of state.tasks.values()) if (task.asker === null) yield viewOf(task);
    },
    members(group) {
      const members: TaskView[] = [];
      for (const id of state.tasks.get(group)?.members ?? []) {
        const member = taskOf(state, id);
        if (SETTLED.has(member.status)) members.push(viewOf(member));
      }
      return members;
    },
  };
}

function leftOf(state: RunState): RunLeft {
  const { limits, tasks, money } = state;
  const { tasksMax, tokensMax, costMicroUsdMax } = limits;
  const charged = chargedOf(state);
  return {
    tasks: Math.max(0, tasksMax - tasks.size),
    tokens: Math.max(0, tokensMax - charged.tokens - money.reserved.tokens),
    costMicroUsd:
      costMicroUsdMax === null
        ? null
        : Math.max(0, costMicroUsdMax - charged.costMicroUsd - money.reserved.costMicroUsd),
  };
}

export function errorRecord(code: ErrorCode, message: string): ErrorRecord {
  const { class: cls, fix } = catalogue[code];
  return { code, class: cls, message, hint: fix };
}
