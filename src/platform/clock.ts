/** Time as a port: the only source of time for every role, so that the simulator can be one (T1). */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls `fn` once after `delayMs`. */
  after(delayMs: number, fn: () => void): Timer;
  /** Calls `fn` in a later turn of the loop, after what is waiting now. */
  soon(fn: () => void): void;
}

export interface Timer {
  cancel(): void;
}

/** The machine's clock. Timers keep the process alive only while `ref` is true. */
export function systemClock({ ref = false }: { ref?: boolean } = {}): Clock {
  return {
    now: () => Date.now(),
    after(delayMs, fn) {
      const handle = setTimeout(fn, Math.min(delayMs, 2_147_483_647));
      if (!ref) handle.unref();
      return { cancel: () => clearTimeout(handle) };
    },
    soon: (fn) => void setImmediate(fn),
  };
}

/** Resolves after `delayMs`; rejects with the signal's reason when it aborts. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
