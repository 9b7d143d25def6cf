import { describe, expect, it } from "vitest";
import type { Json } from "../../src/core/json.ts";
import { permanent } from "../pattern/engine.ts";
import { type Desk, desk, work } from "./desk.ts";

const said = (more: { [key: string]: Json } = {}): Json => ({ messages: [], note: "", output: null, ...more });

function handOver(at: Desk, task: string, agent: string, input: Json = said()): string[] {
  const key = `hand over to ${agent}#1`;
  return at.step(task, {
    phase: "asked",
    key,
    kind: "handover",
    input,
    ask: { ask: "handover", agent, deadline: null },
  });
}

const suspend = (at: Desk, task: string, key: string) =>
  at.send({ type: "task.suspend", task, attempt: at.task(task).attempt, wakeAt: null, waits: [key] });

function begun(): Desk {
  const at = desk([work("t", { agent: "a" })]);
  at.assign("t");
  return at;
}

describe("C14: a task is handed over", () => {
  it("once, whatever crashes: the receiver's outcome is what the giver ends with", () => {
    const at = begun();
    at.step("t", { phase: "completed", key: "look#1", input: { q: 1 }, output: "seen" });
    expect(handOver(at, "t", "b")).toEqual(["step.asked", "plan.revised", "task.handed"]);
    // Its host dies, it is asked once more and repeats itself.
    at.release("t", true);
    at.assign("t");
    expect(handOver(at, "t", "b")).toEqual([]);
    suspend(at, "t", "hand over to b#1");
    at.assign("t/hand over to b#1");
    expect(at.task("t/hand over to b#1").handed).toEqual({
      facts: {},
      messages: [],
      path: [{ agent: "a", task: "t", why: "" }],
      results: [{ by: "a", input: { q: 1 }, output: "seen", step: "look#1" }],
    });
    expect(at.complete("t/hand over to b#1", 7)).toEqual(["task.completed", "step.completed", "task.woken"]);
    at.assign("t");
    at.complete("t", 7);
    expect(at.state.status).toBe("completed");
    at.check();
  });

  it("F10: with something done in between it may come back, without it may not", () => {
    const at = begun();
    handOver(at, "t", "b");
    const b = "t/hand over to b#1";
    at.assign(b);
    expect(handOver(at, b, "a", said({ messages: ["other words"] }))).toEqual(["step.asked", "step.failed"]);
    expect(at.task(b).steps.get("hand over to a#1")?.error?.message).toContain("a → b → a");
    at.step(b, { phase: "completed", key: "look#1", input: null, output: "new" });
    const key = "hand over to a#2";
    const ask = { ask: "handover", agent: "a", deadline: null } as const;
    const again = at.step(b, { phase: "asked", key, kind: "handover", input: said(), ask });
    expect(again).toEqual(["step.asked", "plan.revised", "task.handed"]);
    at.check();
  });

  it("and to oneself never; what fails for good fails the task", () => {
    const at = begun();
    expect(handOver(at, "t", "a")).toEqual(["step.asked", "step.failed"]);
    handOver(at, "t", "b");
    const b = "t/hand over to b#1";
    at.assign(b);
    at.fail(b, permanent("no"));
    expect(at.task("t").steps.get("hand over to b#1")).toMatchObject({ status: "failed", error: { message: "no" } });
    at.check();
  });

  it("X3: with no more tools than its giver had", () => {
    const at = begun();
    handOver(at, "t", "b");
    expect(at.task("t/hand over to b#1").tools).toEqual(["tool of a", "common"]);
    at.assign("t/hand over to b#1");
    handOver(at, "t/hand over to b#1", "c");
    expect(at.task("t/hand over to b#1/hand over to c#1").tools).toEqual(["common"]);
  });

  it("F7: refuses what is no hand-over", () => {
    const at = begun();
    expect(handOver(at, "t", "b", 7)).toEqual(["step.asked", "step.failed"]);
    expect(at.state.status).toBe("running");
  });
});
