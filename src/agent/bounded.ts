import type { FlotillaError } from "../error.ts";
import type { Clock } from "../platform/clock.ts";

export interface Bounds {
  clock: Clock;
  /** Aborts the work; the promise then rejects with the signal's reason. */
  signal: AbortSignal;
  /** Null: no time-out. */
  timeoutMs: number | null;
  timeout: () => FlotillaError;
  /** Hears how work ended that nobody waits for any more. */
  late: (error: unknown) => void;
}

/** Runs `work` until it settles, its time is up or it is aborted (F3). The promise settles then even when the work
 *  ignores the signal that it is given; what it does afterwards goes to `late`. */
export function bounded<T>(bounds: Bounds, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { clock, signal, timeoutMs } = bounds;
  if (signal.aborted) return Promise.reject(signal.reason);
  const abort = new AbortController();
  return new Promise<T>((resolve, reject) => {
    let open = true;
    const close = (): boolean => {
      const wasOpen = open;
      open = false;
      timer?.cancel();
      signal.removeEventListener("abort", onAbort);
      return wasOpen;
    };
    const giveUp = (reason: unknown) => {
      if (!close()) return;
      reject(reason);
      abort.abort(reason);
    };
    const onAbort = () => giveUp(signal.reason);
    const timer = timeoutMs === null ? null : clock.after(timeoutMs, () => giveUp(bounds.timeout()));
    signal.addEventListener("abort", onAbort, { once: true });
    invoke(() => work(abort.signal)).then(
      (value) => (close() ? resolve(value) : bounds.late(null)),
      (error) => (close() ? reject(error) : bounds.late(error)),
    );
  });
}

/** Calls a function whose promise may also be an exception. */
async function invoke<T>(work: () => Promise<T>): Promise<T> {
  return work();
}
