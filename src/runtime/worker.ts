import type { AgentOutcome, Assignment, PermitRequest, TaskPort } from "../agent/port.ts";
import {
  type CoordinatorFrame,
  type Place,
  type RecordedStep,
  type StepAnswer,
  SAID_CHARACTERS_MAX,
  type WorkerFrame,
} from "../carrier/frame.ts";
import type { FleetDefinition } from "../core/definition.ts";
import type { StepRecord } from "../core/command.ts";
import { errorRecord } from "../core/decide.ts";
import { PLAN_AGENT } from "../core/edit.ts";
import { type ErrorRecord, FlotillaError, fromErrorRecord, isFlotillaError, toErrorRecord } from "../error.ts";
import { COORDINATOR, createEnvelope, type Envelope } from "../message/envelope.ts";
import type { Identity } from "../message/identity.ts";
import { jsonFault } from "../message/json-bound.ts";
import { FrameSigner } from "../message/seal.ts";
import { verifyMessage } from "../message/verify.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import { frameDigest } from "./coordinator.ts";
import { StartGate } from "./start-gate.ts";

/** Senders sign what they sent within this time (design: trust on the wire). */
const SEAL_AFTER_MS = 100;
const HEARTBEAT_MS = 1_000;
/** Waiting for its turn may take an attempt this many times its time-out. */
const PATIENCE = 10;
const PLAN_TIMEOUT_MS = 60_000;

export interface WorkerPorts {
  clock: Clock;
  random: Random;
  /** Names the session in signatures. */
  session: string;
  slots: number;
  definition: FleetDefinition;
  /** Throws when this worker does not hold the agent's key. */
  identityOf(agent: string): Identity;
  send(frame: WorkerFrame): void;
  /** Takes secrets out of what is about to leave this process (X8). */
  redact?<T>(value: T): T;
  /** Runs one attempt to its end; never rejects. */
  run(port: TaskPort): Promise<AgentOutcome>;
  /** Asked to drain, and nothing runs any more. */
  drained(): void;
}

type Reported = Extract<WorkerFrame, { f: "step" | "result" | "suspend" }>;
type Unnumbered<T> = T extends unknown ? Omit<T, "seq"> : never;

/** The worker role: runs attempts and reports their steps and results. It never reaches the store; what it has said
 *  counts when the coordinator acknowledges it. */
export class Worker {
  readonly #ports: WorkerPorts;
  readonly #signer: FrameSigner;
  readonly #running = new Map<string, Running>();
  /** Recorded steps that came ahead of their assignment. */
  readonly #recorded = new Map<string, RecordedStep[]>();
  readonly #permits = new Map<number, { resolve: () => void; reject: (error: unknown) => void }>();
  readonly #gate = new StartGate();
  #permitId = 0;
  #sealTimer: Timer | null = null;
  #beat: Timer | null = null;
  #draining = false;
  #closed = false;

  constructor(ports: WorkerPorts) {
    this.#ports = ports;
    this.#signer = new FrameSigner(ports.session, ports.identityOf);
    this.#heartbeat();
  }

  get running(): number {
    return this.#running.size;
  }

