import { describe, expect, it } from "vitest";
import { timersOf } from "../../src/core/state.ts";
import { permanent } from "../pattern/engine.ts";
import { type Desk, desk, work } from "./desk.ts";

/** A run in which task `a` is with a worker. */
function asking(limits = {}): Desk {
  const at = desk([work("a")], { limits });
  at.assign("a");
  return at;
}

const ask = (at: Desk, agent: string, key = `call ${agent}#1`, deadline: number | null = null) =>
  at.step("a", { phase: "asked", key, kind: "call", input: 1, ask: { ask: "call", agent, deadline } });
const suspend = (at: Desk, ...waits: string[]) =>
  at.send({ type: "task.suspend", task: "a", attempt: at.task("a").attempt, wakeAt: null, waits });
const stepOf = (at: Desk, key: string) => at.task("a").steps.get(key);

describe("C8, M4: an agent asks another", () => {
  it("which is a task of the same run, and its output the answer", () => {
    const at = asking();
    expect(ask(at, "b")).toEqual(["step.asked", "plan.revised"]);
    expect(suspend(at, "call b#1")).toEqual(["task.suspended"]);
    at.assign("a/call b#1");
    expect(at.complete("a/call b#1", 7)).toEqual(["task.completed", "step.completed", "task.woken"]);
    expect(stepOf(at, "call b#1")).toMatchObject({ status: "completed", output: 7 });
    at.assign("a");
    expect(at.complete("a", 8)).toEqual(["task.completed", "run.completed"]);
    at.check();
  });

  it("and an answer that came before the asker was suspended wakes it at once", () => {
    const at = asking();
    ask(at, "b");
    at.assign("a/call b#1");
    at.complete("a/call b#1", 7);
    expect(suspend(at, "call b#1")).toEqual(["task.suspended", "task.woken"]);
    at.check();
  });

  it("whose failure is the answer, and ends nothing else", () => {
    const at = asking();
    ask(at, "b");
    suspend(at, "call b#1");
    at.assign("a/call b#1");
    expect(at.fail("a/call b#1", permanent("no"))).toEqual(["task.failed", "step.failed", "task.woken"]);
    expect(at.state.status).toBe("running");
    at.check();
  });

  it("of which none has the name, or too deep: the step fails at once", () => {
    const at = asking({ depthMax: 0 });
    expect(ask(at, "nobody")).toEqual(["step.asked", "step.failed"]);
    expect(ask(at, "b")).toEqual(["step.asked", "step.failed"]);
    expect(stepOf(at, "call b#1")?.error?.code).toBe("LIMIT_DEPTH");
    at.check();
  });

  it("without a grant to: that is on record, and with no more tools than its own caller passes on (X2, X3)", () => {
    const at = asking();
    ask(at, "nobody");
    expect(stepOf(at, "call nobody#1")?.error?.code).toBe("AGENT_NOT_GRANTED");
    ask(at, "b");
    expect(at.task("a/call b#1").tools).toEqual(["tool of x", "common"]);
    at.assign("a/call b#1");
    const ask2 = { ask: "call", agent: "c", deadline: null } as const;
    at.step("a/call b#1", { phase: "asked", key: "call c#1", kind: "call", input: 1, ask: ask2 });
    expect(at.task("a/call b#1/call c#1")).toMatchObject({ tools: ["common"], depth: 2 });
    at.check();
  });

  it("C12: which waits for it, is refused, and the circle is named; one that calls itself is bounded by depth", () => {
    const at = asking();
    const ask2 = (task: string, agent: string, deadline = null) =>
      at.step(task, {
        phase: "asked",
        key: `call ${agent}#1`,
        kind: "call",
        input: 1,
        ask: { ask: "call", agent, deadline },
      });
    ask(at, "b");
    at.assign("a/call b#1");
    ask2("a/call b#1", "c");
    at.assign("a/call b#1/call c#1");
    expect(ask2("a/call b#1/call c#1", "x")).toEqual(["step.asked", "step.failed"]);
    const error = at.task("a/call b#1/call c#1").steps.get("call x#1")?.error;
    expect(error).toMatchObject({ code: "DEADLOCK" });
    expect(error?.message).toContain("x waits for b waits for c waits for x");
    expect(ask2("a/call b#1/call c#1", "c")).toEqual(["step.asked", "plan.revised"]);
    at.check();
  });

  it("until its deadline, when what was asked for is cancelled", () => {
    const at = asking();
    ask(at, "b", "call b#1", 5_000);
    suspend(at, "call b#1");
    const [name = "", due] = [...timersOf(at.task("a"))][0] ?? [];
    expect(due).toBe(5_000);
    expect(at.send({ type: "timer.fire", name })).toEqual([]);
    at.now = 5_000;
    expect(at.send({ type: "timer.fire", name })).toEqual(["step.failed", "task.woken", "task.cancelled"]);
    expect(stepOf(at, "call b#1")?.error?.code).toBe("STEP_TIMEOUT");
    expect(timersOf(at.task("a")).size).toBe(0);
    at.check();
  });

  it("once, however often it is resumed; what it asked for ends with it", () => {
    const at = asking();
    ask(at, "b");
    at.release("a", false);
    at.assign("a");
    expect(ask(at, "b")).toEqual([]);
    expect(at.complete("a", 1)).toEqual(["task.completed", "task.cancelled", "run.completed"]);
    at.check();
  });
});
