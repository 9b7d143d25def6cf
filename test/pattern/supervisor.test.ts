import { describe, expect, it } from "vitest";
import type { Json } from "../../src/core/json.ts";
import { supervisorPattern } from "../../src/pattern/supervisor.ts";
import { type Outcome, permanent, run } from "./engine.ts";

const PLAN: Json = {
  tasks: [
    { id: "find", agent: "reader", instruction: "find it" },
    { id: "write", agent: "writer", instruction: "write it", needs: ["find"] },
  ],
};

/** Answers by task id; else plans PLAN, accepts everything, works by saying so, and concludes with what it was given. */
function supervise(answers: Record<string, Json | Outcome> = {}, options: object = {}) {
  return run({
    pattern: supervisorPattern,
    options: { lead: "lead", workers: ["reader", "writer"], ...options },
    input: { topic: "tides" },
    agents: ["lead", "reader", "writer"],
    script: ({ id, input }) => {
      const answer = answers[id];
      if (answer !== undefined) return isOutcome(answer) ? answer : { output: answer };
      if (id.startsWith("plan/")) return { output: PLAN };
      if (id.startsWith("review/")) return { output: { verdict: "accept" } };
      return { output: id === "synthesise" ? input : `result of ${id}` };
    },
  });
}

function isOutcome(answer: Json | Outcome): answer is Outcome {
  return typeof answer === "object" && answer !== null && "error" in answer;
}

const retry = { verdict: "retry", feedback: "too short" };
const failed = { error: permanent("worker broke") };

it("plans, delegates, reviews each result and synthesises", () => {
  const { state, started, inputs } = supervise();
  expect(started).toEqual(["plan/1", "work/find/1", "review/find/1", "work/write/1", "review/write/1", "synthesise"]);
  expect(inputs.get("plan/1")).toMatchObject({
    act: "plan",
    request: { topic: "tides" },
    workers: [
      { name: "reader", description: "what reader does" },
      { name: "writer", description: "what writer does" },
    ],
  });
  expect(inputs.get("work/write/1")).toEqual({ instruction: "write it", results: { find: "result of work/find/1" } });
  expect(inputs.get("review/find/1")).toMatchObject({
    act: "review",
    task: { id: "find", agent: "reader" },
    round: 1,
    result: "result of work/find/1",
  });
  expect(state.output).toMatchObject({
    act: "synthesise",
    results: [
      { id: "find", accepted: true, result: "result of work/find/1" },
      { id: "write", accepted: true, result: "result of work/write/1" },
    ],
  });
});

it("asks for plans and reviews in schemas of their own, for the result in the lead's", () => {
  const { state } = supervise();
  expect(state.tasks.get("plan/1")?.outputSchema).toMatchObject({
    type: "object",
    required: ["tasks"],
    properties: {
      tasks: { items: { properties: { agent: { enum: ["reader", "writer"] } }, additionalProperties: false } },
    },
  });
  expect(state.tasks.get("review/find/1")?.outputSchema).toMatchObject({
    properties: { verdict: { enum: ["accept", "retry", "reassign"] } },
  });
  expect(state.tasks.get("synthesise")?.outputSchema).toBeNull();
});

it("runs tasks without open needs in parallel", () => {
  const plan = { tasks: ["a", "b", "c"].map((id) => ({ id, agent: "reader", instruction: id })) };
  expect(supervise({ "plan/1": plan }).started.slice(1, 4)).toEqual(["work/a/1", "work/b/1", "work/c/1"]);
});

describe("C4: an invalid plan", () => {
  it("goes back to the lead with its problems before any of it runs", () => {
    const { state, started, inputs } = supervise({
      "plan/1": {
        tasks: [
          { id: "a", agent: "reader", instruction: "x", needs: ["b"] },
          { id: "b", agent: "reader", instruction: "x", needs: ["a"] },
        ],
      },
    });
    expect(started.slice(0, 3)).toEqual(["plan/1", "plan/2", "work/find/1"]);
    expect(inputs.get("plan/2")).toMatchObject({
      problems: ["tasks need each other in a cycle: a → b → a"],
      previous: { tasks: [{ id: "a" }, { id: "b" }] },
    });
    expect(state.status).toBe("completed");
  });

  it.each<[Json, string]>([
    ["no plan", "Invalid input"],
    [{ tasks: [] }, "tasks: "],
    [{ tasks: [{ id: "a", agent: "nobody", instruction: "x" }] }, "tasks.0.agent: "],
    [
      { tasks: [{ id: "a", agent: "reader", instruction: "x", needs: ["z"] }] },
      "task a needs z, which the plan does not hold",
    ],
    [{ tasks: [1, 2].map(() => ({ id: "a", agent: "reader", instruction: "x" })) }, "two tasks have the id a"],
    [
      { tasks: ["a", "b", "c"].map((id) => ({ id, agent: "reader", instruction: "x" })) },
      "the plan has 3 tasks; at most 2 are allowed",
    ],
  ])("%j fails the run when it stays invalid", (plan, problem) => {
    const { state, started } = supervise({ "plan/1": plan, "plan/2": plan, "plan/3": plan }, { tasksMax: 2 });
    expect(started).toEqual(["plan/1", "plan/2", "plan/3"]);
    expect(state.error).toMatchObject({ code: "PLAN_INVALID", message: expect.stringContaining(problem) });
  });
});

