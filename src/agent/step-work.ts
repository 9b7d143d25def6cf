import type { StepRecord } from "../core/command.ts";
import type { CallOutcome, StepAnswer } from "../carrier/frame.ts";
import type { Ask, SettlePolicy, Usage } from "../core/event.ts";
import type { Json } from "../core/json.ts";
import { retryDelayMs } from "../core/retry.ts";
import type { ToolCheck } from "../definition/context.ts";
import { FlotillaError, toErrorRecord } from "../error.ts";
import { sleep } from "../platform/clock.ts";
import { type Redactor, redactJson } from "../telemetry/redact.ts";
import { bounded } from "./bounded.ts";
import type { Execution } from "./execution.ts";
import { failureOf, isForeign, recordOf } from "./failure.ts";
import type { TaskPort } from "./port.ts";
import { recordable } from "./recordable.ts";
import type { Attempt, Call, Performed } from "./step-spec.ts";

type Tried = { performed: { output: Json; usage?: Usage; call?: string } } | { error: FlotillaError };

/** Performs steps that are not on record, and puts them there.
 *
 *  Reads that fail transiently are tried again with back-off. Writes are recorded before they are begun; when a try
 *  ends without a clear outcome, the tool's check, a repeat under the same idempotency key, or a person settles it,
 *  and the agent's code cannot go on without that (F13).
 *
 *  A transient failure that outlasts its retries is not put on record at once, so that the next attempt at the task can
 *  try again; it is when the agent survives it and takes another step, because that step rests on it. */
export class StepWork {
  private readonly execution: Execution;
  private readonly port: TaskPort;
  private readonly redact: Redactor;
  private survived: StepRecord[] = [];

  constructor(execution: Execution, redact: Redactor) {
    this.execution = execution;
    this.port = execution.port;
    this.redact = redact;
  }

