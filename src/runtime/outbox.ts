import { isFlotillaError } from "../error.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { OutboxRow, Store } from "../store/store.ts";

/** Rows that are looked at together. */
const LOT = 200;
/** How soon what could not be delivered is tried again. */
const AGAIN_MS = 500;

export interface OutboxPorts {
  store: Store;
  clock: Clock;
  /** Others' rows are left alone. */
  topic: string;
  /** Rows of one address arrive in the order in which they were committed. */
  address(row: OutboxRow): string;
  /** Resolves when the row's effect is durable at its address; with false when it cannot be had yet. What it does must
   *  be harmless to repeat: it happens again when the process dies before the row is removed. */
  deliver(row: OutboxRow): Promise<boolean>;
  failed(error: unknown): void;
}

/** The outbox role: what one run's commit has to say to other runs leaves with that commit and is delivered at least
 *  once (M7). A row stays in the store until its effect is durable, so no crash loses it. */
export class Outbox {
  readonly #ports: OutboxPorts;
  #busy = false;
  #wanted = false;
  #again: Timer | null = null;
  #closed = false;

  constructor(ports: OutboxPorts) {
    this.#ports = ports;
  }

  /** There may be rows. */
  wake(): void {
    this.#wanted = true;
    if (this.#busy || this.#closed) return;
    this.#busy = true;
    this.#ports.clock.soon(() => void this.#work());
  }

  /** What is not delivered stays for the next process. */
  close(): void {
    this.#closed = true;
    this.#again?.cancel();
  }

  async #work(): Promise<void> {
    let left = false;
    try {
      while (this.#wanted && !this.#closed) {
        this.#wanted = false;
        left = await this.#lot();
      }
    } catch (error) {
      left = true;
      this.#ports.failed(error);
    }
    this.#busy = false;
    if (this.#wanted) this.wake();
    else if (left) this.#later();
  }

  /** Delivers what there is; returns whether something is left that must be tried again. */
  async #lot(): Promise<boolean> {
    const all = await this.#ports.store.outbox(LOT);
    const rows = all.filter(({ topic }) => topic === this.#ports.topic);
    if (rows.length === 0) return false;
    const sent = (await Promise.all([...this.#byAddress(rows)].map((lot) => this.#deliver(lot)))).flat();
    if (sent.length > 0) await this.#ports.store.outboxSent(sent);
    // More may wait behind a full lot, unless nothing of it could be delivered.
    if (all.length === LOT && sent.length > 0) this.#wanted = true;
    return sent.length < rows.length;
  }

  #byAddress(rows: readonly OutboxRow[]): Iterable<OutboxRow[]> {
    return Map.groupBy(rows, (row) => this.#ports.address(row)).values();
  }

  /** One address: up to the first row that cannot be delivered. Returns the ids of those that were. */
  async #deliver(rows: readonly OutboxRow[]): Promise<number[]> {
    const sent: number[] = [];
    for (const row of rows) {
      if (this.#closed) return sent;
      try {
        if (!(await this.#ports.deliver(row))) return sent;
      } catch (error) {
        if (!isFlotillaError(error) || error.code !== "STORE_CLOSED") this.#ports.failed(error);
        return sent;
      }
      sent.push(row.id);
    }
    return sent;
  }

  #later(): void {
    if (this.#closed) return;
    this.#again?.cancel();
    this.#again = this.#ports.clock.after(AGAIN_MS, () => this.wake());
  }
}
