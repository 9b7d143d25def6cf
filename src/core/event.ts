import { z } from "zod";
import type { Json } from "./json.ts";
import { type QuickCheck, quickCheck } from "./quick-check.ts";

/**
 * Every event of a run, version 1 of each. `data` is structure and goes into the chain as it is; what people or models
 * wrote goes into the event's payload and enters the chain by salted digest (see `runtime/journal.ts`).
 * Times are milliseconds since the epoch, tokens are counts, money is integer micro-USD.
 */

const id = z.string().min(1);
const count = z.number().int().min(0);
const time = z.number().int().min(0);

/** An `ErrorRecord` as it may stand in an event. */
export const errorRecordSchema = z.strictObject({
  code: z.string(),
  class: z.enum(["transient", "permanent", "business"]),
  message: z.string(),
  hint: z.string().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
  retryAfterMs: z.number().optional(),
});

const limits = z.strictObject({
  stepsMax: count,
  tasksMax: count,
  depthMax: count,
  tokensMax: count,
  timeMs: count,
  queueMs: count.nullable(),
  costMicroUsdMax: count.nullable(),
});

/** What must be true of a dependency before a task starts: `completed` (default), `settled` (whatever came of it) or `failed`. */
const need = z.strictObject({ task: id, on: z.enum(["completed", "settled", "failed"]) });

const taskSpec = z.strictObject({
  task: id,
  kind: z.enum(["agent", "group", "plan", "run"]),
  /** For kind `run`: `workflow:NAME`. */
  agent: z.string().nullable(),
  /** An id alone: the task must have completed. */
  needs: z.array(z.union([id, need])),
  priority: z.number().int().min(0).max(3).optional(),
  /** The group that this task is a member of; the group completes when its members have settled. */
  group: id.optional(),
  depth: count.optional(),
  /** True when the planner gives the input later, when all needs are met. */
  deferred: z.boolean().optional(),
  /** Its agent declares `reuse`: for so many milliseconds its result may be taken over by tasks that do the same. */
  reuseMs: count.optional(),
  /** The route that stands where its agent would: `task.routed` names the agent when the task is ready for one. */
  route: id.optional(),
  /** JSON Schema of this task's output, in place of its agent's. */
  output: z.record(z.string(), z.unknown()).optional(),
  why: z.string().optional(),
  /** The step that asked for it: its answer is this task's outcome. */
  asker: z.strictObject({ task: id, key: id }).optional(),
  /** The tools that it may use at most, whatever its agent has (X3); absent: those of its agent. */
  tools: z.array(z.string()).optional(),
});

/** An agent that was considered for a task. `why`: what speaks against it; absent for those that fit. */
const candidate = z.strictObject({ agent: id, load: count, fits: z.boolean(), why: z.string().optional() });

/** What a model call used. */
export const usageSchema = z.strictObject({
  inputTokens: count,
  outputTokens: count,
  /** Null when the model has no price: shown as unpriced, never as 0. */
  costMicroUsd: count.nullable(),
  simulated: z.boolean(),
  /** Of the input tokens: those that the provider had cached. */
  cachedInputTokens: count.optional(),
  /** `provider/name`. */
  model: z.string().optional(),
  /** What the provider's cache saved, in micro-USD. */
  savedMicroUsd: count.optional(),
});

/** Tokens in and out together, and micro-USD. */
const amount = z.strictObject({ tokens: count, costMicroUsd: count });

/** What a run draws from an account in one window, and what may be drawn there by all; null: no bound. */
const draw = z.strictObject({
  account: id,
  window: id,
  tokens: count,
  costMicroUsd: count,
  tokensMax: count.nullable(),
  costMicroUsdMax: count.nullable(),
});

/** The sender's signature that covers this record: session and sequence name the leaf, `digest` is the leaf (design: trust on the wire). */
const proof = z.strictObject({ session: id, seq: count, digest: z.string() });

export const stepKindSchema = z.enum([
  "model",
  "tool",
  "fetch",
  "effect",
  "now",
  "random",
  "sleep",
  "compaction",
  "call",
  "fact",
  "approval",
  "handover",
]);

