import { FlotillaError } from "../error.ts";
import { nearest } from "../definition/nearest.ts";
import { Prng } from "./prng.ts";

/** Every fault, when it is decided on, and its chance each time in a campaign. */
export const FAULTS = {
  /** The process that owns the store dies, before something happens to it. */
  "coordinator.crash": 0.0008,
  /** With a crash of the coordinator: the power goes too, and with it all that was not flushed. */
  "power.loss": 0.5,
  /** A worker host dies, before something happens to it. */
  "host.crash": 0.0012,
  /** An attempt blocks its host's loop for ever. */
  "host.block": 0.008,
  /** A record is lost, and with it the link: what a stream loses, it loses whole. */
  "frame.lost": 0.0015,
  "frame.doubled": 0.0015,
  /** A record arrives behind the next one. */
  "frame.reordered": 0.0015,
  "frame.delayed": 0.02,
  /** A byte of a record changes on its way; only where frames are authenticated. */
  "frame.altered": 0.0008,
  "store.slow": 0.01,
  /** The disk is full, for a while. */
  "store.full": 0.002,
  /** A flush fails: all that was not flushed is lost whole. */
  "store.torn": 0.003,
  /** A commit becomes durable and its caller is told that nobody knows. */
  "store.unknown": 0.004,
  /** A read fails. */
  "store.unreadable": 0.004,
  /** Somebody else appends to the journal first. */
  "store.conflict": 0.003,
  "clock.forward": 0.05,
  "clock.backward": 0.05,
  "agent.throw": 0.06,
  "agent.hang": 0.02,
  "agent.slow": 0.05,
  "agent.garbage": 0.03,
  "tool.slow": 0.06,
  "tool.timeout": 0.03,
  "tool.error": 0.08,
  "tool.garbage": 0.02,
  /** The tool did its work; the answer is lost. */
  "tool.lost": 0.04,
  "model.429": 0.08,
  "model.500": 0.05,
  "model.timeout": 0.02,
  "model.garbage": 0.05,
} as const satisfies Record<string, number>;

export type FaultKind = keyof typeof FAULTS;
export const FAULT_KINDS = Object.keys(FAULTS) as FaultKind[];

/** One fault that was taken: `nth` counts the decisions on its kind, from 0. */
export interface FaultTaken {
  readonly kind: FaultKind;
  readonly nth: number;
  readonly atMs: number;
}

/** The name of a fault in a schedule, `kind#nth`. */
export const faultName = ({ kind, nth }: Pick<FaultTaken, "kind" | "nth">): string => `${kind}#${nth}`;

export type FaultPlan =
  /** A chance for each kind; absent kinds never happen. */
  | { chances: Partial<Record<FaultKind, number>> }
  /** Exactly these, by `faultName`: a recorded schedule, or a part of one. */
  | { schedule: ReadonlySet<string> };

/** Decides which faults happen. Each kind draws from a source of its own, and what a fault is like depends on the seed
 *  and its name alone; so a part of a schedule repeats that part (T2). */
export class Faults {
  readonly taken: FaultTaken[] = [];
  readonly #seed: number;
  readonly #plan: FaultPlan;
  readonly #kinds = new Map<FaultKind, { chance: number; random: Prng; decisions: number }>();
  readonly #elapsedMs: () => number;
  #stopped = false;

  constructor(seed: number, plan: FaultPlan, elapsedMs: () => number) {
    this.#seed = seed;
    this.#plan = plan;
    this.#elapsedMs = elapsedMs;
    for (const kind of FAULT_KINDS) {
      const chance = "chances" in plan ? (plan.chances[kind] ?? 0) : 0;
      this.#kinds.set(kind, { chance, random: new Prng(seed, `fault ${kind}`), decisions: 0 });
    }
  }

  /** Whether the fault happens now; if it does, a source for what it is like. */
  take(kind: FaultKind): Prng | null {
    const state = this.#kinds.get(kind);
    if (state === undefined || this.#stopped) return null;
    const nth = state.decisions++;
    const happens =
      "schedule" in this.#plan
        ? this.#plan.schedule.has(`${kind}#${nth}`)
        : state.chance > 0 && state.random.chance(state.chance);
    if (!happens) return null;
    this.taken.push({ kind, nth, atMs: this.#elapsedMs() });
    return new Prng(this.#seed, `${kind}#${nth}`);
  }

  /** From now on nothing goes wrong any more: what is accepted must end. */
  stop(): void {
    this.#stopped = true;
  }

  get stopped(): boolean {
    return this.#stopped;
  }
}

/** A seed's own mix: some kinds are absent and some frequent, since bugs hide behind other faults. */
export function swarm(seed: number): FaultPlan {
  const random = new Prng(seed, "swarm");
  const calm = random.chance(0.05);
  const chances: Partial<Record<FaultKind, number>> = {};
  for (const kind of FAULT_KINDS) {
    const factor = random.pick([0, 0, 0, 0.5, 1, 2, 4]);
    if (!calm && factor > 0) chances[kind] = Math.min(0.9, FAULTS[kind] * factor);
  }
  return { chances };
}

/** Reads `tool.timeout=20%` or `tool.timeout=0.2`. @throws {FlotillaError} USAGE */
export function parseFault(text: string): { kind: FaultKind; chance: number } {
  const [, kind = "", number = "", percent = ""] = /^([^=]*)=([0-9.]+)(%?)$/.exec(text.trim()) ?? [];
  const chance = Number(number) / (percent === "" ? 1 : 100);
  if (!isFaultKind(kind)) throw unknownFault(kind === "" ? text : kind);
  if (!(chance >= 0 && chance <= 1))
    throw new FlotillaError("USAGE", `the chance of ${kind} is no share from 0% to 100%: ${text}`);
  return { kind, chance };
}

export function isFaultKind(kind: string): kind is FaultKind {
  return Object.hasOwn(FAULTS, kind);
}

function unknownFault(kind: string): FlotillaError {
  const near = nearest(kind, FAULT_KINDS);
  const hint = `${near ? `Did you mean ${near}? ` : ""}Faults are given as KIND=SHARE, for example tool.timeout=20%`;
  return new FlotillaError("USAGE", `there is no fault "${kind}"`, { hint, details: { allowed: FAULT_KINDS } });
}
