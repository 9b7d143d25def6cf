import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULT_RETRY } from "../../src/core/definition.ts";
import { retryDelayMs } from "../../src/core/retry.ts";
import type { ErrorRecord } from "../../src/error.ts";

const busy: ErrorRecord = { code: "MODEL_UNAVAILABLE", class: "transient", message: "busy" };

describe("F2: the delay before another attempt", () => {
  it("starts at 1 s and doubles up to 60 s, 5 attempts in all", () => {
    const delays = [1, 2, 3, 4, 5].map((attempt) => retryDelayMs(DEFAULT_RETRY, attempt, busy, 0.5));
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, null]);
    expect(retryDelayMs({ ...DEFAULT_RETRY, attemptsMax: 20 }, 12, busy, 0.5)).toBe(60_000);
  });

  it("varies by 0.5 to 1.5", () => {
    expect([0, 0.25, 1].map((roll) => retryDelayMs(DEFAULT_RETRY, 1, busy, roll))).toEqual([500, 750, 1_500]);
  });

  it("is never shorter than a provider's retry-after", () => {
    expect(retryDelayMs(DEFAULT_RETRY, 1, { ...busy, retryAfterMs: 30_000 }, 0)).toBe(30_000);
    expect(retryDelayMs(DEFAULT_RETRY, 4, { ...busy, retryAfterMs: 10 }, 0.5)).toBe(8_000);
  });

  it("F1: is none for permanent and business errors", () => {
    for (const cls of ["permanent", "business"] as const)
      expect(retryDelayMs(DEFAULT_RETRY, 1, { ...busy, class: cls }, 0.5)).toBeNull();
  });

  it("stays a whole number within its bounds for any policy", () => {
    const policy = fc.record({
      attemptsMax: fc.integer({ min: 1, max: 100 }),
      initialDelayMs: fc.integer({ min: 0, max: 100_000 }),
      factor: fc.double({ min: 1, max: 100, noNaN: true }),
      delayMsMax: fc.integer({ min: 0, max: 1_000_000 }),
      jitter: fc.constantFrom([0.5, 1.5], [1, 1], [0, 10]) as fc.Arbitrary<[number, number]>,
    });
    fc.assert(
      fc.property(
        policy,
        fc.integer({ min: 1, max: 100 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (given, attempt, roll) => {
          const delay = retryDelayMs(given, attempt, busy, roll);
          expect(delay === null).toBe(attempt >= given.attemptsMax);
          if (delay === null) return;
          expect(Number.isSafeInteger(delay)).toBe(true);
          expect(delay).toBeLessThanOrEqual(Math.round(given.delayMsMax * given.jitter[1]));
        },
      ),
    );
  });
});
