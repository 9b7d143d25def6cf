import type { Json } from "../core/json.ts";
import { FlotillaError } from "../error.ts";
import type { Faults } from "./fault.ts";
import { Prng } from "./prng.ts";
import type { Process, World } from "./world.ts";

/** Who asks something of the outside. `key` names the step for ever; attempts at it share it. */
export interface Caller {
  readonly process: Process;
  readonly run: string;
  readonly task: string;
  readonly attempt: number;
  readonly agent: string;
}

/** One execution of something outside the fleet: a tool, a model, an effect of code. */
export interface Call extends Caller {
  readonly kind: "tool" | "model" | "effect";
  readonly name: string;
  readonly key: string;
  readonly write: boolean;
  readonly atMs: number;
}

/** What a provider charges to whom for an answer; for a refusal, nothing. */
export interface Bill {
  readonly run: string;
  readonly task: string;
  readonly attempt: number;
  readonly tokens: number | null;
}

/** What one write did to the world. */
export interface Effect {
  readonly tool: string;
  readonly run: string;
  readonly task: string;
  readonly key: string;
  readonly atMs: number;
}

/** The world beyond the fleet: services that tools call. It survives every crash, and remembers everything that was
 *  done to it, so that whoever claims that nothing happens twice can be held to it. */
export class Outside {
  readonly effects: Effect[] = [];
  /** Providers tell of everything that they answer or refuse. */
  metered = false;
  readonly #world: World;
  readonly #faults: Faults;
  readonly #random: Prng;
  readonly #done = new Map<string, { output: Json }>();
  readonly #underWay = new Map<string, number>();
  readonly #listeners: ((call: Call) => void)[] = [];
  readonly #billing: ((bill: Bill) => void)[] = [];

  constructor(world: World, faults: Faults) {
    this.#world = world;
    this.#faults = faults;
    this.#random = new Prng(world.seed, "outside");
  }

  onCall(listener: (call: Call) => void): void {
    this.#listeners.push(listener);
  }

  /** Says that something is executed now. */
  note(call: Omit<Call, "atMs">): void {
    const noted: Call = { ...call, atMs: this.#world.elapsedMs };
    this.#world.note(
      `${call.process.name} calls ${call.kind} ${call.name} for ${call.run}/${call.task}/${call.attempt}`,
    );
    for (const listener of this.#listeners) listener(noted);
  }

  onBill(listener: (bill: Bill) => void): void {
    this.#billing.push(listener);
  }

  /** A provider has answered or refused: it charges whether or not anybody hears the answer. */
  bill(bill: Bill): void {
    for (const listener of this.#billing) listener(bill);
  }

  /** A read: no effect, however often. */
  async read(caller: Caller, tool: string, key: string, signal: AbortSignal, answer: () => Json): Promise<Json> {
    await this.#travel(caller, tool, signal);
    this.note({ ...caller, kind: "tool", name: tool, key, write: false });
    await this.#serve(caller, tool);
    return answer();
  }

  /** A write. `dedupes`: the service does one and the same thing once for each key. */
  async write(
    caller: Caller,
    tool: string,
    key: string,
    signal: AbortSignal,
    dedupes: boolean,
    output: Json,
  ): Promise<Json> {
    await this.#travel(caller, tool, signal);
    this.note({ ...caller, kind: "tool", name: tool, key, write: true });
    this.#underWay.set(key, (this.#underWay.get(key) ?? 0) + 1);
    // The request is out: what becomes of it is no more the caller's.
    await this.#arrive(caller, tool, key, dedupes, output);
    await this.#serve(caller, tool);
    return this.#done.get(key)?.output ?? output;
  }

  /** What a service says became of a write: it answers when requests under this key are through. */
  async find(caller: Caller, key: string): Promise<{ outcome: "done"; output: Json } | { outcome: "not-done" }> {
    do await this.#world.wait(1 + this.#random.next() * 20, caller.process, "check");
    while (this.isUnderWay(key));
    const done = this.#done.get(key);
    return done === undefined ? { outcome: "not-done" } : { outcome: "done", output: done.output };
  }

  /** Whether a request under this key is still on its way. */
  isUnderWay(key: string): boolean {
    return (this.#underWay.get(key) ?? 0) > 0;
  }

  /** Writes that took effect more often than once. */
  duplicates(): number {
    const times = new Map<string, number>();
    for (const { tool, run, task, key } of this.effects) {
      const name = `${tool}/${run}/${task}/${key}`;
      times.set(name, (times.get(name) ?? 0) + 1);
    }
    return [...times.values()].filter((count) => count > 1).length;
  }

  /** The truth about a write, for people. */
  outcomeOf(key: string): Json | undefined {
    return this.#done.get(key)?.output;
  }

  async #travel({ process }: Caller, tool: string, signal: AbortSignal): Promise<void> {
    const slow = this.#faults.take("tool.slow");
    const delayMs = this.#random.next() * 30 + (slow === null ? 0 : slow.int(100, 1_500));
    await this.#world.wait(delayMs, process, `call ${tool}`);
    signal.throwIfAborted();
    if (this.#faults.take("tool.error") !== null) {
      throw new FlotillaError("TOOL_UNAVAILABLE", `${tool} cannot be reached`, { details: { sent: false } });
    }
  }

  /** The effect takes place whether or not the caller lives on. */
  #arrive({ process, run, task }: Caller, tool: string, key: string, dedupes: boolean, output: Json): Promise<void> {
    return new Promise((resolve) => {
      this.#world.in(this.#random.next() * 20, null, `effect of ${tool}`, () => {
        this.#underWay.set(key, (this.#underWay.get(key) ?? 1) - 1);
        if (!dedupes || !this.#done.has(key)) {
          this.#done.set(key, { output });
          this.effects.push({ tool, run, task, key, atMs: this.#world.elapsedMs });
        }
        if (process.alive) this.#world.in(this.#random.next() * 20, process, `answer of ${tool}`, resolve);
      });
    });
  }

  async #serve({ process }: Caller, tool: string): Promise<void> {
    if (this.#faults.take("tool.timeout") !== null) await new Promise(() => {});
    await this.#world.wait(this.#random.next() * 10, process, `served by ${tool}`);
    if (this.#faults.take("tool.lost") !== null) throw new TypeError("fetch failed", { cause: { code: "ECONNRESET" } });
  }
}
