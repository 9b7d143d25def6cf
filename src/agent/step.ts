import type { StepRecord } from "../core/decide.ts";
import type { RetryPolicy } from "../core/definition.ts";
import type { SettlePolicy, StepKind, Usage } from "../core/event.ts";
import type { Json } from "../core/json.ts";
import { retryDelayMs } from "../core/retry.ts";
import type { RecordedStep } from "../carrier/frame.ts";
import type { ToolCheck } from "../definition/context.ts";
import { FlotillaError, fromErrorRecord, toErrorRecord } from "../error.ts";
import { canonicalJson, sha256 } from "../message/canonical.ts";
import { sleep } from "../platform/clock.ts";
import { type Redactor, redactJson } from "../telemetry/redact.ts";
import { bounded } from "./bounded.ts";
import type { Execution } from "./execution.ts";
import { failureOf, isForeign } from "./failure.ts";
import type { TaskPort } from "./port.ts";
import { recordable } from "./recordable.ts";
import { Replay } from "./replay.ts";

/** What a step does, and how its failures are met. */
export interface StepSpec {
  kind: StepKind;
  name: string;
  /** What the step is asked: its hash is what a resumed agent must repeat. */
  input: Json;
  /** What goes on record as the input when it is not `input` itself. */
  shown?: Json;
  /** Milliseconds for one try; null for steps that take no time. */
  timeoutMs: number | null;
  /** Tries within the step (F2); null: one. */
  retry: RetryPolicy | null;
  /** Present for a write (F13): how an unknown outcome is settled. */
  write?: WriteSpec;
  /** `output` may be whatever JSON can hold; the agent gets it as it will be read back from the record. */
  perform(attempt: Attempt): Promise<Performed>;
}

export interface WriteSpec {
  settle: SettlePolicy;
  /** The other side deduplicates by the idempotency key. */
  idempotent: boolean;
  /** Finds out whether an interrupted write happened; null when the tool cannot tell. */
  check: ((attempt: Attempt) => Promise<unknown>) | null;
}

export interface Attempt {
  /** Aborted on time-out, stop and kill. */
  signal: AbortSignal;
  /** The same for every try of this step, in every attempt at the task. */
  idempotencyKey: string;
}

export interface Performed {
  output: unknown;
  usage?: Usage;
}

interface Call {
  spec: StepSpec;
  key: string;
  inputHash: string;
  idempotencyKey: string;
  startedAt: number;
  signal: AbortSignal;
}

type Tried = { performed: { output: Json; usage?: Usage } } | { error: FlotillaError };

/** Steps that cost nothing and do not count against `limits.stepsMax`. */
const FREE: ReadonlySet<StepKind> = new Set(["now", "random", "sleep"]);
const HASH_CHARACTERS = 32;
const PREVIEW_CHARACTERS = 120;

/** Runs every step of one execution: hands recorded ones back, performs the others, and has each outcome durable before
 *  the agent goes on (F8). A step is found by its name, the ordinal of that name and the hash of its input.
 *
 *  Reads that fail transiently are tried again with back-off. Writes are recorded before they are begun; when a try
 *  ends without a clear outcome, the tool's check, a repeat under the same idempotency key, or a person settles it,
 *  and the agent's code cannot go on without that (F13).
 *
 *  A transient failure that outlasts its retries is not put on record at once, so that the next attempt at the task can
 *  try again; it is when the agent survives it and takes another step, because that step rests on it. */
export class Steps {
  private readonly execution: Execution;
  private readonly port: TaskPort;
  private readonly redact: Redactor;
  private readonly stepsMax: number;
  private readonly replay: Replay;
  private readonly ordinals = new Map<string, number>();
  private readonly unasked: Set<string>;
  private survived: StepRecord[] = [];
  private counted = 0;
  private isLive = false;

  constructor(execution: Execution, options: { redact: Redactor; stepsMax: number }) {
    this.execution = execution;
    this.port = execution.port;
    this.redact = options.redact;
    this.stepsMax = options.stepsMax;
    const { steps } = this.port.assignment;
    this.replay = new Replay(this.port.clock, steps.keys());
    this.unasked = new Set(steps.keys());
  }

  /** Whether the agent is still being handed what is on record. */
  get catchingUp(): boolean {
    return this.replay.waiting > 0 || (this.unasked.size > 0 && !this.isLive);
  }

  /** Recorded steps that the agent has not asked for. */
  get leftOver(): string[] {
    return [...this.unasked];
  }

