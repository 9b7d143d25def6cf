import type { Clock } from "../../src/platform/clock.ts";

/** Time that passes only when nothing else can happen. */
export interface VirtualClock extends Clock {
  /** Lets everything happen, timers in order, until `done` settles. Throws when nothing is left that could settle it. */
  until<T>(done: Promise<T>): Promise<T>;
  /** Forgets what a process that died had set. */
  clear(): void;
}

interface Due {
  at: number;
  order: number;
  fn: () => void;
}

export function virtualClock(start = 1_000_000): VirtualClock {
  let now = start;
  let order = 0;
  const timers = new Set<Due>();
  const soon: (() => void)[] = [];

  const turn = () => new Promise<void>((resolve) => void setImmediate(resolve));

  function next(): Due | undefined {
    return [...timers].sort((a, b) => a.at - b.at || a.order - b.order)[0];
  }

  return {
    now: () => now,
    after(delayMs, fn) {
      const due = { at: now + delayMs, order: order++, fn };
      timers.add(due);
      return { cancel: () => void timers.delete(due) };
    },
    soon: (fn) => void soon.push(fn),
    clear() {
      timers.clear();
      soon.length = 0;
    },
    async until(done) {
      let settled = false;
      const mark = () => {
        settled = true;
      };
      done.then(mark, mark);
      for (;;) {
        await turn();
        if (settled) return done;
        const fn = soon.shift();
        if (fn !== undefined) {
          fn();
          continue;
        }
        const due = next();
        if (due === undefined) throw new Error("nothing is left that could happen");
        timers.delete(due);
        now = Math.max(now, due.at);
        due.fn();
      }
    },
  };
}
