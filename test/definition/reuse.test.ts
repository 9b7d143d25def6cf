import { describe, expect, test } from "vitest";
import { z } from "zod";
import { agent, fleet, tool } from "../../src/definition/build.ts";
import { loadFleet } from "../../src/definition/load.ts";
import { isFlotillaError } from "../../src/error.ts";
import { problemsOf } from "../../src/definition/problem.ts";
import { folderWith, problemsIn, short } from "./folder.ts";

const write = tool({ description: "d", effect: "write", input: z.object({}), run: () => 1 });
const read = tool({ description: "d", effect: "read", input: z.object({}), run: () => 1 });
const run = () => null;
const reuse = { windowMs: 5 };

function refusal(make: () => unknown): string[] {
  try {
    make();
    return [];
  } catch (error) {
    if (!isFlotillaError(error)) throw error;
    return problemsOf(error).map(({ code, message }) => `${code} ${message}`);
  }
}

const yaml = (agentKeys: string) => `
name: desk
tools:
  look: { description: Looks, effect: read, http: { method: GET, url: "http://127.0.0.1:1/" } }
  put: { description: Puts, effect: write, http: { method: PUT, url: "http://127.0.0.1:1/" } }
agents:
  a: { model: anthropic/M, instructions: Answer., ${agentKeys} }
workflows:
  w: { pattern: pipeline, stages: [a] }
`;

describe("C11: an agent declares that its results may be reused", () => {
  test("in TypeScript and in YAML alike; without it the definition is as before", async () => {
    const a = agent({ run, reuse, tools: [read] });
    const { definition } = fleet({ name: "f", tools: { read }, agents: { a, b: agent({ run }) }, workflows: {} });
    expect(definition.agents.a?.reuse).toEqual(reuse);
    expect(Object.keys(definition.agents.b ?? {})).not.toContain("reuse");
    const loaded = await loadFleet(folderWith({ "fleet.yaml": yaml("tools: [look], reuse: { windowMs: 5 }") }));
    expect(loaded.definition.agents.a?.reuse).toEqual(reuse);
  });

  test("is refused for whatever changes something", async () => {
    const b = agent({ run });
    const a = agent({ run, reuse, tools: [read, write], calls: [b], facts: { write: ["city"] } });
    expect(refusal(() => fleet({ name: "f", tools: { read, write }, agents: { a, b }, workflows: {} }))).toEqual([
      'DEFINITION_INVALID results of agent "a" cannot be reused: tool "write" writes; it may propose facts; it may call others, which may write',
    ]);
    const found = await problemsIn(yaml("tools: [put], reuse: { windowMs: 5 }"));
    expect(found.map(short)).toEqual([
      expect.stringContaining('results of agent "a" cannot be reused: tool "put" writes'),
    ]);
  });

  test.each([[{}], [{ windowMs: -1 }], [{ windowMs: 1.5 }], [{ windowMs: "1h" }], [true]])(
    "garbage is named: %j",
    (given) => {
      const make = agent as (options: unknown) => unknown;
      expect(refusal(() => make({ run, reuse: given }))).toEqual([expect.stringContaining("reuse")]);
    },
  );
});
