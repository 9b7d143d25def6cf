import { describe, expect, test } from "vitest";
import { type Guard, NO_GUARD } from "../../src/core/definition.ts";
import type { BreakerChange } from "../../src/core/breaker.ts";
import { Gates, modelGates, toolGates } from "../../src/runtime/gates.ts";

const FAILED = { code: "MODEL_UNAVAILABLE", billed: "none" } as const;
const DONE = { code: null, billed: "recorded" } as const;

function setUp(guard: Partial<Guard>) {
  const clock = steppedClock();
  const changes: BreakerChange[] = [];
  const gates = new Gates({
    now: () => clock.now(),
    after: (delayMs, fn) => clock.after(delayMs, fn),
    changed: (_, change) => changes.push(change),
  });
  /** Calls in the order in which they were answered; refused ones with a mark. */
  const answered: string[] = [];
  const enter = (run: string, call: string, tokens = 0, through = "model/x") => {
    const answer = (refused: { code: string } | null) =>
      void answered.push(refused === null ? `${run}/${call}` : `${run}/${call} ${refused.code}`);
    gates.enter({
      id: `${run}/t/1/${call}`,
      run,
      tokens,
      answer,
      through: [{ name: through, guard: { ...NO_GUARD, ...guard } }],
    });
  };
  const leave = (run: string, call: string, outcome: Parameters<Gates["leave"]>[1] = DONE) =>
    gates.leave(`${run}/t/1/${call}`, outcome);
  return { clock, gates, changes, answered, enter, leave };
}

