import { describe, expect, it } from "vitest";
import type { Planner } from "../../src/core/planner.ts";
import { permanent, transient } from "../pattern/engine.ts";
import { type Desk, desk, work } from "./desk.ts";

const WINDOW_MS = 1_000;
const reuse = { x: WINDOW_MS };
const usage = { inputTokens: 7, outputTokens: 3, costMicroUsd: 40, simulated: false };

/** Asks a model, and ends. */
function answer(at: Desk, task: string, output: string): string[] {
  at.step(task, { phase: "completed", key: "m#1", kind: "model", output: "", usage });
  return at.complete(task, output);
}

/** `a`, then `b`, which needs it, with the same input; `z` keeps the run open. */
const later: Planner = {
  plan: (_, { type }) =>
    type === "started"
      ? [work("a", { input: { n: 1 } }), work("b", { needs: ["a", "t"], input: { n: 1 } }), gate, keeper].map(
          (task) => ({
            edit: "add" as const,
            task,
          }),
        )
      : [],
};
const gate = work("t", { agent: "other" });
const keeper = work("z", { agent: "other" });

/** `a` is done and read the fact; `b` is ready when `t` is. */
function afterReading(how: "fact.read" | "fact.list", fact: string): Desk {
  const at = desk(later, { reuse });
  at.assign("a");
  at.step("a", { phase: "asked", key: "f#1", kind: "fact", ask: { ask: how, fact, deadline: null } });
  at.complete("a", "first");
  at.assign("t");
  return at;
}

const correct = (at: Desk, fact: string, value: string) =>
  at.send({ type: "fact.set", fact, value, by: "me", why: "it changed", until: null });

describe("C11: the same task is not done twice at the same time", () => {
  it("who comes second waits for the result of the first, which costs nothing more (K3)", () => {
    const at = desk([work("a", { input: { k: 1, n: 2 } }), work("b", { input: { n: 2, k: 1 } })], { reuse });
    expect(at.task("b")).toMatchObject({ status: "suspended", follows: true });
    expect(at.assign("b")).toEqual([]);
    at.assign("a");
    expect(answer(at, "a", "done")).toEqual(["task.completed", "task.reused", "task.completed", "run.completed"]);
    expect(at.task("b")).toMatchObject({ status: "completed", output: "done", attempt: 0 });
    expect(at.events.find(({ type }) => type === "task.reused")?.data).toEqual({
      from: { run: "r-1", task: "a" },
      saved: { costMicroUsd: 40, tokens: 10 },
      task: "b",
    });
    expect(at.state.usage).toMatchObject({ steps: 1, inputTokens: 7, outputTokens: 3, costMicroUsd: 40 });
    expect(
      [...at.state.money.spend.values()].map(({ calls, costMicroUsd, savedMicroUsd }) => [
        calls,
        costMicroUsd,
        savedMicroUsd,
      ]),
    ).toEqual([
      [1, 40, 0],
      [0, 0, 40],
    ]);
    at.check();
  });

  it("another input, another agent and agents that do not declare it are done each for itself", () => {
    const others = [
      work("b", { input: 1 }),
      work("c", { agent: "y" }),
      work("d", { agent: "z" }),
      work("e", { agent: "z" }),
    ];
    const at = desk([work("a"), ...others], { reuse: { ...reuse, y: WINDOW_MS } });
    expect(["a", "b", "c", "d", "e"].map((id) => at.task(id).status)).toEqual(Array(5).fill("ready"));
    at.check();
  });

  it("a retry of the first is still the first; when it fails for good the next does the work, and the rest wait for that one", () => {
    const at = desk([work("a"), work("b"), work("c")], { reuse, retry: { attemptsMax: 2 } });
    at.assign("a");
    at.fail("a", transient("busy"));
    expect(at.task("b").status).toBe("suspended");
    at.assign("a");
    expect(at.fail("a", permanent("no"))).toEqual(["task.failed", "task.woken"]);
    expect(["b", "c"].map((id) => at.task(id).status)).toEqual(["ready", "suspended"]);
    at.assign("b");
    at.complete("b", 2);
    expect(at.task("c")).toMatchObject({ status: "completed", output: 2 });
    at.check();
  });

  it("a first that is cancelled leaves its work to the next, also when both are of one revision", () => {
    const planner: Planner = {
      plan: (_, { type }) =>
        type === "started"
          ? [work("a"), work("b"), work("g", { agent: "other" })].map((task) => ({ edit: "add" as const, task }))
          : [
              { edit: "add", task: work("c") },
              { edit: "cancel", task: "a", why: "not needed" },
            ],
    };
    const at = desk(planner, { reuse });
    at.assign("g");
    at.complete("g");
    expect(["a", "b", "c"].map((id) => at.task(id).status)).toEqual(["cancelled", "ready", "suspended"]);
    at.check();
  });

  it("what a person makes of the first is not the agent's result: the next does the work", () => {
    const escalation = { x: { deadlineMs: null, onDeadline: "fail" as const, to: [] } };
    const at = desk([work("a"), work("b")], { reuse, escalation });
    at.assign("a");
    at.fail("a", permanent("no"));
    expect(at.task("b").status).toBe("suspended");
    at.send({
      type: "escalation.decide",
      task: "a",
      attempt: 1,
      choice: "edit",
      agent: null,
      output: "mine",
      by: "me",
      note: "",
    });
    expect(at.task("a")).toMatchObject({ status: "completed", output: "mine" });
    expect(at.task("b").status).toBe("ready");
    at.check();
  });

  it("a first that wrote to the outside is not taken over", () => {
    const at = desk([work("a"), work("b")], { reuse });
    at.assign("a");
    at.step("a", { phase: "started", key: "w#1", kind: "effect" });
    at.step("a", { phase: "completed", key: "w#1", kind: "effect", output: 1 });
    expect(at.complete("a")).toEqual(["task.completed", "task.woken"]);
    expect(at.task("b").status).toBe("ready");
    at.check();
  });
});

