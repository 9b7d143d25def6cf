import { describe, expect, it } from "vitest";
import { CRASHES_ALONE_MAX } from "../../src/core/decide.ts";
import { CRASHES_SHARED } from "../../src/core/state.ts";
import { permanent, transient } from "../pattern/engine.ts";
import { type Desk, desk, work } from "./desk.ts";

const usage = (tokens: number, costMicroUsd: number | null = 0) => ({
  inputTokens: tokens,
  outputTokens: 0,
  costMicroUsd,
  simulated: false,
});
const codeOf = (at: Desk) => [at.state.status, at.state.error?.code];

describe("a run", () => {
  it("starts once: the same command again changes nothing", () => {
    const at = desk([work("a")]);
    const started = at.events[0];
    expect(started?.type).toBe("run.started");
    expect(at.send({ ...(started?.data as object), type: "run.start" } as Parameters<Desk["send"]>[0])).toEqual([]);
  });

  it("goes from start to end in five events for one task", () => {
    const at = desk([work("a")]);
    at.assign("a");
    at.complete("a", 7);
    expect(at.events.map((event) => event.type)).toEqual([
      "run.started",
      "plan.revised",
      "tasks.assigned",
      "task.completed",
      "run.completed",
    ]);
    at.check();
  });

  it("ends when its planner throws, and says why", () => {
    const at = desk({
      plan: () => {
        throw new Error("a defect");
      },
    });
    expect(codeOf(at)).toEqual(["failed", "PLAN_INVALID"]);
    expect(at.state.error?.message).toContain("a defect");
  });

  it("ends when its planner leaves it with nothing to do and no end", () => {
    expect(codeOf(desk({ plan: () => [] }))).toEqual(["failed", "PLAN_INVALID"]);
    const at = desk({ plan: (_, change) => (change.type === "started" ? [{ edit: "add", task: work("a") }] : []) });
    at.assign("a");
    expect(at.complete("a")).toEqual(["task.completed", "run.failed"]);
  });

  it("stops on command, with its open tasks, once", () => {
    const at = desk([work("a"), work("b")]);
    at.assign("a");
    expect(at.send({ type: "run.stop", why: "enough", by: "me" })).toEqual(["run.stopped"]);
    expect([at.task("a").status, at.task("b").status]).toEqual(["cancelled", "cancelled"]);
    expect(at.send({ type: "run.stop", why: "enough", by: "me" })).toEqual([]);
    at.check();
  });
});

describe("attempts fence", () => {
  it("gives a task to one worker at a time", () => {
    const at = desk([work("a")]);
    expect(at.assign("a")).toEqual(["tasks.assigned"]);
    expect(at.assign("a")).toEqual([]);
  });

  it("record the result of another attempt as late and do not apply it", () => {
    const at = desk([work("a")]);
    at.assign("a");
    at.release("a", false);
    at.assign("a");
    expect(at.send({ type: "task.complete", task: "a", attempt: 1, output: "old" })).toEqual(["result.late"]);
    expect(at.send({ type: "task.complete", task: "a", attempt: 3, output: "early" })).toEqual(["result.late"]);
    expect([at.task("a").status, at.task("a").attempt, at.state.counts.late]).toEqual(["assigned", 2, 2]);
    at.check();
  });

  it("apply a result once", () => {
    const at = desk([work("a"), work("b")]);
    at.assign("a");
    at.complete("a", 1);
    expect(at.send({ type: "task.complete", task: "a", attempt: 1, output: 2 })).toEqual(["result.late"]);
    expect(at.send({ type: "task.fail", task: "a", attempt: 1, error: permanent("no") })).toEqual(["result.late"]);
    expect([at.task("a").output, at.state.status]).toEqual([1, "running"]);
  });

  it("keep steps of another attempt out", () => {
    const at = desk([work("a")]);
    at.assign("a");
    at.release("a", false);
    at.assign("a");
    const step = { phase: "completed" as const, key: "s#0", kind: "tool" as const, name: "s", inputHash: "h" };
    expect(at.send({ type: "step.record", task: "a", attempt: 1, step })).toEqual(["result.late"]);
    expect(at.task("a").steps.size).toBe(0);
  });

  it("record what comes for a task that is not there", () => {
    const at = desk([work("a")]);
    expect(at.send({ type: "task.complete", task: "z", attempt: 1, output: 1 })).toEqual(["result.late"]);
    expect(at.events.at(-1)).toMatchObject({ data: { why: "no such task" } });
  });

  it("record what comes after the end, as what it was", () => {
    const at = desk([work("a")]);
    at.assign("a");
    at.complete("a");
    expect(at.send({ type: "task.complete", task: "a", attempt: 1, output: 1 })).toEqual(["result.late"]);
    expect(at.send({ type: "late.record", task: "a", attempt: 1, what: "result", why: "no lease" })).toEqual([
      "result.late",
    ]);
    expect(at.events.at(-1)).toMatchObject({ data: { what: "result" } });
    expect(at.state.status).toBe("completed");
    at.check();
  });

  it("say nothing about a release that is out of date", () => {
    const at = desk([work("a")]);
    at.assign("a");
    at.complete("a");
    expect(at.release("a", true)).toEqual([]);
  });
});

