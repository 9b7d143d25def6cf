import { expect, it } from "vitest";
import { debatePattern } from "../../src/pattern/debate.ts";
import { permanent, run, type Scenario } from "./engine.ts";

const answer: Scenario["script"] = ({ id, input }) => ({ output: id === "judge" ? input : `answer of ${id}` });
const failing =
  (...ids: string[]): Scenario["script"] =>
  (task) =>
    ids.includes(task.id) ? { error: permanent(`${task.id} fails`) } : answer(task);
const debate = (options: object, script = answer) =>
  run({ pattern: debatePattern, options: { debaters: ["a", "b"], judge: "j", ...options }, input: "why?", script });

it("asks all debaters on their own, then the judge, whose output is the run's", () => {
  const { state, started, inputs } = debate({});
  expect(started).toEqual(["a/1", "b/1", "judge"]);
  expect(inputs.get("a/1")).toEqual({ question: "why?", round: 1, rounds: 1 });
  expect(state.output).toEqual({
    question: "why?",
    answers: [
      { debater: "a", answer: "answer of a/1", earlier: [] },
      { debater: "b", answer: "answer of b/1", earlier: [] },
    ],
    failed: [],
  });
});

it("shows each debater the others' answers in later rounds", () => {
  const { started, inputs, state } = debate({ rounds: 2 });
  expect(started).toEqual(["a/1", "b/1", "a/2", "b/2", "judge"]);
  expect(inputs.get("b/2")).toEqual({
    question: "why?",
    round: 2,
    rounds: 2,
    own: "answer of b/1",
    others: [{ debater: "a", answer: "answer of a/1" }],
  });
  expect(state.output).toMatchObject({ answers: [{ earlier: ["answer of a/1"] }, { earlier: ["answer of b/1"] }] });
});

it("gives both sides of a question to one agent", () => {
  const debaters = [
    { agent: "a", side: "pool" },
    { agent: "a", side: "disk" },
  ];
  const { started, inputs, state } = debate({ debaters });
  expect(started).toEqual(["a/1", "a-2/1", "judge"]);
  expect(inputs.get("a-2/1")).toMatchObject({ side: "disk" });
  expect(state.output).toMatchObject({
    answers: [
      { debater: "a", side: "pool" },
      { debater: "a-2", side: "disk" },
    ],
  });
});

it("fails with a debater when no failure is tolerated", () => {
  const { state, started } = debate({}, failing("a/1"));
  expect([state.status, state.error?.message]).toEqual(["failed", "a/1 fails"]);
  expect(started).not.toContain("judge");
});

it("goes on without a debater that failed when that is tolerated, and tells the judge", () => {
  const { state, started } = debate({ debaters: ["a", "b", "c"], rounds: 3, tolerate: 1 }, failing("b/2"));
  expect(started.filter((id) => id.startsWith("b/"))).toEqual(["b/1", "b/2"]);
  expect(state.tasks.get("b/3")?.status).toBe("skipped");
  expect(state.output).toMatchObject({ answers: [{ debater: "a" }, { debater: "c" }], failed: ["b"] });
});

it("fails when more debaters fail than are tolerated", () => {
  const { state } = debate({ debaters: ["a", "b", "c"], rounds: 2, tolerate: 1 }, failing("b/1", "c/2"));
  expect([state.status, state.error?.message]).toEqual(["failed", "c/2 fails"]);
});

it("fails with its judge", () => {
  expect(debate({}, failing("judge")).state.error?.message).toBe("judge fails");
});

it.each([
  [{ debaters: ["a"] }, ["debaters"]],
  [{ tolerate: 2 }, ["tolerate"]],
  [{ debaters: ["a", { agent: "b", id: "a" }] }, ["debaters", 1]],
])("refuses %j", (options, path) => {
  const { error } = debatePattern.options.safeParse({ debaters: ["a", "b"], judge: "j", ...options });
  expect(error?.issues.map((issue) => issue.path)).toEqual([path]);
});
