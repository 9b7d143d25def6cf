import { describe, expect, it } from "vitest";
import { coversFact, factsOf, isFactKey } from "../../src/core/fact.ts";
import type { Ask } from "../../src/core/event.ts";
import type { Json } from "../../src/core/json.ts";
import type { Planner } from "../../src/core/planner.ts";
import { permanent } from "../pattern/engine.ts";
import { type Desk, desk, work } from "./desk.ts";

let asked = 0;
/** What an agent's question was answered with. */
function ask(at: Desk, task: string, question: Omit<Ask, "deadline">, value: Json = null): Json {
  const key = `fact#${++asked}`;
  at.step(task, { phase: "asked", key, kind: "fact", input: value, ask: { ...question, deadline: null } });
  const step = at.task(task).steps.get(key);
  return step?.status === "failed" ? (step.error?.code ?? null) : (step?.output ?? null);
}
const read = (at: Desk, task: string, fact: string) => ask(at, task, { ask: "fact.read", fact });
const list = (at: Desk, task: string, fact: string) => ask(at, task, { ask: "fact.list", fact });
const propose = (at: Desk, task: string, fact: string, value: Json, base?: number) =>
  ask(at, task, { ask: "fact.propose", fact, ...(base === undefined ? {} : { base }) }, value);
const set = (at: Desk, fact: string, value: Json, base?: number) =>
  at.send({
    type: "fact.set",
    fact,
    value,
    by: "me",
    why: "it changed",
    until: null,
    ...(base === undefined ? {} : { base }),
  });

/** `a`, then `b` with a's output for its input, then `c` with b's; `z` keeps the run open. */
const chain: Planner = {
  plan: (_, change) =>
    change.type === "started"
      ? [
          { edit: "add", task: work("a") },
          { edit: "add", task: work("z") },
          { edit: "add", task: { id: "b", agent: "x", needs: ["a"] } },
          { edit: "add", task: { id: "c", agent: "x", needs: ["b"] } },
        ]
      : [],
  bind: (view, { id }) => ({ input: { from: view.task(id === "b" ? "a" : "b")?.output ?? null } }),
};

/** Everything is done but `z`; `a` read the fact. */
function done(onCorrection: "flag" | "rerun" = "rerun"): Desk {
  const at = desk(chain, { onCorrection });
  set(at, "city", "Rome");
  at.assign("a");
  read(at, "a", "city");
  at.complete("a", 1);
  at.assign("b");
  at.complete("b", 2);
  at.assign("c");
  at.complete("c", 3);
  return at;
}

describe("S1: facts are committed one at a time", () => {
  it("each a version more than the one before, with who, where, when and why (S4)", () => {
    const at = desk([work("a")]);
    at.assign("a");
    expect(propose(at, "a", "city", "Rome")).toEqual({ version: 1 });
    expect(propose(at, "a", "city", "Oslo")).toEqual({ version: 2 });
    expect(at.state.facts.get("city")).toMatchObject([
      { version: 1, value: "Rome", by: "x", task: "a", at: 1_000, until: null },
      { version: 2, value: "Oslo" },
    ]);
    expect(factsOf(at.state, 1_000)).toEqual({ city: { version: 2, value: "Oslo", by: "x", at: 1_000 } });
    at.check();
  });

  it("on the version that the proposer saw: who comes second is told of both", () => {
    const at = desk([work("a"), work("b")]);
    at.assign("a");
    at.assign("b");
    expect(propose(at, "a", "city", "Rome")).toEqual({ version: 1 });
    expect(propose(at, "b", "city", "Oslo")).toBe("FACT_CONFLICT");
    const refused = [...at.task("b").steps.values()].at(-1)?.error;
    expect(refused?.details).toMatchObject({ base: 0, yours: "Oslo", current: { version: 1, value: "Rome", by: "x" } });
    expect(at.events.at(-1)?.type).toBe("step.failed");
    expect(at.events.at(-2)).toMatchObject({ type: "fact.conflicted", payload: { value: "Oslo" } });
    expect(propose(at, "b", "city", "Oslo", 1)).toEqual({ version: 2 });
    at.check();
  });

  it("each of which is a step of the run, whose limit of steps holds (F10)", () => {
    const at = desk([work("a")], { limits: { stepsMax: 5 } });
    at.assign("a");
    for (let i = 0; i < 6 && at.state.status === "running"; i++) propose(at, "a", "city", i);
    expect([at.state.status, at.state.error?.code]).toEqual(["failed", "LIMIT_STEPS"]);
    at.check();
  });

  it("what says nothing new is no new version", () => {
    const at = desk([work("a")]);
    expect(set(at, "city", { name: "Rome", size: 1 })).toEqual(["fact.committed"]);
    expect(set(at, "city", { size: 1, name: "Rome" })).toEqual([]);
    expect(set(at, "city", "Oslo", 7)).toEqual(["fact.conflicted"]);
    at.check();
  });

  it("only by those who may", () => {
    const at = desk([{ id: "a", agent: "stranger", input: null }]);
    at.assign("a");
    expect(read(at, "a", "city")).toBe("FACT_NOT_GRANTED");
    expect(propose(at, "a", "city", 1)).toBe("FACT_NOT_GRANTED");
    at.check();
  });

  it("under keys that are keys", () => {
    expect(["a", "a.b-c._1"].every(isFactKey)).toBe(true);
    expect(["", ".", "a.", "a..b", "a b", "*", "a.*", "x".repeat(201)].some(isFactKey)).toBe(false);
    expect([coversFact("a.*", "a.b"), coversFact("a.*", "a.b.c"), coversFact("*", "q"), coversFact("a", "a")]).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect([coversFact("a.*", "a"), coversFact("a.*", "ab.c"), coversFact("a", "a.b")]).toEqual([false, false, false]);
  });
});

