import type { Notice } from "./coordinator.ts";
import { NoticeQueue } from "./control-socket.ts";

/** Notices that wait for one watcher; one that falls further behind is cut off and reads on from the journal (M8). */
const WAITING_MAX = 50_000;

/** Hands notices to whoever watches: by run, or all. */
export class Hub {
  readonly #byRun = new Map<string, Set<NoticeQueue>>();
  readonly #all = new Set<NoticeQueue>();

  publish(notice: Notice): void {
    if (this.#byRun.size > 0) {
      const watchers = this.#byRun.get(notice.run);
      if (watchers !== undefined) for (const queue of watchers) push(queue, notice);
    }
    if (this.#all.size > 0) for (const queue of this.#all) push(queue, notice);
  }

  async *watch(run: string | null, signal: AbortSignal): AsyncGenerator<Notice> {
    const queue = new NoticeQueue();
    const end = () => queue.end();
    const leave = this.#enter(run, queue);
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
    try {
      yield* queue;
    } finally {
      signal.removeEventListener("abort", end);
      leave();
    }
  }

  /** Subscribes at once, not at the first turn of an iteration. */
  subscribe(run: string | null, only?: "end"): { queue: NoticeQueue; leave(): void } {
    const queue = new NoticeQueue(only);
    return { queue, leave: this.#enter(run, queue) };
  }

  /** Runs that somebody watches. */
  watched(): string[] {
    return [...this.#byRun.keys()];
  }

  /** Ends the watches of a run with an error. */
  fail(run: string, error: unknown): void {
    for (const queue of this.#byRun.get(run) ?? []) queue.fail(error);
  }

  close(): void {
    for (const queue of this.#all) queue.end();
    for (const watchers of this.#byRun.values()) for (const queue of watchers) queue.end();
  }

  #enter(run: string | null, queue: NoticeQueue): () => void {
    if (run === null) {
      this.#all.add(queue);
      return () => void this.#all.delete(queue);
    }
    const watchers = this.#byRun.get(run) ?? new Set();
    this.#byRun.set(run, watchers.add(queue));
    return () => {
      watchers.delete(queue);
      if (watchers.size === 0) this.#byRun.delete(run);
    };
  }
}

function push(queue: NoticeQueue, notice: Notice): void {
  if (queue.length >= WAITING_MAX) queue.end();
  else queue.push(notice);
}
