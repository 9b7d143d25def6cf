import { describe, expect, it } from "vitest";
import type { Command } from "../../src/core/command.ts";
import type { RunEvent } from "../../src/core/event.ts";
import { permanent, transient } from "../pattern/engine.ts";
import { type Desk, desk, work } from "./desk.ts";

const USED = {
  ...{ steps: 3, tasks: 2, inputTokens: 40, outputTokens: 2, costMicroUsd: 5, unpriced: 0, simulated: true },
  unsettled: { tokens: 1, costMicroUsd: 1 },
};

const run = (id: string) => work(id, { agent: "workflow:part" });
const requested = (at: Desk) =>
  at.events.flatMap((event) => (event.type === "child.requested" ? [(event as ChildRequested).data] : []));
type ChildRequested = Extract<RunEvent, { type: "child.requested" }>;

function ended(at: Desk, task: string, more: Partial<Extract<Command, { type: "child.end" }>> = {}): string[] {
  const child = at.task(task).child?.run ?? "none";
  return at.send({ type: "child.end", task, child, status: "completed", output: 7, error: null, used: USED, ...more });
}

describe("C3, C8: a task is the work of a child run", () => {
  it("which is asked for at once, holds no worker, and whose output is the task's", () => {
    const at = desk([run("a")]);
    expect(at.events.map(({ type }) => type)).toEqual(["run.started", "plan.revised", "child.requested"]);
    expect(requested(at)).toMatchObject([{ task: "a", child: "r-1.1", workflow: "part", pattern: "p" }]);
    expect(at.assign("a")).toEqual([]);
    expect(ended(at, "a")).toEqual(["child.ended", "task.completed", "run.completed"]);
    expect(at.task("a").output).toBe(7);
    at.check();
  });

  it("X5: which has the time that its parent has left, pauses not counted", () => {
    const at = desk(
      [work("x"), run("a")].map((one, i) => (i === 1 ? { ...one, needs: ["x"] } : one)),
      {
        limits: { timeMs: 10_000 },
      },
    );
    at.assign("x");
    at.now += 1_000;
    at.send({ type: "run.pause", why: "lunch", by: "me" });
    at.now += 3_600_000;
    at.send({ type: "run.resume", why: "back", by: "me" });
    at.assign("x");
    at.now += 2_000;
    at.complete("x");
    expect(requested(at)).toMatchObject([{ task: "a", limits: { timeMs: 7_000 } }]);
    at.check();
  });

  it("whose end is heard once, and not from another run", () => {
    const at = desk([run("a"), work("b")]);
    expect(ended(at, "a", { child: "r-9.1" })).toEqual([]);
    expect(ended(at, "a")).toEqual(["child.ended", "task.completed"]);
    expect(ended(at, "a")).toEqual([]);
    at.check();
  });

  it("whose failure is the task's, whatever may have passed was tried there", () => {
    const at = desk([run("a"), work("b")]);
    expect(ended(at, "a", { status: "failed", error: transient("late") })).toEqual(["child.ended", "task.failed"]);
    expect(at.task("a").error).toMatchObject({ class: "permanent", message: "run r-1.1: late" });
    const other = desk([run("a"), work("b")]);
    ended(other, "a", { status: "stopped" });
    expect(other.task("a").error?.code).toBe("CANCELLED");
    expect(other.state.status).toBe("running");
    other.check();
  });

  it("K2: what it used counts, and what it held comes back, also when its task was cancelled meanwhile", () => {
    const at = desk([work("x")]);
    at.assign("x");
    const ask = { ask: "call", agent: "workflow:part", deadline: 5_000 } as const;
    at.step("x", { phase: "asked", key: "call workflow:part#1", kind: "call", input: 1, ask });
    at.now = 5_000;
    at.send({ type: "timer.fire", name: "ask/x\ncall workflow:part#1" });
    expect(at.state.money.reserved.tokens).toBeGreaterThan(0);
    expect(ended(at, "x/call workflow:part#1", { status: "stopped" })).toEqual(["child.ended"]);
    expect(at.state.money.reserved.tokens).toBe(0);
    expect(at.state.usage.inputTokens).toBe(40);
    at.check();
  });

  it("X3: within what is left of the run's limits, shared by those that may want some", () => {
    const limits = { tokensMax: 100, tasksMax: 50, depthMax: 3, timeMs: 5_000, stepsMax: 30, costMicroUsdMax: 90 };
    const at = desk([run("a"), run("b"), work("c")], { limits });
    const [a, b] = requested(at).map((request) => request.limits);
    expect(a).toMatchObject({ tokensMax: 33, depthMax: 2, timeMs: 5_000, stepsMax: 10, costMicroUsdMax: 30 });
    // The second has the same share of what the first left.
    expect(b).toMatchObject({ tokensMax: 33, depthMax: 2, costMicroUsdMax: 30 });
    expect(at.state.money.reserved).toEqual({ tokens: 66, costMicroUsd: 60 });
    expect(at.state.allotted).toMatchObject({ steps: 20 });
    ended(at, "a");
    expect(at.state.money.reserved).toEqual({ tokens: 33, costMicroUsd: 30 });
    expect(at.state.money.unsettled).toEqual({ tokens: 1, costMicroUsd: 1 });
    expect(at.state.usage).toMatchObject({ inputTokens: 40, outputTokens: 2, costMicroUsd: 5, steps: 3 });
    at.check();
  });

  it("X3: not deeper than the run's own limit, nor of a workflow that is not there, nor with input that it does not take", () => {
    const code = (at: Desk, task: string) => at.task(task).error?.code;
    const deep = desk([run("a"), work("b")], { limits: { depthMax: 0 } });
    expect(code(deep, "a")).toBe("LIMIT_DEPTH");
    const at = desk([work("a", { agent: "workflow:none" }), work("b", { agent: "workflow:part", input: "bad" })]);
    expect([code(at, "a"), code(at, "b")]).toEqual(["PLAN_INVALID", "INPUT_INVALID"]);
    at.check();
  });

  it("an agent may ask for, which hears of its end as of any answer", () => {
    const at = desk([work("a")]);
    at.assign("a");
    const ask = { ask: "call", agent: "workflow:part", deadline: null } as const;
    const types = at.step("a", { phase: "asked", key: "call workflow:part#1", kind: "call", input: 1, ask });
    expect(types).toEqual(["step.asked", "plan.revised", "child.requested"]);
    const key = "call workflow:part#1";
    at.send({ type: "task.suspend", task: "a", attempt: 1, wakeAt: null, waits: [key] });
    expect(ended(at, `a/${key}`, { status: "failed", error: permanent("no") })).toEqual([
      "child.ended",
      "task.failed",
      "step.failed",
      "task.woken",
    ]);
    at.check();
  });
});
