import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findCycle } from "../../src/core/graph.ts";

const none = () => [];

describe("C1: findCycle", () => {
  it("finds none in an acyclic graph", () => {
    expect(
      findCycle(
        new Map([
          ["d", ["b", "c"]],
          ["b", ["a"]],
          ["c", ["a"]],
          ["a", []],
        ]),
        none,
      ),
    ).toBeNull();
  });

  it("gives the cycle with its first task repeated at the end, and nothing that only leads to it", () => {
    expect(
      findCycle(
        new Map([
          ["x", ["a"]],
          ["a", ["b"]],
          ["b", ["c"]],
          ["c", ["a"]],
        ]),
        none,
      ),
    ).toEqual(["a", "b", "c", "a"]);
  });

  it("finds a task that needs itself", () => {
    expect(findCycle(new Map([["a", ["a"]]]), none)).toEqual(["a", "a"]);
  });

  it("goes along a chain of 100,000 tasks, closed or not", () => {
    const chain = (last: string[]) =>
      new Map(Array.from({ length: 100_000 }, (_, index) => [`t${index}`, index === 0 ? last : [`t${index - 1}`]]));
    expect(findCycle(chain([]), none)).toBeNull();
    expect(findCycle(chain(["t99999"]), none)).toHaveLength(100_001);
  });

  it("agrees with a topological sort on any graph", () => {
    const graph = fc.array(fc.array(fc.nat(11), { maxLength: 3 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(graph, (rows) => {
        const needs = new Map(
          rows.map((row, index) => [`${index}`, row.filter((need) => need < rows.length).map(String)]),
        );
        const cycle = findCycle(needs, none);
        expect(cycle === null).toBe(sortable(needs));
        for (const [index, task] of (cycle ?? []).slice(0, -1).entries())
          expect(needs.get(task)).toContain(cycle?.[index + 1]);
        if (cycle !== null) expect(cycle.at(-1)).toBe(cycle[0]);
      }),
    );
  });
});

function sortable(needs: ReadonlyMap<string, readonly string[]>): boolean {
  const left = new Set(needs.keys());
  for (let free: string[] = [""]; free.length > 0; ) {
    free = [...left].filter((task) => !needs.get(task)?.some((need) => left.has(need)));
    for (const task of free) left.delete(task);
  }
  return left.size === 0;
}
