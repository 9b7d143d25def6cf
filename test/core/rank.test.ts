import { describe, expect, it } from "vitest";
import { PRIORITY } from "../../src/core/definition.ts";
import { AGING_MS, rankOf } from "../../src/core/rank.ts";

describe("C7: the place in the queue", () => {
  it("puts critical work first among tasks of one time", () => {
    const ranks = [PRIORITY.CRITICAL, PRIORITY.HIGH, PRIORITY.NORMAL, PRIORITY.LOW].map((priority) =>
      rankOf(priority, 1_000),
    );
    expect(ranks).toEqual([...ranks].sort((a, b) => a - b));
    expect(new Set(ranks).size).toBe(4);
  });

  it("keeps the order of arrival within a priority", () => {
    expect(rankOf(PRIORITY.NORMAL, 1)).toBeLessThan(rankOf(PRIORITY.NORMAL, 2));
  });

  it("never starves low work: a queue that is always full of critical work still comes to it", () => {
    const waiting = [{ name: "low", rank: rankOf(PRIORITY.LOW, 0) }];
    for (let now = 0; now <= 4 * AGING_MS; now += 1_000) {
      // Two critical tasks come for each one that is taken.
      waiting.push(
        { name: "critical", rank: rankOf(PRIORITY.CRITICAL, now) },
        { name: "critical", rank: rankOf(PRIORITY.CRITICAL, now) },
      );
      waiting.sort((a, b) => a.rank - b.rank);
      waiting.shift();
    }
    // What came after 3 levels of waiting stands behind it, however critical: it is taken after a bounded number of others.
    const ahead = waiting.findIndex((task) => task.name === "low");
    expect(waiting.slice(0, ahead).every((task) => task.rank <= 3 * AGING_MS)).toBe(true);
    for (let now = 4 * AGING_MS; waiting.some((task) => task.name === "low"); now += 1_000) {
      waiting.push({ name: "critical", rank: rankOf(PRIORITY.CRITICAL, now) });
      waiting.sort((a, b) => a.rank - b.rank).shift();
      expect(now).toBeLessThan(10 * AGING_MS);
    }
  });
});