  receive(frame: CoordinatorFrame): void {
    switch (frame.f) {
      case "steps": {
        const known = this.#recorded.get(keyOf(frame)) ?? [];
        this.#recorded.set(keyOf(frame), [...known, ...frame.steps]);
        return;
      }
      case "assign":
        return this.#assign(frame);
      case "ack": {
        const running = this.#running.get(keyOf(frame));
        const key = `${frame.key}/${frame.phase}`;
        const waiter = running?.acks.get(key);
        running?.acks.delete(key);
        if (frame.ok) waiter?.resolve(frame.answer);
        else waiter?.reject(new FlotillaError("CANCELLED", "the attempt is not current any more"));
        return;
      }
      case "permit": {
        const waiter = this.#permits.get(frame.id);
        this.#permits.delete(frame.id);
        if (frame.error === null) waiter?.resolve();
        else waiter?.reject(fromErrorRecord(frame.error));
        return;
      }
      case "cancel":
        if (!this.#running.has(keyOf(frame))) this.#gate.cancelled(keyOf(frame));
        return this.#cancel(keyOf(frame), frame.why);
      case "hold":
        this.#gate.set(frame);
        for (const [key, { place }] of [...this.#running])
          if (!this.#gate.admits(key, place)) this.#cancel(key, frame.why);
        return;
      case "drain":
        this.#draining = true;
        return this.#drainedYet();
      default:
        frame satisfies never;
    }
  }

  /** The coordinator is gone: everything is aborted, nothing more is sent. */
  close(why: string): void {
    // What was sent is signed for, if somebody still listens.
    if (!this.#closed && this.#signer.pending > 0) this.#ports.send({ f: "seal", seals: this.#signer.flush() });
    this.#closed = true;
    this.#sealTimer?.cancel();
    this.#beat?.cancel();
    for (const key of [...this.#running.keys()]) this.#cancel(key, why);
  }

  #assign(frame: Extract<CoordinatorFrame, { f: "assign" }>): void {
    const key = keyOf(frame);
    // What comes late and may not start any more was taken back already: nobody waits for its result.
    if (this.#closed || this.#running.has(key) || !this.#gate.admits(key, frame)) return;
    const problem = this.#problemOf(frame);
    const running: Running = {
      abort: new AbortController(),
      acks: new Map(),
      timer: null,
      waits: 0,
      waitedMs: 0,
      patienceMs: 0,
      place: frame,
    };
    this.#running.set(key, running);
    if (problem !== null) {
      // Nothing was begun: the task may be asked for anew, as when the clock was set while this request was on its way.
      const error: ErrorRecord = { ...errorRecord("MESSAGE_REFUSED", problem), class: "transient" };
      return this.#end(key, frame, { type: "failed", error });
    }
    this.#watch(key, frame, running, this.#timeoutMs(frame.agent));
    this.#ports.run(this.#portOf(frame, running)).then(
      (outcome) => this.#end(key, frame, outcome),
      (error: unknown) => this.#end(key, frame, { type: "failed", error: toErrorRecord(error) }),
    );
  }

  /** Ends an attempt that takes too long. Waiting for its turn at a model or tool does not count (K5), within reason. */
  #watch(
    key: string,
    frame: Extract<CoordinatorFrame, { f: "assign" }>,
    running: Running,
    timeoutMs: number,
    afterMs = timeoutMs,
  ): void {
    running.timer = this.#ports.clock.after(afterMs, () => {
      const moreMs = Math.ceil(running.waits > 0 ? timeoutMs : running.waitedMs);
      if (moreMs > 0 && running.patienceMs < timeoutMs * PATIENCE) {
        running.patienceMs += moreMs;
        running.waitedMs = 0;
        return this.#watch(key, frame, running, timeoutMs, moreMs);
      }
      const error = new FlotillaError(
        "TASK_TIMEOUT",
        `${frame.agent} took longer than ${timeoutMs} ms for task ${frame.task}`,
      );
      running.abort.abort(error);
      this.#end(key, frame, { type: "failed", error: toErrorRecord(error) });
    });
  }

  #timeoutMs(agent: string): number {
    return agent === PLAN_AGENT
      ? PLAN_TIMEOUT_MS
      : (this.#ports.definition.agents[agent]?.timeoutMs ?? PLAN_TIMEOUT_MS);
  }

  #problemOf(frame: Extract<CoordinatorFrame, { f: "assign" }>): string | null {
    const verified = verifyMessage(frame.envelope, {
      now: this.#ports.clock.now(),
      maySend: (sender) => sender === COORDINATOR,
      isRecipient: (recipient) => recipient === frame.agent,
      seen: () => false,
    });
    return verified.ok ? null : `${verified.check}: ${verified.reason}`;
  }

  #portOf(frame: Extract<CoordinatorFrame, { f: "assign" }>, running: Running): TaskPort {
    const { run, task, attempt, agent } = frame;
    const ref = { run, task, attempt };
    const { payload } = frame.envelope as Envelope<"task.request">;
    const steps = this.#recordedOf(frame);
    const { output, tools, effects, reassigned, handed } = frame;
    const assignment: Assignment = {
      ...ref,
      agent,
      input: payload.input,
      output,
      steps,
      ...(tools ? { tools } : {}),
      ...(reassigned ? { reassigned } : {}),
      ...(handed ? { handed } : {}),
      ...(effects ? { effects } : {}),
    };
    const { signal } = running.abort;
    return {
      assignment,
      signal,
      clock: this.#ports.clock,
      random: this.#ports.random,
      record: (step: StepRecord) =>
        this.#whileCurrent<StepAnswer | undefined>(signal, (resolve, reject) => {
          running.acks.set(`${step.key}/${step.phase}`, { resolve, reject });
          this.#report({ f: "step", ...ref, agent, step });
        }),
      permit: (request: PermitRequest) =>
        this.#whileCurrent<void>(signal, (resolve, reject) => {
          const id = this.#permitId++;
          const since = this.#ports.clock.now();
          const answered = () => {
            running.waits -= 1;
            running.waitedMs += Math.max(0, this.#ports.clock.now() - since);
          };
          running.waits += 1;
          this.#permits.set(id, {
            resolve: () => {
              answered();
              resolve();
            },
            reject: (error) => {
              answered();
              reject(error);
            },
          });
          this.#ports.send({ f: "permit", id, ...ref, ...request });
        }),
      outcome: (call, outcome) => {
        if (!signal.aborted) this.#ports.send({ f: "outcome", ...ref, call, ...outcome });
      },
      token: (text) => this.#stream(signal, { f: "token", ...ref, agent, text }),
      log: (level, message, data) => this.#stream(signal, { f: "log", ...ref, level, message, data: data ?? null }),
      status: (text) => this.#stream(signal, { f: "status", ...ref, agent, text }),
    };
  }

  #recordedOf(frame: Extract<CoordinatorFrame, { f: "assign" }>): ReadonlyMap<string, RecordedStep> {
    const ahead = this.#recorded.size === 0 ? undefined : this.#recorded.get(keyOf(frame));
    if (ahead !== undefined) this.#recorded.delete(keyOf(frame));
    const recorded = ahead === undefined ? frame.steps : [...ahead, ...frame.steps];
    return recorded.length === 0 ? NO_STEPS : new Map(recorded.map((step) => [step.key, step]));
  }

  #whileCurrent<T>(
    signal: AbortSignal,
    ask: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onAbort = () => reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      const done = (settle: () => void) => {
        signal.removeEventListener("abort", onAbort);
        settle();
      };
      ask(
        (value) => done(() => resolve(value)),
        (error) => done(() => reject(error)),
      );
    });
  }

  #stream(signal: AbortSignal, frame: WorkerFrame): void {
    if (!signal.aborted) this.#ports.send(this.#redacted(frame));
  }

  /** Sends what its agent answers for, numbered and covered by the agent's next signature. */
  #report(unsafe: Unnumbered<Reported>): void {
    const frame = this.#redacted(unsafe);
    refuseTooLarge(frame);
    const signer = frame.agent;
    const { seq } = this.#signer.add(signer, frameDigest(frame as Reported));
    this.#ports.send({ ...frame, seq } as Reported);
    this.#sealTimer ??= this.#ports.clock.after(SEAL_AFTER_MS, () => {
      this.#sealTimer = null;
      this.#ports.send({ f: "seal", seals: this.#signer.flush() });
    });
  }

  #redacted<T>(value: T): T {
    return this.#ports.redact === undefined ? value : this.#ports.redact(value);
  }

  #end(key: string, frame: Extract<CoordinatorFrame, { f: "assign" }>, outcome: AgentOutcome): void {
    const running = this.#running.get(key);
    if (running === undefined) return;
    this.#running.delete(key);
    running.timer?.cancel();
    const { run, task, attempt, agent } = frame;
    const ref = { run, task, attempt };
    try {
      if (outcome.type === "suspended") this.#report({ f: "suspend", ...ref, agent, ...waitOf(outcome) });
      else this.#report({ f: "result", ...ref, agent, envelope: this.#resultOf(frame, outcome) });
    } catch (error) {
      // What an agent returned may not be JSON, or be too large: that is its failure.
      const failed = {
        type: "failed" as const,
        error: outcome.type === "failed" ? shortened(outcome.error) : outputError(error),
      };
      this.#report({ f: "result", ...ref, agent, envelope: this.#resultOf(frame, failed) });
    }
    this.#drainedYet();
  }

  #resultOf(
    frame: Extract<CoordinatorFrame, { f: "assign" }>,
    outcome: Exclude<AgentOutcome, { type: "suspended" }>,
  ): Envelope {
    const { run, task, attempt, agent, envelope } = frame;
    const common = {
      id: `${envelope.id}/result`,
      sender: agent,
      recipient: COORDINATOR,
      correlationId: envelope.correlationId,
      causationId: envelope.id,
      timestamp: this.#ports.clock.now(),
      priority: envelope.priority,
    };
    if (outcome.type === "completed") {
      const usage = { costMicroUsd: 0, inputTokens: 0, outputTokens: 0, steps: 0 };
      return createEnvelope({
        ...common,
        type: "task.response",
        payload: { attempt, output: outcome.output, run, task, usage },
      });
    }
    return createEnvelope({ ...common, type: "error", payload: { attempt, error: outcome.error, run, task } });
  }

  #cancel(key: string, why: string): void {
    const running = this.#running.get(key);
    if (running === undefined) return;
    this.#running.delete(key);
    running.timer?.cancel();
    running.abort.abort(new FlotillaError("CANCELLED", why));
    this.#drainedYet();
  }

  #heartbeat(): void {
    this.#beat = this.#ports.clock.after(HEARTBEAT_MS, () => {
      if (this.#closed) return;
      this.#ports.send({ f: "heartbeat", at: this.#ports.clock.now(), running: this.#running.size });
      this.#heartbeat();
    });
  }

  #drainedYet(): void {
    if (!this.#draining || this.#running.size > 0 || this.#closed) return;
    if (this.#signer.pending > 0) this.#ports.send({ f: "seal", seals: this.#signer.flush() });
    this.#ports.drained();
  }
}