/** What an agent asks for and only the coordinator can answer. `deadline`: when it is answered in any case; null: never. */
export const askSchema = z.strictObject({
  /** Another agent does something for it, as a task of the same run (C8, M4). */
  ask: z.enum([
    "call",
    /** Another agent does the whole task in its place, with all that it knows (C14). */
    "handover",
    /** What the run's shared facts say, as the task's snapshot has it (S2); all under a prefix. */
    "fact.read",
    "fact.list",
    /** A new version, on top of `base` (S1). */
    "fact.propose",
    /** A person says whether a tool may be called (F9). */
    "approval",
  ]),
  agent: z.string().optional(),
  /** Key of a fact; a prefix and `.*` for `fact.list`. */
  fact: z.string().optional(),
  base: count.optional(),
  /** A look at the newest version that does not count as read: what follows is proposed on top of it. */
  peek: z.boolean().optional(),
  until: time.nullable().optional(),
  why: z.string().optional(),
  /** `approval`: the tool, the hash of what it is to be called with, and what holds when nobody decides in time. */
  tool: z.string().optional(),
  argumentsHash: z.string().optional(),
  onDeadline: z.enum(["approve", "reject"]).optional(),
  /** Names of those who are asked; none: anybody. */
  to: z.array(z.string()).optional(),
  deadline: time.nullable(),
});

const stepHead = {
  task: id,
  attempt: count,
  /** `name#ordinal`: how a resumed agent finds its record. */
  key: id,
  kind: stepKindSchema,
  name: z.string(),
  /** SHA-256 of the canonical input: a mismatch on resume is NONDETERMINISTIC. */
  inputHash: z.string(),
};

