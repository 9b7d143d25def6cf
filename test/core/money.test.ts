import { describe, expect, test } from "vitest";
import type { Accounts } from "../../src/core/account.ts";
import type { Command } from "../../src/core/command.ts";
import type { Budgets } from "../../src/core/definition.ts";
import { callRefusal } from "../../src/core/money.ts";
import { termsOf, windowOf } from "../../src/runtime/accounts.ts";
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
    expect(callRefusal(at.state, reserve("b", "m/1", 600), { now: 0 })).toMatchObject({
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

  test("an attempt that is given again makes its call again: the one before stays charged, under a reservation of its own", () => {
    const at = pair({ tokensMax: 1_000 });
    const first = { ...reserve("a", "m/1", 400), ask: "w-1/1" };
    expect(at.send(first)).toEqual(["call.reserved"]);
    expect(at.send(first)).toEqual([]);
    expect(at.send({ ...first, ask: "w-1/7" })).toEqual(["call.settled", "call.reserved"]);
    expect(at.state.money).toMatchObject({ reserved: { tokens: 400 }, unsettled: { tokens: 400 } });
    expect(at.send({ ...first, ask: "w-1/8" })).toEqual([]);
    at.check();
  });

  test("money is kept in the same way, and says what is missing", () => {
    const at = pair({ costMicroUsdMax: 1_000 });
    at.send(reserve("a", "m/1", 1, 700));
    expect(callRefusal(at.state, reserve("b", "m/1", 1, 301), { now: 0 })).toMatchObject({
      wait: true,
      error: { message: "the run spent $0.00 of $0.001, $0.0007 are reserved; the next call may cost $0.000301" },
    });
    recorded(at, "a", "m/1", 1, 700);
    expect(callRefusal(at.state, reserve("b", "m/1", 1, 301), { now: 0 })).toMatchObject({ wait: false });
    expect(at.send(reserve("b", "m/1", 1, 300))).toEqual(["call.reserved"]);
  });

  test("a model without a price is not asked where money is limited", () => {
    const at = pair({ costMicroUsdMax: 1_000 });
    expect(callRefusal(at.state, reserve("a", "m/1", 1, null), { now: 0 })).toMatchObject({
      wait: false,
      error: { code: "LIMIT_COST", hint: expect.stringContaining("prices") as string },
    });
  });

  test("a task has limits of its own, which count over its attempts", () => {
    const at = pair({});
    const limits = { now: 0, taskLimits: () => ({ tokensMax: 1_000, costMicroUsdMax: null }) };
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
  expect(callRefusal(at.state, reserve("b", "m/1", 10), { now: 0 })).toMatchObject({
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

describe("K2: accounts beyond the run, in escrow", () => {
  const DAY = Date.UTC(2026, 0, 31, 12);
  const budgets: Budgets = {
    fleet: [{ per: "day", tokensMax: 10_000, costMicroUsdMax: null }],
    workflows: {},
    agents: { x: [{ per: "total", tokensMax: 1_000, costMicroUsdMax: 100_000 }] },
  };

  /** Accounts of which all but one run drew this much. */
  function accountsWith(drawn: Record<string, number> = {}, othersHold = false): Accounts {
    return {
      terms: (agent, workflow, now) => termsOf(budgets, agent, workflow, now),
      drawn: (account) => ({ tokens: drawn[account] ?? 0, costMicroUsd: 0 }),
      othersHold: () => othersHold,
    };
  }

  function spender(accounts: Accounts): Desk {
    const at = desk([work("a"), work("b")], { accounts });
    at.now = DAY;
    at.assign("a");
    at.assign("b");
    return at;
  }

  const draws = (at: Desk) =>
    at.events.flatMap((event) => (event.type === "call.reserved" ? [event.data.accounts] : []));

  test("a call draws from each account that it is charged to, in the window that holds", () => {
    const at = spender(accountsWith());
    at.send(reserve("a", "m/1", 500, 50));
    expect(draws(at)[0]).toMatchObject([
      { account: "fleet", window: "day 2026-01-31", tokens: 500 },
      { account: "agent/x", window: "total", tokens: 500, costMicroUsd: 200 },
    ]);
    at.check();
  });

  test("what a call leaves over pays for the next; what nobody needs goes back with the attempt", () => {
    const at = spender(accountsWith());
    at.send(reserve("a", "m/1", 500, 50));
    recorded(at, "a", "m/1", 100, 10);
    at.send(reserve("a", "m/2", 450, 50));
    expect(draws(at)[1]).toMatchObject([{ tokens: 200 }, { tokens: 50, costMicroUsd: 0 }]);
    recorded(at, "a", "m/2", 100, 10);
    expect(at.complete("a")).toContain("budget.returned");
    expect(at.events.find(({ type }) => type === "budget.returned")).toMatchObject({
      data: {
        accounts: [
          { account: "fleet", tokens: 500 },
          { account: "agent/x", tokens: 350, costMicroUsd: 180 },
        ],
      },
    });
    expect(at.state.money.allotments.size).toBe(0);
    at.check();
  });

  test("what was under way at a crash is not given back", () => {
    const at = spender(accountsWith());
    at.send(reserve("a", "m/1", 500, 50));
    at.release("a", true);
    expect(at.events.at(-1)).toMatchObject({
      type: "budget.returned",
      data: { accounts: [{ account: "agent/x", tokens: 0, costMicroUsd: 150 }] },
    });
  });

  test("what an account does not hold is refused, at once when nobody may give any back", () => {
    const at = spender(accountsWith({ "agent/x": 600 }));
    const context = (othersHold: boolean) => ({ now: DAY, accounts: accountsWith({ "agent/x": 600 }, othersHold) });
    expect(at.send(reserve("a", "m/1", 500, 50))).toEqual([]);
    expect(callRefusal(at.state, reserve("a", "m/1", 500, 50), context(false))).toMatchObject({
      wait: false,
      error: {
        code: "LIMIT_TOKENS",
        message: "agent/x (total) used 600 tokens of 1000; the next call may need 500",
      },
    });
    expect(callRefusal(at.state, reserve("a", "m/1", 500, 50), context(true))).toMatchObject({ wait: true });
    expect(callRefusal(at.state, reserve("a", "m/1", 100, null), context(true))).toMatchObject({
      wait: false,
      error: { code: "LIMIT_COST" },
    });
  });

  test("the draw that takes an account to four fifths puts the alert on record", () => {
    const at = spender(accountsWith({ fleet: 7_900 }));
    expect(at.send(reserve("a", "m/1", 200, 1))).toEqual(["call.reserved", "budget.alerted"]);
    expect(at.events.at(-1)).toMatchObject({
      data: { scope: "fleet", window: "day 2026-01-31", unit: "tokens", charged: 8_100, max: 10_000 },
    });
  });

  test("what is billed beyond all reservations is drawn whatever the account holds", () => {
    const at = spender(accountsWith());
    at.send(reserve("a", "m/1", 500, 50));
    recorded(at, "a", "m/1", 700, 50);
    expect(at.events.at(-1)).toMatchObject({
      type: "budget.exceeded",
      data: {
        accounts: [
          { account: "fleet", tokens: 200, tokensMax: null },
          { account: "agent/x", tokens: 200 },
        ],
      },
    });
    at.check();
  });

  test.each([
    ["hour", "hour 2026-01-31T12"],
    ["day", "day 2026-01-31"],
    ["month", "month 2026-01"],
    ["total", "total"],
  ] as const)("a window of a budget: %s", (per, window) => {
    expect(windowOf(per, DAY)).toBe(window);
  });
});

test("K4: what each agent used of each model on each day is kept for reports, unsettled calls among it", () => {
  const at = pair({});
  at.now = Date.UTC(2026, 0, 31, 23);
  at.send(reserve("a", "m/1", 600, 60));
  const used = { ...usage(100, 10), cachedInputTokens: 40, savedMicroUsd: 4, model: "fake/one" };
  at.step("a", { phase: "completed", key: "m/1", kind: "model", call: "m/1", usage: used });
  at.now = Date.UTC(2026, 1, 1, 1);
  at.send(reserve("a", "m/2", 600, 60));
  at.release("a", true);
  expect([...at.state.money.spend.values()]).toMatchObject([
    { day: Date.UTC(2026, 0, 31), agent: "x", model: "fake/one", calls: 1, costMicroUsd: 10, savedMicroUsd: 4 },
    { day: Date.UTC(2026, 1, 1), agent: "x", model: "fake/one", calls: 1, costMicroUsd: 60, unsettledMicroUsd: 60 },
  ]);
  at.check();
});
