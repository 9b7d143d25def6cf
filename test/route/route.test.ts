import { describe, expect, it } from "vitest";
import type { AgentDefinition, RouteDefinition } from "../../src/core/definition.ts";
import type { RouteQuestion } from "../../src/core/route.ts";
import { agentDefinition } from "../../src/definition/agent.ts";
import { type RouteShape, routeDefinition } from "../../src/definition/route.ts";
import { graphPattern } from "../../src/pattern/graph.ts";
import { routerOf } from "../../src/route/route.ts";
import type { z } from "zod";
import { permanent, run, type Scenario } from "../pattern/engine.ts";

type Given = z.output<typeof RouteShape>;

const agent = (tools: string[], capabilities?: AgentDefinition["capabilities"]): AgentDefinition => ({
  ...agentDefinition({ kind: "code", input: null, output: null, capabilities }),
  tools,
});
const agents = {
  anna: agent(["refund"], { domains: ["billing"], taskTypes: ["answer"] }),
  bert: agent(["search"], { domains: ["billing", "tech"], taskTypes: ["answer", "diagnose"] }),
  carl: agent([]),
  triager: agent([]),
};
const routeOf = (given: Partial<Given>): RouteDefinition =>
  routeDefinition({ candidates: ["anna", "bert", "carl"], ...given } as Given, String);
const ask = (given: Partial<Given>, input: RouteQuestion["input"] = {}, rest: Partial<RouteQuestion> = {}) =>
  routerOf("desk", routeOf(given), { agents })({ input, load: () => 0, ...rest });

describe("C6: by rule", () => {
  const intents = [
    { name: "refund", when: "input.amount > 0", to: ["anna"], priority: "HIGH" as const },
    { name: "bug", when: 'input.text.contains("broken")', requires: { taskTypes: ["diagnose"] } },
  ];

  it("the first rule that is true decides who may do it, what they must be able to do, and how urgent it is", () => {
    expect(ask({ intents }, { amount: 3, text: "broken" })).toMatchObject({
      agent: "anna",
      why: "a rule makes it refund; it alone fits",
      priority: 1,
      candidates: [{ agent: "anna", fits: true, load: 0 }],
    });
    expect(ask({ intents }, { text: "it is broken" })).toMatchObject({
      agent: "bert",
      why: "a rule makes it bug; it alone fits",
      candidates: [
        { agent: "anna", fits: false, why: "lacks task type diagnose" },
        { agent: "bert", fits: true },
        { agent: "carl", fits: false, why: "lacks task type diagnose" },
      ],
    });
  });

  it("a rule that speaks of what is not there is not true; one that makes no sense fails the task", () => {
    expect(ask({ intents }, {})).toMatchObject({ agent: "anna", why: expect.stringMatching(/^no rule knows it; /) });
    expect(ask({ intents }, { amount: "three" })).toMatchObject({ fail: { code: "EXPRESSION_FAILED" } });
  });
});

describe("C6: by capability", () => {
  it("tools are those that are granted, domains and task types those that are declared", () => {
    expect(ask({ requires: { tools: ["search"], domains: ["billing"] } })).toMatchObject({
      agent: "bert",
      candidates: [
        { agent: "anna", why: "lacks tool search" },
        { agent: "bert" },
        { agent: "carl", why: "lacks tool search, domain billing" },
      ],
    });
  });

  it("what is required may follow from the task", () => {
    const requires = { domains: ["${ input.area }"], taskTypes: ["${ input.kinds }"] };
    expect(ask({ requires }, { area: "tech", kinds: ["answer", "diagnose"] })).toMatchObject({ agent: "bert" });
    expect(ask({ requires }, { area: 7, kinds: [] })).toMatchObject({ fail: { code: "EXPRESSION_FAILED" } });
    expect(ask({ requires }, {})).toMatchObject({ fail: { code: "EXPRESSION_FAILED" } });
  });

  it("when nobody fits the task fails and says what each lacks, unless somebody does what is left", () => {
    const requires = { domains: ["law"] };
    expect(ask({ requires })).toMatchObject({
      fail: { code: "ROUTE_NONE", message: expect.stringContaining("bert lacks domain law") },
    });
    expect(ask({ requires, otherwise: "carl" })).toMatchObject({
      agent: "carl",
      why: "nobody fits, and it does what is left",
    });
  });
});

describe("C6: by load", () => {
  it("the least loaded of those that fit, the first of equals", () => {
    const loads: Record<string, number> = { anna: 2, bert: 1, carl: 1 };
    expect(ask({}, {}, { load: (name) => loads[name] ?? 0 })).toMatchObject({
      agent: "bert",
      why: "it has the fewest open tasks of those that fit, 1",
      candidates: [{ load: 2 }, { load: 1 }, { load: 1 }],
    });
  });
});

