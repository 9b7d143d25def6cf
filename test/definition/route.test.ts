import { describe, expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import { agent, fleet, route, tool, type Workflow } from "../../src/definition/build.ts";
import { loadFleet } from "../../src/definition/load.ts";
import { problemsOf } from "../../src/definition/problem.ts";
import { isFlotillaError } from "../../src/error.ts";
import type { Json } from "../../src/core/json.ts";
import { pipeline } from "../../src/pattern/pipeline.ts";
import { folderWith, problemsIn, short } from "./folder.ts";

const YAML = `name: desk
tools:
  refund: { description: Refunds, effect: write, http: { url: "https://example.com/", method: POST } }
agents:
  anna: { model: openai/MODEL, instructions: A., tools: [refund], capabilities: { domains: [billing], taskTypes: [answer] } }
  bert: { model: openai/MODEL, instructions: B. }
  triager: { model: openai/MODEL, instructions: T. }
routes:
  support:
    candidates: [anna, bert]
    intents:
      - { name: refund, description: Wants money back, when: input.amount > 0, to: [anna], requires: { tools: [refund] }, priority: HIGH }
      - { name: bug, description: Something is broken }
    classifier: triager
    confidenceMin: 0.5
    requires: { domains: ["\${input.area}"] }
    otherwise: bert
workflows:
  answer: { pattern: pipeline, stages: [support] }
`;

const refund = tool({ description: "Refunds", effect: "write", input: z.object({}), run: () => null });
const anna = agent({
  model: "openai/MODEL",
  instructions: "A.",
  tools: [refund],
  capabilities: { domains: ["billing"], taskTypes: ["answer"] },
});
const bert = agent({ model: "openai/MODEL", instructions: "B." });
const triager = agent({ model: "openai/MODEL", instructions: "T." });
const agents = { anna, bert, triager };
const support = route({
  candidates: [anna, "bert"],
  intents: [
    {
      name: "refund",
      description: "Wants money back",
      when: "input.amount > 0",
      to: [anna],
      requires: { tools: ["refund"] },
      priority: "HIGH",
    },
    { name: "bug", description: "Something is broken" },
  ],
  classifier: triager,
  confidenceMin: 0.5,
  requires: { domains: ["${input.area}"] },
  otherwise: bert,
});

describe("C6: a route", () => {
  test("is the same in YAML and in TypeScript, and stands where an agent would", async () => {
    const desk = fleet({
      name: "desk",
      tools: { refund },
      agents,
      routes: { support },
      workflows: { answer: pipeline({ stages: [support] }) },
    });
    const { definition } = await loadFleet(folderWith({ "fleet.yaml": YAML }));
    expect(definition.routes).toEqual(desk.definition.routes);
    expect(definition.agents.anna?.capabilities).toEqual(desk.definition.agents.anna?.capabilities);
    expect(definition.agents.bert).not.toHaveProperty("capabilities");
    expect(desk.definition.workflows.answer).toMatchObject({ options: { stages: ["support"] }, agents: ["support"] });
    expect(definition.workflows.answer).toMatchObject({ options: { stages: ["support"] }, agents: ["support"] });
  });

  test("gives what its candidates give", () => {
    expectTypeOf(pipeline({ stages: [route({ candidates: [anna, bert] })] })).toEqualTypeOf<Workflow<Json, string>>();
  });

  test("without any, a definition is as it was before there were routes", () => {
    const { definition } = fleet({ name: "f", agents: { bert }, workflows: { a: pipeline({ stages: [bert] }) } });
    expect(definition).not.toHaveProperty("routes");
  });

  test.each([
    ["an unknown agent", "candidates: [anna, bret]", /route "support" uses agent "bret".*→ bert/],
    ["an unknown classifier", "candidates: [anna]\n    classifier: nobody", /route "support" uses agent "nobody"/],
    ["a rule that does not parse", "candidates: [anna]\n    intents: [{ name: x, when: inptu.a }]", /inptu/],
    [
      "a requirement that does not parse",
      'candidates: [anna]\n    requires: { tools: ["${input.}"] }',
      /DEFINITION_EXPRESSION/,
    ],
    ["an intent that nobody finds", "candidates: [anna]\n    intents: [{ name: x }]", /has no rule/],
    [
      "two intents of one name",
      "candidates: [anna]\n    intents: [{ name: x, when: 'true' }, { name: x, when: 'true' }]",
      /two intents "x"/,
    ],
    ["an unknown key", "candidates: [anna]\n    canditates: []", /canditates/],
    ["no candidates", "candidates: []", /candidates/],
  ])("with %s is refused", async (_, lines, problem) => {
    const yaml = YAML.replace(/candidates: \[anna, bert\][\s\S]*otherwise: bert/, lines);
    const problems = await problemsIn({ "fleet.yaml": yaml });
    expect(problems.map(short).join("\n")).toMatch(problem);
  });

  test("of the name of an agent is refused, and so is one that is not in the fleet", async () => {
    const yaml = YAML.replace("  support:\n", "  anna:\n").replace("stages: [support]", "stages: [anna]");
    expect((await problemsIn({ "fleet.yaml": yaml })).map(short).join("\n")).toMatch(/both an agent and a route/);
    const refused = (make: () => unknown) => {
      try {
        make();
        return [];
      } catch (error) {
        if (!isFlotillaError(error)) throw error;
        return problemsOf(error).map(({ message }) => message);
      }
    };
    const workflows = { answer: pipeline({ stages: [support] }) };
    expect(refused(() => fleet({ name: "f", agents, workflows })).join()).toMatch(/not in fleet/);
    expect(refused(() => fleet({ name: "f", agents: { anna, bert }, routes: { support }, workflows })).join()).toMatch(
      /not in fleet\(\{ agents \}\)/,
    );
  });
});
