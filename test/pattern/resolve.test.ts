import { describe, expect, it } from "vitest";
import type { Json } from "../../src/core/json.ts";
import { debatePattern } from "../../src/pattern/debate.ts";
import { graphPattern } from "../../src/pattern/graph.ts";
import { pipelinePattern } from "../../src/pattern/pipeline.ts";
import type { Settlement } from "../../src/pattern/resolve.ts";
import { permanent, run, type Scenario } from "./engine.ts";

type Answers = Record<string, Json | Error>;

/** Each agent answers as listed; in a negotiation as listed under AGENT/ROUND, else it holds. */
const script =
  (answers: Answers): Scenario["script"] =>
  ({ id, agent, input }) => {
    const [, talk, , round] = id.split("/");
    const answer =
      talk === "negotiate" ? (answers[`${agent}/${round}`] ?? { move: "hold", why: "I am right" }) : answers[agent];
    return answer instanceof Error ? { error: permanent(answer.message) } : { output: answer ?? input };
  };

/** A graph in which all are asked, and somebody goes on with the answer. */
function ask(resolve: object, answers: Answers, more: object = {}) {
  const agents = ["a", "b", "c"].slice(0, Object.keys(answers).filter((name) => /^[abc]$/.test(name)).length);
  const outline = run({
    pattern: graphPattern,
    options: { tasks: { which: { agents, resolve, ...more } }, result: "${ tasks.which.output }" },
    input: "?",
    script: script(answers),
  });
  const settlement = outline.state.tasks.get("which/settle")?.output as unknown as Settlement;
  return { ...outline, settlement, output: outline.state.output, error: outline.state.error };
}

describe("C9: by vote", () => {
  it("the answer that most give", () => {
    const { output, settlement, started } = ask({ by: "vote" }, { a: "x", b: "y", c: "x" });
    expect(started).toEqual(["which/answer/a", "which/answer/b", "which/answer/c"]);
    expect(output).toBe("x");
    expect(settlement).toEqual({
      by: "vote",
      answer: "x",
      counts: [
        { claim: "x", sides: ["a", "c"], weight: 2 },
        { claim: "y", sides: ["b"], weight: 1 },
      ],
      tie: null,
      failed: [],
      unweighted: [],
      protocol: [],
      why: "a, c outweigh the others",
    });
  });

  it("agrees on the claim, whatever else the answers say, or on what is declared", () => {
    const said = { a: { claim: 1, why: "so" }, b: { why: "thus", claim: 1 }, c: { claim: 2 } };
    expect(ask({ by: "vote" }, said).output).toEqual({ claim: 1, why: "so" });
    expect(ask({ by: "vote", on: "answer.n % 2" }, { a: { n: 1 }, b: { n: 2 }, c: { n: 4 } }).output).toEqual({ n: 2 });
    expect(ask({ by: "vote" }, { a: { x: 1, y: 2 }, b: { y: 2, x: 1 } }).output).toEqual({ x: 1, y: 2 });
  });

  it("a tie fails, and says between what", () => {
    const { error, settlement } = ask({ by: "vote" }, { a: "x", b: "y" });
    expect(error).toMatchObject({ code: "DISAGREEMENT", message: "which: it is a tie: a (1) against b (1)" });
    expect(settlement.tie).toEqual({ between: ["x", "y"], to: "fail" });
  });

  it("a tie goes to the first, or to the judge, as declared and on record", () => {
    const first = ask({ by: "vote", tie: "first" }, { a: "x", b: "y" });
    expect([first.output, first.settlement.tie]).toEqual(["x", { between: ["x", "y"], to: "first" }]);
    const judged = ask({ by: "vote", tie: "judge", judge: "j" }, { a: "x", b: "y", j: "z" });
    expect([judged.output, judged.settlement.tie?.to]).toEqual(["z", "judge"]);
    expect(judged.started.at(-1)).toBe("which");
    expect(judged.inputs.get("which")).toMatchObject({
      question: "?",
      answers: [{ side: "a", answer: "x" }, { side: "b" }],
      tie: ["x", "y"],
    });
    expect(judged.events.filter(({ type }) => type === "task.routed").map(({ data }) => data)).toEqual([
      { task: "which", agent: "j", why: "the answers are tied" },
    ]);
    expect(ask({ by: "vote", tie: "judge", judge: "j" }, { a: "x", b: "x" }).started).not.toContain("which");
  });

  it("needs more than the declared share", () => {
    const { error } = ask({ by: "vote", share: 0.7 }, { a: "x", b: "x", c: "y" });
    expect(error?.message).toBe("which: a and b (2) has no more than the share 0.7");
  });

  it("goes on without those that fail, down to the quorum", () => {
    const { output, settlement } = ask({ by: "vote" }, { a: new Error("no"), b: "x" });
    expect([output, settlement.failed]).toEqual(["x", ["a"]]);
    const { error } = ask({ by: "vote", quorum: 2 }, { a: new Error("no"), b: "x" });
    expect(error?.message).toBe("which: there are 1 of 2 answers");
    expect(ask({ by: "vote" }, { a: new Error("no"), b: new Error("no") }).error?.code).toBe("DISAGREEMENT");
  });

  it("is not asked where the task is skipped", () => {
    const { state, started } = ask({ by: "vote" }, { a: "x", b: "x" }, { when: "1 == 2" });
    expect(started).toEqual([]);
    expect(state.tasks.get("which")?.status).toBe("skipped");
  });
});