describe("S2: a task sees one snapshot", () => {
  it("of when it was first given out, and what it set itself", () => {
    const at = desk([work("a")], { onCorrection: "flag" });
    set(at, "city", "Rome");
    at.assign("a");
    set(at, "city", "Oslo");
    set(at, "river", "Tiber");
    expect(read(at, "a", "city")).toMatchObject({ version: 1, value: "Rome" });
    expect(read(at, "a", "river")).toEqual({ version: 0 });
    expect(list(at, "a", "*")).toMatchObject({ city: { value: "Rome" } });
    expect(propose(at, "a", "sea", "blue")).toEqual({ version: 1 });
    expect(read(at, "a", "sea")).toMatchObject({ value: "blue" });
    at.check();
  });

  it("and one that read what was corrected since is flagged, or done anew", () => {
    for (const [policy, status] of [
      ["flag", "assigned"],
      ["rerun", "ready"],
    ] as const) {
      const at = desk([work("a")], { onCorrection: policy });
      set(at, "city", "Rome");
      at.assign("a");
      set(at, "city", "Oslo");
      expect(read(at, "a", "city")).toEqual(policy === "flag" ? expect.objectContaining({ value: "Rome" }) : null);
      expect(at.events.some(({ type }) => type === "fact.stale")).toBe(true);
      expect(at.task("a").status).toBe(status);
      at.check();
    }
  });

  it("in which what holds no longer is absent", () => {
    const at = desk([work("a"), work("b")]);
    at.send({ type: "fact.set", fact: "city", value: "Rome", by: "me", why: "", until: 2_000 });
    at.assign("a");
    expect(read(at, "a", "city")).toMatchObject({ value: "Rome" });
    at.now = 2_000;
    at.assign("b");
    expect(read(at, "b", "city")).toEqual({ version: 0 });
    expect(factsOf(at.state, at.now)).toEqual({});
    at.check();
  });
});