const schemas = {
  "run.started": z.strictObject({
    run: id,
    workflow: id,
    pattern: id,
    definition: id,
    priority: z.number().int(),
    limits,
    idempotencyKey: z.string().optional(),
    queue: id,
    by: z.string(),
    /** The run whose events, up to a version, this one begins with; `head`: their hash there (F11). */
    forkOf: z.strictObject({ run: id, version: count, head: z.string() }).optional(),
    /** The task that it is the work of. `line`: who is at work there, up to the first run of all: agents, and workflows
     *  as `workflow:NAME`; a hold of any of them covers it. */
    parent: z.strictObject({ run: id, task: id, line: z.array(id) }).optional(),
    /** Tools that its agents may use at most (X3); absent: each agent's own. */
    tools: z.array(z.string()).optional(),
  }),
  /** From here on the run is its own. `redone`: tasks that are done from their start, as the next events say. The payload
   *  has `stubs`: what writes returned before, by tool and hash of the input. */
  "run.forked": z.strictObject({
    from: id,
    at: count,
    /** What is another than in that run, in words. */
    changes: z.array(z.string()),
    effects: z.strictObject({
      default: z.enum(["allow", "stub", "skip"]),
      tools: z.record(z.string(), z.enum(["allow", "stub", "skip"])),
    }),
    by: z.string(),
  }),
  "plan.revised": z.strictObject({
    add: z.array(taskSpec),
    cancel: z.array(z.strictObject({ task: id, why: z.string() })),
    why: z.string(),
  }),
  /** Tasks whose needs are met get their inputs: the payload has one for each. */
  "tasks.bound": z.strictObject({ tasks: z.array(id) }),
  /** Who does a task that was added without an agent: chosen by its pattern, or by the route that stood in its seat
   *  (C6). `candidates`: all that were considered, with their open tasks at that moment. */
  "task.routed": z.strictObject({
    task: id,
    agent: id,
    route: id.optional(),
    why: z.string(),
    candidates: z.array(candidate).optional(),
    /** JSON Schema of the task's output, in place of the agent's. */
    output: z.record(z.string(), z.unknown()).optional(),
    priority: z.number().int().min(0).max(3).optional(),
    /** As in a task that is added with its agent. */
    reuseMs: count.optional(),
  }),
  /** Tasks that one worker was given by one decision, all for the same attempt: a fan-out is one event. `epoch`: how
   *  often anything was paused or resumed until then; absent while nothing ever was. */
  "tasks.assigned": z.strictObject({
    tasks: z.array(id),
    attempt: count,
    worker: id,
    why: z.string(),
    epoch: count.optional(),
  }),
  "task.completed": z.strictObject({ task: id, attempt: count, proof: proof.optional() }),
  "task.failed": z.strictObject({ task: id, attempt: count, error: errorRecordSchema, proof: proof.optional() }),
  /** It failed for good, and waits for a person to say what is done about it (F9). */
  "task.escalated": z.strictObject({
    task: id,
    attempt: count,
    error: errorRecordSchema,
    deadline: time.nullable(),
    onDeadline: z.enum(["fail", "retry", "skip", "abort", "choose"]),
    to: z.array(z.string()),
    /** Agents did not agree, and a person chooses one of these or gives another output (C9); the payload has the task's
     *  `input` and, by name, their `outputs`. On the deadline `choose` takes the first. */
    choices: z.array(id).optional(),
    proof: proof.optional(),
  }),
  /** What is done about it: `retry` and `reassign` (to `agent`) make it ready again; of the others an event follows. */
  "escalation.decided": z.strictObject({
    task: id,
    choice: z.enum(["retry", "reassign", "edit", "choose", "skip", "fail", "abort"]),
    agent: id.nullable(),
    /** `choose`: which. */
    answer: id.optional(),
    by: z.string(),
    note: z.string(),
  }),
  "task.retried": z.strictObject({
    task: id,
    attempt: count,
    readyAt: time,
    delayMs: count,
    error: errorRecordSchema,
    proof: proof.optional(),
  }),
  "task.released": z.strictObject({ task: id, attempt: count, why: z.string(), suspect: z.boolean() }),
  /** Woken at a time, by the answer to one of the steps in `waits`, or both; it holds nothing meanwhile. */
  "task.suspended": z.strictObject({
    task: id,
    attempt: count,
    wakeAt: time.nullable(),
    waits: z.array(id).optional(),
    proof: proof.optional(),
  }),
  "task.woken": z.strictObject({ task: id }),
  /** A task takes over the result of another one, which did the same; `task.completed` with its output follows.
   *  `saved`: what that one was charged with. */
  "task.reused": z.strictObject({ task: id, from: z.strictObject({ run: id, task: id }), saved: amount }),
  "task.skipped": z.strictObject({ task: id, why: z.string(), because: z.string().nullable() }),
  "task.cancelled": z.strictObject({ task: id, why: z.string() }),
  "task.expired": z.strictObject({ task: id }),
  /** A task is the work of a child run, which is started with these limits. Its input is the task's. */
  "child.requested": z.strictObject({ task: id, child: id, workflow: id, pattern: id, limits }),
  /** The child ended; its outcome becomes the task's in the next event. `used`: also by its own children. */
  "child.ended": z.strictObject({
    task: id,
    child: id,
    status: z.enum(["completed", "failed", "stopped"]),
    used: z.strictObject({
      steps: count,
      tasks: count,
      inputTokens: count,
      outputTokens: count,
      costMicroUsd: count,
      unpriced: count,
      simulated: z.boolean(),
      unsettled: z.strictObject({ tokens: count, costMicroUsd: count }),
    }),
  }),
  "step.started": z.strictObject({
    ...stepHead,
    idempotencyKey: id,
    settle: z.enum(["check", "retry", "person"]),
    /** The step under whose approval it is made. */
    approval: id.optional(),
    proof: proof.optional(),
  }),
  /** A question that others answer: `step.completed` or `step.failed` follows, without a proof of the asker. */
  "step.asked": z.strictObject({ ...stepHead, ask: askSchema, proof: proof.optional() }),
  "step.completed": z.strictObject({
    ...stepHead,
    durationMs: count,
    usage: usageSchema.optional(),
    /** The reservation that `usage` settles. */
    call: id.optional(),
    approval: id.optional(),
    proof: proof.optional(),
  }),
  "step.failed": z.strictObject({
    ...stepHead,
    durationMs: count,
    error: errorRecordSchema,
    usage: usageSchema.optional(),
    call: id.optional(),
    approval: id.optional(),
    proof: proof.optional(),
  }),
  /** Somebody decided on a call that waited for approval; `step.completed` or `step.failed` of the question follows.
   *  `action`: hash of what was decided on, empty when the deadline did. `argumentsHash`: what may be run. */
  "approval.decided": z.strictObject({
    task: id,
    key: id,
    action: z.string(),
    decision: z.enum(["approved", "rejected"]),
    edited: z.boolean(),
    argumentsHash: z.string(),
    by: z.string(),
    note: z.string(),
  }),
  "step.unknown": z.strictObject({ task: id, key: id, settle: z.enum(["check", "retry", "person"]) }),
  "step.settled": z.strictObject({
    task: id,
    key: id,
    outcome: z.enum(["done", "not-done"]),
    by: z.string(),
    note: z.string(),
  }),
  /** S4: a new version of a shared fact; it replaces the one before. The payload has its `value`. */
  "fact.committed": z.strictObject({
    fact: id,
    version: z.number().int().min(1),
    by: z.string(),
    task: z.string().nullable(),
    why: z.string(),
    until: time.nullable(),
  }),
  /** Somebody proposed on another version than the newest. The payload has the `value` that was not taken. */
  "fact.conflicted": z.strictObject({
    fact: id,
    base: count,
    version: count,
    by: z.string(),
    task: z.string().nullable(),
  }),
  /** C10: a task rests on what holds no longer: a fact that it read, or (`fact` null) an outcome that it was given. */
  "fact.stale": z.strictObject({
    task: id,
    fact: z.string().nullable(),
    read: count.nullable(),
    version: count.nullable(),
    action: z.enum(["rerun", "flagged"]),
    why: z.string(),
  }),
  /** The task is done anew, from its start; with another input if the payload has one. */
  "task.reopened": z.strictObject({ task: id, why: z.string() }),
  /** C14: `task` takes over what `from` was to do. `hop`: how often it was handed over by now. The payload has `handed`:
   *  the working context that comes with it. */
  "task.handed": z.strictObject({ task: id, agent: id, from: id, by: id, hop: count, why: z.string() }),
  /** A model is about to be asked: its worst case counts as spent until the call's step is on record, or it is settled
   *  (K2). Money is null for a model without a price. */
  "call.reserved": z.strictObject({
    task: id,
    attempt: count,
    /** Unique within the attempt. */
    call: id,
    model: z.string(),
    tokens: count,
    costMicroUsd: count.nullable(),
    /** Who asked, and which time: the same call asked for again is another one, made again. */
    ask: z.string().optional(),
    /** The accounts that it is charged to, and what the run draws from each for it; zeros when it had enough. */
    accounts: z.array(draw).optional(),
  }),
  /** What the run had drawn and does not need. */
  "budget.returned": z.strictObject({
    accounts: z.array(z.strictObject({ account: id, window: id, tokens: count, costMicroUsd: count })),
  }),
  /** A call without a step on record. `free`: it certainly cost nothing. `unsettled`: nobody knows, so that what was
   *  reserved stays charged. */
  "call.settled": z.strictObject({ task: id, attempt: count, call: id, outcome: z.enum(["free", "unsettled"]) }),
  /** A provider billed more than was reserved: a violation, after which no model is asked any more. */
  "budget.exceeded": z.strictObject({
    task: id,
    attempt: count,
    call: id,
    reserved: amount,
    billed: amount,
    /** What was drawn for it beyond all that was reserved. */
    accounts: z.array(draw).optional(),
  }),
  /** Four fifths of a budget are used. */
  "budget.alerted": z.strictObject({
    /** `run`, or the account. */
    scope: id,
    window: id.optional(),
    unit: z.enum(["tokens", "costMicroUsd"]),
    charged: count,
    max: count,
  }),
  /** A frame that came too late or from the wrong attempt: recorded, not acted on. */
  "result.late": z.strictObject({ task: id, attempt: count, what: z.string(), why: z.string() }),
  "run.completed": z.strictObject({}),
  "run.failed": z.strictObject({ error: errorRecordSchema, task: z.string().nullable() }),
  "run.stopped": z.strictObject({ why: z.string(), by: z.string() }),
  /** Nothing of the run starts until it is resumed (X5). */
  "run.paused": z.strictObject({ why: id, by: id }),
  "run.resumed": z.strictObject({ why: z.string(), by: id }),
} as const;