  /** The step's output. Its place in the record is taken when it is called, whenever it then runs.
   *  @throws {FlotillaError} what the step failed with; NONDETERMINISTIC, LIMIT_*, OUTCOME_UNKNOWN and CANCELLED also
   *  end the execution */
  run(spec: StepSpec): Promise<Json> {
    const key = this.takeKey(spec.name);
    return this.execution.begin(key, spec.write !== undefined, (signal) => this.resolve(spec, key, signal));
  }

  private takeKey(name: string): string {
    const ordinal = (this.ordinals.get(name) ?? 0) + 1;
    this.ordinals.set(name, ordinal);
    return `${name}#${ordinal}`;
  }

  private async resolve(spec: StepSpec, key: string, signal: AbortSignal): Promise<Json> {
    const { run, task, steps } = this.port.assignment;
    this.count(spec, key);
    const inputHash = sha256(canonicalJson(spec.input)).toString("hex").slice(0, HASH_CHARACTERS);
    const recorded = steps.get(key);
    const idempotencyKey =
      recorded?.idempotencyKey ?? sha256(`${run}/${task}/${key}`).toString("hex").slice(0, HASH_CHARACTERS);
    const call: Call = { spec, key, inputHash, idempotencyKey, startedAt: this.port.clock.now(), signal };
    return recorded === undefined ? this.inOrder(() => this.perform(call)) : this.resume(call, recorded);
  }

  /** What happens now comes after all that is on record. */
  private async inOrder(work: () => Promise<Json>): Promise<Json> {
    this.isLive = true;
    try {
      return await work();
    } finally {
      if (this.replay.busy) await this.replay.idle();
    }
  }

  private count(spec: StepSpec, key: string): void {
    if (FREE.has(spec.kind)) return;
    this.counted += 1;
    if (this.counted <= this.stepsMax) return;
    const message = `${this.port.assignment.agent} reached its limit of ${this.stepsMax} steps in one task, at ${key}`;
    this.execution.fatal(new FlotillaError("LIMIT_STEPS", message, { details: { stepsMax: this.stepsMax, key } }));
  }

  private async resume(call: Call, recorded: RecordedStep): Promise<Json> {
    this.unasked.delete(call.key);
    this.compare(call, recorded);
    switch (recorded.status) {
      case "completed":
        await this.replay.turn(call.key);
        return recorded.output ?? null;
      case "failed":
        await this.replay.turn(call.key);
        throw fromErrorRecord(recorded.error ?? toErrorRecord(`${call.key} failed`));
      case "settled":
        if (recorded.outcome === "not-done") return this.inOrder(() => this.begin(call));
        await this.replay.turn(call.key);
        return recorded.output ?? null;
      case "started":
      case "unknown":
        return this.inOrder(() => this.settle(call, recorded.settle));
    }
  }

  /** The same place in the code must ask the same thing, else it would be given another step's result. */
  private compare(call: Call, recorded: RecordedStep): void {
    const { kind, name } = call.spec;
    if (recorded.kind === kind && recorded.name === name && recorded.inputHash === call.inputHash) return;
    const { run, task } = this.port.assignment;
    const same = recorded.kind === kind && recorded.name === name;
    const before = `${recorded.kind} ${recorded.name}${same ? ` with other input (${recorded.inputHash.slice(0, 8)})` : ""}`;
    const input = this.redact(canonicalJson(call.spec.shown ?? call.spec.input)).slice(0, PREVIEW_CHARACTERS);
    const message =
      `task ${task} of ${run} does not repeat its record at step ${call.key}\n` +
      `  recorded: ${before}     code now: ${kind} ${name} ${input}\n` +
      "  Nothing was executed.";
    this.execution.fatal(
      new FlotillaError("NONDETERMINISTIC", message, {
        details: {
          step: call.key,
          recorded: { kind: recorded.kind, name: recorded.name, inputHash: recorded.inputHash },
          now: { kind, name, inputHash: call.inputHash, input },
        },
      }),
    );
  }

  private async perform(call: Call): Promise<Json> {
    await this.recordSurvived();
    return call.spec.write === undefined ? this.read(call) : this.begin(call);
  }

  /** A failure that the agent goes on from is part of its history. */
  private async recordSurvived(): Promise<void> {
    const survived = this.survived;
    this.survived = [];
    for (const step of survived) await this.record(step);
  }

