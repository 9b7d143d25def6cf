import { describe, expect, it } from "vitest";
import { DEADLINE_TIMER } from "../../src/core/decide.ts";
import { emptyFleet, evolveFleet, holdsInForce } from "../../src/core/fleet-state.ts";
import { type Hold, heldMs, holdOn, lineOf, unionMs } from "../../src/core/hold.ts";
import { type Desk, desk, work } from "./desk.ts";

const hold = (scope: Hold["scope"], name: string | null, at = 1_000, liftedAt: number | null = null): Hold => ({
  scope,
  name,
  why: "why",
  by: "me",
  kill: false,
  at,
  liftedAt,
});
const pause = (at: Desk) => at.send({ type: "run.pause", why: "looking", by: "me" });
const resume = (at: Desk) => at.send({ type: "run.resume", why: "", by: "me" });

describe("X5: a run is paused", () => {
  it("and what was with workers is taken back, which counts as no try", () => {
    const at = desk([work("a"), work("b")]);
    at.assign("a");
    expect(pause(at)).toEqual(["run.paused", "task.released"]);
    expect(at.task("a")).toMatchObject({ status: "ready", tries: 0, attempt: 1 });
    expect(at.state.hold).toEqual({ why: "looking", by: "me", at: 1_000 });
    at.check();
  });

  it("and nothing of it is given out until it is resumed", () => {
    const at = desk([work("a")]);
    pause(at);
    expect(at.assign("a")).toEqual([]);
    expect(resume(at)).toEqual(["run.resumed"]);
    expect(at.assign("a")).toEqual(["tasks.assigned"]);
    at.check();
  });

  it("and a write that was under way is an open question, as after a crash", () => {
    const at = desk([work("a")]);
    at.assign("a");
    at.step("a", { phase: "started", key: "pay#1", idempotencyKey: "k", settle: "check" });
    expect(pause(at)).toEqual(["run.paused", "step.unknown", "task.released"]);
    at.check();
  });

  it("once: the first reason stands, and what is not paused is not resumed", () => {
    const at = desk([work("a")]);
    expect(resume(at)).toEqual([]);
    pause(at);
    expect(at.send({ type: "run.pause", why: "another", by: "you" })).toEqual([]);
    expect(at.state.hold?.why).toBe("looking");
    resume(at);
    expect(resume(at)).toEqual([]);
  });

  it("not after its end", () => {
    const at = desk([work("a")]);
    at.send({ type: "run.stop", why: "enough", by: "me" });
    expect(pause(at)).toEqual([]);
  });

  it("and can be stopped meanwhile", () => {
    const at = desk([work("a")]);
    pause(at);
    expect(at.send({ type: "run.stop", why: "enough", by: "me" })).toEqual(["run.stopped"]);
    at.check();
  });

  it("and its limit of time does not count that", () => {
    const at = desk([work("a")], { limits: { timeMs: 10_000 } });
    at.now = 5_000;
    pause(at);
    at.now = 100_000;
    expect(at.send({ type: "timer.fire", name: DEADLINE_TIMER })).toEqual([]);
    resume(at);
    at.now = 105_999;
    expect(at.send({ type: "timer.fire", name: DEADLINE_TIMER })).toEqual([]);
    at.now = 106_000;
    expect(at.send({ type: "timer.fire", name: DEADLINE_TIMER })).toEqual(["run.failed"]);
    expect(at.state.error?.code).toBe("LIMIT_TIME");
  });

  it("nor does the time that a task may wait for a worker", () => {
    const at = desk([work("a")], { limits: { queueMs: 100 } });
    pause(at);
    at.now = 2_000;
    expect(at.send({ type: "task.expire", task: "a" })).toEqual([]);
    resume(at);
    at.now = 2_099;
    expect(at.send({ type: "task.expire", task: "a" })).toEqual([]);
    at.now = 2_100;
    expect(at.send({ type: "task.expire", task: "a" })).toContain("task.failed");
  });
});

describe("X5: holds of the fleet's journal", () => {
  const placed = (scope: Hold["scope"], name: string | null, at = 1) => ({
    type: "hold.placed" as const,
    at,
    data: { scope, name, why: "why", by: "me", kill: false },
  });
  const lifted = (scope: Hold["scope"], name: string | null, at = 2) => ({
    type: "hold.lifted" as const,
    at,
    data: { scope, name, why: "", by: "me" },
  });

  it("are in force from their event to the one that lifts them, each scope on its own", () => {
    const state = emptyFleet();
    for (const event of [placed("agent", "x"), placed("fleet", null), lifted("agent", "x")]) evolveFleet(state, event);
    expect(holdsInForce(state).map(({ scope }) => scope)).toEqual(["fleet"]);
    expect(state.epoch).toBe(3);
  });

  it("and saying so twice changes nothing", () => {
    const state = emptyFleet();
    for (const event of [placed("agent", "x"), placed("agent", "x", 9), lifted("agent", "x"), lifted("agent", "x", 9)])
      evolveFleet(state, event);
    expect(state).toMatchObject({ epoch: 2, holds: [hold("agent", "x", 1, 2)] });
  });

  it("are forgotten, the oldest first, when they were lifted and are many; never one in force", () => {
    const state = emptyFleet();
    evolveFleet(state, placed("workflow", "kept"));
    for (let n = 0; n < 1_100; n++) {
      evolveFleet(state, placed("agent", `a${n}`));
      evolveFleet(state, lifted("agent", `a${n}`));
    }
    expect(state.holds.length).toBeLessThanOrEqual(1_002);
    expect(holdsInForce(state).map(({ name }) => name)).toEqual(["kept"]);
  });

  it("cover the runs of a workflow, everything, or an agent with what it asked others for", () => {
    const at = desk([work("a", { agent: "lead" }), work("c", { agent: "other" })]);
    at.assign("a");
    const ask = { ask: "call", agent: "clerk", deadline: null } as const;
    at.step("a", { phase: "asked", key: "call clerk#1", kind: "call", input: 1, ask });
    const asked = at.task("a/call clerk#1");
    expect(lineOf(at.state, asked)).toEqual(["clerk", "lead"]);
    const onAsked = (one: Hold) => holdOn([one], at.state, asked) !== null;
    const onOther = (one: Hold) => holdOn([one], at.state, at.task("c")) !== null;
    expect([hold("agent", "lead"), hold("agent", "clerk"), hold("agent", "other")].map(onAsked)).toEqual([
      true,
      true,
      false,
    ]);
    expect([hold("workflow", "w"), hold("workflow", "v"), hold("fleet", null)].map(onOther)).toEqual([
      true,
      false,
      true,
    ]);
    expect(onOther(hold("agent", "lead"))).toBe(false);
    expect(onAsked(hold("agent", "lead", 1, 2))).toBe(false);
  });

  it("stop the clock of a run while they last, overlapping ones once", () => {
    const { state } = desk([work("a")]);
    const holds = [hold("fleet", null, 10, 30), hold("workflow", "w", 20, 40), hold("workflow", "v", 0, 99)];
    expect(heldMs(holds, state, null, 0, 100)).toBe(30);
    expect(heldMs([...holds, hold("fleet", null, 90)], state, null, 0, 100)).toBe(40);
  });
});

it("time that stretches cover is counted once", () => {
  expect(unionMs([], 0, 10)).toBe(0);
  expect(unionMs([{ from: 2, to: 4 }], 3, 10)).toBe(1);
  expect(
    unionMs(
      [
        { from: 0, to: 5 },
        { from: 1, to: 2 },
        { from: 4, to: 6 },
        { from: 8, to: null },
      ],
      0,
      10,
    ),
  ).toBe(8);
});