/** Time that passes when it is told to. */
function steppedClock() {
  let now = 1_000_000;
  const timers = new Set<{ at: number; fn: () => void }>();
  return {
    now: () => now,
    after(delayMs: number, fn: () => void) {
      const timer = { at: now + delayMs, fn };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    advance(ms: number) {
      now += ms;
      for (const timer of [...timers]) if (timer.at <= now && timers.delete(timer)) timer.fn();
    },
  };
}

describe("F4: bulkheads", () => {
  test("so many calls at a time; runs take turns, however many calls each has", () => {
    const { answered, enter, leave } = setUp({ concurrencyMax: 1 });
    for (const call of ["1", "2", "3"]) enter("a", call);
    enter("b", "1");
    enter("c", "1");
    expect(answered).toEqual(["a/1"]);
    for (const last of ["a/1", "a/2", "b/1", "c/1"]) leave(last[0] ?? "", last[2] ?? "");
    expect(answered).toEqual(["a/1", "a/2", "b/1", "c/1", "a/3"]);
  });

  test("one that is full does not keep those waiting that need another", () => {
    const { answered, enter } = setUp({ concurrencyMax: 1 });
    for (const call of ["1", "2", "3"]) enter("slow", call, 0, "tool/slow");
    for (const run of ["a", "b", "c"]) enter(run, "1", 0, `tool/${run}`);
    expect(answered).toEqual(["slow/1", "a/1", "b/1", "c/1"]);
  });

  test("an attempt that is over leaves what it was in, and waits no longer", () => {
    const { answered, enter, gates } = setUp({ concurrencyMax: 1 });
    enter("a", "1");
    enter("a", "2");
    enter("b", "1");
    gates.leaveAll("a/t/1/");
    expect(answered).toEqual(["a/1", "b/1"]);
  });
});

describe("F4: breakers", () => {
  const breaker = { failures: 2, openMs: 1_000, probes: 1 };

  test("an open one refuses at once, says for how long, and lets probes decide", () => {
    const { clock, answered, changes, enter, leave } = setUp({ breaker });
    for (const call of ["1", "2"]) {
      enter("a", call);
      leave("a", call, FAILED);
    }
    enter("a", "3");
    expect(answered).toEqual(["a/1", "a/2", "a/3 CIRCUIT_OPEN"]);
    clock.advance(1_000);
    for (const call of ["4", "5", "6"]) enter("b", call);
    expect(answered.slice(3)).toEqual(["b/4"]);
    leave("b", "4");
    expect(answered.slice(3)).toEqual(["b/4", "b/5", "b/6"]);
    expect(changes.map(({ from, to }) => `${from} ${to}`)).toEqual([
      "closed open",
      "open half-open",
      "half-open closed",
    ]);
  });

  test("who waits for a probe is refused when it fails", () => {
    const { clock, answered, enter, leave } = setUp({ breaker });
    for (const call of ["1", "2"]) {
      enter("a", call);
      leave("a", call, FAILED);
    }
    clock.advance(1_000);
    enter("b", "1");
    enter("b", "2");
    leave("b", "1", FAILED);
    expect(answered.slice(2)).toEqual(["b/1", "b/2 CIRCUIT_OPEN"]);
  });

  test("a refusal of the request is no failure of the model", () => {
    const { answered, enter, leave } = setUp({ breaker });
    for (let i = 0; i < 9; i++) {
      enter("a", `${i}`);
      leave("a", `${i}`, { code: i % 2 === 0 ? "MODEL_REQUEST_INVALID" : "MODEL_RATE_LIMITED", billed: "none" });
    }
    expect(answered.every((one) => !one.includes("OPEN"))).toBe(true);
  });
});

describe("K5: rates", () => {
  test("work waits its turn instead of failing", () => {
    const { clock, answered, enter } = setUp({ requestsPerMinute: 2 });
    for (const call of ["1", "2", "3", "4", "5"]) enter("a", call);
    expect(answered).toHaveLength(2);
    clock.advance(60_000);
    expect(answered).toHaveLength(4);
    clock.advance(60_000);
    expect(answered).toHaveLength(5);
  });

  test("tokens are counted at their most, then as they were used", () => {
    const { answered, enter, leave } = setUp({ tokensPerMinute: 1_000 });
    enter("a", "1", 900);
    enter("b", "1", 900);
    leave("a", "1", { ...DONE, tokens: 50 });
    expect(answered).toEqual(["a/1", "b/1"]);
  });

  test("a provider's retry-after holds everybody", () => {
    const { clock, answered, enter, leave } = setUp({});
    enter("a", "1");
    leave("a", "1", { code: "MODEL_RATE_LIMITED", billed: "none", retryAfterMs: 5_000 });
    enter("b", "1");
    enter("c", "1");
    clock.advance(4_999);
    expect(answered).toEqual(["a/1"]);
    clock.advance(1);
    expect(answered).toEqual(["a/1", "b/1", "c/1"]);
  });
});

test("each model has a breaker unless its guard says otherwise; tools have what is declared", () => {
  const guards = {
    providers: {},
    models: { "p/own": NO_GUARD },
    tools: { pay: { ...NO_GUARD, concurrencyMax: 2 } },
    agents: {},
  };
  expect(modelGates(guards, "p/own").map(({ guard }) => guard.breaker)).toEqual([null, null]);
  expect(modelGates(guards, "p/other").map(({ name, guard }) => [name, guard.breaker?.failures])).toEqual([
    ["provider/p", undefined],
    ["model/p/other", 5],
  ]);
  expect(toolGates(guards, "pay")).toHaveLength(1);
  expect(toolGates(guards, "other")).toEqual([]);
});

test("K5, F4: whoever is let in and leaves at once, for want of money, is let in once", () => {
  const { gates, answered, enter, leave } = setUp({ concurrencyMax: 1 });
  enter("a", "1");
  const through = [{ name: "model/x", guard: { ...NO_GUARD, concurrencyMax: 1 } }];
  const id = "b/t/1/1";
  const answer = () => {
    answered.push("b/1");
    gates.leave(id, null);
  };
  gates.enter({ id, run: "b", tokens: 0, answer, through });
  enter("c", "1");
  leave("a", "1");
  expect(answered).toEqual(["a/1", "b/1", "c/1"]);
});