describe("F1, F2: retries", () => {
  it("come after the delay, as many as the policy allows", () => {
    const at = desk([work("a")], { retry: { attemptsMax: 3 } });
    at.assign("a");
    expect(at.fail("a", transient("busy"))).toEqual(["task.retried"]);
    expect([at.task("a").status, at.task("a").readyAt]).toEqual(["delayed", 2_000]);
    at.assign("a");
    at.fail("a", transient("busy"));
    expect(at.task("a").readyAt).toBe(3_000);
    at.assign("a");
    expect(at.fail("a", transient("busy"))).toContain("task.failed");
    at.check();
  });

  it("are not made for a permanent error", () => {
    const at = desk([work("a")]);
    at.assign("a");
    expect(at.fail("a", permanent("no"))).toContain("task.failed");
  });

  it("do not count attempts that ended with their worker", () => {
    const at = desk([work("a")], { retry: { attemptsMax: 2 } });
    for (let death = 0; death < 10; death++) {
      at.assign("a");
      at.release("a", false);
    }
    at.assign("a");
    expect(at.fail("a", transient("busy"))).toEqual(["task.retried"]);
    expect(at.task("a").attempt).toBe(11);
    at.check();
  });
});

describe("F6: a task whose process dies", () => {
  it("is convicted by the deaths that it died alone, not by those that it shared", () => {
    const at = desk([work("a")]);
    for (let death = 1; death < CRASHES_SHARED + CRASHES_ALONE_MAX; death++) {
      at.assign("a");
      expect(at.release("a", true)).toEqual(["task.released"]);
    }
    at.assign("a");
    expect(at.release("a", true).slice(0, 2)).toEqual(["task.released", "task.failed"]);
    expect(at.task("a").error?.code).toBe("AGENT_CONVICTED");
    at.check();
  });

  it("is not convicted while it finishes steps between deaths", () => {
    const at = desk([work("a")]);
    for (let death = 1; death <= 3 * (CRASHES_SHARED + CRASHES_ALONE_MAX); death++) {
      at.assign("a");
      at.step("a", { phase: "completed", key: `s#${death}` });
      expect(at.release("a", true)).toEqual(["task.released"]);
    }
    at.check();
  });

  it("is not convicted by releases that are nobody's fault", () => {
    const at = desk([work("a")]);
    for (let times = 0; times < 10; times++) {
      at.assign("a");
      at.release("a", false);
    }
    expect([at.task("a").status, at.task("a").crashes]).toEqual(["ready", 0]);
  });
});

