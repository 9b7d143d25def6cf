import { describe, expect, expectTypeOf, it } from "vitest";
import { z } from "zod";
import type { Json } from "../../src/core/json.ts";
import { agent, fleet, isFleet, type Workflow } from "../../src/definition/build.ts";
import { workflowParts } from "../../src/definition/workflow.ts";
import { debate } from "../../src/pattern/debate.ts";
import { graph } from "../../src/pattern/graph.ts";
import { patterns } from "../../src/pattern/index.ts";
import { pipeline } from "../../src/pattern/pipeline.ts";
import { planner } from "../../src/pattern/planner.ts";
import { supervisor } from "../../src/pattern/supervisor.ts";
import { swarm } from "../../src/pattern/swarm.ts";

const Draft = z.object({ markdown: z.string() });
const Topic = z.object({ topic: z.string() });
const reader = agent({ model: "openai/MODEL", instructions: "Read." });
const writer = agent({ model: "openai/MODEL", instructions: "Write.", output: Draft });
const agents = { reader, writer };

it("C3: the built-in patterns are found by name, and refuse keys that they do not know", () => {
  expect([...patterns.keys()]).toEqual([
    "graph",
    "pipeline",
    "supervisor",
    "debate",
    "swarm",
    "hierarchy",
    "planner",
    "choreography",
  ]);
  for (const pattern of patterns.values()) {
    expect(pattern.options.safeParse({ nope: 1 }).error?.issues).toContainEqual(
      expect.objectContaining({ code: "unrecognized_keys", keys: ["nope"] }),
    );
  }
});

it("have options that editors can be told of, and that parse to themselves", () => {
  for (const pattern of patterns.values())
    expect(z.toJSONSchema(pattern.options, { io: "input" })).toMatchObject({ type: "object" });
  const given: Record<string, unknown> = {
    graph: { tasks: { a: { agent: "x", needs: [{ task: "b" }] }, b: { agent: "x" } } },
    pipeline: { stages: ["a", { agent: "b" }] },
    supervisor: { lead: "l", workers: ["w"] },
    debate: { debaters: ["a", "b"], judge: "j" },
    planner: { planner: "p", workers: ["w"], expect: "output > 0" },
    choreography: { rules: [{ on: "started", agent: "a", input: "${ event.type }" }], goal: "size(done) > 1" },
    swarm: { members: [{ agent: "a", takes: 'item.type == "x"' }], types: { x: { type: "object" } } },
  };
  for (const [name, options] of Object.entries(given)) {
    const parsed = patterns.get(name)?.options.parse(options);
    expect(patterns.get(name)?.options.parse(parsed)).toEqual(parsed);
    expect(JSON.parse(JSON.stringify(parsed))).toEqual(parsed);
  }
});

describe("I1: workflows in TypeScript", () => {
  const inspect = graph({
    input: Topic,
    output: Draft,
    tasks: { read: { agent: reader }, write: { agent: writer, input: "${ tasks.read.output }" } },
  });
  const chain = pipeline({ input: Topic, stages: [reader, { agent: writer, id: "last" }] });
  const led = supervisor({ input: Topic, lead: writer, workers: [reader], roundsMax: 2 });
  const gathered = swarm({ input: Topic, output: Draft, members: [{ agent: reader }], types: { x: Topic } });
  const revised = planner({ input: Topic, planner: writer, workers: [reader], reviewer: reader });
  const argued = debate({ input: Topic, debaters: [reader, { agent: reader, side: "no" }], judge: writer });

  it("name agents by value, and become the same definition as in YAML", () => {
    const newsroom = fleet({ name: "newsroom", agents, workflows: { inspect, chain, led, argued, gathered, revised } });
    expect(isFleet(newsroom)).toBe(true);
    expect(workflowParts(chain).options).toMatchObject({ stages: [reader, { id: "last" }] });
  });

  it("refuse what their pattern refuses", () => {
    const cyclic = graph({ tasks: { a: { agent: reader, needs: "b" }, b: { agent: reader, needs: "a" } } });
    expect(() => fleet({ name: "f", agents, workflows: { cyclic } })).toThrow(/a → b → a|b → a → b/);
    const unknown = pipeline({ stages: ["raeder"] });
    expect(() => fleet({ name: "f", agents, workflows: { unknown } })).toThrow(/raeder/);
    const wrong = graph({ tasks: { a: { agent: reader, when: "inptu" } } });
    expect(() => fleet({ name: "f", agents, workflows: { wrong } })).toThrow(/unknown variable: inptu/);
    // @ts-expect-error there is no such option
    expect(() => pipeline({ stages: [reader], stagse: [] })).toThrow(/stagse/);
  });

  it("are typed by their schemas, else by the agent that ends them", () => {
    type Made = Workflow<{ topic: string }, { markdown: string }>;
    expectTypeOf(inspect).toEqualTypeOf<Made>();
    expectTypeOf(chain).toEqualTypeOf<Made>();
    expectTypeOf(led).toEqualTypeOf<Made>();
    expectTypeOf(argued).toEqualTypeOf<Made>();
    expectTypeOf(revised).toEqualTypeOf<Made>();
    expectTypeOf(gathered).toEqualTypeOf<Made>();
    expectTypeOf(pipeline({ stages: ["reader"] })).toEqualTypeOf<Workflow<Json, Json>>();
    expectTypeOf(pipeline({ stages: ["writer", reader] })).toEqualTypeOf<Workflow<Json, string>>();
    expectTypeOf(graph({ tasks: { a: { agent: "reader" } } })).toEqualTypeOf<Workflow<Json, Json>>();
    // @ts-expect-error the last agent gives text
    () => pipeline({ stages: [reader], output: Draft });
    // @ts-expect-error an agent is not a stage's number
    () => pipeline({ stages: [1] });
  });
});