describe("C6: by classifier", () => {
  const given = {
    intents: [
      { name: "refund", description: "Wants money back", when: "input.amount > 0" },
      { name: "bug", description: "Something is broken", to: ["bert"] },
    ],
    classifier: "triager",
    confidenceMin: 0.6,
  };
  const said = (output: RouteQuestion["input"]) => ask(given, { text: "?" }, { classified: { output } });

  it("is asked only where no rule decides", () => {
    expect(ask(given, { amount: 1 })).toMatchObject({ agent: "anna" });
    expect(ask(given, { text: "?" })).toMatchObject({
      classify: {
        agent: "triager",
        input: {
          request: { text: "?" },
          intents: [
            { name: "refund", description: "Wants money back" },
            { name: "bug", description: "Something is broken" },
          ],
        },
        output: { properties: { intent: { enum: ["refund", "bug", "none"] } } },
      },
    });
  });

  it.each([
    [{ intent: "bug", why: "a crash" }, "bert", "triager makes it bug (a crash); it alone fits"],
    [{ intent: "bug", confidence: 0.5 }, "anna", /^triager makes it bug with 0.5, less than 0.6; /],
    [{ intent: "none" }, "anna", /^triager says none; /],
    [{ intent: "boat" }, "anna", /^triager says none; /],
    ["bug", "anna", /another form/],
    [null, "anna", /another form/],
  ])("%j goes to %s", (output, name, why) => {
    expect(said(output)).toMatchObject({
      agent: name,
      why: typeof why === "string" ? why : expect.stringMatching(why),
    });
  });

  it("that fails leaves it to what agents can do", () => {
    const choice = ask(given, {}, { classified: { error: permanent("no model") } });
    expect(choice).toMatchObject({ agent: "anna", why: expect.stringMatching(/^triager failed: no model; /) });
  });
});

describe("C6: a route in a seat", () => {
  const routes = {
    agents,
    routes: {
      desk: routeOf({}),
      classified: routeOf({ intents: [{ name: "bug", to: ["bert"] }], classifier: "triager" }),
      nobody: routeOf({ requires: { domains: ["law"] } }),
    },
  };
  const echo: Scenario["script"] = ({ id, agent }) => ({ output: `${id} by ${agent}` });
  const graph = (tasks: object, script = echo, rest: Partial<Scenario> = {}) =>
    run({ pattern: graphPattern, options: { tasks }, routes, input: { a: 1 }, script, ...rest });

  it("spreads tasks over those who can do them, each choice on record (O1)", () => {
    const tasks = Object.fromEntries(["a", "b", "c", "d"].map((id) => [id, { agent: "desk" }]));
    const { events, state } = graph(tasks);
    expect(
      events.flatMap(({ type, data }) => (type === "task.routed" ? [[data.task, data.agent, data.route]] : [])),
    ).toEqual([
      ["a", "anna", "desk"],
      ["b", "bert", "desk"],
      ["c", "carl", "desk"],
      ["d", "anna", "desk"],
    ]);
    expect(state.output).toMatchObject({ a: "a by anna", d: "d by anna" });
  });

  it("chooses when the task is ready, not before, with the input that it has by then", () => {
    const { events, started } = graph({ a: { agent: "desk" }, b: { agent: "desk", needs: "a" } });
    expect(started).toEqual(["a", "b"]);
    expect(events.map(({ type }) => type)).toEqual([
      ...["run.started", "plan.revised", "task.routed", "tasks.assigned", "task.completed"],
      ...["tasks.bound", "task.routed", "tasks.assigned", "task.completed", "run.completed"],
    ]);
  });

  it("asks its classifier in a task of its own, which the pattern is not told of", () => {
    const script: Scenario["script"] = ({ agent, id }) => ({
      output: agent === "triager" ? { intent: "bug" } : `${id} by ${agent}`,
    });
    const { state, inputs, started } = graph({ a: { agent: "classified" }, b: { agent: "desk", needs: "a" } }, script);
    expect(started).toEqual(["a/$route", "a", "b"]);
    expect(inputs.get("a/$route")).toEqual({ request: { a: 1 }, intents: [{ name: "bug", description: "" }] });
    expect(state.tasks.get("a")).toMatchObject({ agent: "bert", output: "a by bert" });
    expect(state.output).toBe("b by anna");
  });

  it("goes on without its classifier when that fails", () => {
    const script: Scenario["script"] = ({ agent }) =>
      agent === "triager" ? { error: permanent("no model") } : { output: agent };
    expect(graph({ a: { agent: "classified" } }, script).state.output).toBe("anna");
  });

  it("fails a task that nobody fits, and nothing else", () => {
    const tasks = { a: { agent: "nobody" }, b: { agent: "desk", needs: [{ task: "a", on: "failed" }] } };
    const { state } = graph(tasks);
    expect(state.tasks.get("a")?.error?.code).toBe("ROUTE_NONE");
    expect(state.output).toBe("b by anna");
  });

  it("works for each member of a list", () => {
    const { state } = graph({ a: { agent: "desk", forEach: [1, 2, 3] } });
    expect(state.output).toEqual(["a/0 by anna", "a/1 by bert", "a/2 by carl"]);
  });
});
