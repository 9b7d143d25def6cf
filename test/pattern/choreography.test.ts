import { describe, expect, it } from "vitest";
import type { Json } from "../../src/core/json.ts";
import { agent, choreography, fleet } from "../../src/index.ts";
import { choreographyPattern } from "../../src/pattern/choreography.ts";
import { permanent, run, type Scenario } from "./engine.ts";

const echo: Scenario["script"] = ({ id }) => ({ output: `did ${id}` });
const dance = (options: object, input: Json, script = echo, rest: Partial<Scenario> = {}) =>
  run({ pattern: choreographyPattern, options, input, script, ...rest });
const problems = (options: object): string[] => {
  const { error } = choreographyPattern.options.safeParse(options);
  return (error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);
};

describe("C3: choreography", () => {
  it("lets agents react to what happens, and ends when nothing is open", () => {
    const rules = [
      { on: "started", agent: "intake" },
      { on: "completed", when: 'event.agent == "intake"', agent: "billing", input: { of: "${ event.output }" } },
      { on: "completed", when: 'event.rule == "intake"', id: "ship", agent: "depot", priority: "HIGH" },
    ];
    const outline = dance({ rules }, { order: 7 });
    expect(outline.started).toEqual(["intake/1", "billing/2", "ship/3"]);
    expect([...outline.inputs.values()]).toEqual([{ order: 7 }, { of: "did intake/1" }, "did intake/1"]);
    expect(outline.state.tasks.get("ship/3")).toMatchObject({ priority: 1, why: "intake/1 completed" });
    expect(outline.state.output).toEqual({
      ended: "quiescence",
      done: [
        { task: "intake/1", rule: "intake", agent: "intake", output: "did intake/1" },
        { task: "billing/2", rule: "billing", agent: "billing", output: "did billing/2" },
        { task: "ship/3", rule: "ship", agent: "depot", output: "did ship/3" },
      ],
      failed: [],
      dropped: 0,
      open: 0,
    });
  });

  it("also to failures; one to which nobody reacts fails the run, unless it is to go on", () => {
    const rules = [
      { on: "started", agent: "a" },
      { on: "failed", when: 'event.error.code == "AGENT_FAILED" && event.agent == "a"', agent: "b" },
    ];
    const fails: Scenario["script"] = () => ({ error: permanent("no") });
    const broken = dance({ rules }, null, fails);
    expect(broken.started).toEqual(["a/1", "b/2"]);
    expect([broken.state.status, broken.state.error?.message]).toEqual(["failed", "no"]);
    const patient = dance({ rules, onFailed: "continue" }, null, fails);
    expect(patient.state.output).toMatchObject({ ended: "quiescence", failed: [{ rule: "a" }, { rule: "b" }] });
  });

  it("F10: ends at its goal, and agents that set each other off end at the limit", () => {
    const rules = [
      { on: "started", id: "first", agent: "ping" },
      { on: "completed", when: 'event.agent == "ping"', agent: "pong" },
      { on: "completed", when: 'event.agent == "pong"', agent: "ping" },
    ];
    const endless = dance({ rules, reactionsMax: 5 }, null);
    expect(endless.started).toHaveLength(5);
    expect(endless.state.output).toMatchObject({ ended: "limit", dropped: 1 });
    const goal = 'done.size() >= 3 && event.agent == "ping"';
    const ended = dance({ rules, goal, result: "${ log.ended }" }, null);
    expect([ended.started.length, ended.state.output]).toEqual([3, "goal"]);
  });

  it("ends at once when no rule applies to the start, and names an expression that has no value", () => {
    const idle = dance({ rules: [{ on: "started", when: "input.urgent", agent: "a" }] }, {});
    expect(idle.state.output).toMatchObject({ ended: "quiescence", done: [] });
    const lost = dance({ rules: [{ on: "started", agent: "a", input: "${ input.nowhere }" }] }, {});
    expect(lost.state.error).toMatchObject({ code: "EXPRESSION_FAILED" });
  });

  it("refuses what could never work, with its place", () => {
    expect(problems({ rules: [{ on: "completed", agent: "a" }] })).toEqual([
      "rules: no rule reacts to `started`, so nothing ever happens",
    ]);
    const [wrong] = problems({ rules: [{ on: "started", when: "evnt.x", agent: "a" }] });
    expect(wrong).toContain("rules.0.when: ");
    const twice = [
      { on: "started", id: "x", agent: "a" },
      { on: "failed", id: "x", agent: "b" },
    ];
    expect(problems({ rules: twice })[0]).toContain('rules.1: is called "x"');
    expect(problems({ rules: [{ on: "heard", agent: "a" }] })[0]).toContain("rules.0.on");
  });
});

it("I1: names agents by value in TypeScript, as by name in YAML", () => {
  const a = agent({ run: () => "a" });
  const react = choreography({ rules: [{ on: "started", agent: a }] });
  const { definition } = fleet({ name: "f", agents: { a }, workflows: { react } });
  expect(definition.workflows.react).toMatchObject({
    pattern: "choreography",
    agents: ["a"],
    options: { rules: [{ on: "started", agent: "a", when: "true" }], reactionsMax: 1_000 },
  });
});