describe("F13: a write between intent and outcome", () => {
  const intend = (settle: "person" | "retry" | "check") => {
    const at = desk([work("a")]);
    at.assign("a");
    at.step("a", { phase: "started", key: "pay#0", settle, idempotencyKey: "k" });
    return at;
  };

  it("blocks the task until a person says what happened", () => {
    const at = intend("person");
    expect(at.release("a", true)).toEqual(["step.unknown", "task.released"]);
    expect(at.task("a").status).toBe("blocked");
    expect(at.assign("a")).toEqual([]);
    expect(
      at.send({
        type: "step.settle",
        task: "a",
        key: "pay#0",
        outcome: "done",
        output: "paid",
        by: "me",
        note: "saw it",
      }),
    ).toEqual(["step.settled"]);
    expect(at.task("a").status).toBe("ready");
    expect(at.task("a").steps.get("pay#0")).toMatchObject({ status: "settled", outcome: "done", output: "paid" });
    at.check();
  });

  it("is settled once", () => {
    const at = intend("person");
    at.release("a", false);
    const settle = { type: "step.settle", task: "a", key: "pay#0", outcome: "not-done", by: "me", note: "" } as const;
    expect(at.send(settle)).toEqual(["step.settled"]);
    expect(at.send(settle)).toEqual([]);
  });

  it.each(["retry", "check"] as const)("leaves the task to the tool when it settles by %s", (settle) => {
    const at = intend(settle);
    at.release("a", false);
    expect([at.task("a").status, at.task("a").steps.get("pay#0")?.status]).toEqual(["ready", "unknown"]);
    at.assign("a");
    expect(at.step("a", { phase: "completed", key: "pay#0", output: "paid" })).toEqual(["step.completed"]);
    at.check();
  });

  it("asks the person first even when the task failed for good", () => {
    const at = intend("person");
    expect(at.fail("a", permanent("crashed"))).toEqual(["step.unknown", "task.retried"]);
    expect(at.task("a").status).toBe("blocked");
  });

  it("does not convict a suspect before its write is settled", () => {
    const at = intend("person");
    for (const key of ["pay#0", "pay#1", "pay#2", "pay#3", "pay#4"]) {
      at.release("a", true);
      at.send({ type: "step.settle", task: "a", key, outcome: "not-done", by: "me", note: "" });
      at.assign("a");
      at.step("a", {
        phase: "started",
        key: `pay#${Number(key.slice(-1)) + 1}`,
        settle: "person",
        idempotencyKey: key,
      });
    }
    expect(at.release("a", true)).toEqual(["step.unknown", "task.released"]);
    expect(at.task("a").status).toBe("blocked");
  });
});

describe("F8: steps", () => {
  it("are recorded once", () => {
    const at = desk([work("a")]);
    at.assign("a");
    expect(at.step("a", { phase: "completed", key: "s#0", output: 1 })).toEqual(["step.completed"]);
    expect(at.step("a", { phase: "completed", key: "s#0", output: 2 })).toEqual([]);
    expect(at.step("a", { phase: "started", key: "s#0" })).toEqual([]);
    expect(at.task("a").steps.get("s#0")?.output).toBe(1);
    expect(at.state.usage.steps).toBe(1);
    at.check();
  });

  it("are kept for the next attempt", () => {
    const at = desk([work("a")]);
    at.assign("a");
    at.step("a", { phase: "completed", key: "s#0", output: 1 });
    at.release("a", false);
    expect(at.task("a").steps.get("s#0")?.output).toBe(1);
  });
});

describe("waiting", () => {
  it("holds no attempt, and ends with its timer", () => {
    const at = desk([work("a")]);
    at.assign("a");
    expect(at.send({ type: "task.suspend", task: "a", attempt: 1, wakeAt: 5_000 })).toEqual(["task.suspended"]);
    expect(at.send({ type: "timer.fire", name: "wake/a" })).toEqual([]);
    at.now = 5_000;
    expect(at.send({ type: "timer.fire", name: "wake/a" })).toEqual(["task.woken"]);
    expect(at.send({ type: "timer.fire", name: "wake/a" })).toEqual([]);
    at.assign("a");
    expect(at.task("a").tries).toBe(1);
    at.check();
  });
});