describe("a review", () => {
  it("sends work back with feedback and the previous result", () => {
    const { inputs, started } = supervise({ "review/find/1": retry });
    expect(started.slice(1, 5)).toEqual(["work/find/1", "review/find/1", "work/find/2", "review/find/2"]);
    expect(inputs.get("work/find/2")).toEqual({
      instruction: "find it",
      results: {},
      feedback: "too short",
      previous: "result of work/find/1",
    });
    expect(inputs.get("work/write/1")).toMatchObject({ results: { find: "result of work/find/2" } });
  });

  it("gives work to the worker that it names", () => {
    const { state } = supervise({ "review/find/1": { verdict: "reassign", agent: "writer" } });
    expect(state.tasks.get("work/find/2")).toMatchObject({
      agent: "writer",
      why: "reassign find from reader to writer",
    });
    expect(state.output).toMatchObject({ results: [{ id: "find", agent: "writer" }, {}] });
  });

  it("gives work to the next worker when it names none", () => {
    expect(supervise({ "review/write/1": { verdict: "reassign" } }).state.tasks.get("work/write/2")?.agent).toBe(
      "reader",
    );
  });

  it("fails the run when a result is not accepted within roundsMax", () => {
    const { state, started } = supervise({ "review/find/1": retry, "review/find/2": retry }, { roundsMax: 2 });
    expect(started.at(-1)).toBe("review/find/2");
    expect(state.error).toMatchObject({
      code: "REVIEW_REJECTED",
      message: "subtask find was not accepted in 2 rounds: too short",
    });
  });

  it("leaves a rejected result to the lead when told so, and starts nothing that needs it", () => {
    const { state, started } = supervise({ "review/find/1": retry }, { roundsMax: 1, onRejected: "synthesise" });
    expect(started).toEqual(["plan/1", "work/find/1", "review/find/1", "synthesise"]);
    expect(state.output).toMatchObject({
      results: [
        { id: "find", accepted: false, result: "result of work/find/1" },
        { id: "write", accepted: false, result: null },
      ],
    });
  });

  it("hears of a worker's failure and can give the work to another", () => {
    const { state, inputs } = supervise({ "work/find/1": failed, "review/find/1": { verdict: "reassign" } });
    expect(inputs.get("review/find/1")).toMatchObject({ result: null, error: { message: "worker broke" } });
    expect(state.status).toBe("completed");
  });

  it("can go on without the result of a worker that failed", () => {
    const { state, inputs } = supervise({ "work/find/1": failed });
    expect(inputs.get("work/write/1")).toMatchObject({ results: { find: null } });
    expect(state.output).toMatchObject({
      results: [{ accepted: true, result: null, error: { message: "worker broke" } }, {}],
    });
  });

  it("of another form fails the run", () => {
    expect(supervise({ "review/find/1": { verdict: "perhaps" } }).state.error).toMatchObject({
      code: "OUTPUT_INVALID",
      message: expect.stringContaining("verdict"),
    });
  });
});

it.each(["plan/1", "review/find/1", "synthesise"])("fails when the lead fails at %s", (id) => {
  const { state } = supervise({ [id]: failed });
  expect([state.status, state.error?.message]).toEqual(["failed", "worker broke"]);
});

it("waits for every review before it concludes, whatever order results come in", () => {
  const plan = { tasks: ["a", "b", "c"].map((id) => ({ id, agent: "reader", instruction: id })) };
  for (const pick of [() => 0, (count: number) => count - 1, (count: number) => count >> 1]) {
    const { started } = run({
      pattern: supervisorPattern,
      options: { lead: "lead", workers: ["reader"] },
      pick,
      script: ({ id }) => ({
        output:
          id === "plan/1" ? plan : id.startsWith("review") ? { verdict: id.endsWith("b/1") ? "retry" : "accept" } : id,
      }),
    });
    expect(started.at(-1)).toBe("synthesise");
    expect(started).toHaveLength(10);
  }
});