describe("C9: by confidence", () => {
  const sure = (claim: string, confidence: number) => ({ claim, confidence });

  it("the claim with the most confidence behind it", () => {
    const { output, settlement } = ask(
      { by: "confidence" },
      { a: sure("x", 0.9), b: sure("y", 0.4), c: sure("y", 0.3) },
    );
    expect(output).toEqual(sure("x", 0.9));
    expect(settlement.counts.map(({ weight }) => weight)).toEqual([0.9, 0.7]);
  });

  it("adds up to the last digit: 0.1 and 0.2 are as much as 0.3", () => {
    const { error } = ask({ by: "confidence" }, { a: sure("x", 0.1), b: sure("x", 0.2), c: sure("y", 0.3) });
    expect(error?.message).toMatch(/it is a tie/);
  });

  it("an answer that says no number from 0 to 1 weighs nothing, and is named", () => {
    const { output, settlement } = ask({ by: "confidence" }, { a: sure("x", 7), b: "text", c: sure("z", 0.1) });
    expect([output, settlement.unweighted]).toEqual([sure("z", 0.1), ["a", "b"]]);
    const declared = ask(
      { by: "confidence", on: "answer.a", confidence: "answer.p / 100.0" },
      { a: { a: 1, p: 9 }, b: { a: 2, p: 8 } },
    );
    expect(declared.output).toEqual({ a: 1, p: 9 });
  });
});

describe("C9: by judge", () => {
  it("gets all answers, and its output counts", () => {
    const { output, inputs, settlement } = ask({ by: "judge", judge: "j" }, { a: "x", b: new Error("no"), j: "z" });
    expect(output).toBe("z");
    expect(inputs.get("which")).toEqual({ question: "?", answers: [{ side: "a", answer: "x" }], failed: ["b"] });
    expect(settlement.why).toBe("j judges");
  });

  it("fails with its judge", () => {
    expect(ask({ by: "judge", judge: "j" }, { a: "x", b: "y", j: new Error("asleep") }).error?.message).toBe("asleep");
  });
});

describe("C9: by negotiation", () => {
  const talk = { by: "negotiation", roundsMax: 2 };

  it("is not needed where all agree", () => {
    expect(ask(talk, { a: "x", b: "x" }).started).toEqual(["which/answer/a", "which/answer/b"]);
  });

  it("each side sees where the others stand and why, and may concede", () => {
    const said = { claim: "y", evidence: ["line 7"] };
    const { output, inputs, settlement, state } = ask(talk, {
      a: "x",
      b: said,
      "a/1": { move: "concede", to: "b", why: "line 7" },
    });
    expect(inputs.get("which/negotiate/a/1")).toMatchObject({
      act: "negotiate",
      question: "?",
      round: 1,
      rounds: 2,
      own: { answer: "x", evidence: [] },
      others: [{ side: "b", answer: said, evidence: ["line 7"] }],
    });
    expect(state.tasks.get("which/negotiate/a/1")?.outputSchema).toMatchObject({ properties: { to: { enum: ["b"] } } });
    expect(output).toEqual(said);
    expect(settlement.protocol).toEqual([
      { side: "a", round: 1, move: "concede", to: "b", why: "line 7" },
      { side: "b", round: 1, move: "hold", why: "I am right" },
    ]);
  });

  it("may counter, and meet in the middle in a later round", () => {
    const { output, settlement, started } = ask(talk, {
      a: 1,
      b: 3,
      "a/1": { move: "counter", answer: 2, why: "between" },
      "b/2": { move: "concede", to: "a", why: "fair" },
    });
    expect(started.filter((id) => id.includes("negotiate"))).toHaveLength(4);
    expect([output, settlement.protocol.map(({ move }) => move)]).toEqual([2, ["counter", "hold", "hold", "concede"]]);
  });

  it("without agreement in its rounds it is a tie, even where one claim has more sides", () => {
    const { error, settlement, started } = ask(talk, { a: "x", b: "y", c: "x" });
    expect(started.filter((id) => id.includes("negotiate"))).toHaveLength(6);
    expect([error?.code, settlement.tie?.to, settlement.protocol.length]).toEqual(["DISAGREEMENT", "fail", 6]);
    expect(ask({ ...talk, tie: "first" }, { a: "x", b: "y" }).output).toBe("x");
    expect(ask({ ...talk, tie: "judge", judge: "j" }, { a: "x", b: "y", j: "z" }).output).toBe("z");
  });

  it.each<[string, Json | Error]>([
    ["fails", new Error("no")],
    ["says nonsense", "yes"],
    ["counters with nothing", { move: "counter", why: "?" }],
    ["concedes to nobody of three", { move: "concede", to: "z", why: "?" }],
  ])("a side that %s holds", (_, said) => {
    const { settlement } = ask({ ...talk, tie: "first" }, { a: 1, b: 2, c: 3, "a/1": said });
    expect(settlement.protocol[0]).toMatchObject({ side: "a", round: 1, move: "hold" });
  });
});

