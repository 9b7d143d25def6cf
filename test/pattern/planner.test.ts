import { describe, expect, it } from "vitest";
import type { Json } from "../../src/core/json.ts";
import { plannerPattern } from "../../src/pattern/planner.ts";
import type { ErrorRecord } from "../../src/error.ts";
import { permanent, run, type Scenario } from "./engine.ts";

const task = (id: string, more: object = {}) => ({ id, agent: "a", instruction: `do ${id}`, ...more });
type Answers = Record<string, Json | { error: ErrorRecord }>;

/** Tasks answer as listed by their ids; work that is not listed is done, the planner concludes with what it was given. */
const script =
  (answers: Answers): Scenario["script"] =>
  ({ id, input }) => {
    const answer = answers[id];
    if (answer !== null && typeof answer === "object" && "error" in answer) return answer as { error: ErrorRecord };
    return { output: answer ?? (id === "conclude" ? (input as { results: Json }).results : `${id} done`) };
  };
const plan = (tasks: object[], answers: Answers = {}, options: object = {}, rest: Partial<Scenario> = {}) =>
  run({
    pattern: plannerPattern,
    options: { planner: "p", workers: ["a", "b"], ...options },
    input: "build",
    script: script({ "plan/1": { tasks } as Json, ...answers }),
    ...rest,
  });
const fails = { error: permanent("it broke") };
const revisions = ({ events }: ReturnType<typeof run>) =>
  events.flatMap(({ type, data }) => (type === "plan.revised" && data.why.startsWith("revision") ? [data] : []));

describe("C4: the plan", () => {
  it("becomes a task graph whose workers get the results that they need", () => {
    const outline = plan([task("x"), task("y", { agent: "b" }), task("z", { needs: ["x", "y"] })]);
    expect(outline.started).toEqual(["plan/1", "do/x/1", "do/y/1", "do/z/1", "conclude"]);
    expect(outline.inputs.get("do/z/1")).toEqual({
      instruction: "do z",
      results: { x: "do/x/1 done", y: "do/y/1 done" },
    });
    expect(outline.state.output).toMatchObject([
      { id: "x", result: "do/x/1 done" },
      { id: "y" },
      { id: "z", agent: "a" },
    ]);
  });

  it("is made against what the workers can do, and what is left to spend", () => {
    const profiles = { a: { tools: ["search"], domains: ["law"], taskTypes: [], tokensMax: 50 } };
    const { inputs } = plan([task("x")], {}, {}, { profiles, limits: { tokensMax: 90, tasksMax: 7 } });
    expect(inputs.get("plan/1")).toMatchObject({
      act: "plan",
      request: "build",
      workers: [
        { name: "a", description: "what a does", tools: ["search"], domains: ["law"], tokensMax: 50 },
        { name: "b", description: "what b does" },
      ],
      limits: { tasksMax: 32, tasksLeft: 7, tokensLeft: 90 },
    });
  });

  it.each<[string, Json, RegExp]>([
    ["no form", "a plan", /expected object/],
    ["no such worker", { tasks: [task("x", { agent: "z" })] }, /tasks.0.agent/],
    ["an unknown need", { tasks: [task("x", { needs: ["y"] })] }, /needs y, which the plan does not hold/],
    [
      "a cycle",
      { tasks: [task("x", { needs: ["y"] }), task("y", { needs: ["x"] })] },
      /cycle: x → y → x|cycle: y → x → y/,
    ],
    ["an id twice", { tasks: [task("x"), task("x")] }, /two tasks have the id x/],
    [
      "a missing capability",
      { tasks: [task("x", { requires: { tools: ["send"] } })] },
      /requires tools send, which a does not have/,
    ],
    ["a task beyond its agent", { tasks: [task("x", { tokens: 60 })] }, /may need 60 tokens; a has 50/],
    [
      "no budget",
      { tasks: [task("x", { tokens: 50 }), task("y", { tokens: 50 })] },
      /may need 100 tokens; the run has 90 left/,
    ],
    ["too many tasks", { tasks: [task("x"), task("y"), task("z"), task("w")] }, /4 tasks; at most 3/],
    ["a wrong expectation", { tasks: [task("x", { expect: "outptu" })] }, /expects is no expression/],
  ])("with %s is asked for again with the problem, and nothing of it runs", (_, first, problem) => {
    const profiles = { a: { tools: [], domains: [], taskTypes: [], tokensMax: 50 } };
    const outline = plan(
      [],
      { "plan/1": first, "plan/2": { tasks: [task("fine")] } },
      { tasksMax: 3 },
      { profiles, limits: { tokensMax: 90 } },
    );
    expect(outline.started).toEqual(["plan/1", "plan/2", "do/fine/1", "conclude"]);
    const again = outline.inputs.get("plan/2") as { problems: string[]; previous: Json };
    expect(again.problems.join()).toMatch(problem);
    expect(again.previous).toEqual(first);
  });

  it("that stays wrong fails the run", () => {
    const wrong = { tasks: [task("x", { needs: ["y"] })] };
    const { state, started } = plan([], { "plan/1": wrong, "plan/2": wrong, "plan/3": wrong });
    expect([started.length, state.error?.code]).toEqual([3, "PLAN_INVALID"]);
  });
});

