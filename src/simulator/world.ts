import { FlotillaError } from "../error.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import { Prng } from "./prng.ts";

/** When a simulation begins: an arbitrary moment, the same for every seed. */
export const EPOCH_MS = Date.UTC(2030, 0, 1);

/** Something that will happen, in virtual microseconds. */
interface Happening {
  at: number;
  order: number;
  process: Process | null;
  label: string;
  run: () => void;
  cancelled: boolean;
}

/** A simulated process: what it asked for happens to it only while it lives. A crash abandons every promise that waits
 *  for one of its ports: nothing of it runs again, no `finally` either. */
export class Process {
  readonly name: string;
  readonly kind: "coordinator" | "host";
  /** The process that started it and without which it must not go on; null for one that init started. */
  readonly parent: Process | null;
  alive = true;
  /** When it ended, in virtual milliseconds. */
  endedMs: number | null = null;
  /** True while its loop is blocked: what happens to it is lost, as it will be killed. */
  blocked = false;
  /** What the operating system does at its end: tells the parent, closes its descriptors. */
  onEnd: (why: string) => void = () => {};
  onExit: () => void = () => {};
  readonly #world: World;
  readonly #gone: (() => void)[] = [];

  constructor(world: World, name: string, kind: Process["kind"], parent: Process | null) {
    this.name = name;
    this.kind = kind;
    this.parent = parent;
    this.#world = world;
    world.processes.push(this);
  }

  onGone(listener: () => void): void {
    this.#gone.push(listener);
  }

  /** Ends it at once, by whatever cause. */
  end(why: string): void {
    if (!this.alive) return;
    this.alive = false;
    this.endedMs = this.#world.elapsedMs;
    this.#world.note(`${this.name} ends: ${why}`);
    this.onExit();
    this.onEnd(why);
    for (const listener of this.#gone) listener();
  }
}

/** Virtual time and all that happens in it, from one seed. Everything that is asynchronous in a simulated role goes
 *  through here as a happening with a delay of its own; after each of them the world stands still until every promise
 *  that it resolved has run out. So one seed has one history (T1). */
export class World {
  readonly seed: number;
  /** Delays and order. Faults, workload and contents draw from sources of their own. */
  readonly random: Prng;
  /** Called before a happening of a process; true when the process did not live to see it. */
  before: (process: Process, label: string) => boolean = () => false;
  /** Everything that happened, for the comparison of two runs of one seed. */
  readonly trace: string[] = [];
  /** Every process that was ever started. */
  readonly processes: Process[] = [];
  happenings = 0;
  /** What the machine's clock is off by, in milliseconds. */
  clockOffsetMs = 0;
  /** Work of the real machine that the world stands still for. */
  readonly #held = new Set<Promise<unknown>>();
  #time = 0;
  #order = 0;
  #heap: Happening[] = [];

  constructor(seed: number) {
    this.seed = seed;
    this.random = new Prng(seed, "world");
  }

  /** Virtual milliseconds since the world began; only goes forward, whatever the clocks in it say. */
  get elapsedMs(): number {
    return Math.floor(this.#time / 1_000);
  }

  /** What the machine's clock shows. */
  get clockMs(): number {
    return EPOCH_MS + this.elapsedMs + this.clockOffsetMs;
  }

  note(line: string): void {
    this.trace.push(`${this.#time} ${line}`);
  }

  /** Lets something happen after `delayMs`, which may be a fraction; to `process`, if it still lives then. */
  in(delayMs: number, process: Process | null, label: string, run: () => void): Timer {
    const at = this.#time + Math.max(0, Math.round(delayMs * 1_000));
    const happening: Happening = { at, order: this.#order++, process, label, run, cancelled: false };
    this.#push(happening);
    return {
      cancel: () => {
        happening.cancelled = true;
      },
    };
  }

  /** Resolves after `delayMs`; never, when the process dies before. */
  wait(delayMs: number, process: Process | null, label: string): Promise<void> {
    return new Promise((resolve) => this.in(delayMs, process, label, resolve));
  }

  /** Real work, such as a user's own code that reads a file: no virtual time passes until it has ended, so that how long
   *  it really takes changes nothing. */
  hold<T>(work: () => Promise<T>): Promise<T> {
    const promise = work();
    const ended = () => this.#held.delete(promise);
    this.#held.add(promise);
    promise.then(ended, ended);
    return promise;
  }

  /** The clock as a process sees it. Timers count elapsed time and do not follow jumps of the clock. */
  clockOf(process: Process): Clock {
    return {
      now: () => this.clockMs,
      after: (delayMs, fn) => this.in(delayMs, process, "timer", fn),
      soon: (fn) => void this.in(0, process, "soon", fn),
    };
  }

  /** Runs until `done` says so, nothing is left to happen, or a bound is passed. `done` is asked after each happening. */
  async run(
    done: () => boolean,
    bounds: { untilMs: number; happeningsMax: number },
  ): Promise<"done" | "idle" | "time" | "happenings"> {
    const last = this.happenings + bounds.happeningsMax;
    while (!done()) {
      const next = this.#pop();
      if (next === undefined) return "idle";
      if (next.at > bounds.untilMs * 1_000) {
        this.#push(next);
        return "time";
      }
      if (this.happenings >= last) return "happenings";
      this.#time = next.at;
      this.#happen(next);
      await this.#standStill();
    }
    return "done";
  }

  async #standStill(): Promise<void> {
    await turn();
    while (this.#held.size > 0) {
      await Promise.allSettled(this.#held);
      await turn();
    }
  }

  #happen({ process, label, run }: Happening): void {
    if (process !== null && (!process.alive || process.blocked)) return;
    this.happenings += 1;
    if (process !== null && this.before(process, label)) return;
    this.note(`${process?.name ?? "-"} ${label}`);
    run();
  }

  #push(happening: Happening): void {
    const heap = this.#heap;
    let child = heap.push(happening) - 1;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!isBefore(heap[child] as Happening, heap[parent] as Happening)) return;
      swap(heap, child, parent);
      child = parent;
    }
  }

  /** The next one that was not cancelled. */
  #pop(): Happening | undefined {
    for (;;) {
      const heap = this.#heap;
      const first = heap[0];
      const last = heap.pop();
      if (first === undefined || last === undefined) return undefined;
      if (heap.length > 0) {
        heap[0] = last;
        sink(heap);
      }
      if (!first.cancelled) return first;
    }
  }
}

/** Waits until no promise has anything left to run: nothing else simulated waits for the machine, so a turn of the real
 *  loop is enough. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function isBefore(a: Happening, b: Happening): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function sink(heap: Happening[]): void {
  for (let parent = 0; ; ) {
    const left = 2 * parent + 1;
    if (left >= heap.length) return;
    const right = left + 1;
    const child = right < heap.length && isBefore(heap[right] as Happening, heap[left] as Happening) ? right : left;
    if (!isBefore(heap[child] as Happening, heap[parent] as Happening)) return;
    swap(heap, child, parent);
    parent = child;
  }
}

function swap(heap: Happening[], a: number, b: number): void {
  const kept = heap[a] as Happening;
  heap[a] = heap[b] as Happening;
  heap[b] = kept;
}

/** A simulation that could not be carried out, as opposed to one that found something. */
export function broken(message: string): FlotillaError {
  return new FlotillaError("INVARIANT", `simulation: ${message}`);
}
