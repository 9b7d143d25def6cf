import type { Json } from "../core/json.ts";
import { FlotillaError, isFlotillaError } from "../error.ts";
import type { Redactor } from "../telemetry/redact.ts";
import { failureOf, recordOf } from "./failure.ts";
import type { AgentOutcome, TaskPort } from "./port.ts";

type Ending =
  | { why: "returned"; output: Json }
  | { why: "threw"; error: FlotillaError }
  /** Something that the agent's code cannot catch its way past. */
  | { why: "fatal"; error: FlotillaError }
  | { why: "aborted"; error: FlotillaError }
  | { why: "suspended"; wakeAt: number | null; waits: readonly string[] };

interface Flight {
  key: string;
  /** A write is let finish, so that its outcome is known. */
  write: boolean;
  abort: AbortController;
  /** Resolves with what it failed with, or null. */
  settled: Promise<unknown>;
}

/** One execution of an agent, from its call to its outcome: what is in flight, and how it ends.
 *
 *  Once the agent has returned or failed, its context refuses further calls. Steps that are in flight then, because
 *  nobody awaited them, are waited for after a return; after a failure reads are aborted and writes waited for. On
 *  abort nothing is waited for (F3). */
export class Execution {
  readonly port: TaskPort;
  private readonly agent: string;
  private readonly redact: Redactor;
  private readonly flights = new Set<Flight>();
  private readonly sleepers = new Set<number>();
  private readonly waits = new Set<string>();
  private readonly stopped = Promise.withResolvers<Ending>();
  /** Who waits for what is in flight is told of an abort. */
  private aborted: (() => void) | null = null;
  private ending: Ending | null = null;

  constructor(port: TaskPort, redact: Redactor) {
    this.port = port;
    this.redact = redact;
    this.agent = port.assignment.agent;
  }

  /** Runs the agent to its outcome; never rejects. */
  async run(work: () => Promise<Json>): Promise<AgentOutcome> {
    const { signal } = this.port;
    const onAbort = () => this.abort(signal.reason);
    if (signal.aborted) onAbort();
    else {
      signal.addEventListener("abort", onAbort, { once: true });
      void this.attempt(work).then(this.stopped.resolve);
    }
    const first = await this.stopped.promise;
    this.ending ??= first;
    if (this.flights.size > 0 && first.why !== "suspended" && this.ending.why !== "aborted") {
      const aborted = new Promise<void>((resolve) => (this.aborted = resolve));
      await Promise.race([this.drain(first), aborted]);
    }
    signal.removeEventListener("abort", onAbort);
    return this.outcomeOf(this.ending);
  }

  /** Ends the execution as if the agent had returned this. */
  finish(output: Json): void {
    this.end({ why: "returned", output });
  }

  /** Ends the execution with an error that the agent's code cannot catch, and throws it there too. */
  fatal(error: FlotillaError): never {
    this.end({ why: "fatal", error });
    throw error;
  }

  /** Starts a step, which `work` performs. After the end it rejects with what ended the execution, or with AGENT_FAILED
   *  when run() had ended; in a suspended one it never settles. A rejection that nobody handles harms no process. */
  begin<T>(key: string, write: boolean, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.ending !== null) return this.afterEnd(key, this.ending);
    const abort = new AbortController();
    const result = work(abort.signal);
    const flight: Flight = { key, write, abort, settled: result.then(nothing, itself) };
    this.flights.add(flight);
    void flight.settled.then(() => {
      this.flights.delete(flight);
      this.considerSuspending();
    });
    return result;
  }

  /** Waits until `wakeAt` without holding anything: the promise never settles in this execution. */
  sleepUntil(wakeAt: number): Promise<never> {
    this.sleepers.add(wakeAt);
    this.considerSuspending();
    return new Promise(() => {});
  }

  /** Waits for the answer to a question, as `sleepUntil` waits for the time. */
  waitFor(key: string): Promise<never> {
    this.waits.add(key);
    this.considerSuspending();
    return new Promise(() => {});
  }

  /** What the task will fail with, when that is certain: nothing new may begin. */
  get doom(): FlotillaError | null {
    return this.ending !== null && "error" in this.ending ? this.ending.error : null;
  }

  private async attempt(work: () => Promise<Json>): Promise<Ending> {
    try {
      return { why: "returned", output: await work() };
    } catch (error) {
      return { why: "threw", error: failureOf(error, "agent", this.agent) };
    }
  }

  private end(ending: Ending): void {
    // A return is not the last word while a step that nobody awaited can still turn out fatal.
    if (
      this.ending === null ||
      (ending.why === "fatal" && this.ending.why !== "fatal" && this.ending.why !== "aborted")
    ) {
      this.ending = ending;
    }
    this.stopped.resolve(ending);
  }

  private abort(reason: unknown): void {
    const why = reason instanceof Error ? reason.message : "the work was stopped";
    const error = isFlotillaError(reason) ? reason : new FlotillaError("CANCELLED", why);
    const ending: Ending = { why: "aborted", error };
    if (this.ending?.why !== "suspended") this.ending = ending;
    this.stopped.resolve(ending);
    this.aborted?.();
    for (const flight of this.flights) flight.abort.abort(error);
  }

  private async drain(ending: Ending): Promise<void> {
    if (ending.why !== "returned") {
      const reason = "error" in ending ? ending.error : undefined;
      for (const flight of this.flights) if (!flight.write) flight.abort.abort(reason);
    } else {
      const keys = [...this.flights].map((flight) => flight.key).join(", ");
      this.port.log("warn", `${this.agent} returned without awaiting ${keys}; the task ends when they have`);
    }
    await Promise.all([...this.flights].map((flight) => this.land(flight, ending)));
  }

  private async land(flight: Flight, ending: Ending): Promise<void> {
    const error = await flight.settled;
    if (error === null || ending.why !== "returned") return;
    const why = failureOf(error, "agent", this.agent).message;
    this.port.log("warn", `${flight.key}, which nobody awaited, failed: ${why}`, { key: flight.key });
  }

  private afterEnd(key: string, ending: Ending): Promise<never> {
    if (ending.why === "suspended") return new Promise(() => {});
    if ("error" in ending && ending.why !== "threw") return Promise.reject(ending.error);
    return Promise.reject(
      new FlotillaError("AGENT_FAILED", `${this.agent} called ${key} after its run() had ended`, {
        hint: "Await every call of the context before run() returns.",
      }),
    );
  }

  /** When nothing but sleepers is left, once what settled last had its turn to go on. */
  private considerSuspending(): void {
    if (!this.idleButForSleepers()) return;
    this.port.clock.soon(() => {
      if (!this.idleButForSleepers()) return;
      const wakeAt = this.sleepers.size === 0 ? null : Math.min(...this.sleepers);
      this.end({ why: "suspended", wakeAt, waits: [...this.waits] });
    });
  }

  private outcomeOf(ending: Ending): AgentOutcome {
    switch (ending.why) {
      case "returned":
        return { type: "completed", output: ending.output };
      case "suspended":
        return { type: "suspended", wakeAt: ending.wakeAt, waits: ending.waits };
      default:
        return { type: "failed", error: recordOf(ending.error, this.redact) };
    }
  }

  private idleButForSleepers(): boolean {
    return this.ending === null && this.sleepers.size + this.waits.size > 0 && this.flights.size === 0;
  }
}

const nothing = (): null => null;
const itself = (error: unknown): unknown => error ?? new Error("rejected without a reason");
