import { describe, expect, it } from "vitest";
import { planFork } from "../../src/core/fork.ts";
import { type Desk, desk, work } from "./desk.ts";

/** `a` is done, `b` is with a worker and has paid, `c` waits for `b`. */
function under(): Desk {
  const at = desk([work("a"), work("b"), work("c", { needs: ["b"] })]);
  at.assign("a");
  at.now += 1;
  at.complete("a", 1);
  at.now += 1;
  at.assign("b");
  at.now += 1;
  at.step("b", { phase: "started", key: "pay#1", name: "pay", input: 5, inputHash: "five" });
  at.now += 1;
  at.step("b", { phase: "completed", key: "pay#1", name: "pay", output: "paid", inputHash: "five" });
  return at;
}

const plan = (at: Desk, version: number, changed: string[] = []) =>
  planFork(at.events, { at: version, changed: new Set(changed) });

describe("F11: what a fork keeps, and does again", () => {
  it("keeps what is finished, and the steps of what is under way", () => {
    const at = under();
    expect(plan(at, at.events.length)).toMatchObject({ kept: 1, redone: [], effects: [] });
  });

  it("lists a write that comes after the moment, with what it returned", () => {
    const at = under();
    const before = at.events.findIndex(({ type }) => type === "step.started");
    expect(plan(at, before)).toMatchObject({
      redone: [],
      effects: [{ task: "b", tool: "pay", input: 5, inputHash: "five", output: "paid" }],
    });
  });

  it("does a task from its start that had a write without an outcome, or has another agent", () => {
    const at = under();
    const amid = at.events.findIndex(({ type }) => type === "step.started") + 1;
    expect(plan(at, amid)).toMatchObject({ redone: ["b"], effects: [{ task: "b", tool: "pay" }] });
    expect(plan(at, at.events.length, ["x"])).toMatchObject({ redone: ["b"], effects: [{ tool: "pay" }] });
  });

  it("C3: asks for a child anew that was under way: the other's tells the other run of its end", () => {
    const at = desk([work("a", { agent: "workflow:part" }), work("b")]);
    const before = at.state.money.reserved.tokens;
    expect(plan(at, at.events.length)).toMatchObject({ redone: ["a"] });
    const types = at.send({
      type: "run.fork",
      from: "r-0",
      at: at.events.length,
      changed: [],
      changes: [],
      effects: { default: "allow", tools: {} },
      stubs: {},
      by: "me",
    });
    expect(types).toEqual(["run.forked", "task.reopened", "child.requested"]);
    expect(at.task("a").child?.run).toBe("r-1.2");
    expect(at.state.money.reserved.tokens).toBe(before);
    at.check();
  });

  it("not of what has ended", () => {
    const at = under();
    at.send({ type: "run.stop", why: "enough", by: "me" });
    expect(plan(at, at.events.length)).toHaveProperty("problem");
    expect(plan(at, at.events.length - 1)).toHaveProperty("kept", 1);
    expect(plan(at, 0)).toHaveProperty("problem");
  });
});