describe("C5: revision", () => {
  const xyz = [task("x"), task("y"), task("z", { needs: ["x", "y"] })];

  it("replaces what failed and what waits for it, and keeps what is finished", () => {
    const patch = { why: "b is better at it", replace: [task("x", { agent: "b" })] };
    const outline = plan(xyz, { "do/x/1": fails, "revise/1/1": patch });
    expect(outline.started).toEqual(["plan/1", "do/x/1", "do/y/1", "revise/1/1", "do/x/2", "do/z/2", "conclude"]);
    expect(outline.inputs.get("revise/1/1")).toMatchObject({
      act: "revise",
      because: [{ task: "x", kind: "failure", why: "AGENT_FAILED: it broke" }],
      plan: [{ id: "x", state: "deviates" }, { id: "y", state: "open" }, { id: "z" }],
      revision: 1,
    });
    expect(revisions(outline)).toEqual([
      {
        add: [expect.objectContaining({ task: "do/x/2", agent: "b" }), expect.objectContaining({ task: "do/z/2" })],
        cancel: [{ task: "do/z/1", why: "superseded by revision 1" }],
        why: "revision 1: b is better at it (x failure: AGENT_FAILED: it broke)",
      },
    ]);
    expect(outline.inputs.get("do/z/2")).toMatchObject({ results: { x: "do/x/2 done", y: "do/y/1 done" } });
  });

  it("adds and cancels tasks; those that are running too", () => {
    const patch = { why: "another way", cancel: ["x", "y", "z"], add: [task("w")] };
    // The patch comes before y ends.
    const picks = [0, 0, 1];
    const { state, started } = plan(
      xyz,
      { "do/x/1": fails, "revise/1/1": patch },
      {},
      { pick: () => picks.shift() ?? 0 },
    );
    expect(state.tasks.get("do/y/1")?.status).toBe("cancelled");
    expect(started.slice(-2)).toEqual(["do/w/1", "conclude"]);
    expect(state.output).toMatchObject([{ id: "w" }]);
  });

  it("comes of a result that is not what was expected, by the plan, the workflow or a reviewer", () => {
    const redo = { why: "wrong", replace: [task("x", { expect: "output == 'good'" })] };
    const answers = { "do/x/1": "bad", "do/x/2": "good", "revise/1/1": redo };
    const byPlan = plan([task("x", { expect: "output == 'good'" })], answers);
    expect(byPlan.inputs.get("revise/1/1")).toMatchObject({
      because: [{ kind: "unexpected", why: "not output == 'good'" }],
    });
    expect(plan([task("x")], answers, { expect: "output == 'good'" }).state.output).toMatchObject([{ result: "good" }]);
    const reviewed = plan(
      [task("x")],
      { ...answers, "review/x/1": { expected: false, why: "too short" }, "review/x/2": { expected: true } },
      { reviewer: "r" },
    );
    expect(reviewed.started).toEqual([
      "plan/1",
      "do/x/1",
      "review/x/1",
      "revise/1/1",
      "do/x/2",
      "review/x/2",
      "conclude",
    ]);
    expect(reviewed.inputs.get("revise/1/1")).toMatchObject({ because: [{ why: "too short" }] });
  });

  it("comes of an objection, thrown or said", () => {
    const thrown = { error: { code: "OBJECTION", class: "business" as const, message: "there is no x" } };
    const patch = { why: "she is right", cancel: ["x"], add: [task("v")] };
    for (const answer of [thrown, { objection: "there is no x" }]) {
      const outline = plan([task("x")], { "do/x/1": answer, "revise/1/1": patch });
      expect(outline.inputs.get("revise/1/1")).toMatchObject({
        because: [{ task: "x", kind: "objection", why: "there is no x" }],
      });
      expect(outline.state.output).toMatchObject([{ id: "v" }]);
    }
  });

  it("may accept what was not expected, and go on", () => {
    const patch = { why: "good enough", accept: ["x"] };
    const outline = plan(
      [task("x"), task("y", { needs: ["x"] })],
      { "do/x/1": 3, "revise/1/1": patch },
      { expect: "output != 3" },
    );
    expect(outline.started).toEqual(["plan/1", "do/x/1", "revise/1/1", "do/y/1", "conclude"]);
  });

  it.each<[string, object, RegExp]>([
    ["says nothing of what went wrong", { why: "?" }, /nothing is said of task x \(failure\)/],
    [
      "redoes finished work",
      { why: "?", replace: [task("x"), task("y")] },
      /task y is finished, and finished work is kept/,
    ],
    ["cancels finished work", { why: "?", cancel: ["x", "y", "z"] }, /task y is finished/],
    ["leaves a need behind", { why: "?", cancel: ["x"] }, /task z needs x, which the plan does not hold/],
    ["accepts a failure", { why: "?", accept: ["x"] }, /task x has no result/],
    ["names what is not there", { why: "?", cancel: ["x", "z", "q"] }, /the plan holds no task q/],
    ["makes a cycle", { why: "?", replace: [task("x", { needs: ["z"] })] }, /cycle/],
    ["takes an old id", { why: "?", replace: [task("x")], add: [task("y")] }, /there was a task y before/],
    ["has no form", { replace: "x" }, /why/],
  ])("that %s is asked for again, and nothing of it is done", (_, patch, problem) => {
    const answers = {
      "do/x/1": fails,
      "revise/1/1": patch as Json,
      "revise/1/2": { why: "now", replace: [task("x")] },
    };
    // y ends first, so that it is finished when x fails.
    const { inputs, state, started } = plan(xyz, answers, {}, { pick: (count) => count - 1 });
    expect((inputs.get("revise/1/2") as { problems: string[] }).problems.join("\n")).toMatch(problem);
    expect(started.filter((id) => id.startsWith("do/y"))).toEqual(["do/y/1"]);
    expect(state.status).toBe("completed");
  });

  it("happens so often and no more", () => {
    const again = { why: "again", replace: [task("x")] };
    const answers = { "do/x/1": fails, "do/x/2": fails, "do/x/3": fails, "revise/1/1": again, "revise/2/1": again };
    const outline = plan([task("x")], answers, { revisionsMax: 2 });
    expect(outline.state.error).toMatchObject({
      code: "PLAN_FAILED",
      message: expect.stringMatching(/revised 2 times.*it broke/),
    });
    expect(revisions(outline)).toHaveLength(2);
  });

  it("takes up what went wrong while the last one was made", () => {
    const answers = {
      "do/x/1": fails,
      "do/y/1": fails,
      "revise/1/1": { why: "first x", replace: [task("x")] },
      "revise/2/1": { why: "then y", replace: [task("y")] },
    };
    const { state, inputs } = plan(xyz, answers);
    expect(inputs.get("revise/1/1")).toMatchObject({ because: [{ task: "x" }] });
    expect(inputs.get("revise/2/1")).toMatchObject({ because: [{ task: "y" }] });
    expect(state.output).toMatchObject([{ result: "do/x/2 done" }, { result: "do/y/2 done" }, { id: "z" }]);
  });

  it("may give up, with the reason", () => {
    const { state } = plan([task("x")], { "do/x/1": fails, "revise/1/1": { why: "it cannot be done", giveUp: true } });
    expect(state.error).toMatchObject({
      code: "PLAN_FAILED",
      message: "the planner gives up: it cannot be done (x failure: AGENT_FAILED: it broke)",
    });
  });
});

it("fails with its planner", () => {
  expect(plan([], { "plan/1": fails }).state.error?.message).toBe("it broke");
  expect(plan([task("x")], { conclude: fails }).state.error?.message).toBe("it broke");
  expect(plan([task("x")], { "do/x/1": fails, "revise/1/1": fails }).state.error?.message).toBe("it broke");
});

it.each([
  [{ workers: [] }, ["workers"]],
  [{ expect: "outptu" }, ["expect"]],
  [{ revisionsMax: -1 }, ["revisionsMax"]],
])("refuses %j", (options, path) => {
  const { error } = plannerPattern.options.safeParse({ planner: "p", workers: ["a"], ...options });
  expect(error?.issues.map((issue) => issue.path)).toEqual([path]);
});