  private async read(call: Call): Promise<Json> {
    for (let tries = 1; ; tries++) {
      const tried = await this.try(call, call.spec.perform);
      if ("performed" in tried) return this.complete(call, tried.performed);
      const delayMs = this.delayMs(call, tries, tried.error);
      if (delayMs === null) return this.fail(call, tried.error);
      await this.wait(call, tries, delayMs, tried.error);
    }
  }

  /** Write ahead: the intent is durable before the first try (F13). */
  private async begin(call: Call): Promise<Json> {
    if (this.execution.doom !== null) throw this.execution.doom;
    const settle = call.spec.write?.settle ?? "person";
    await this.record({ ...this.headOf(call, "started"), idempotencyKey: call.idempotencyKey, settle });
    return this.write(call);
  }

  private async write(call: Call): Promise<Json> {
    for (let tries = 1; ; tries++) {
      const tried = await this.try(call, call.spec.perform);
      if ("performed" in tried) return this.complete(call, tried.performed);
      const { error } = tried;
      const delayMs = this.delayMs(call, tries, error);
      if (neverHappened(error)) {
        if (delayMs === null) return this.fail(call, lasting(error, tries));
      } else {
        const found = await this.findOut(call, error, delayMs !== null);
        if (found !== null) return found.output;
      }
      await this.wait(call, tries, delayMs ?? 0, error);
    }
  }

  /** After a try without a clear outcome: the output when the write did happen, null when it may be tried again. */
  private async findOut(call: Call, error: FlotillaError, mayRepeat: boolean): Promise<{ output: Json } | null> {
    const write = call.spec.write;
    if (write?.check) {
      const found = await this.check(call);
      if (found.outcome === "done") return { output: await this.complete(call, { output: found.output }) };
      if (found.outcome === "not-done") return mayRepeat ? null : this.fail(call, error);
    }
    if (!write?.idempotent) return this.askPerson(call, write?.check ? "person" : null, error);
    return mayRepeat ? null : this.execution.fatal(error);
  }

  /** An earlier attempt at the task intended this write and left no outcome. */
  private async settle(call: Call, policy: SettlePolicy): Promise<Json> {
    const write = call.spec.write;
    if (policy === "check" && write?.check) {
      const found = await this.check(call);
      if (found.outcome === "done") return this.complete(call, { output: found.output });
      if (found.outcome === "not-done" || write.idempotent) return this.write(call);
    } else if (policy === "retry" && write?.idempotent) {
      return this.write(call);
    }
    return this.askPerson(call, policy === "person" ? null : "person", null);
  }

  private async check(call: Call): Promise<ToolCheck<Json>> {
    const check = call.spec.write?.check;
    const tried = await this.try(call, async (attempt) => ({ output: await check?.(attempt) }));
    // Without an answer the write stays unknown: the next attempt at the task asks again.
    if ("error" in tried) return this.execution.fatal(tried.error);
    return asCheck(tried.performed.output);
  }

  /** Leaves the write without an outcome: the engine asks a person before the task may go on. */
  private async askPerson(call: Call, settle: SettlePolicy | null, error: FlotillaError | null): Promise<never> {
    if (settle !== null) {
      await this.record({ ...this.headOf(call, "started"), idempotencyKey: call.idempotencyKey, settle });
    }
    const why =
      error === null ? "was interrupted between intent and outcome" : `ended without a clear outcome: ${error.message}`;
    return this.execution.fatal(
      new FlotillaError("OUTCOME_UNKNOWN", `${call.key} ${why}`, {
        details: { step: call.key, ...(error === null ? {} : { cause: toErrorRecord(error) }) },
        ...(error === null ? {} : { cause: error }),
      }),
    );
  }

  /** One try. What ends the execution is thrown; any other failure is returned. */
  private async try(call: Call, work: (attempt: Attempt) => Promise<Performed>): Promise<Tried> {
    const { spec, key, idempotencyKey } = call;
    const timeout = () =>
      new FlotillaError("STEP_TIMEOUT", `${key} took longer than ${spec.timeoutMs} ms`, {
        details: { step: key, timeoutMs: spec.timeoutMs },
      });
    const late = (error: unknown) => this.reportLate(key, error);
    const bounds = { clock: this.port.clock, signal: call.signal, timeoutMs: spec.timeoutMs, timeout, late };
    try {
      const performed = await bounded(bounds, (signal) => work({ signal, idempotencyKey }));
      return { performed: { ...performed, output: recordable(performed.output) } };
    } catch (thrown) {
      const error = failureOf(thrown, spec.kind === "tool" || spec.kind === "fetch" ? "tool" : "agent", spec.name);
      if (call.signal.aborted) throw error;
      if (error.code.startsWith("LIMIT_") || error.code === "CANCELLED") this.execution.fatal(error);
      return { error };
    }
  }