describe("F10: limits", () => {
  it("stop a run that makes too many steps", () => {
    const at = desk([work("a")], { limits: { stepsMax: 1 } });
    at.assign("a");
    expect(at.step("a", { phase: "completed", key: "s#0" })).toEqual(["step.completed"]);
    expect(at.step("a", { phase: "completed", key: "s#1" })).toEqual(["step.completed", "run.failed"]);
    expect(codeOf(at)).toEqual(["failed", "LIMIT_STEPS"]);
    at.check();
  });

  it("stop a run that uses too many tokens, or too much money; failed calls count", () => {
    const tokens = desk([work("a")], { limits: { tokensMax: 10 } });
    tokens.assign("a");
    tokens.step("a", { phase: "failed", key: "m#0", usage: usage(11), error: transient("cut") });
    expect(codeOf(tokens)).toEqual(["failed", "LIMIT_TOKENS"]);
    const money = desk([work("a")], { limits: { costMicroUsdMax: 10 } });
    money.assign("a");
    money.step("a", { phase: "completed", key: "m#0", usage: usage(1, 10) });
    money.step("a", { phase: "completed", key: "m#1", usage: usage(1, null) });
    expect(money.state.usage).toMatchObject({ costMicroUsd: 10, unpriced: 1 });
    money.step("a", { phase: "completed", key: "m#2", usage: usage(1, 1) });
    expect(codeOf(money)).toEqual(["failed", "LIMIT_COST"]);
  });

  it("stop a run at its limit of time", () => {
    const at = desk([work("a")], { limits: { timeMs: 50 } });
    expect(at.send({ type: "timer.fire", name: "deadline" })).toEqual(["run.failed"]);
    expect(codeOf(at)).toEqual(["failed", "LIMIT_TIME"]);
  });

  it("fail a task that waited longer than its time to live", () => {
    const at = desk([work("a")], { limits: { queueMs: 0 } });
    expect(at.send({ type: "task.expire", task: "a" }).slice(0, 2)).toEqual(["task.expired", "task.failed"]);
    expect(at.task("a").error?.code).toBe("TASK_EXPIRED");
    const early = desk([work("a")], { limits: { queueMs: 1_000 } });
    expect(early.send({ type: "task.expire", task: "a" })).toEqual([]);
    const taken = desk([work("a")], { limits: { queueMs: 0 } });
    taken.assign("a");
    expect(taken.send({ type: "task.expire", task: "a" })).toEqual([]);
  });

  it("refuse a plan with too many tasks, and add none of it", () => {
    const at = desk([work("a"), work("b")], { limits: { tasksMax: 1 } });
    expect(codeOf(at)).toEqual(["failed", "LIMIT_TASKS"]);
    expect(at.state.tasks.size).toBe(0);
  });

  it("refuse groups nested too deep", () => {
    const at = desk(
      {
        plan: (_, change) => (change.type === "started" ? [{ edit: "add", task: { id: "g", agent: "x" } }] : []),
        bind: (_, task) => ({ members: [{ id: `${task.id}/0`, agent: "x" }] }),
      },
      { limits: { depthMax: 3 } },
    );
    expect(codeOf(at)).toEqual(["failed", "LIMIT_DEPTH"]);
    expect([...at.state.tasks.keys()]).toEqual(["g", "g/0", "g/0/0", "g/0/0/0"]);
  });
});

describe("C1: the graph", () => {
  it("refuses a cycle that is added later, and prints it", () => {
    const at = desk({
      plan: (_, change) =>
        change.type === "started"
          ? [{ edit: "add", task: work("a") }]
          : [
              { edit: "add", task: work("b", { needs: ["a", "c"] }) },
              { edit: "add", task: work("c", { needs: ["b"] }) },
            ],
    });
    at.assign("a");
    at.complete("a");
    expect(at.state.error).toMatchObject({ code: "CYCLE", message: expect.stringContaining("b → c → b") });
    at.check();
  });

  it("adds a task once, however often it is said", () => {
    const at = desk([work("a"), work("a"), work("b", { needs: ["a"] })]);
    expect(at.state.tasks.size).toBe(2);
  });

  it("skips what can no longer start, along any chain", () => {
    const at = desk([
      work("a"),
      work("b", { needs: ["a"] }),
      work("c", { needs: ["b"] }),
      work("d", { needs: [{ task: "c", on: "settled" }] }),
    ]);
    at.assign("a");
    expect(at.fail("a", permanent("no"))).toEqual(["task.failed", "task.skipped", "task.skipped"]);
    expect(["b", "c", "d"].map((id) => at.task(id).status)).toEqual(["skipped", "skipped", "ready"]);
    at.check();
  });

  it("cancels what the planner takes back, and what needed it", () => {
    const at = desk({
      plan: (view, change) => {
        if (change.type === "started")
          return [work("a"), work("b"), work("c", { needs: ["b"] })].map((task) => ({ edit: "add", task }));
        if (change.task.id === "a") return [{ edit: "cancel", task: "b", why: "not wanted" }];
        return view.open === 0 ? [{ edit: "finish", output: null }] : [];
      },
    });
    at.assign("b");
    at.assign("a");
    at.complete("a");
    expect(["b", "c"].map((id) => at.task(id).status)).toEqual(["cancelled", "skipped"]);
    expect(at.state.status).toBe("completed");
    at.check();
  });
});

