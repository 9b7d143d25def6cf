import { catalogue, type ErrorCode, type ErrorRecord } from "../error.ts";
import type { Ask, RunEvent } from "./event.ts";
import { coversFact, type FactPolicy, type FactVersion, holds, isFactKey, newest, viewOf } from "./fact.ts";
import { type Json, sameJson } from "./json.ts";
import type { Binding } from "./planner.ts";
import { type RunState, SETTLED, type TaskState, taskOf } from "./state.ts";

/** F10: how often a task is done anew by rule, so that tasks which correct each other come to an end. */
const RERUNS_MAX = 10;

/** What a decision on facts may use of the decider. */
export interface FactDecision {
  readonly state: RunState;
  readonly context: { readonly now: number; readonly facts?: FactPolicy };
  emit(event: RunEvent): void;
  answer(task: TaskState, key: string, answer: { output: Json } | { error: ErrorRecord }): void;
  cancelAsked(task: TaskState): void;
  bindingOf(task: TaskState): Binding | null;
}

/** Answers what an agent asks of the facts, in the commit that records the question. */
export function answerFact(decision: FactDecision, task: TaskState, key: string, ask: Ask, proposed: Json): void {
  const { context, state } = decision;
  const refuse = (code: ErrorCode, message: string, details?: Record<string, unknown>) =>
    decision.answer(task, key, { error: refusal(code, message, details) });
  const name = ask.fact ?? "";
  if (!isFactKey(name) && !(ask.ask === "fact.list" && (name === "*" || isFactKey(name.replace(/\.\*$/, "")))))
    return refuse("FACT_KEY_INVALID", `"${name}" is no key of a fact`);
  const right = ask.ask === "fact.propose" ? "write" : "read";
  if (!(context.facts?.may(task.agent ?? "", right, name) ?? false))
    return refuse("FACT_NOT_GRANTED", `${task.agent} may not ${right} the fact ${name}`);
  if (ask.ask !== "fact.propose") return readFacts(decision, task, key, ask, name);
  const base = ask.base ?? task.reads.get(name) ?? seenBy(state, task, name, context.now)?.version ?? 0;
  const current = newest(state, name, context.now);
  if ((current?.version ?? 0) !== base) {
    const at = context.now;
    decision.emit({
      type: "fact.conflicted",
      at,
      data: { base, by: task.agent ?? "", fact: name, task: task.id, version: current?.version ?? 0 },
      payload: { value: proposed },
    });
    const now = current === null ? "it holds no longer" : `version ${current.version} is by ${current.by}`;
    const message = `${name} was proposed on version ${base}, and ${now}`;
    return refuse("FACT_CONFLICT", message, {
      fact: name,
      base,
      yours: proposed,
      current: current === null ? { version: 0 } : viewOf(current),
    });
  }
  const version = setFact(decision, {
    fact: name,
    value: proposed,
    by: task.agent ?? "",
    task: task.id,
    why: ask.why ?? "",
    until: ask.until ?? null,
  });
  decision.answer(task, key, { output: { version } });
}

/** The answer is on record as read, and so are absences. */
function readFacts(decision: FactDecision, task: TaskState, key: string, { ask: how, peek }: Ask, name: string): void {
  const { context, state } = decision;
  if (peek) {
    const last = newest(state, name, context.now);
    return decision.answer(task, key, { output: last === null ? { version: 0 } : { ...viewOf(last) } });
  }
  const before = new Set(task.reads.keys());
  if (how === "fact.list") {
    decision.answer(task, key, { output: listFor(state, task, name, context.now) });
  } else {
    const seen = seenBy(state, task, name, context.now);
    decision.answer(task, key, { output: seen === null ? { version: 0 } : { ...viewOf(seen) } });
  }
  const read = how === "fact.list" ? [...state.facts.keys()].filter((fact) => coversFact(name, fact)) : [name];
  // What was read from a snapshot may have been corrected since.
  for (const fact of read) {
    const last = newest(state, fact, context.now);
    if (last === null || before.has(fact) || hasSet(state, task.id, fact)) continue;
    if (last.version > (task.reads.get(fact) ?? 0)) meetCorrection(decision, task, fact, last.version);
    // Done anew, it reads anew.
    if (task.status !== "assigned") return;
  }
}

export interface FactSet {
  fact: string;
  value: Json;
  by: string;
  task: string | null;
  why: string;
  until: number | null;
}

/** Commits a new version and finds what rests on an older one; returns the version that holds now. What says nothing
 *  new changes nothing. */
export function setFact(decision: FactDecision, { fact, value, by, task, why, until }: FactSet): number {
  const { state, context } = decision;
  const current = state.facts.get(fact)?.at(-1);
  if (current !== undefined && current.until === until && sameJson(current.value, value)) return current.version;
  const version = (current?.version ?? 0) + 1;
  decision.emit({
    type: "fact.committed",
    at: context.now,
    data: { by, fact, task, until, version, why },
    payload: { value },
  });
  for (const reader of [...readersOf(state, fact)]) {
    if (!hasSet(state, reader, fact)) meetCorrection(decision, taskOf(state, reader), fact, version);
  }
  return version;
}