describe("K3: a finished result is reused within the window", () => {
  const readyAfter = (ms: number) => {
    const at = desk(later, { reuse });
    at.assign("a");
    at.complete("a", "first");
    at.assign("t");
    at.now += ms;
    at.complete("t");
    at.check();
    return at.task("b");
  };

  it("up to its last millisecond, and not after", () => {
    expect(readyAfter(WINDOW_MS)).toMatchObject({ status: "completed", output: "first" });
    expect(readyAfter(WINDOW_MS + 1).status).toBe("ready");
  });

  it.each([
    ["fact.read", "city", "city"],
    ["fact.list", "a.*", "a.b"],
  ] as const)("not when a fact that its task read with %s was corrected since (C10)", (how, read, fact) => {
    const same = afterReading(how, read);
    same.complete("t");
    expect(same.task("b").status).toBe("completed");
    same.check();

    const at = desk(later, { reuse, onCorrection: "flag" });
    at.assign("a");
    at.step("a", { phase: "asked", key: "f#1", kind: "fact", ask: { ask: how, fact: read, deadline: null } });
    at.complete("a", "first");
    at.assign("t");
    correct(at, fact, "Oslo");
    at.complete("t");
    expect(at.task("b").status).toBe("ready");
    at.check();
  });

  it("a correction finds whoever took the result over, and both are done anew as one (C10)", () => {
    const at = afterReading("fact.read", "city");
    at.complete("t");
    correct(at, "city", "Oslo");
    expect(["a", "b"].map((id) => at.task(id).status)).toEqual(["ready", "suspended"]);
    at.assign("a");
    at.complete("a", "second");
    expect(at.task("b")).toMatchObject({ status: "completed", output: "second" });
    at.check();
  });

  it("a fork takes over nothing that was done before it (F11)", () => {
    const at = desk(later, { reuse });
    at.assign("a");
    at.complete("a", "first");
    const effects = { default: "stub", tools: {} } as const;
    at.send({ type: "run.fork", from: "r-0", at: 4, changed: ["x"], changes: [], effects, stubs: {}, by: "me" });
    at.assign("t");
    at.complete("t");
    expect(at.task("b").status).toBe("ready");
    at.check();
  });
});
