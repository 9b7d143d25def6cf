import type { StepKind } from "../core/event.ts";
import { stubKey } from "../core/fork.ts";
import type { Json } from "../core/json.ts";
import type { RecordedStep, StepAnswer } from "../carrier/frame.ts";
import { FlotillaError, fromErrorRecord, toErrorRecord } from "../error.ts";
import { canonicalJson, sha256 } from "../message/canonical.ts";
import type { Redactor } from "../telemetry/redact.ts";
import type { Execution } from "./execution.ts";
import type { TaskPort } from "./port.ts";
import { Replay } from "./replay.ts";
import type { AskSpec, Call, StepSpec } from "./step-spec.ts";
import { StepWork } from "./step-work.ts";

/** Steps that cost nothing and do not count against `limits.stepsMax`. */
const FREE: ReadonlySet<StepKind> = new Set(["now", "random", "sleep", "fact"]);
const HASH_CHARACTERS = 32;
const PREVIEW_CHARACTERS = 120;

/** Runs every step of one execution: hands recorded ones back, performs the others, and has each outcome durable before
 *  the agent goes on (F8). A step is found by its name, the ordinal of that name and the hash of its input.
 *  How a step is performed is `StepWork`'s. */
export class Steps {
  private readonly execution: Execution;
  private readonly port: TaskPort;
  private readonly work: StepWork;
  private readonly redact: Redactor;
  private readonly stepsMax: number;
  private readonly replay: Replay;
  private readonly ordinals = new Map<string, number>();
  private readonly unasked: Set<string>;
  private counted = 0;
  private isLive = false;

  constructor(execution: Execution, options: { redact: Redactor; stepsMax: number }) {
    this.execution = execution;
    this.port = execution.port;
    this.work = new StepWork(execution, options.redact);
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

  /** The answer to a question that only others can answer: another agent, a person, the coordinator. While nothing else
   *  is under way the task is suspended, and holds nothing.
   *  @throws {FlotillaError} what the question was answered with, or as `run` */
  async ask(spec: AskSpec): Promise<Json> {
    const key = this.takeKey(spec.name);
    spec.key?.(key);
    const answer = await this.execution.begin(key, false, (signal) => this.resolveAsked(spec, key, signal));
    if (answer === undefined) return this.execution.waitFor(key);
    if ("error" in answer) throw fromErrorRecord(answer.error);
    return answer.output;
  }

  private async resolveAsked(spec: AskSpec, key: string, signal: AbortSignal): Promise<StepAnswer | undefined> {
    const call = this.callOf({ ...spec, timeoutMs: null, retry: null, perform: unasked }, key, signal);
    const recorded = this.port.assignment.steps.get(key);
    if (recorded === undefined) return this.inOrder(() => this.work.ask(call, spec.ask(this.port.clock.now())));
    this.unasked.delete(key);
    this.compare(call, recorded);
    if (recorded.status === "asked") return undefined;
    await this.replay.turn(key);
    return recorded.status === "failed"
      ? { error: recorded.error ?? toErrorRecord(`${key} failed`) }
      : { output: recorded.output ?? null };
  }

  private takeKey(name: string): string {
    const ordinal = (this.ordinals.get(name) ?? 0) + 1;
    this.ordinals.set(name, ordinal);
    return `${name}#${ordinal}`;
  }

  private async resolve(spec: StepSpec, key: string, signal: AbortSignal): Promise<Json> {
    const call = this.callOf(spec, key, signal);
    const recorded = this.port.assignment.steps.get(key);
    return recorded === undefined
      ? this.inOrder(() => this.work.perform(this.spared(call)))
      : this.resume(call, recorded);
  }

  /** In a fork a write may be answered from the record of the run that was forked, or left out (F11). */
  private spared(call: Call): Call {
    const { effects } = this.port.assignment;
    const { write, ...read } = call.spec;
    if (effects === undefined || write === undefined) return call;
    const policy = effects.tools[read.name] ?? effects.default;
    if (policy === "allow") return call;
    const known = stubKey(read.name, call.inputHash);
    const perform = async () => {
      if (policy === "skip") return { output: null };
      const output = effects.stubs[known];
      if (output !== undefined) return { output };
      const message = `${read.name} is answered from the record here, and the run that was forked never got an answer to this call`;
      throw new FlotillaError("EFFECT_UNKNOWN", message);
    };
    return { ...call, spec: { ...read, retry: null, perform } };
  }

  private callOf(spec: StepSpec, key: string, signal: AbortSignal): Call {
    const { run, task, steps, reassigned = 0 } = this.port.assignment;
    const again = reassigned === 0 ? "" : `/${reassigned}`;
    this.count(spec, key);
    const inputHash = inputHashOf(spec.input);
    const idempotencyKey =
      steps.get(key)?.idempotencyKey ??
      sha256(`${run}/${task}/${key}${again}`).toString("hex").slice(0, HASH_CHARACTERS);
    return { spec, key, inputHash, idempotencyKey, startedAt: this.port.clock.now(), signal };
  }

  /** What happens now comes after all that is on record. */
  private async inOrder<T>(work: () => Promise<T>): Promise<T> {
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
        if (recorded.outcome === "not-done") return this.inOrder(() => this.work.begin(call));
        await this.replay.turn(call.key);
        return recorded.output ?? null;
      case "asked":
        // `compare` refused a question in place of anything else.
        return this.execution.waitFor(call.key);
      case "started":
      case "unknown":
        return this.inOrder(() => this.work.settle(call, recorded.settle));
    }
  }

  /** The same place in the code must ask the same thing, else it would be given another step's result. */
  private compare(call: Call, recorded: RecordedStep): void {
    const { kind, name } = call.spec;
    if (recorded.kind === kind && recorded.name === name && recorded.inputHash === call.inputHash) return;
    const { run, task } = this.port.assignment;
    const same = recorded.kind === kind && recorded.name === name;
    const before = `${recorded.kind} ${recorded.name}${same ? ` with other input (${recorded.inputHash.slice(0, 8)})` : ""}`;
    const input = this.redact(canonicalJson(call.spec.shown ?? call.spec.input))
      .slice(0, PREVIEW_CHARACTERS)
      .toWellFormed();
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
}

/** By which a step's input is known again. */
export function inputHashOf(input: Json): string {
  return sha256(canonicalJson(input)).toString("hex").slice(0, HASH_CHARACTERS);
}

const unasked = (): never => {
  throw new FlotillaError("INVARIANT", "a question is answered by others");
};
