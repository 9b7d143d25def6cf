import { describe, expect, it } from "vitest";
import { emptyRun } from "../../src/core/state.ts";
import { Permits } from "../../src/runtime/permits.ts";

const held = { run: "r-1", task: "t", attempt: 1 };
const other = { run: "r-1", task: "u", attempt: 1 };
const model = { phase: "completed", key: "model#1", kind: "model", name: "model", inputHash: "" } as const;

const running = (limits: { tokensMax?: number; costMicroUsdMax?: number | null }) => {
  const state = emptyRun("r-1");
  state.limits = { ...state.limits, tokensMax: 1_000, ...limits };
  return state;
};

describe("K2: a model call is asked for before it is made", () => {
  it("counts what calls in parallel may still use", () => {
    const permits = new Permits();
    const state = running({});
    expect(permits.ask(state, held, { tokens: 600, costMicroUsd: null })).toBeNull();
    expect(permits.ask(state, other, { tokens: 600, costMicroUsd: null })?.code).toBe("LIMIT_TOKENS");
    permits.used(held, model);
    expect(permits.ask(state, other, { tokens: 600, costMicroUsd: null })).toBeNull();
  });

  it("keeps a limit of money in the same way", () => {
    const permits = new Permits();
    const state = running({ costMicroUsdMax: 1_000 });
    expect(permits.ask(state, held, { tokens: 1, costMicroUsd: 700 })).toBeNull();
    expect(permits.ask(state, other, { tokens: 1, costMicroUsd: 301 })).toMatchObject({
      code: "LIMIT_COST",
      message: "the run spent $0.00 of $0.001, $0.0007 are reserved; the next call may cost $0.000301",
    });
    expect(permits.ask(state, other, { tokens: 1, costMicroUsd: 300 })).toBeNull();
    permits.end(held);
    state.usage.costMicroUsd = 800;
    expect(permits.ask(state, held, { tokens: 1, costMicroUsd: 1 })?.code).toBe("LIMIT_COST");
  });

  it("refuses a model without a price where money is limited, and says what to do", () => {
    const refused = new Permits().ask(running({ costMicroUsdMax: 1_000 }), held, { tokens: 1, costMicroUsd: null });
    expect(refused).toMatchObject({ code: "LIMIT_COST", hint: expect.stringContaining("prices") as string });
  });

  it("grants nothing once the run has ended", () => {
    const state = running({});
    state.status = "stopped";
    expect(new Permits().ask(state, held, { tokens: 1, costMicroUsd: null })?.code).toBe("CANCELLED");
  });
});
