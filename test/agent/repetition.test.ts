import { describe, expect, test } from "vitest";
import type { Json } from "../../src/core/json.ts";
import { Repetition } from "../../src/agent/repetition.ts";

type Call = readonly [tool: string, input: Json, result: Json];

/** How many of these calls were made before it was stopped; null when it never was. */
function stoppedAt(calls: readonly Call[], repeatsMax?: number): number | null {
  const repetition = new Repetition(repeatsMax);
  for (const [index, [tool, input, result]] of calls.entries()) {
    try {
      repetition.note("agent", tool, input, result);
    } catch (error) {
      expect(error).toMatchObject({
        code: "LIMIT_STEPS",
        details: { signature: "same-calls", setting: "agents.agent.limits.repeatsMax" },
      });
      return index + 1;
    }
  }
  return null;
}

const times = (count: number, each: (n: number) => readonly Call[]): Call[] =>
  Array.from({ length: count }, (_, n) => each(n)).flat();

describe("F10: the same calls in the same state are a loop", () => {
  test("one call, at the limit that is declared", () => {
    const same = times(20, () => [["look", { at: 1 }, "nothing"]]);
    expect(stoppedAt(same)).toBe(5);
    expect(stoppedAt(same, 3)).toBe(3);
  });

  test("a round of several calls, also when something else came first", () => {
    const round: Call[] = [
      ["open", 1, "ok"],
      ["read", 1, "empty"],
      ["close", 1, "ok"],
    ];
    expect(stoppedAt([["start", 0, 0], ...times(20, () => round)])).toBe(1 + 15);
  });
});

describe("F10: honest repetition is none", () => {
  test.each<[string, Call[]]>([
    ["a job is polled until it is done", times(50, (n) => [["status", { job: 1 }, { progress: n }]])],
    ["a list is paged through", times(50, (n) => [["list", { page: n }, { items: [] }]])],
    [
      "the same is read between writes that change something",
      times(50, (n) => [
        ["write", { line: n }, "ok"],
        ["read", {}, { lines: n + 1 }],
      ]),
    ],
    [
      "something new comes now and then",
      times(10, (n) => [...times(3, (): Call[] => [["look", 1, "nothing"]]), ["look", 2, n]]),
    ],
  ])("%s", (_, calls) => {
    expect(stoppedAt(calls)).toBeNull();
  });
});
