import type { Json } from "../core/json.ts";
import type { Channel } from "../message/channel.ts";
import type { Faults } from "./fault.ts";
import { Prng } from "./prng.ts";
import type { Process, World } from "./world.ts";

/** One end of a link, as the carrier of a role uses it. */
export interface End {
  readonly process: Process;
  /** The authenticated channel of this end; null where frames travel in the clear, as within one process. */
  channel: Channel | null;
  onFrame: (frame: Json) => void;
  /** A record that was not believed. */
  onRefused: (reason: string) => void;
  /** The other side is gone, or the link was cut. */
  onClose: () => void;
}

/** How long a record that is to be overtaken waits for the one that overtakes it. */
const HELD_MS = 500;

interface Direction {
  readonly from: End;
  readonly to: End;
  outgoing: Json[];
  scheduled: boolean;
  /** When the last record arrives, in virtual milliseconds: a stream keeps its order. */
  lastMs: number;
  held: (() => void) | null;
}

/** A pipe between two processes: ordered and reliable until it is cut, as every carrier of today is. So a record can be
 *  delayed in it; a lost one takes the link with it, since a stream either delivers or ends; a doubled, reordered or
 *  altered one is an attack or a defect, and must be refused by whoever receives it. */
export class Link {
  readonly #world: World;
  readonly #faults: Faults;
  readonly #random: Prng;
  readonly #down: Direction;
  readonly #up: Direction;
  #open = true;

  constructor(world: World, faults: Faults, coordinator: End, host: End) {
    this.#world = world;
    this.#faults = faults;
    this.#random = new Prng(world.seed, `link ${host.process.name}`);
    this.#down = { from: coordinator, to: host, outgoing: [], scheduled: false, lastMs: 0, held: null };
    this.#up = { from: host, to: coordinator, outgoing: [], scheduled: false, lastMs: 0, held: null };
  }

  toHost(frame: Json): void {
    this.#send(this.#down, frame);
  }

  toCoordinator(frame: Json): void {
    this.#send(this.#up, frame);
  }

  /** Both sides see the end, each in its own time. What is on its way still arrives. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const { to, lastMs } of [this.#down, this.#up]) {
      const delayMs = Math.max(lastMs - this.#world.elapsedMs, 0) + this.#random.next() * 5;
      this.#world.in(delayMs, to.process, "link closed", () => to.onClose());
    }
  }

  #send(way: Direction, frame: Json): void {
    if (!this.#open || !way.from.process.alive) return;
    way.outgoing.push(frame);
    if (way.scheduled) return;
    way.scheduled = true;
    // What is sent in one turn travels in one record.
    queueMicrotask(() => {
      way.scheduled = false;
      const frames = way.outgoing;
      way.outgoing = [];
      if (way.from.process.alive && this.#open) this.#transmit(way, frames);
    });
  }

  #transmit(way: Direction, frames: Json[]): void {
    const { channel } = way.from;
    const bytes = channel?.seal(frames) ?? Buffer.from(JSON.stringify(frames));
    if (this.#faults.take("frame.lost") !== null) return this.close();
    const delayed = this.#faults.take("frame.delayed");
    const delayMs = 0.05 + this.#random.next() + (delayed?.int(10, 800) ?? 0);
    const altered = channel === null ? null : this.#faults.take("frame.altered");
    if (altered !== null) flip(bytes, altered);
    const arrive = () => this.#arrive(way, bytes, delayMs);
    if (this.#faults.take("frame.reordered") !== null && way.held === null) {
      way.held = arrive;
      // Behind the next one, or late when there is none.
      this.#world.in(HELD_MS, null, "a held record goes on", () => this.#release(way));
      return;
    }
    arrive();
    if (this.#faults.take("frame.doubled") !== null) arrive();
    this.#release(way);
  }

  #release(way: Direction): void {
    const { held } = way;
    way.held = null;
    held?.();
  }

  #arrive(way: Direction, bytes: Buffer, delayMs: number): void {
    const at = Math.max(way.lastMs, this.#world.elapsedMs + delayMs);
    way.lastMs = at;
    const { to } = way;
    const size = bytes.length;
    // A stream may be cut anywhere.
    const cut = to.channel !== null && this.#random.chance(0.1) ? Math.floor(this.#random.next() * size) : 0;
    if (cut > 0)
      this.#world.in(at - this.#world.elapsedMs, to.process, "part of a record", () =>
        deliver(to, bytes.subarray(0, cut)),
      );
    this.#world.in(at - this.#world.elapsedMs, to.process, `record of ${size} bytes`, () =>
      deliver(to, bytes.subarray(cut)),
    );
  }
}

function deliver(to: End, bytes: Buffer): void {
  const { channel } = to;
  if (channel === null) {
    for (const frame of JSON.parse(bytes.toString("utf8")) as Json[]) to.onFrame(frame);
    return;
  }
  const { frames, refused } = channel.open(bytes);
  for (const frame of frames) to.onFrame(frame);
  for (const { reason } of refused) to.onRefused(reason);
}

function flip(bytes: Buffer, random: Prng): void {
  // Behind the length, which would only make the reader wait.
  const at = random.int(4, bytes.length - 1);
  bytes[at] = (bytes[at] as number) ^ (1 << random.int(0, 7));
}
