import { describe, expect, test } from "vitest";
import { admission, closedBreaker, ended, passed } from "../../src/core/breaker.ts";
import { RATE_WINDOW_MS, RateLog } from "../../src/core/rate.ts";

const policy = { failures: 3, openMs: 1_000, probes: 1 };

describe("F4: a circuit breaker", () => {
  const failing = () => {
    const breaker = closedBreaker();
    for (const call of ["a", "b", "c"]) ended(breaker, policy, { call, ok: false, why: "503", now: 0 });
    return breaker;
  };

  test("opens after so many failures in a row, and not when one in between succeeds", () => {
    const breaker = closedBreaker();
    const oks = [false, false, true, false, false];
    for (const [i, ok] of oks.entries())
      expect(ended(breaker, policy, { call: `${i}`, ok, why: "503", now: 0 })).toBeNull();
    expect(ended(breaker, policy, { call: "x", ok: false, why: "503", now: 0 })).toEqual({
      from: "closed",
      to: "open",
      why: "3 failures in a row: 503",
    });
    expect(admission(breaker, policy, 999)).toBe("refuse");
  });

  test("what says nothing of the other side counts neither way", () => {
    const breaker = closedBreaker();
    for (let i = 0; i < 9; i++) ended(breaker, policy, { call: "x", ok: null, why: "", now: 0 });
    expect(breaker).toMatchObject({ state: "closed", failures: 0 });
  });

  test("lets as many probes through as it may, and does what they say", () => {
    const breaker = failing();
    expect(admission(breaker, policy, 1_000)).toBe("pass");
    expect(passed(breaker, "probe")).toMatchObject({ from: "open", to: "half-open" });
    expect(admission(breaker, policy, 1_000)).toBe("wait");
    expect(ended(breaker, policy, { call: "late", ok: true, why: "", now: 1_000 })).toBeNull();
    expect(ended(breaker, policy, { call: "probe", ok: false, why: "503", now: 1_500 })).toMatchObject({ to: "open" });
    expect(admission(breaker, policy, 2_499)).toBe("refuse");
    passed(breaker, "again");
    expect(ended(breaker, policy, { call: "again", ok: true, why: "", now: 2_500 })).toMatchObject({ to: "closed" });
    expect(admission(breaker, policy, 2_500)).toBe("pass");
  });

  test("a probe of which nobody hears any more makes room for another", () => {
    const breaker = failing();
    passed(breaker, "lost");
    expect(ended(breaker, policy, { call: "lost", ok: null, why: "", now: 1_000 })).toBeNull();
    expect(admission(breaker, policy, 1_000)).toBe("pass");
  });
});

describe("K5: a rate", () => {
  test("in no minute, wherever it begins, is more let through than may be", () => {
    const limit = { requestsPerMinute: 7, tokensPerMinute: 1_000 };
    const log = new RateLog();
    const taken: { at: number; tokens: number }[] = [];
    let now = 0;
    for (let i = 0; i < 200; i++) {
      const tokens = 50 + ((i * 37) % 300);
      now = Math.max(now + ((i * 7_919) % 4_000), log.earliest(limit, tokens, now + ((i * 7_919) % 4_000)));
      expect(log.earliest(limit, tokens, now)).toBe(now);
      log.take(`${i}`, tokens, now);
      taken.push({ at: now, tokens });
    }
    for (const { at } of taken) {
      const minute = taken.filter((one) => one.at >= at && one.at < at + RATE_WINDOW_MS);
      expect(minute.length).toBeLessThanOrEqual(7);
      expect(minute.reduce((sum, { tokens }) => sum + tokens, 0)).toBeLessThanOrEqual(1_000);
    }
  });

  test("what a call really used counts; one that needs more than there ever is goes alone", () => {
    const limit = { requestsPerMinute: null, tokensPerMinute: 100 };
    const log = new RateLog();
    log.take("a", 100, 0);
    expect(log.earliest(limit, 50, 0)).toBe(RATE_WINDOW_MS);
    log.used("a", 20);
    expect(log.earliest(limit, 50, 0)).toBe(0);
    expect(log.earliest(limit, 500, 0)).toBe(RATE_WINDOW_MS);
    expect(new RateLog().earliest(limit, 500, 7)).toBe(7);
  });
});
