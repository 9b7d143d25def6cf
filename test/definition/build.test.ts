import { describe, expect, test } from "vitest";
import { z } from "zod";
import { agentParts } from "../../src/definition/agent.ts";
import { agent, fleet, httpTool, mcpTool, type ToolContext, tool, workflow } from "../../src/definition/build.ts";
import { definitionHash } from "../../src/definition/hash.ts";
import { loadFleet } from "../../src/definition/load.ts";
import { problemsOf } from "../../src/definition/problem.ts";
import { toolParts } from "../../src/definition/tool.ts";
import { isFlotillaError } from "../../src/error.ts";
import { graph } from "../../src/pattern/graph.ts";
import { pipeline } from "../../src/pattern/pipeline.ts";
import { folderWith } from "./folder.ts";
import newsroom, { Draft, lead, publish, researcher, search, team, teamPattern, writer } from "./newsroom.ts";

/** Code and message of every mistake that `make` is refused for. */
function refusal(make: () => unknown): string[] {
  try {
    make();
    return [];
  } catch (error) {
    if (!isFlotillaError(error)) throw error;
    return problemsOf(error).map(({ code, message, suggestion }) => {
      return `${code} ${message}${suggestion === undefined ? "" : ` → ${suggestion}`}`;
    });
  }
}

const options = { description: "d", effect: "read", input: z.object({}), run: () => 1 } as const;
const unchecked = (make: unknown) => make as (options: unknown) => unknown;

describe("I1: a fleet in TypeScript", () => {
  test("becomes the same plain definition as YAML would", () => {
    const { definition } = newsroom;
    expect(definition.agents.lead).toMatchObject({
      kind: "model",
      tools: ["publish"],
      output: { required: ["markdown"] },
    });
    expect(definition.tools.search).toMatchObject({ kind: "code", module: null, effect: "read", idempotent: false });
    expect(definition.workflows.article).toMatchObject({
      pattern: "team",
      options: { lead: "lead", workers: ["researcher", "writer"] },
      agents: ["lead", "researcher", "writer"],
      limits: { costMicroUsdMax: 500_000 },
    });
    expect(JSON.parse(JSON.stringify(definition))).toEqual(definition);
  });

  test("keeps its code beside it, by name", () => {
    expect([...newsroom.code.tools.keys()]).toEqual(["search", "publish"]);
    expect(newsroom.code.tools.get("search")?.origin).toBe(search);
    expect([...newsroom.code.patterns.keys()]).toEqual(["team"]);
  });

  test("a changed function changes the hash", () => {
    const make = (run: () => number) => {
      const t = tool({ ...options, run });
      const a = agent({ model: "anthropic/M", instructions: "x", tools: [t] });
      return definitionHash(fleet({ name: "f", tools: { t }, agents: { a }, workflows: {} }).definition);
    };
    expect(make(() => 1)).toBe(make(() => 1));
    expect(make(() => 1)).not.toBe(make(() => 2));
  });

  test("money is exact: 0.29 dollars are 290,000 micro-dollars", () => {
    const main = workflow({ pattern: teamPattern, options: { lead, workers: [writer] }, limits: { costUsdMax: 0.29 } });
    const { definition } = fleet({ name: "f", tools: { publish }, agents: { lead, writer }, workflows: { main } });
    expect(definition.workflows.main?.limits.costMicroUsdMax).toBe(290_000);
  });

  test("HTTP and MCP tools need no code", () => {
    const get = httpTool({
      description: "d",
      effect: "write",
      url: "https://e.example/{id}",
      input: z.object({ id: z.int() }),
    });
    expect(toolParts(get)).toMatchObject({ code: null, definition: { kind: "http", method: "POST", body: null } });
    const read = mcpTool({ effect: "read", server: "files", tool: "read_file" });
    expect(toolParts(read)).toMatchObject({
      code: null,
      definition: { kind: "mcp", input: { type: "object" }, pin: null },
    });
  });
});