  private reportLate(key: string, error: unknown): void {
    const how =
      error === null
        ? "its result was thrown away"
        : `it failed: ${this.redact(failureOf(error, "agent", key).message)}`;
    this.port.log("debug", `${key} ended after it was given up; ${how}`, { step: key });
  }

  private delayMs(call: Call, tries: number, error: FlotillaError): number | null {
    const { retry } = call.spec;
    if (retry === null) return null;
    const delayMs = retryDelayMs(retry, tries, toErrorRecord(error), this.port.random.next());
    // A long wait that the other side asked for is the engine's: a delayed task holds no process.
    return delayMs !== null && delayMs > Math.max(retry.delayMsMax * retry.jitter[1], 1) ? null : delayMs;
  }

  private async wait(call: Call, tries: number, delayMs: number, error: FlotillaError): Promise<void> {
    const of = call.spec.retry?.attemptsMax ?? 1;
    const message = `${call.key} failed, try ${tries + 1} of ${of} in ${delayMs} ms: ${this.redact(error.message)}`;
    this.port.log("warn", message, { step: call.key, code: error.code, tries, delayMs });
    await sleep(this.port.clock, delayMs, call.signal);
  }

  private async complete(call: Call, performed: { output: Json; usage?: Usage }): Promise<Json> {
    const output = this.clean(performed.output);
    const { usage } = performed;
    await this.record({
      ...this.headOf(call, "completed"),
      output,
      durationMs: this.durationMs(call),
      ...(usage === undefined ? {} : { usage }),
    });
    return output;
  }

  private async fail(call: Call, error: FlotillaError): Promise<never> {
    const record = { ...toErrorRecord(error), message: this.redact(error.message) };
    const step: StepRecord = {
      ...this.headOf(call, "failed"),
      durationMs: this.durationMs(call),
      error: { ...record, ...(record.details === undefined ? {} : { details: this.cleanDetails(record.details) }) },
    };
    // A write has begun on record, so its failure belongs there too: nobody need ask what came of it.
    if (error.class === "transient" && call.spec.write === undefined) this.survived.push(step);
    else await this.record(step);
    throw error;
  }

  private headOf(call: Call, phase: StepRecord["phase"]) {
    const { kind, name, input, shown, write } = call.spec;
    const head = { phase, key: call.key, kind, name, inputHash: call.inputHash };
    // The input of a write went on record with its intent.
    const recorded = write !== undefined && phase !== "started";
    return recorded ? head : { ...head, input: this.clean(shown ?? input) };
  }

  private durationMs(call: Call): number {
    return Math.max(0, Math.round(this.port.clock.now() - call.startedAt));
  }

  private async record(step: StepRecord): Promise<void> {
    try {
      await this.port.record(step);
    } catch (thrown) {
      this.execution.fatal(failureOf(thrown, "agent", step.key));
    }
  }

  private cleanDetails(details: Record<string, unknown>): Record<string, Json> {
    return this.clean(recordable(details)) as Record<string, Json>;
  }

  private clean(value: Json): Json {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return this.redact(text) === text ? value : redactJson(this.redact, value);
  }
}

/** Whether a failed write certainly left no trace, or said itself how it ended. */
function neverHappened(error: FlotillaError): boolean {
  if (error.details.sent === false || error.details.status === 429) return true;
  return error.class !== "transient" && !isForeign(error);
}

/** Once on record a failed write is final: another attempt at the task would be handed the same failure. */
function lasting(error: FlotillaError, tries: number): FlotillaError {
  if (error.class !== "transient") return error;
  const { code, hint, details, cause } = error;
  return new FlotillaError(code, `${error.message} (given up after ${tries} tries; nothing was written)`, {
    class: "permanent",
    hint,
    details,
    cause,
  });
}

function asCheck(answer: Json): ToolCheck<Json> {
  const outcome = typeof answer === "object" && answer !== null && "outcome" in answer ? answer.outcome : undefined;
  if (outcome === "done") return { outcome, output: (answer as { output?: Json }).output ?? null };
  return outcome === "not-done" ? { outcome } : { outcome: "unknown" };
}
