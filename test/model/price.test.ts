import { describe, expect, it } from "vitest";
import type { ProviderDefinition } from "../../src/core/definition.ts";
import { costMicroUsd, priceOf } from "../../src/model/price.ts";

const provider = (prices: ProviderDefinition["prices"]): ProviderDefinition => ({
  kind: "openai",
  baseUrl: null,
  apiKey: null,
  headers: {},
  options: {},
  prices,
  script: null,
});

describe("prices of models (K2)", () => {
  const cheap = { inputUsdPerMTok: 0.15, outputUsdPerMTok: 0.6 };
  const dear = { inputUsdPerMTok: 3, outputUsdPerMTok: 15, cachedInputUsdPerMTok: 0.3 };

  it("are the model's own, else those for all, else none", () => {
    const declared = provider({ big: dear, "*": cheap });
    expect(priceOf(declared, "big")).toBe(dear);
    expect(priceOf(declared, "small")).toBe(cheap);
    expect(priceOf(provider({ big: dear }), "small")).toBeNull();
    expect(priceOf(provider({}), "toString")).toBeNull();
    expect(priceOf(undefined, "big")).toBeNull();
  });

  it("make whole micro-USD, rounded up", () => {
    expect(costMicroUsd(dear, { inputTokens: 1_000, outputTokens: 100, cachedInputTokens: 0 })).toBe(4_500);
    expect(costMicroUsd(dear, { inputTokens: 1_000, outputTokens: 0, cachedInputTokens: 900 })).toBe(570);
    expect(costMicroUsd(cheap, { inputTokens: 1, outputTokens: 0, cachedInputTokens: 0 })).toBe(1);
    // 0.1 + 0.2 is not 0.3 in binary, and must not cost one more.
    expect(
      costMicroUsd(
        { inputUsdPerMTok: 0.1, outputUsdPerMTok: 0.2 },
        { inputTokens: 10, outputTokens: 10, cachedInputTokens: 0 },
      ),
    ).toBe(3);
    expect(costMicroUsd(cheap, { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0 })).toBe(0);
  });
});