describe("I1: options are checked where they are given, since Node strips types without checking them", () => {
  test.each([
    [
      "an unknown option",
      () => unchecked(tool)({ ...options, aproval: {} }),
      `DEFINITION_UNKNOWN_KEY tool(): unknown key "aproval" → approval`,
    ],
    [
      "a misspelt part of an approval",
      () => unchecked(tool)({ ...options, approval: { deadlineMS: 1 } }),
      `DEFINITION_UNKNOWN_KEY tool(): unknown key "deadlineMS" → deadlineMs`,
    ],
    [
      "a misspelt option",
      () => unchecked(agent)({ model: "a/b", instuctions: "x" }),
      `DEFINITION_UNKNOWN_KEY agent(): unknown key "instuctions" → instructions`,
    ],
    [
      "a missing effect",
      () => unchecked(tool)({ ...options, effect: undefined }),
      `DEFINITION_MISSING_KEY tool(): key "effect" is missing`,
    ],
    [
      "a JSON Schema for a zod schema",
      () => unchecked(tool)({ ...options, input: { type: "object" } }),
      "DEFINITION_INVALID tool(): input must be a zod schema, such as z.object({ … })",
    ],
    [
      "an agent by name among tools",
      () => unchecked(agent)({ model: "a/b", instructions: "x", tools: ["search"] }),
      "DEFINITION_INVALID agent(): tools[0] must be a tool, made by tool(), httpTool() or mcpTool()",
    ],
    [
      "a pattern by name",
      () => unchecked(workflow)({ pattern: "graph", options: {} }),
      "DEFINITION_INVALID workflow(): pattern must be a pattern, made by definePattern()",
    ],
    [
      "a name that objects cannot hold",
      () => unchecked(fleet)({ name: "f", agents: JSON.parse('{ "__proto__": {} }'), workflows: {} }),
      `DEFINITION_INVALID fleet(): agents: name "__proto__" is reserved`,
    ],
    [
      "an unknown section",
      () => unchecked(fleet)({ name: "f", agents: {}, workflows: {}, tool: {} }),
      `DEFINITION_UNKNOWN_KEY fleet(): unknown key "tool" → tools`,
    ],
  ])("%s", (_, make, expected) => {
    expect(refusal(make)).toEqual([expected]);
  });

  test("the place is the caller's", () => {
    expect(() => unchecked(tool)({})).toThrow(/test\/definition\/build\.test\.ts:\d+:\d+/);
  });

  test("a schema that JSON cannot express is refused, with what to use", () => {
    expect(refusal(() => tool({ ...options, output: z.date(), run: () => new Date(0) }))).toEqual([
      "DEFINITION_INVALID the tool's output cannot be a JSON Schema: Date cannot be represented in JSON Schema",
    ]);
  });
});

describe("I1: what a fleet refers to is in it", () => {
  const a = agent({ model: "anthropic/M", instructions: "x", tools: [search] });

  test("a tool that is not in fleet.tools is named, with its agent and where to add it", () => {
    const make = () => fleet({ name: "f", agents: { a }, workflows: {} });
    expect(refusal(make)).toEqual([
      `DEFINITION_REFERENCE agent "a" uses the tool "Search the web", which is not in fleet({ tools })`,
    ]);
    expect(make).toThrow(
      expect.objectContaining({ code: "DEFINITION_REFERENCE", hint: expect.stringContaining("fleet({ tools:") }),
    );
  });

  test("so is an agent that is not in fleet.agents", () => {
    const main = team({ lead, workers: [researcher] });
    expect(
      refusal(() => fleet({ name: "f", tools: { search, publish }, agents: { lead }, workflows: { main } })),
    ).toEqual([
      `DEFINITION_REFERENCE workflow "main" uses an agent (options.workers[0]) that is not in fleet({ agents })`,
    ]);
  });

  test("all mistakes come at once", () => {
    const b = agent({ model: "antropic/M", instructions: "x" });
    const t = mcpTool({ effect: "read", server: "fils", tool: "t" });
    const main = workflow({ pattern: teamPattern, options: { lead: b, workers: [], worker: 1 } });
    expect(
      refusal(() => {
        return fleet({
          name: "f",
          tools: { search, again: search, t },
          agents: { a, b },
          workflows: { main },
          mcpServers: { files: { command: "x" } },
        });
      }),
    ).toEqual([
      "DEFINITION_DUPLICATE fleet(): tools.search and tools.again are one and the same object",
      `DEFINITION_REFERENCE tool "t" uses MCP server "fils", which is not defined → files`,
      `MODEL_UNKNOWN agent "b" uses provider "antropic", which is not defined → anthropic/M`,
      "DEFINITION_INVALID workflows.main.workers must be a list of at least 1, not of 0",
      `DEFINITION_UNKNOWN_KEY unknown key "worker" → workers`,
    ]);
  });
});

