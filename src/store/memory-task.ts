import { compareText, SortedIndex } from "./memory-index.ts";
import type { QueueDepth, TaskRow } from "./store.ts";

/** A task with the greatest attempt that was leased since it entered the queue. */
export interface HeldTask extends TaskRow {
  fence: number;
}

/** The queue of a fleet in memory, with the orders in which it is asked for. Rows are replaced, never changed. */
export class TaskTable {
  readonly #rows = new Map<string, HeldTask>();
  /** Not leased, by queue, in the order of `peek`. */
  readonly #queues = new Map<string, SortedIndex<HeldTask>>();
  readonly #readyAt = new SortedIndex<HeldTask>((a, b) => a.readyAt - b.readyAt || byKey(a, b));
  readonly #expiring = new SortedIndex<HeldTask>((a, b) => Number(a.expiresAt) - Number(b.expiresAt) || byKey(a, b));
  readonly #leased = new SortedIndex<HeldTask>((a, b) => Number(a.leaseUntil) - Number(b.leaseUntil) || byKey(a, b));

  get size(): number {
    return this.#rows.size;
  }

  get(run: string, task: string): HeldTask | undefined {
    return this.#rows.get(keyOf(run, task));
  }

  /** Puts or, with `undefined`, deletes; returns what was there. */
  set(run: string, task: string, row: HeldTask | undefined): HeldTask | undefined {
    const key = keyOf(run, task);
    const old = this.#rows.get(key);
    if (old) this.#unlist(old);
    if (row) {
      this.#rows.set(key, row);
      this.#list(row);
    } else {
      this.#rows.delete(key);
    }
    return old;
  }

  ofRun(run: string): HeldTask[] {
    return [...this.#rows.values()].filter((row) => row.run === run);
  }

  peek(queue: string, now: number, limit: number): TaskRow[] {
    const waiting = this.#queues.get(queue)?.items ?? [];
    return take(waiting, limit, (row) => row.readyAt <= now && (row.expiresAt === null || row.expiresAt >= now));
  }

  leases(after: { run: string; task: string } | null, limit: number): TaskRow[] {
    const leased = [...this.#leased.items].sort(byKey);
    return take(leased, limit, (row) => after === null || byKey(row, after) > 0);
  }

  expiredLeases(now: number, limit: number): TaskRow[] {
    return takeWhile(this.#leased.items, limit, (row) => Number(row.leaseUntil) < now);
  }

  expired(now: number, limit: number): TaskRow[] {
    return takeWhile(this.#expiring.items, limit, (row) => Number(row.expiresAt) < now);
  }

  /** The earliest time at which a lease or a time to live has ended, or a task that is delayed at `now` is ready. */
  nextDue(now: number): number | null {
    const lease = this.#leased.first()?.leaseUntil;
    const expiry = this.#expiring.first()?.expiresAt;
    const ready = this.#readyAt.firstWhere((row) => row.readyAt > now)?.readyAt;
    return earliest([plusOne(lease), plusOne(expiry), ready ?? null]);
  }

  depth(now: number): QueueDepth[] {
    const depths = new Map<string, QueueDepth>();
    const of = (queue: string) => {
      const depth = depths.get(queue) ?? { queue, ready: 0, delayed: 0, leased: 0, oldestReadyAt: null };
      depths.set(queue, depth);
      return depth;
    };
    for (const row of this.#rows.values()) {
      const depth = of(row.queue);
      if (row.worker !== null) depth.leased++;
      else if (row.readyAt > now) depth.delayed++;
      else {
        depth.ready++;
        depth.oldestReadyAt = Math.min(depth.oldestReadyAt ?? row.readyAt, row.readyAt);
      }
    }
    return [...depths.values()].sort((a, b) => compareText(a.queue, b.queue));
  }

  #list(row: HeldTask): void {
    if (row.worker !== null) {
      this.#leased.add(row);
      return;
    }
    const queue = this.#queues.get(row.queue) ?? new SortedIndex<HeldTask>((a, b) => a.rank - b.rank || byKey(a, b));
    this.#queues.set(row.queue, queue);
    queue.add(row);
    this.#readyAt.add(row);
    if (row.expiresAt !== null) this.#expiring.add(row);
  }

  #unlist(row: HeldTask): void {
    if (row.worker !== null) {
      this.#leased.remove(row);
      return;
    }
    const queue = this.#queues.get(row.queue);
    queue?.remove(row);
    if (queue?.size === 0) this.#queues.delete(row.queue);
    this.#readyAt.remove(row);
    if (row.expiresAt !== null) this.#expiring.remove(row);
  }
}

/** The smallest of the times that are given; null when none is. */
export function earliest(times: readonly (number | null)[]): number | null {
  return times.reduce((least, time) => (time === null || (least !== null && least <= time) ? least : time), null);
}

/** What ends at a time has ended from the next millisecond on. */
const plusOne = (time: number | null | undefined) => (time === null || time === undefined ? null : time + 1);

const keyOf = (run: string, task: string) => `${run.length}:${run}${task}`;

const byKey = (a: { run: string; task: string }, b: { run: string; task: string }) =>
  compareText(a.run, b.run) || compareText(a.task, b.task);

function take(rows: readonly HeldTask[], limit: number, passes: (row: HeldTask) => boolean): TaskRow[] {
  const taken: TaskRow[] = [];
  for (const row of rows) {
    if (taken.length >= limit) break;
    if (passes(row)) taken.push(publicRow(row));
  }
  return taken;
}

function takeWhile(rows: readonly HeldTask[], limit: number, passes: (row: HeldTask) => boolean): TaskRow[] {
  const taken: TaskRow[] = [];
  for (const row of rows) {
    if (taken.length >= limit || !passes(row)) break;
    taken.push(publicRow(row));
  }
  return taken;
}

const publicRow = ({ fence: _fence, ...row }: HeldTask): TaskRow => row;