it("C9: a debate is resolved without a judge", () => {
  const options = { debaters: ["a", "b", "c"], rounds: 2, resolve: { by: "vote" }, tolerate: 1 };
  const debate = (answers: Answers) => run({ pattern: debatePattern, options, input: "?", script: script(answers) });
  expect(debate({ a: "x", b: "y", c: "x" }).state.output).toBe("x");
  expect(debate({ a: "x", b: "y", c: new Error("no") }).state.error?.code).toBe("DISAGREEMENT");
  expect(debate({ a: "x", b: new Error("no"), c: new Error("no") }).state.error?.message).toBe("no");
  const talk = { ...options, resolve: { by: "negotiation" } };
  const { state } = run({
    pattern: debatePattern,
    options: talk,
    input: "?",
    script: script({ a: "x", b: "y", c: "x", "b/1": { move: "concede", to: "a", why: "ok" } }),
  });
  expect(state.output).toBe("x");
});

it("C9: a stage of a pipeline asks several", () => {
  const stages = [
    "first",
    { id: "vote", agents: ["a", { agent: "a", id: "again" }, "b"], resolve: { by: "vote" } },
    "last",
  ];
  const { state, inputs } = run({
    pattern: pipelinePattern,
    options: { stages },
    input: "?",
    script: script({ first: 7, a: "x", b: "y" }),
  });
  expect([inputs.get("vote/answer/again"), state.output]).toEqual([7, "x"]);
});

it("C9: where another task asks for the failure, a disagreement does not end the run", () => {
  const tasks = {
    which: { agents: ["a", "b"], resolve: { by: "vote" } },
    help: { agent: "h", needs: [{ task: "which", on: "failed" }] },
  };
  const { state } = run({ pattern: graphPattern, options: { tasks }, script: script({ a: 1, b: 2, h: "helped" }) });
  expect([state.status, state.output]).toEqual(["completed", "helped"]);
});

it.each([
  [{ agents: ["a", "b"] }, ["tasks", "t", "resolve"]],
  [{ agent: "a", agents: ["a", "b"], resolve: { by: "vote" } }, ["tasks", "t", "agents"]],
  [{ agent: "a", resolve: { by: "vote" } }, ["tasks", "t", "resolve"]],
  [{}, ["tasks", "t", "agent"]],
  [{ agents: ["a", { agent: "b", id: "a" }], resolve: { by: "vote" } }, ["tasks", "t", "agents"]],
  [{ agents: ["a", "b"], forEach: [1], resolve: { by: "vote" } }, ["tasks", "t", "forEach"]],
  [{ agents: ["a", "b"], resolve: { by: "judge" } }, ["tasks", "t", "resolve", "judge"]],
  [{ agents: ["a", "b"], resolve: { by: "vote", tie: "judge" } }, ["tasks", "t", "resolve", "judge"]],
  [{ agents: ["a", "b"], resolve: { by: "vote", on: "anwser" } }, ["tasks", "t", "resolve", "on"]],
  [{ agents: ["a", "b"], resolve: { by: "shouting" } }, ["tasks", "t", "resolve", "by"]],
])("refuses %j", (task, path) => {
  const { error } = graphPattern.options.safeParse({ tasks: { t: task } });
  expect(error?.issues.map((issue) => issue.path)).toEqual([path]);
});

it("refuses a debate with both a judge and a policy, or with neither", () => {
  const problem = (options: object) =>
    debatePattern.options.safeParse({ debaters: ["a", "b"], ...options }).error?.issues[0]?.path;
  expect(problem({})).toEqual(["judge"]);
  expect(problem({ judge: "j", resolve: { by: "vote" } })).toEqual(["judge"]);
});