describe("tools and agents of code take and give what their schemas say", () => {
  const context = {} as ToolContext;
  const double = tool({
    ...options,
    input: z.object({ n: z.string().transform(Number), times: z.number().default(2) }),
    output: z.object({ product: z.number() }),
    run: ({ n, times }) => ({ product: n * times, note: "dropped" }),
  });

  test("defaults and transforms are applied, unknown keys dropped", async () => {
    await expect(toolParts(double).code?.run({ n: "21" }, context)).resolves.toEqual({ product: 42 });
  });

  test("wrong input and wrong output are told apart", async () => {
    await expect(toolParts(double).code?.run({ n: 21 }, context)).rejects.toThrow(
      expect.objectContaining({ code: "TOOL_INPUT_INVALID" }),
    );
    await expect(toolParts(double).code?.run({ n: "x" }, context)).rejects.toThrow(
      expect.objectContaining({ code: "TOOL_OUTPUT_INVALID" }),
    );
  });

  test("what JSON cannot hold is refused, never changed in silence", async () => {
    const wrong = tool({ ...options, run: () => ({ list: [1, Number.NaN] }) });
    await expect(toolParts(wrong).code?.run({}, context)).rejects.toThrow("/list/1 is NaN, which JSON cannot hold");
    const fine = tool({ ...options, run: () => ({ a: undefined, at: new Date(0) }) });
    await expect(toolParts(fine).code?.run({}, context)).resolves.toEqual({ at: "1970-01-01T00:00:00.000Z" });
  });

  test("an agent's input and output are checked too", async () => {
    const counted = agent({
      input: z.object({ text: z.string() }),
      output: Draft,
      run: (_, { text }) => ({ markdown: text }),
    });
    const code = agentParts(counted).code;
    await expect(code?.run({} as never, { text: "t" })).resolves.toEqual({ markdown: "t" });
    await expect(code?.run({} as never, {})).rejects.toThrow(expect.objectContaining({ code: "INPUT_INVALID" }));
  });
});

test("I1: both spellings give one definition", async () => {
  const yaml = `name: both
tools:
  find:
    description: Finds
    effect: read
    input: { type: object, properties: { id: { type: string } }, required: [id] }
    http: { url: "https://e.example/{id}", headers: { x-key: { secret: KEY } } }
agents:
  reader: { model: anthropic/M, instructions: Read., tools: [find], limits: { stepsMax: 7 }, retry: { attemptsMax: 2 } }
  judge: { model: openai/M, instructions: Judge., fallbackModels: [anthropic/M] }
workflows:
  main:
    pattern: graph
    tasks:
      read: { agent: reader, forEach: "\${input.ids}", input: { id: "\${item}" } }
      judge: { agent: judge, needs: read }
    priority: HIGH
    limits: { tokensMax: 1000 }
`;
  const find = httpTool({
    description: "Finds",
    effect: "read",
    input: z.object({ id: z.string() }),
    url: "https://e.example/{id}",
    headers: { "x-key": { secret: "KEY" } },
  });
  const reader = agent({
    model: "anthropic/M",
    instructions: "Read.",
    tools: [find],
    limits: { stepsMax: 7 },
    retry: { attemptsMax: 2 },
  });
  const judge = agent({ model: "openai/M", instructions: "Judge.", fallbackModels: ["anthropic/M"] });
  const main = graph({
    tasks: {
      read: { agent: reader, forEach: "${input.ids}", input: { id: "${item}" } },
      judge: { agent: judge, needs: "read" },
    },
    priority: "HIGH",
    limits: { tokensMax: 1000 },
  });
  const inCode = fleet({ name: "both", tools: { find }, agents: { reader, judge }, workflows: { main } });
  const inYaml = await loadFleet(folderWith({ "fleet.yaml": yaml }));
  expect(inCode.definition).toEqual(inYaml.definition);
  expect(definitionHash(inCode.definition)).toBe(inYaml.hash);
});

test("D5: ten thousand agents make a fleet", () => {
  const first = agent({ model: "anthropic/M", instructions: "x" });
  const more = Array.from({ length: 9_999 }, () => agent({ model: "anthropic/M", instructions: "x" }));
  const agents = { first, ...Object.fromEntries(more.map((one, n) => [`a${n}`, one])) };
  const main = pipeline({ stages: [...more, first] });
  const { definition } = fleet({ name: "large", agents, workflows: { main } });
  expect(definition.workflows.main?.agents).toHaveLength(10_000);
});
