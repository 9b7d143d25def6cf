import { workflowSeat } from "../core/seat.ts";
import type { CoordinatorFrame, Place } from "../carrier/frame.ts";

type HoldFrame = Extract<CoordinatorFrame, { f: "hold" }>;

/** Attempts that were cancelled before they came, remembered. */
const CANCELLED_MAX = 1_000;

/** The gate in a worker host: what was held or cancelled is not begun, also when its assignment comes late or out of
 *  order (invariant 6). It has an entry for each scope that was ever held while the host lives. */
export class StartGate {
  readonly #holds = new Map<string, HoldFrame>();
  readonly #cancelled = new Set<string>();

  /** A hold was placed or lifted. An older word than the last one is none. */
  set(frame: HoldFrame): void {
    const key = `${frame.scope}/${frame.name ?? ""}`;
    const known = this.#holds.get(key);
    if (known === undefined || frame.epoch >= known.epoch) this.#holds.set(key, frame);
  }

  /** An attempt that is not here was cancelled: it may still come. */
  cancelled(key: string): void {
    this.#cancelled.add(key);
    const [oldest] = this.#cancelled;
    if (this.#cancelled.size > CANCELLED_MAX && oldest !== undefined) this.#cancelled.delete(oldest);
  }

  /** Whether an attempt may run. */
  admits(key: string, place: Place): boolean {
    if (this.#cancelled.has(key)) return false;
    for (const hold of this.#holds.values()) {
      if (covers(hold, place) && !isLater(place, hold)) return false;
    }
    return true;
  }
}

/** Whether an attempt was given out when the hold had been lifted, also when that word has not come yet. */
function isLater(place: Place, { held, epoch }: HoldFrame): boolean {
  return held ? place.epoch > epoch : place.epoch >= epoch;
}

function covers({ scope, name }: HoldFrame, { workflow, line }: Place): boolean {
  if (scope === "fleet") return true;
  if (scope === "workflow") return name !== null && (name === workflow || line.includes(workflowSeat(name)));
  return name !== null && line.includes(name);
}
