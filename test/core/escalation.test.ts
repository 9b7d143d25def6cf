import { describe, expect, it } from "vitest";
import type { EscalationDecision } from "../../src/core/escalation.ts";
import { timersOf } from "../../src/core/state.ts";
import { permanent } from "../pattern/engine.ts";
import { type Desk, desk, work } from "./desk.ts";

type OnDeadline = "fail" | "retry" | "skip" | "abort";

/** A run in which task `a` has failed for good, and waits for a person. */
function escalated(onDeadline: OnDeadline = "fail"): Desk {
  const at = desk([work("a"), work("b", { needs: ["a"] })], {
    escalation: { x: { deadlineMs: 5_000, onDeadline, to: ["ann"] } },
  });
  at.assign("a");
  at.step("a", { phase: "completed", key: "read#1", name: "read" });
  at.step("a", { phase: "started", key: "send#1", name: "send", idempotencyKey: "i1", settle: "retry" });
  at.step("a", { phase: "completed", key: "send#1", name: "send" });
  at.step("a", { phase: "failed", key: "look#1", name: "look", error: permanent("blind") });
  expect(at.fail("a", permanent("blind"))).toEqual(["task.escalated"]);
  return at;
}

const decide = (at: Desk, choice: EscalationDecision["choice"], more: Partial<EscalationDecision> = {}) =>
  at.send({
    type: "escalation.decide",
    task: "a",
    attempt: 1,
    choice,
    agent: null,
    output: null,
    by: "ann",
    note: "",
    ...more,
  });

describe("F7, F9: a task that failed for good waits for a person where that is declared", () => {
  it("and ends nothing meanwhile", () => {
    const at = escalated();
    expect(at.task("a")).toMatchObject({ status: "escalated", error: { message: "blind" } });
    expect(at.state.status).toBe("running");
    at.check();
  });

  it("retry: it goes on after its last write, which is not repeated", () => {
    const at = escalated();
    expect(decide(at, "retry")).toEqual(["escalation.decided"]);
    expect(at.task("a")).toMatchObject({ status: "ready", tries: 0 });
    expect([...at.task("a").steps.keys()]).toEqual(["read#1", "send#1"]);
    at.assign("a");
    expect(at.task("a").attempt).toBe(2);
    expect(at.complete("a")).toContain("task.completed");
    at.check();
  });

  it("retry: a write whose answer made no sense did happen, and is not repeated either", () => {
    const at = desk([work("a")], { escalation: { x: { deadlineMs: 5_000, onDeadline: "fail", to: [] } } });
    at.assign("a");
    at.step("a", { phase: "started", key: "send#1", name: "send", idempotencyKey: "i1", settle: "person" });
    const error = { ...permanent("not what send returns"), code: "TOOL_OUTPUT_INVALID" as const };
    at.step("a", { phase: "failed", key: "send#1", name: "send", error });
    at.step("a", { phase: "started", key: "post#1", name: "post", idempotencyKey: "i2", settle: "retry" });
    at.step("a", { phase: "failed", key: "post#1", name: "post", error: permanent("refused") });
    at.fail("a", error);
    decide(at, "retry");
    expect([...at.task("a").steps.keys()]).toEqual(["send#1"]);
    at.check();
  });

  it("reassign: another agent begins anew; one that the workflow does not have is refused", () => {
    const at = escalated();
    expect(decide(at, "reassign", { agent: "nobody" })).toEqual([]);
    expect(decide(at, "reassign")).toEqual([]);
    expect(decide(at, "reassign", { agent: "y" })).toEqual(["escalation.decided"]);
    expect(at.task("a")).toMatchObject({ agent: "y", status: "ready" });
    expect(at.task("a").steps.size).toBe(0);
    at.assign("a");
    at.complete("a");
    at.assign("b");
    expect(at.complete("b")).toContain("run.completed");
    at.check();
  });

  it.each([
    ["edit", ["escalation.decided", "task.completed"], "completed"],
    ["skip", ["escalation.decided", "task.skipped", "task.skipped", "run.completed"], "skipped"],
    ["fail", ["escalation.decided", "task.failed", "task.skipped", "run.completed"], "failed"],
    ["abort", ["escalation.decided", "task.failed", "run.failed"], "failed"],
  ] as const)("%s", (choice, types, status) => {
    const at = escalated();
    expect(decide(at, choice, { output: 7 })).toEqual(types);
    expect(at.task("a").status).toBe(status);
    at.check();
  });

  it("once, and only about this very failure", () => {
    const at = escalated();
    expect(decide(at, "retry", { attempt: 2 })).toEqual([]);
    expect(decide(at, "retry", { task: "b" })).toEqual([]);
    decide(at, "retry");
    expect(decide(at, "abort")).toEqual([]);
    at.assign("a");
    expect(at.fail("a", permanent("blind again"))).toEqual(["task.escalated"]);
    expect(decide(at, "abort")).toEqual([]);
    expect(decide(at, "abort", { attempt: 2 })).toContain("run.failed");
    at.check();
  });

  it.each([
    ["fail", "failed"],
    ["retry", "ready"],
    ["skip", "skipped"],
    ["abort", "failed"],
  ] as const)("nobody decides in time: %s", (onDeadline, status) => {
    const at = escalated(onDeadline);
    const [name = "", due] = [...timersOf(at.task("a"))][0] ?? [];
    expect(due).toBe(6_000);
    expect(at.send({ type: "timer.fire", name })).toEqual([]);
    at.now = 6_000;
    expect(at.send({ type: "timer.fire", name })).toContain("escalation.decided");
    expect(at.task("a").status).toBe(status);
    expect(timersOf(at.task("a")).size).toBe(0);
    at.check();
  });

  it("and what it had asked others for is no use any more; asked again, it is another task", () => {
    const at = desk([work("a")], { escalation: { x: { deadlineMs: null, onDeadline: "fail", to: [] } } });
    const call = () =>
      at.step("a", { phase: "asked", key: "call b#1", kind: "call", ask: { ask: "call", agent: "b", deadline: null } });
    at.assign("a");
    call();
    expect(at.fail("a", permanent("no"))).toEqual(["task.cancelled", "task.escalated", "step.failed"]);
    decide(at, "retry");
    at.assign("a");
    expect(call()).toEqual(["step.asked", "plan.revised"]);
    expect(at.state.tasks.has("a/call b#1~2")).toBe(true);
    at.check();
  });
});