/** Whether a task set the fact itself: it rests on no version of it, since its own was taken on top of what it saw. */
const hasSet = (state: RunState, task: string, fact: string): boolean =>
  state.facts.get(fact)?.some((version) => version.task === task) ?? false;

/** A task rests on a version that is no longer the newest. */
function meetCorrection(decision: FactDecision, task: TaskState, fact: string, version: number): void {
  const { context } = decision;
  const rerun = context.facts?.onCorrection === "rerun";
  const why = rerun ? obstacle(task) : "the policy is to flag";
  const action = why === null ? "rerun" : "flagged";
  const read = task.reads.get(fact) ?? null;
  const data = { action, fact, read, task: task.id, version, why: why ?? `${fact} has version ${version}` } as const;
  decision.emit({ type: "fact.stale", at: context.now, data });
  if (why === null)
    redo(decision, task, `it read version ${read ?? 0} of ${fact}, and version ${version} holds`, undefined);
}

/** Why a task cannot be done once more; null when it can. */
function obstacle(task: TaskState): string | null {
  if (task.kind !== "agent") return "a group is not done, its members are";
  if (task.asker !== null) return "it answers another task's question";
  if (task.reruns >= RERUNS_MAX) return `it was done anew ${task.reruns} times`;
  if (task.wrote) return "it wrote to the outside, which is never repeated silently";
  if (task.status === "completed" || !SETTLED.has(task.status)) return null;
  return `it ${task.status}`;
}

/** Takes a task back to be done anew; with another input if one is given. */
function redo(decision: FactDecision, task: TaskState, why: string, input: Json | undefined): void {
  if (task.status === "waiting" || task.status === "unbound") return;
  const payload = input === undefined ? {} : { payload: { input } };
  decision.cancelAsked(task);
  decision.emit({ type: "task.reopened", at: decision.context.now, data: { task: task.id, why }, ...payload });
}

/** A task that was done anew has its outcome: what rests on the old one follows, unless it is the same (C10). */
export function propagate(decision: FactDecision, task: TaskState): void {
  const { state } = decision;
  const { before } = task;
  if (before === null) return;
  const same =
    task.status === "completed" && before.output !== undefined && sameJson(before.output, task.output ?? null);
  if (same) return;
  for (const { task: id } of state.dependents.get(task.id) ?? []) followUp(decision, taskOf(state, id), task);
  if (task.group !== null) flag(decision, taskOf(state, task.group), task);
}

/** What depends on a changed outcome is given its input again; an equal one changes nothing. */
function followUp(decision: FactDecision, dependent: TaskState, changed: TaskState): void {
  const { status } = dependent;
  if (status === "waiting" || status === "unbound" || status === "skipped" || status === "cancelled") return;
  // An input that does not come from what it needs did not change.
  if (!dependent.deferred) return;
  const why = obstacle(dependent);
  if (why !== null || changed.status !== "completed") return flag(decision, dependent, changed);
  const binding = decision.bindingOf(dependent);
  if (binding === null) return;
  if (!("input" in binding)) return flag(decision, dependent, changed);
  if (sameJson(binding.input, dependent.input ?? null)) return;
  redo(decision, dependent, `${changed.id} has another outcome`, binding.input);
}

/** What cannot be redone by rule is on record, for whoever looks. */
function flag(decision: FactDecision, task: TaskState, changed: TaskState): void {
  const why = `${changed.id} has another outcome`;
  decision.emit({
    type: "fact.stale",
    at: decision.context.now,
    data: { action: "flagged", fact: null, read: null, task: task.id, version: null, why },
  });
}

/** The version that a task sees: the newest of its snapshot that holds. */
function seenBy(state: RunState, task: TaskState, fact: string, now: number): FactVersion | null {
  const known = task.reads.get(fact);
  const versions = state.facts.get(fact) ?? [];
  if (known !== undefined) return versions[known - 1] ?? null;
  const seen = versions.findLast(({ place, task: writer }) => place < (task.snapshot ?? 0) || writer === task.id);
  return seen === undefined || !holds(seen, now) ? null : seen;
}

function listFor(state: RunState, task: TaskState, pattern: string, now: number): Json {
  const facts: [string, Json][] = [];
  for (const fact of [...state.facts.keys()].sort()) {
    if (!coversFact(pattern, fact)) continue;
    const seen = seenBy(state, task, fact, now);
    if (seen !== null) facts.push([fact, { ...viewOf(seen) }]);
  }
  return Object.fromEntries(facts);
}

/** Tasks that read this fact, or a prefix of it. */
function readersOf(state: RunState, fact: string): ReadonlySet<string> {
  const words = fact.split(".");
  const patterns = [fact, "*", ...words.map((_, index) => `${words.slice(0, index + 1).join(".")}.*`)];
  const readers = new Set<string>();
  for (const pattern of patterns) for (const reader of state.readers.get(pattern) ?? []) readers.add(reader);
  return readers;
}

function refusal(code: ErrorCode, message: string, details?: Record<string, unknown>): ErrorRecord {
  const { class: cls, fix } = catalogue[code];
  return { code, class: cls, message, hint: fix, ...(details === undefined ? {} : { details }) };
}