  /** Performs a step that is not on record. */
  async perform(call: Call): Promise<Json> {
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
      const tried = await this.tryPermitted(call, tries);
      if ("performed" in tried) return this.complete(call, tried.performed);
      const delayMs = this.delayMs(call, tries, tried.error);
      if (delayMs === null) return this.fail(call, tried.error);
      await this.wait(call, tries, delayMs, tried.error);
    }
  }

  /** Puts a question on record; returns the answer when it has one at once. */
  async ask(call: Call, ask: Ask): Promise<StepAnswer | undefined> {
    await this.recordSurvived();
    if (this.execution.doom !== null) throw this.execution.doom;
    return this.record({ ...this.headOf(call, "asked"), ask });
  }

  /** Write ahead: the intent is durable before the first try (F13). */
  async begin(call: Call): Promise<Json> {
    if (this.execution.doom !== null) throw this.execution.doom;
    const settle = call.spec.write?.settle ?? "person";
    await this.record({ ...this.headOf(call, "started"), idempotencyKey: call.idempotencyKey, settle });
    return this.write(call);
  }

  private async write(call: Call): Promise<Json> {
    for (let tries = 1; ; tries++) {
      const tried = await this.tryPermitted(call, tries);
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
  async settle(call: Call, policy: SettlePolicy): Promise<Json> {
    const write = call.spec.write;
    if (policy === "check" && write?.check) {
      const found = await this.check(call);
      if (found.outcome === "done") return this.complete(call, { output: found.output });
      // A write that is repeated is intended again: on the record, and not by an attempt that is over.
      if (found.outcome === "not-done" || write.idempotent) return this.begin(call);
    } else if (policy === "retry" && write?.idempotent) {
      return this.begin(call);
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
        details: { step: call.key, ...(error === null ? {} : { cause: recordOf(error, this.redact) }) },
        ...(error === null ? {} : { cause: error }),
      }),
    );
  }

  /** One try, once it may be made; what came of it is told to whoever permitted it. */
  private async tryPermitted(call: Call, tries: number): Promise<Tried> {
    const { gate, perform } = call.spec;
    if (gate === undefined) return this.try(call, perform);
    const name = `${call.key}/${tries}`;
    const refused = await this.permit(call, name, gate);
    if (refused !== null) return { error: refused };
    const tried = await this.try(call, perform);
    this.port.outcome(name, callOutcome(tried));
    return "error" in tried ? tried : { performed: { ...tried.performed, call: name } };
  }

  private async permit(
    call: Call,
    name: string,
    gate: NonNullable<Call["spec"]["gate"]>,
  ): Promise<FlotillaError | null> {
    try {
      const request = gate();
      await unlessAborted(this.port.permit({ ...request, call: name }), call.signal);
      return null;
    } catch (thrown) {
      const error = failureOf(thrown, "agent", call.key);
      if (call.signal.aborted) throw error;
      if (error.code.startsWith("LIMIT_") || error.code === "CANCELLED") this.execution.fatal(error);
      return error;
    }
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

  private async complete(
    call: Call,
    performed: { output: Json; usage?: Usage | undefined; call?: string | undefined },
  ): Promise<Json> {
    const output = this.clean(performed.output);
    const { usage, call: permitted } = performed;
    await this.record({
      ...this.headOf(call, "completed"),
      output,
      durationMs: this.durationMs(call),
      ...(usage === undefined ? {} : { usage, ...(permitted === undefined ? {} : { call: permitted }) }),
    });
    return output;
  }

  private async fail(call: Call, error: FlotillaError): Promise<never> {
    const step: StepRecord = {
      ...this.headOf(call, "failed"),
      durationMs: this.durationMs(call),
      error: recordOf(error, this.redact),
    };
    // A write has begun on record, so its failure belongs there too: nobody need ask what came of it.
    if (error.class === "transient" && call.spec.write === undefined) this.survived.push(step);
    else await this.record(step);
    throw error;
  }

  private headOf(call: Call, phase: StepRecord["phase"]) {
    const { approval, kind, name, input, shown, write } = call.spec;
    const under = approval === undefined ? {} : { approval };
    const head = { phase, key: call.key, kind, name, inputHash: call.inputHash, ...under };
    // The input of a write went on record with its intent.
    const recorded = write !== undefined && phase !== "started";
    return recorded ? head : { ...head, input: this.clean(shown ?? input) };
  }

  private durationMs(call: Call): number {
    return Math.max(0, Math.round(this.port.clock.now() - call.startedAt));
  }

  private async record(step: StepRecord): Promise<StepAnswer | undefined> {
    try {
      return await this.port.record(step);
    } catch (thrown) {
      this.execution.fatal(failureOf(thrown, "agent", step.key));
    }
  }

  private clean(value: Json): Json {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return this.redact(text) === text ? value : redactJson(this.redact, value);
  }
}

/** What a try cost, as far as it is known. */
function callOutcome(tried: Tried): CallOutcome {
  if ("performed" in tried) {
    const { usage } = tried.performed;
    if (usage === undefined) return { code: null, billed: "none" };
    return { code: null, billed: "recorded", tokens: usage.inputTokens + usage.outputTokens };
  }
  const { code, retryAfterMs } = tried.error;
  const billed = costsNothing(tried.error) ? "none" : "unknown";
  return { code, billed, ...(retryAfterMs === undefined ? {} : { retryAfterMs: Math.ceil(retryAfterMs) }) };
}

/** Whether a failed call certainly is not billed: it never left, or was answered with a refusal. Behind a gateway's
 *  time-out the answer may have been made all the same. */
function costsNothing({ code, details }: FlotillaError): boolean {
  if (details.sent === false || NEVER_SENT.has(code)) return true;
  return typeof details.status === "number" && details.status >= 400 && !MAY_BE_BILLED.has(details.status);
}

const NEVER_SENT: ReadonlySet<string> = new Set([
  ...["MODEL_KEY_MISSING", "MODEL_UNKNOWN", "MODEL_REQUEST_INVALID", "MODEL_SCRIPT_EXHAUSTED", "MODEL_SCRIPT_FAILED"],
  ...["PACKAGE_MISSING", "SECRET_MISSING"],
]);
const MAY_BE_BILLED: ReadonlySet<number> = new Set([408, 499, 502, 504, 524]);

/** Waits no longer than somebody wants the outcome. Whatever `promise` comes to is heard, also when it was the asking
 *  itself that led to the abort: a rejection that nobody hears would end the process. */
function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
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
