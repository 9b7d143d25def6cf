import { describe, expect, it } from "vitest";
import { contextWindow, DEFAULT_CONTEXT_WINDOW, estimateTokens } from "../../src/model/tokens.ts";
import { retryAfterMs } from "../../src/model/model-error.ts";

describe("estimates", () => {
  it("count four characters a token, rounded up", () => {
    expect(["", "a", "abcd", "abcde"].map((text) => estimateTokens(text))).toEqual([0, 1, 1, 2]);
  });

  it("count everything that a request sends", () => {
    const base = {
      model: "m",
      agent: "a",
      system: "",
      messages: [],
      tools: [],
      output: null,
      outputTokensMax: 1,
      temperature: null,
    };
    const text = "x".repeat(400);
    const requests = [
      { ...base, system: text },
      { ...base, messages: [{ role: "user" as const, content: [{ type: "text" as const, text }] }] },
      {
        ...base,
        messages: [
          { role: "tool" as const, content: [{ type: "tool-result" as const, id: "1", tool: "t", output: text }] },
        ],
      },
      { ...base, tools: [{ name: "t", description: text, input: {} }] },
      { ...base, output: { description: text } },
    ];
    for (const request of requests) expect(estimateTokens(request)).toBeGreaterThanOrEqual(100);
  });

  it("take the longest known prefix of a model's name", () => {
    expect(contextWindow("gpt-4o-mini")).toBe(128_000);
    expect(contextWindow("gpt-4-0613")).toBe(8_192);
    expect(contextWindow("something-new")).toBe(DEFAULT_CONTEXT_WINDOW);
  });
});

describe("retry-after", () => {
  const now = Date.parse("2026-11-20T10:00:00Z");
  it.each([
    [{ "retry-after": "2.5" }, 2_500],
    [{ "retry-after-ms": "40", "retry-after": "9" }, 40],
    [{ "retry-after": "Fri, 20 Nov 2026 10:00:30 GMT" }, 30_000],
    [{ "retry-after": "Fri, 20 Nov 2026 09:00:00 GMT" }, 0],
    [{ "retry-after": "Fri, 20 Nov 2026 12:00:05 GMT", date: "Fri, 20 Nov 2026 12:00:00 GMT" }, 5_000],
    [{ "retry-after": "soon" }, undefined],
    [{ "retry-after": "-3" }, undefined],
    [{ "retry-after": "" }, undefined],
    [{}, undefined],
  ])("%o is %s ms", (headers, expected) => {
    expect(retryAfterMs(headers as Record<string, string>, now)).toBe(expected);
  });
});
