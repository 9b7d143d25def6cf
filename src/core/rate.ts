/** The length of the window in which a rate is counted. */
export const RATE_WINDOW_MS = 60_000;

interface Entry {
  at: number;
  call: string;
  tokens: number;
}

export interface RateLimit {
  requestsPerMinute: number | null;
  tokensPerMinute: number | null;
}

/** Counts what was asked for in the last minute (K5): in no minute, wherever it begins, is more let through than may be. */
export class RateLog {
  #entries: Entry[] = [];
  #tokens = 0;

  /** When a call that needs `tokens` may be made: `now`, or a later time. One that alone needs more than a minute's
   *  tokens is let through when nothing else was, since it would wait for ever. */
  earliest(limit: RateLimit, tokens: number, now: number): number {
    this.#forget(now);
    let at = now;
    const { requestsPerMinute, tokensPerMinute } = limit;
    if (requestsPerMinute !== null && this.#entries.length >= requestsPerMinute) {
      const blocking = this.#entries[this.#entries.length - requestsPerMinute];
      if (blocking !== undefined) at = blocking.at + RATE_WINDOW_MS;
    }
    if (tokensPerMinute === null) return at;
    let used = this.#tokens;
    for (const entry of this.#entries) {
      if (used + tokens <= tokensPerMinute) break;
      used -= entry.tokens;
      at = Math.max(at, entry.at + RATE_WINDOW_MS);
    }
    return at;
  }

  take(call: string, tokens: number, now: number): void {
    this.#entries.push({ at: now, call, tokens });
    this.#tokens += tokens;
  }

  /** What a call really used takes the place of what it might have. */
  used(call: string, tokens: number): void {
    const entry = this.#entries.findLast((one) => one.call === call);
    if (entry === undefined) return;
    this.#tokens += tokens - entry.tokens;
    entry.tokens = tokens;
  }

  #forget(now: number): void {
    const keep = this.#entries.findIndex((entry) => entry.at + RATE_WINDOW_MS > now);
    const gone = this.#entries.splice(0, keep === -1 ? this.#entries.length : keep);
    for (const { tokens } of gone) this.#tokens -= tokens;
  }
}
