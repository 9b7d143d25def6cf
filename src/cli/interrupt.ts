/** What the person at the terminal, or the system, has asked for so far. */
export interface Interrupts {
  /** Aborts with the first Ctrl-C, SIGINT or SIGTERM: end in good order. */
  readonly first: AbortSignal;
  /** Aborts with the second: end now. */
  readonly second: AbortSignal;
  /** What the first one was; null while there was none. */
  readonly by: "SIGINT" | "SIGTERM" | null;
  /** A Ctrl-C that came as a key. */
  press(): void;
  /** Gives the signals back to the system. */
  dispose(): void;
}

/** Takes SIGINT and SIGTERM over until `dispose`; also as process 1 of a container, where nobody else would. */
export function takeInterrupts(): Interrupts {
  const first = new AbortController();
  const second = new AbortController();
  let by: Interrupts["by"] = null;
  const take = (signal: "SIGINT" | "SIGTERM") => {
    by ??= signal;
    if (first.signal.aborted) second.abort();
    else first.abort();
  };
  const press = () => take("SIGINT");
  const terminate = () => take("SIGTERM");
  process.on("SIGINT", press);
  process.on("SIGTERM", terminate);
  return {
    first: first.signal,
    second: second.signal,
    get by() {
      return by;
    },
    press,
    dispose() {
      process.off("SIGINT", press);
      process.off("SIGTERM", terminate);
    },
  };
}

/** Resolves when a signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