const NO_STEPS: ReadonlyMap<string, RecordedStep> = new Map();

interface Running {
  abort: AbortController;
  acks: Map<string, { resolve: (answer?: StepAnswer) => void; reject: (error: unknown) => void }>;
  timer: Timer | null;
  /** Calls that wait for their turn, and how long others did since the timer was set. */
  waits: number;
  waitedMs: number;
  /** What was added to its time for that. */
  patienceMs: number;
  place: Place;
}

function waitOf({ wakeAt, waits }: Extract<AgentOutcome, { type: "suspended" }>) {
  return waits.length === 0 ? { wakeAt } : { wakeAt, waits: [...waits] };
}

const keyOf = ({ run, task, attempt }: { run: string; task: string; attempt: number }): string =>
  `${run}/${task}/${attempt}`;

/** Whatever is larger would be refused where it goes. @throws {FlotillaError} OUTPUT_INVALID */
function refuseTooLarge(frame: Unnumbered<Reported>): void {
  if (frame.f === "suspend") return;
  const fault = jsonFault(frame.f === "step" ? frame.step : frame.envelope.payload, SAID_CHARACTERS_MAX);
  if (fault === null) return;
  const what = frame.f === "step" ? `step ${frame.step.key}` : "the output";
  throw new FlotillaError("OUTPUT_INVALID", `${what} cannot be put on record: ${fault}`, {
    hint: "Write large content to a file, and return where it is.",
  });
}

const MESSAGE_CHARACTERS_MAX = 10_000;

/** An error whose text or details are too large to be sent. */
function shortened({ code, class: cls, message }: ErrorRecord): ErrorRecord {
  return { code, class: cls, message: message.slice(0, MESSAGE_CHARACTERS_MAX).toWellFormed() };
}

function outputError(error: unknown): ErrorRecord {
  if (isFlotillaError(error) && error.code === "OUTPUT_INVALID") return toErrorRecord(error);
  return { ...errorRecord("OUTPUT_INVALID", `the output is not JSON: ${toErrorRecord(error).message}`) };
}