describe("groups", () => {
  const group = (more: object = {}) => ({ id: "g", kind: "group" as const, ...more });

  it("complete with the list of their members' outputs, in order", () => {
    const at = desk([group(), work("a", { group: "g" }), work("b", { group: "g" }), work("c", { needs: ["g"] })]);
    for (const id of ["b", "a"]) {
      at.assign(id);
      at.complete(id, id);
    }
    expect(at.task("g")).toMatchObject({ status: "completed", output: ["a", "b"] });
    expect(at.task("c").status).toBe("ready");
    at.check();
  });

  it("fail with their first failed member, after all have settled", () => {
    const at = desk([group(), work("a", { group: "g" }), work("b", { group: "g" })]);
    at.assign("a");
    at.fail("a", permanent("no"));
    expect(at.task("g").status).toBe("open");
    at.assign("b");
    at.complete("b");
    expect(at.task("g")).toMatchObject({ status: "failed", error: { message: "no" } });
    at.check();
  });

  it("do not complete before their own needs are met", () => {
    const at = desk([work("n"), group({ needs: ["n"] }), work("a", { group: "g" })]);
    at.assign("a");
    at.complete("a");
    expect(at.task("g").status).not.toBe("completed");
    at.assign("n");
    at.complete("n");
    expect(at.task("g").status).toBe("completed");
    at.check();
  });

  it("refuse a member that waits for its own group, since neither would ever end", () => {
    expect(codeOf(desk([group(), work("a", { group: "g", needs: ["g"] })]))).toEqual(["failed", "CYCLE"]);
    expect(codeOf(desk([group(), work("b", { needs: ["g"] }), work("a", { group: "g", needs: ["b"] })]))).toEqual([
      "failed",
      "CYCLE",
    ]);
  });

  it("refuse a later member that waits for its own group", () => {
    const at = desk({
      plan: (_, change) =>
        change.type === "started"
          ? [group(), work("a", { group: "g" }), work("z", { needs: ["g"] })].map((task) => ({ edit: "add", task }))
          : [{ edit: "add", task: work("b", { group: "g", needs: ["z"] }) }],
    });
    at.assign("a");
    at.complete("a");
    expect(at.state.status).toBe("failed");
  });

  it("take their members with them when they are skipped", () => {
    const at = desk([work("n"), group({ needs: ["n"] }), work("a", { group: "g" }), work("z")]);
    at.assign("a");
    at.assign("n");
    expect(at.fail("n", permanent("no"))).toEqual(["task.failed", "task.skipped", "task.cancelled"]);
    expect([at.task("g").status, at.task("a").status]).toEqual(["skipped", "cancelled"]);
    at.check();
  });

  it("may come after their members in one revision, nested as deep as the run allows", () => {
    const nested = [work("a", { group: "h" }), group({ id: "h", group: "g" }), group()];
    const at = desk(nested);
    at.assign("a");
    at.complete("a", 1);
    expect(at.task("g")).toMatchObject({ status: "completed", output: [[1]] });
    expect(codeOf(desk(nested, { limits: { depthMax: 1 } }))).toEqual(["failed", "LIMIT_DEPTH"]);
  });

  it("take members only while they are open", () => {
    const at = desk({
      plan: (_, change) =>
        change.type === "started"
          ? [{ edit: "add", task: work("a") }]
          : [{ edit: "add", task: work("b", { group: "a" }) }],
    });
    at.assign("a");
    at.complete("a");
    expect(codeOf(at)).toEqual(["failed", "PLAN_INVALID"]);
  });

  it("take their members with them when they are cancelled", () => {
    const at = desk({
      plan: (view, change) => {
        if (change.type === "started")
          return [group(), work("a", { group: "g" }), work("n")].map((task) => ({ edit: "add", task }));
        if (change.task.id === "n") return [{ edit: "cancel", task: "g", why: "not wanted" }];
        return view.open === 0 ? [{ edit: "finish", output: null }] : [];
      },
    });
    at.assign("a");
    at.assign("n");
    at.complete("n");
    expect([at.task("a").status, at.state.status]).toEqual(["cancelled", "completed"]);
    at.check();
  });
});