describe("C10: a correction finds what rests on the old version", () => {
  it("and flags it", () => {
    const at = done("flag");
    expect(set(at, "city", "Oslo")).toEqual(["fact.committed", "fact.stale"]);
    expect(at.events.at(-1)?.data).toMatchObject({ task: "a", fact: "city", read: 1, version: 2, action: "flagged" });
    at.check();
  });

  it("and does it anew, with all that follows from another outcome", () => {
    const at = done();
    expect(set(at, "city", "Oslo")).toEqual(["fact.committed", "fact.stale", "task.reopened"]);
    expect(at.task("a").status).toBe("ready");
    at.assign("a");
    expect(read(at, "a", "city")).toMatchObject({ value: "Oslo" });
    expect(at.complete("a", 10)).toEqual(["task.completed", "task.reopened"]);
    expect(at.task("b")).toMatchObject({ status: "ready", input: { from: 10 } });
    at.assign("b");
    expect(at.complete("b", 20)).toEqual(["task.completed", "task.reopened"]);
    expect(at.task("c").input).toEqual({ from: 20 });
    at.check();
  });

  it("until an outcome is the same: work whose input did not change is not redone", () => {
    const at = done();
    set(at, "city", "Oslo");
    at.assign("a");
    expect(at.complete("a", 10)).toEqual(["task.completed", "task.reopened"]);
    at.assign("b");
    expect(at.complete("b", 2)).toEqual(["task.completed"]);
    expect(at.task("c").status).toBe("completed");
    at.check();
  });

  it("also what is under way, what read that there was none, and what read a prefix", () => {
    const at = desk([work("a"), work("b"), work("c")]);
    for (const task of ["a", "b", "c"]) at.assign(task);
    expect(read(at, "a", "city.name")).toEqual({ version: 0 });
    expect(list(at, "b", "city.*")).toEqual({});
    expect(read(at, "c", "town")).toEqual({ version: 0 });
    set(at, "city.name", "Oslo");
    expect(["a", "b", "c"].map((id) => at.task(id).status)).toEqual(["ready", "ready", "assigned"]);
    at.check();
  });

  it("not what wrote to the outside: that is never repeated silently (F13)", () => {
    const at = done();
    at.assign("z");
    read(at, "z", "city");
    at.step("z", { phase: "started", key: "pay#1" });
    at.step("z", { phase: "completed", key: "pay#1" });
    const events = set(at, "city", "Oslo");
    expect(events.filter((type) => type === "task.reopened")).toHaveLength(1);
    expect(at.events.findLast(({ type }) => type === "fact.stale")?.data).toMatchObject({
      task: "z",
      action: "flagged",
      why: "it wrote to the outside, which is never repeated silently",
    });
    at.check();
  });

  it("not the task that made it", () => {
    const at = desk([work("a")]);
    at.assign("a");
    read(at, "a", "count");
    expect(propose(at, "a", "count", 1)).toEqual({ version: 1 });
    expect(at.task("a").status).toBe("assigned");
    at.check();
  });

  it("and what is done anew and fails takes with it what went on from its old outcome", () => {
    const fresh = desk(chain);
    fresh.assign("a");
    read(fresh, "a", "city");
    fresh.complete("a", 1);
    fresh.assign("b");
    set(fresh, "city", "Oslo");
    fresh.assign("a");
    expect(fresh.fail("a", permanent("no"))).toEqual(["task.failed", "task.skipped", "task.skipped"]);
    expect([fresh.task("b").status, fresh.task("c").status]).toEqual(["skipped", "skipped"]);
    fresh.check();
  });

  it("nor one that set the fact itself, so that counters count", () => {
    const at = desk([work("a"), work("b")]);
    for (const task of ["a", "b"]) at.assign(task);
    expect(ask(at, "a", { ask: "fact.read", fact: "count", peek: true })).toEqual({ version: 0 });
    expect(read(at, "b", "count")).toEqual({ version: 0 });
    expect(propose(at, "b", "count", 1, 0)).toEqual({ version: 1 });
    expect(propose(at, "a", "count", 1, 0)).toBe("FACT_CONFLICT");
    expect(propose(at, "a", "count", 2, 1)).toEqual({ version: 2 });
    expect(at.events.filter(({ type }) => type === "fact.stale")).toEqual([]);
    at.check();
  });

  it("and those that correct each other come to an end (F10)", () => {
    const at = desk([work("a"), work("b")]);
    let turns = 0;
    for (let value = 0; turns < 100 && at.state.tasks.get("a")?.status !== "completed"; value++) {
      for (const [own, other] of [
        ["a", "b"],
        ["b", "a"],
      ] as const) {
        if (at.task(own).status === "ready") at.assign(own);
        if (at.task(own).status !== "assigned") continue;
        turns++;
        read(at, own, `of.${other}`);
        if (at.task(own).status === "assigned") propose(at, own, `of.${own}`, value);
      }
      if (at.task("a").reruns >= 10 && at.task("a").status === "assigned") at.complete("a", 1);
    }
    expect(at.task("a").status).toBe("completed");
    expect(at.task("a").reruns).toBeLessThanOrEqual(10);
    at.check();
  });

  it("while others wait for it: they go on waiting until it is done anew", () => {
    const at = desk(chain);
    at.assign("a");
    read(at, "a", "city");
    at.complete("a", 1);
    at.assign("b");
    set(at, "city", "Oslo");
    expect([at.task("a").status, at.task("b").status, at.task("c").status]).toEqual(["ready", "assigned", "waiting"]);
    at.complete("b", 2);
    at.assign("a");
    expect(at.complete("a", 5)).toEqual(["task.completed", "task.reopened"]);
    expect(at.task("b").input).toEqual({ from: 5 });
    at.check();
  });
});
