import { describe, expect, test } from "vitest";
import type { Command } from "../../src/core/decide.ts";
import { callRefusal, NO_LIMITS } from "../../src/core/money.ts";
import { type Desk, desk, work } from "./desk.ts";

const reserve = (task: string, call: string, tokens: number, costMicroUsd: number | null = null) =>
  ({ type: "call.reserve", task, attempt: 1, call, model: "fake/one", tokens, costMicroUsd }) satisfies Command;

const usage = (tokens: number, costMicroUsd: number | null = null) => ({
  inputTokens: tokens,
  outputTokens: 0,
  costMicroUsd,
  simulated: false,
});

const recorded = (at: Desk, task: string, call: string, tokens: number, costMicroUsd: number | null = null) =>
  at.step(task, { phase: "completed", key: `${call}`, kind: "model", call, usage: usage(tokens, costMicroUsd) });

function pair(limits: { tokensMax?: number; costMicroUsdMax?: number }): Desk {
  const at = desk([work("a"), work("b")], { limits });
  at.assign("a");
  at.assign("b");
  return at;
}

describe("K2: a call's worst case is on record before it is made", () => {
  test("what calls in parallel may still use counts as spent; what they leave over is there for others", () => {
    const at = pair({ tokensMax: 1_000 });
    expect(at.send(reserve("a", "m/1", 600))).toEqual(["call.reserved"]);
    expect(at.send(reserve("b", "m/1", 600))).toEqual([]);
    expect(callRefusal(at.state, reserve("b", "m/1", 600), NO_LIMITS)).toMatchObject({
      wait: true,
      error: {
        code: "LIMIT_TOKENS",
        message: "the run used 0 tokens of 1000, 600 are reserved; the next call may need 600",
      },
    });
    recorded(at, "a", "m/1", 100);
    expect(at.send(reserve("b", "m/1", 600))).toEqual(["call.reserved"]);
    expect(at.state.money).toMatchObject({ reserved: { tokens: 600 }, unsettled: { tokens: 0 } });
    at.check();
  });

  test("money is kept in the same way, and says what is missing", () => {
    const at = pair({ costMicroUsdMax: 1_000 });
    at.send(reserve("a", "m/1", 1, 700));
    expect(callRefusal(at.state, reserve("b", "m/1", 1, 301), NO_LIMITS)).toMatchObject({
      wait: true,
      error: { message: "the run spent $0.00 of $0.001, $0.0007 are reserved; the next call may cost $0.000301" },
    });
    recorded(at, "a", "m/1", 1, 700);
    expect(callRefusal(at.state, reserve("b", "m/1", 1, 301), NO_LIMITS)).toMatchObject({ wait: false });
    expect(at.send(reserve("b", "m/1", 1, 300))).toEqual(["call.reserved"]);
  });

  test("a model without a price is not asked where money is limited", () => {
    const at = pair({ costMicroUsdMax: 1_000 });
    expect(callRefusal(at.state, reserve("a", "m/1", 1, null), NO_LIMITS)).toMatchObject({
      wait: false,
      error: { code: "LIMIT_COST", hint: expect.stringContaining("prices") as string },
    });
  });

  test("a task has limits of its own, which count over its attempts", () => {
    const at = pair({});
    const limits = { tokensMax: 1_000, costMicroUsdMax: null };
    at.send(reserve("a", "m/1", 600));
    expect(callRefusal(at.state, reserve("a", "m/2", 600), limits)).toMatchObject({ wait: true });
    expect(callRefusal(at.state, reserve("b", "m/1", 600), limits)).toBeNull();
    at.release("a", false);
    at.assign("a");
    expect(callRefusal(at.state, { ...reserve("a", "m/1", 600), attempt: 2 }, limits)).toMatchObject({
      wait: false,
      error: { message: "x in task a used 600 tokens of 1000; the next call may need 600" },
    });
  });

  test("the same call is reserved once, however often it is asked for", () => {
    const at = pair({ tokensMax: 1_000 });
    at.send(reserve("a", "m/1", 600));
    expect(at.send(reserve("a", "m/1", 600))).toEqual([]);
    expect(at.state.money.reserved.tokens).toBe(600);
  });
});

describe("K2: what has no recorded outcome stays charged", () => {
  const ends: Record<string, (at: Desk) => unknown> = {
    "its process died": (at) => at.release("a", true),
    "it failed": (at) => at.fail("a", { code: "AGENT_FAILED", class: "permanent", message: "no" }),
    "it is tried again": (at) => at.fail("a", { code: "TASK_TIMEOUT", class: "transient", message: "late" }),
    "it ended without waiting for it": (at) => at.complete("a"),
    "its run was stopped": (at) => at.send({ type: "run.stop", why: "enough", by: "me" }),
  };
  for (const [why, end] of Object.entries(ends)) {
    test(why, () => {
      const at = pair({ tokensMax: 10_000 });
      at.send(reserve("a", "m/1", 600, 60));
      end(at);
      expect(at.events.filter(({ type }) => type === "call.settled")).toMatchObject([
        { data: { task: "a", attempt: 1, call: "m/1", outcome: "unsettled" } },
      ]);
      expect(at.state.money).toMatchObject({
        reserved: { tokens: 0, costMicroUsd: 0 },
        unsettled: { tokens: 600, costMicroUsd: 60 },
      });
      at.check();
    });
  }

  test("a try that certainly cost nothing is free", () => {
    const at = pair({ tokensMax: 1_000 });
    at.send(reserve("a", "m/1", 600));
    const settle = { type: "call.settle", task: "a", attempt: 1, call: "m/1", outcome: "free" } as const;
    expect(at.send(settle)).toEqual(["call.settled"]);
    expect(at.send(settle)).toEqual([]);
    expect(at.state.money).toMatchObject({ reserved: { tokens: 0 }, unsettled: { tokens: 0 } });
  });
});

test("K2: a provider that bills more than was reserved is on record, and is asked nothing more", () => {
  const at = pair({ tokensMax: 10_000 });
  at.send(reserve("a", "m/1", 600, 60));
  expect(recorded(at, "a", "m/1", 601, 60)).toEqual(["step.completed", "budget.exceeded"]);
  expect(at.send(reserve("b", "m/1", 10, 1))).toEqual([]);
  expect(callRefusal(at.state, reserve("b", "m/1", 10), NO_LIMITS)).toMatchObject({
    wait: false,
    error: { code: "LIMIT_COST", message: expect.stringContaining("billed 601 tokens") as string },
  });
  at.check();
});

test("K2: at four fifths of a budget an alert goes on record, once", () => {
  const at = pair({ tokensMax: 1_000, costMicroUsdMax: 1_000 });
  for (const [call, tokens, cost] of [
    ["m/1", 700, 100],
    ["m/2", 150, 100],
    ["m/3", 50, 100],
  ] as const) {
    at.send(reserve("a", call, tokens, cost));
    recorded(at, "a", call, tokens, cost);
  }
  expect(at.events.filter(({ type }) => type === "budget.alerted")).toMatchObject([
    { data: { scope: "run", unit: "tokens", charged: 850, max: 1_000 } },
  ]);
});