export type EventType = keyof typeof schemas;
export type EventData = { [K in EventType]: z.infer<(typeof schemas)[K]> };

/** What an event carries beside its data: values by name. `run.started`: input. `plan.revised`: one input per task.
 *  `tasks.bound`: one input per task. `approval.decided`: arguments, when they were edited. `task.completed`, `run.completed`: output. `step.*`: input, output. */
export type Payload = { readonly [name: string]: Json };

export type RunEvent = { [K in EventType]: { type: K; at: number; data: EventData[K]; payload?: Payload } }[EventType];

export type TaskSpecData = z.infer<typeof taskSpec>;
export type Need = z.infer<typeof need>;
export type Candidate = z.infer<typeof candidate>;
export type Usage = z.infer<typeof usageSchema>;
export type Ask = z.infer<typeof askSchema>;
export type Proof = z.infer<typeof proof>;
export type StepKind = z.infer<(typeof schemas)["step.completed"]>["kind"];
export type SettlePolicy = "check" | "retry" | "person";

export function isEventType(type: string): type is EventType {
  return Object.hasOwn(schemas, type);
}

const quickChecks = new Map<string, QuickCheck>(
  Object.entries(schemas).map(([type, schema]) => [type, quickCheck(schema)]),
);

/** Checks an event's data against its schema; returns the problem in words, or null when it is sound. */
export function checkEventData(type: string, data: unknown): string | null {
  if (quickChecks.get(type)?.(data)) return null;
  if (!isEventType(type)) return `unknown type ${type}`;
  const result = schemas[type].safeParse(data);
  return result.success ? null : z.prettifyError(result.error);
}

/** What is wrong with an error record, in words; null when it is sound. */
export function checkError(error: unknown): string | null {
  const result = errorRecordSchema.safeParse(error);
  return result.success ? null : `an error must have code, class and message: ${z.prettifyError(result.error)}`;
}

/** What is wrong with the candidates of a choice, in words; null when they are sound. */
export function checkCandidates(candidates: unknown): string | null {
  const result = z.array(candidate).safeParse(candidates);
  return result.success ? null : `candidates must have agent, load and fits: ${z.prettifyError(result.error)}`;
}

/** The schemas by type, for documentation and for tools that read journals. */
export const eventSchemas: Readonly<Record<EventType, z.ZodType>> = schemas;
