import { describe, expect, test } from "vitest";
import { loadFleet } from "../../src/definition/load.ts";
import { folderWith, problemsIn, short } from "./folder.ts";

const AGENTS = `
agents:
  lead: { model: anthropic/MODEL, instructions: Lead. }
  reader: { model: anthropic/MODEL, instructions: Read. }
`;
const WORKFLOWS = `workflows:
  main: { pattern: pipeline, stages: [reader, lead] }
`;

const NEWSROOM = `# yaml-language-server: $schema=.flotilla/fleet.schema.json
name: newsroom
providers:
  anthropic: { apiKey: { secret: ANTHROPIC_API_KEY } }
  local: { kind: openai-compatible, baseUrl: "http://127.0.0.1:11434/v1" }
tools:
  search:
    description: Search the web
    effect: read
    input: { type: object, required: [query], properties: { query: { type: string } } }
    http: { url: "https://api.example.com/?q={query}", headers: { x-key: { secret: SEARCH_KEY } } }
  publish:
    module: ./tools.ts#publish
    effect: write
agents:
  lead: { model: anthropic/MODEL, instructions: "Plan, review, publish.", tools: [publish] }
  researcher: { model: local/qwen3:8b, instructions: Find sources., tools: [search] }
  writer:
    model: anthropic/MODEL
    instructions: { file: prompts/writer.md }
    output: { file: schemas/draft.json }
workflows:
  article:
    pattern: supervisor
    lead: lead
    workers: [researcher, writer]
    input: { type: object, required: [topic], properties: { topic: { type: string } } }
    limits: { costUsdMax: 0.50 }
`;
const TOOLS = `import { z } from "ZOD";
import { tool } from "FLOTILLA";
import { url } from "./lib/url.ts";
export const publish = tool({
  description: "Publish", effect: "write", input: z.object({ markdown: z.string() }), run: () => url,
});
export function bare(input: unknown) { return input; }
`;
const FILES = {
  "fleet.yaml": NEWSROOM,
  "tools.ts": TOOLS,
  "lib/url.ts": `export const url = "https://example.com";\n`,
  "prompts/writer.md": "Write from notes.\n",
  "schemas/draft.json": `{ "type": "object", "properties": { "markdown": { "type": "string" } } }`,
};

describe("I1: a fleet in YAML", () => {
  test("becomes a definition with files and modules in it, and defaults filled in", async () => {
    const { definition, hash, folder } = await loadFleet(folderWith(FILES));
    expect(definition.agents.writer).toMatchObject({
      kind: "model",
      instructions: "Write from notes.\n",
      output: { type: "object" },
      retry: { attemptsMax: 5 },
    });
    expect(definition.tools.search).toMatchObject({ kind: "http", method: "GET", timeoutMs: 30_000 });
    expect(definition.tools.publish).toMatchObject({
      kind: "code",
      description: "Publish",
      input: { type: "object", required: ["markdown"] },
      module: { module: "./tools.ts", export: "publish" },
    });
    expect(definition.providers.anthropic).toMatchObject({
      kind: "anthropic",
      apiKey: { secret: "ANTHROPIC_API_KEY" },
    });
    expect(definition.workflows.article).toMatchObject({
      pattern: "supervisor",
      agents: ["lead", "researcher", "writer"],
      options: { lead: "lead", workers: ["researcher", "writer"], roundsMax: 3 },
      limits: { costMicroUsdMax: 500_000 },
      priority: 2,
    });
    expect(Object.keys(definition.modules)).toEqual(["lib/url.ts", "tools.ts"]);
    expect(await loadFleet(folder)).toMatchObject({ hash });
  });

  test("its hash follows every file that it is made of", async () => {
    const hashes = new Set<string>();
    for (const changed of [null, "prompts/writer.md", "schemas/draft.json", "lib/url.ts"] as const) {
      const files =
        changed === null ? FILES : { ...FILES, [changed]: FILES[changed].replace(/markdown|example|notes/, "$&s") };
      hashes.add((await loadFleet(folderWith(files))).hash);
    }
    expect(hashes.size).toBe(4);
  });

  test("X2: agents are granted to agents by name, with what is passed on", async () => {
    const yaml = fleet({
      agents: `\nagents:
  lead: { model: anthropic/M, instructions: x, calls: [reader, { agent: clerk, tools: [] }] }
  reader: { model: anthropic/M, instructions: x, calls: [{ agent: lead, handover: true }] }
  clerk: { model: anthropic/M, instructions: x }\n`,
    });
    const { agents } = (await loadFleet(folderWith({ "fleet.yaml": yaml }))).definition;
    const grant = (name: string) => ({ agent: name, tools: [] });
    expect(agents.lead?.calls).toEqual([grant("reader"), grant("clerk")]);
    expect(agents.reader?.calls).toEqual([{ ...grant("lead"), handover: true }]);
    expect(agents.clerk).not.toHaveProperty("calls");
  });

  test("anchors and merge keys are plain YAML", async () => {
    const yaml = `name: f
agents:
  a: &base { model: anthropic/M, instructions: A. }
  b: { <<: *base, instructions: B. }
workflows: { main: { pattern: pipeline, stages: [a, b] } }`;
    const { definition } = await loadFleet(folderWith({ "fleet.yaml": yaml }));
    expect(definition.agents.b).toMatchObject({ model: "anthropic/M", instructions: "B." });
  });
});

/** A fleet with these sections in place of, or beside, the usual ones. */
function fleet(sections: { agents?: string; workflows?: string; more?: string }): string {
  return `name: f${sections.agents ?? AGENTS}${sections.more ?? ""}${sections.workflows ?? WORKFLOWS}`;
}
const agent = (fields: string) =>
  fleet({ agents: `\nagents:\n  lead: { model: anthropic/M, instructions: x }\n  reader: { ${fields} }\n` });
const tool = (fields: string) => fleet({ more: `tools:\n  t: { description: d, effect: read, ${fields} }\n` });
const flow = (fields: string) => fleet({ workflows: `workflows:\n  main: { ${fields} }\n` });

const WRONG: readonly [name: string, yaml: string, problems: readonly string[]][] = [
  ["an empty file", "", ["DEFINITION_INVALID fleet.yaml the definition is empty"]],
  ["no map", "- a\n- b\n", ["DEFINITION_INVALID fleet.yaml:1 [- a] the definition must be a map of keys, not a list"]],
  [
    "an open bracket",
    "name: f\nagents: { a: [1, 2\nworkflows: {}\n",
    [
      "DEFINITION_SYNTAX fleet.yaml:3 [w] not valid YAML: flow sequence in block collection must be sufficiently indented and end with a ]",
    ],
  ],
  [
    "a tab",
    "name: f\nagents:\n\ta: 1\n",
    ["DEFINITION_SYNTAX fleet.yaml:3 [ ] not valid YAML: tabs are not allowed as indentation"],
  ],
  [
    "an unknown alias",
    "name: *nobody\n",
    [
      "DEFINITION_SYNTAX fleet.yaml:1 [*nobody] not valid YAML: unresolved alias (the anchor must be set before the alias): nobody",
    ],
  ],
  [
    "an unknown tag",
    "name: !!js/function x\n",
    ["DEFINITION_SYNTAX fleet.yaml:1 [!!js/function] not valid YAML: unresolved tag"],
  ],
  ["a second document", `${fleet({})}---\nname: g\n`, ["DEFINITION_SYNTAX"]],
  [
    "a key twice",
    fleet({ agents: `${AGENTS}  lead: { model: anthropic/MODEL, instructions: Again. }\n` }),
    [`DEFINITION_DUPLICATE fleet.yaml:5 [lead] "lead" is defined twice`],
  ],
  [
    "a misspelt key, told once",
    agent("modle: anthropic/M, instructions: x"),
    [`DEFINITION_UNKNOWN_KEY fleet.yaml:4 [modle] unknown key "modle" → model`],
  ],
  [
    "an unlike key",
    agent("model: anthropic/M, instructions: x, colour: red"),
    [`DEFINITION_UNKNOWN_KEY fleet.yaml:4 [colour] unknown key "colour"`],
  ],
  [
    "calls of agents and tools that are not there, or twice",
    agent("model: anthropic/M, instructions: x, calls: [laed, lead, lead, { agent: reader, tools: [saerch] }]"),
    [
      `DEFINITION_REFERENCE fleet.yaml:4 [laed] agent "reader" uses agent "laed", which is not defined → lead`,
      `DEFINITION_DUPLICATE fleet.yaml:4 [lead] agent "reader" may call agent "lead" twice`,
      `DEFINITION_REFERENCE fleet.yaml:4 [saerch] agent "reader" uses tool "saerch", which is not defined`,
    ],
  ],
  [
    "a misspelt part of an approval",
    tool(`http: { url: "https://e.example" }, approval: { deadlineMS: 1 }`),
    [`DEFINITION_UNKNOWN_KEY fleet.yaml:6 [deadlineMS] unknown key "deadlineMS" → deadlineMs`],
  ],
  [
    "an approval of a tool that is not granted",
    agent("model: anthropic/M, instructions: x, tools: [], approvals: { publsh: {} }"),
    [
      `DEFINITION_REFERENCE fleet.yaml:4 [publsh] approvals of agent "reader" uses granted tool "publsh", which is not defined`,
    ],
  ],
  [
    "schedules that mean nothing",
    fleet({
      more: `schedules:
  one: { workflow: mian, cron: "61 * * * *", zone: Europe/Berln }
  two: { workflow: main }
  three: { workflow: main, cron: "@daily", at: "2030-01-01T00:00Z" }
  four: { workflow: main, at: tomorrow }
  five: { workflow: main, cron: "@daily", catchup: all }
`,
    }),
    [
      `DEFINITION_REFERENCE fleet.yaml:6 [mian] schedule "one" uses workflow "mian", which is not defined → main`,
      `DEFINITION_INVALID fleet.yaml:6 ["61 * * * *"] schedule "one": "61" is no minute: 0 to 59`,
      `DEFINITION_INVALID fleet.yaml:6 [Europe/Berln] schedule "one": there is no time zone "Europe/Berln"`,
      `DEFINITION_MISSING_KEY fleet.yaml:7 [two] schedule "two" does not say when`,
      `DEFINITION_INVALID fleet.yaml:8 [at] schedule "three" has both cron and at`,
      `DEFINITION_INVALID fleet.yaml:9 [tomorrow] schedule "four": "tomorrow" is no time`,
      `DEFINITION_UNKNOWN_KEY fleet.yaml:10 [catchup] unknown key "catchup" → catchUp`,
    ],
  ],
  [
    "a misspelt section",
    fleet({ more: "tool: {}\n" }),
    [`DEFINITION_UNKNOWN_KEY fleet.yaml:5 [tool] unknown key "tool" → tools`],
  ],
  [
    "a missing key",
    agent("model: anthropic/M"),
    [`DEFINITION_MISSING_KEY fleet.yaml:4 [reader] agent "reader" has no instructions`],
  ],
  [
    "no name",
    `${AGENTS.trimStart()}${WORKFLOWS}`,
    [`DEFINITION_MISSING_KEY fleet.yaml:1 [agents:] key "name" is missing`],
  ],
  [
    "a number for text",
    agent("model: anthropic/M, instructions: 5"),
    ["DEFINITION_INVALID fleet.yaml:4 [5] agents.reader.instructions must be text or { file }, not the number 5"],
  ],
  [
    "nothing for a map",
    "name: f\nagents:\nworkflows: {}\n",
    ["DEFINITION_INVALID fleet.yaml:2 [agents] agents must be a map, not nothing"],
  ],
  [
    "text for a list",
    agent("model: anthropic/M, instructions: x, tools: search"),
    ['DEFINITION_INVALID fleet.yaml:4 [search] agents.reader.tools must be a list, not the text "search" → [search]'],
  ],
  [
    "a duration with a unit",
    agent("model: anthropic/M, instructions: x, timeoutMs: 5s"),
    [`DEFINITION_INVALID fleet.yaml:4 [5s] agents.reader.timeoutMs must be a whole number, not the text "5s" → 5000`],
  ],
  [
    "a number out of range",
    agent("model: anthropic/M, instructions: x, temperature: 3"),
    ["DEFINITION_INVALID fleet.yaml:4 [3] agents.reader.temperature must be at most 2, not the number 3"],
  ],
  [
    "one of several words, misspelt",
    flow("pattern: pipeline, stages: [lead], priority: high"),
    [
      `DEFINITION_INVALID fleet.yaml:6 [high] workflows.main.priority must be CRITICAL, HIGH, NORMAL or LOW, not the text "high" → HIGH`,
    ],
  ],
  [
    "a bad name",
    fleet({ agents: `${AGENTS}  "1x": { model: anthropic/M, instructions: x }\n` }),
    [
      `DEFINITION_INVALID fleet.yaml:5 ["1x"] name "1x" must start with a letter and hold at most 64 letters, digits, _ and -`,
    ],
  ],
  [
    "a name of JavaScript's",
    fleet({ agents: `${AGENTS}  constructor: { model: anthropic/M, instructions: x }\n` }),
    [`DEFINITION_INVALID fleet.yaml:5 [constructor] name "constructor" is reserved`],
  ],
  [
    "an API key instead of its name",
    fleet({ more: "providers: { anthropic: { apiKey: MY_KEY } }\n" }),
    [
      `DEFINITION_INVALID fleet.yaml:5 [MY_KEY] providers.anthropic.apiKey must be { secret }, not the text "MY_KEY" → { secret: MY_KEY }`,
    ],
  ],
  [
    "a provider without a kind",
    fleet({ more: "providers: { mine: { apiKey: { secret: K } } }\n" }),
    [`DEFINITION_MISSING_KEY fleet.yaml:5 [mine] provider "mine" does not say its kind`],
  ],
  [
    "a server without a base URL",
    fleet({ more: "providers: { mine: { kind: openai-compatible } }\n" }),
    [`DEFINITION_MISSING_KEY fleet.yaml:5 [mine] provider "mine" is openai-compatible and has no baseUrl`],
  ],
  [
    "a script for a real provider",
    fleet({ more: "providers: { openai: { script: { agents: {} } } }\n" }),
    [`DEFINITION_INVALID fleet.yaml:5 [script] provider "openai" is openai and has no use for a script`],
  ],
  [
    "a model without a provider",
    agent("model: gpt, instructions: x"),
    [`DEFINITION_INVALID fleet.yaml:4 [gpt] agent "reader" names model "gpt", which is not of the form provider/name`],
  ],
  [
    "an unknown provider",
    agent("model: antropic/M, instructions: x"),
    [
      `MODEL_UNKNOWN fleet.yaml:4 [antropic/M] agent "reader" uses provider "antropic", which is not defined → anthropic/M`,
    ],
  ],
  [
    "the scripted model without a script",
    agent("model: scripted, instructions: x"),
    [`DEFINITION_REFERENCE fleet.yaml:4 [scripted] agent "reader" uses the scripted model, and there is no script`],
  ],
  [
    "an unknown tool",
    agent("model: anthropic/M, instructions: x, tools: [serch]").replace(
      "\nworkflows",
      "\ntools: { search: { description: d, effect: read, http: { url: https://e.example } } }\nworkflows",
    ),
    [`DEFINITION_REFERENCE fleet.yaml:4 [serch] agent "reader" uses tool "serch", which is not defined → search`],
  ],
  [
    "a tool that is nothing",
    tool("timeoutMs: 1"),
    [`DEFINITION_MISSING_KEY fleet.yaml:6 [t] tool "t" does not say what it is`],
  ],
  [
    "a tool that is two things",
    tool("http: { url: https://e.example }, mcp: { server: s, tool: t }").replace(
      "tools:",
      "mcpServers: { s: { command: x } }\ntools:",
    ),
    [`DEFINITION_INVALID fleet.yaml:7 [mcp] tool "t" has both http and mcp`],
  ],
  [
    "a placeholder that is no input",
    tool(`input: { properties: { query: {} } }, http: { url: "https://e.example/{quary}" }`),
    [
      `DEFINITION_REFERENCE fleet.yaml:6 [{quary}] the url of tool "t" uses input "quary", which is not defined → query`,
    ],
  ],
  [
    "a URL that is none",
    tool("http: { url: ftp://e.example }"),
    [
      `DEFINITION_INVALID fleet.yaml:6 [ftp://e.example] tools.t.http.url must start with http:// or https:// and a host, not the text "ftp://e.example"`,
    ],
  ],
  [
    "an unknown MCP server",
    tool("mcp: { server: fies, tool: t }").replace("tools:", "mcpServers: { files: { command: x } }\ntools:"),
    [`DEFINITION_REFERENCE fleet.yaml:7 [fies] tool "t" uses MCP server "fies", which is not defined → files`],
  ],
  [
    "an MCP server that is nothing",
    fleet({ more: "mcpServers: { s: {} }\n" }),
    [`DEFINITION_INVALID fleet.yaml:5 [s] MCP server "s" has neither a command nor a url`],
  ],
  [
    "an unknown pattern",
    flow("pattern: pipelin, stages: [lead]"),
    [
      `DEFINITION_REFERENCE fleet.yaml:6 [pipelin] workflow "main" uses pattern "pipelin", which is not defined → pipeline`,
    ],
  ],
  [
    "no pattern",
    flow("stages: [lead]"),
    [`DEFINITION_MISSING_KEY fleet.yaml:6 [main] key "pattern" is missing in workflows.main`],
  ],
  [
    "an option that the pattern does not have",
    flow("pattern: pipeline, stages: [lead], judge: lead"),
    [`DEFINITION_UNKNOWN_KEY fleet.yaml:6 [judge] unknown key "judge"`],
  ],
  [
    "a misspelt option beside a misspelt agent",
    flow("pattern: supervisor, lead: leed, workers: [reader], roundMax: 2"),
    [
      `DEFINITION_REFERENCE fleet.yaml:6 [leed] workflow "main" uses agent "leed", which is not defined → lead`,
      `DEFINITION_UNKNOWN_KEY fleet.yaml:6 [roundMax] unknown key "roundMax" → roundsMax`,
    ],
  ],
  [
    "an option of the wrong type",
    flow("pattern: debate, debaters: [lead, reader], judge: lead, rounds: many"),
    [`DEFINITION_INVALID fleet.yaml:6 [many] workflows.main.rounds must be a whole number, not the text "many"`],
  ],
  [
    "an unknown need",
    flow("pattern: graph, tasks: { a: { agent: lead }, b: { agent: lead, needs: [aa] } }"),
    [`DEFINITION_REFERENCE fleet.yaml:6 [aa] task "b" uses task "aa", which is not defined → a`],
  ],
  [
    "a cycle",
    flow(
      "pattern: graph, tasks: { a: { agent: lead, needs: c }, b: { agent: lead, needs: a }, c: { agent: lead, needs: b } }",
    ),
    [`DEFINITION_CYCLE fleet.yaml:6 [c] tasks of workflow "main" need each other: a → c → b → a`],
  ],
  [
    "a cycle through an expression",
    flow(`pattern: graph, tasks: { a: { agent: lead, input: "\${tasks.b.output}" }, b: { agent: lead, needs: a } }`),
    [`DEFINITION_CYCLE fleet.yaml:6 [a] tasks of workflow "main" need each other: a → b → a`],
  ],
  [
    "a task that needs itself",
    flow("pattern: graph, tasks: { a: { agent: lead, needs: a } }"),
    [`DEFINITION_CYCLE fleet.yaml:6 [a] task "a" of workflow "main" needs itself`],
  ],
  [
    "an expression that does not parse",
    flow(`pattern: graph, tasks: { a: { agent: lead, input: { x: "see \${input.log +}" } } }`),
    [`DEFINITION_EXPRESSION fleet.yaml:6 [}] the expression "input.log +" does not parse: unexpected token: EOF`],
  ],
  [
    "an expression that does not end",
    flow(`pattern: graph, tasks: { a: { agent: lead, input: "\${input" } }`),
    ["DEFINITION_EXPRESSION fleet.yaml:6"],
  ],
  [
    "an unknown variable",
    flow(`pattern: graph, tasks: { a: { agent: lead, input: "\${inptu.x}" } }`),
    [`DEFINITION_EXPRESSION fleet.yaml:6 [inptu.x] the expression "inptu.x" does not parse: unknown variable: inptu`],
  ],
  [
    "a condition that does not parse",
    flow(`pattern: graph, tasks: { a: { agent: lead, when: "1 ==" } }`),
    [`DEFINITION_EXPRESSION fleet.yaml:6 ["] the expression "1 ==" does not parse: unexpected token: EOF`],
  ],
  [
    "a keyword of no JSON Schema",
    agent("model: anthropic/M, instructions: x, output: { type: object, propertys: {} }"),
    [`DEFINITION_UNKNOWN_KEY fleet.yaml:4 [propertys] unknown JSON Schema keyword "propertys" → properties`],
  ],
  [
    "a type of no JSON Schema",
    agent("model: anthropic/M, instructions: x, output: { properties: { a: { type: strng } } }"),
    [
      `DEFINITION_INVALID fleet.yaml:4 [strng] type must be one of array, boolean, integer, null, number, object, string, not the text "strng" → string`,
    ],
  ],
  [
    "a pattern that is no regular expression",
    agent(`model: anthropic/M, instructions: x, output: { type: string, pattern: "(" }`),
    ['DEFINITION_INVALID fleet.yaml:4 ["("] pattern is not a regular expression'],
  ],
  [
    "a format that there is not",
    agent("model: anthropic/M, instructions: x, output: { type: string, format: emial }"),
    [`DEFINITION_INVALID fleet.yaml:4 [emial] format is not a known format: "emial" → email`],
  ],
  [
    "a reference to nothing",
    agent(`model: anthropic/M, instructions: x, output: { $ref: "#/$defs/no" }`),
    [`DEFINITION_INVALID fleet.yaml:4 ["#/$defs/no"] $ref points to nothing: "#/$defs/no"`],
  ],
  [
    "a reference to elsewhere",
    agent(`model: anthropic/M, instructions: x, output: { $ref: "https://e.example/s" }`),
    ["DEFINITION_INVALID fleet.yaml:4"],
  ],
  [
    "an older draft",
    agent(`model: anthropic/M, instructions: x, output: { $schema: "http://json-schema.org/draft-07/schema#" }`),
    ["DEFINITION_INVALID fleet.yaml:4"],
  ],
  [
    "a file that is not there",
    agent("model: anthropic/M, instructions: { file: prompt.md }"),
    [`DEFINITION_FILE fleet.yaml:4 [prompt.md] file "prompt.md" cannot be read: there is no such file`],
  ],
  [
    "a module that is not there",
    agent("module: ./agent.ts"),
    [`DEFINITION_FILE fleet.yaml:4 [./agent.ts] module "./agent.ts" cannot be read: there is no such file`],
  ],
  [
    "a module path that is none",
    agent("module: agent.ts#run"),
    [
      'DEFINITION_INVALID fleet.yaml:4 [agent.ts#run] agents.reader.module must be a relative path and an export, such as ./tools.ts#publish, not the text "agent.ts#run"',
    ],
  ],
  [
    "a rule of a script that does not parse",
    fleet({ more: `providers: { scripted: { script: { agents: { lead: [{ when: "turn ==", say: hi }] } } } }\n` }),
    [`DEFINITION_EXPRESSION fleet.yaml:5 ["] the expression "turn ==" does not parse: unexpected token: EOF`],
  ],
  [
    "a misspelt key of a script",
    fleet({ more: "providers: { scripted: { script: { agents: { lead: [{ say: hi, thnik: x }] } } } }\n" }),
    [`DEFINITION_UNKNOWN_KEY fleet.yaml:5 [thnik] unknown key "thnik" → think`],
  ],
];

describe("I1: YAML of every wrong kind gets its error, with line, column and what was meant", () => {
  test.each(WRONG)("%s", async (_, yaml, expected) => {
    const found = (await problemsIn(yaml)).map(short);
    expect(found.map((line, index) => (line.startsWith(expected[index] ?? "\n") ? expected[index] : line))).toEqual(
      expected,
    );
  });

  test("all independent mistakes come at once, in the order of the file", async () => {
    const problems = await problemsIn(`name: two words
agents:
  lead: { modle: anthropic/M, instructions: x, tools: [nope] }
  reader: { model: antropic/M, instructions: { file: gone.md }, timeoutMs: -1 }
workflows:
  one: { pattern: pipelin, stages: [lead] }
  two: { pattern: graph, tasks: { a: { agent: leed, needs: a, input: "\${1 +}" } } }
`);
    expect(problems.map(({ code, line }) => `${line} ${code}`)).toEqual([
      "1 DEFINITION_INVALID",
      "3 DEFINITION_UNKNOWN_KEY",
      "3 DEFINITION_REFERENCE",
      "4 MODEL_UNKNOWN",
      "4 DEFINITION_FILE",
      "4 DEFINITION_INVALID",
      "6 DEFINITION_REFERENCE",
      "7 DEFINITION_REFERENCE",
      "7 DEFINITION_CYCLE",
      "7 DEFINITION_EXPRESSION",
    ]);
  });

  test("aliases without end are refused, not followed", async () => {
    const levels = Array.from(
      { length: 12 },
      (_, level) => `l${level + 1}: &l${level + 1} [${`*l${level}, `.repeat(9)}]`,
    );
    const problems = await problemsIn(`l0: &l0 x\n${levels.join("\n")}\n`);
    expect(problems.map(short)).toEqual([expect.stringContaining("excessive alias count")]);
  });

  test("a mistake in a file that the definition names is shown in that file", async () => {
    const problems = await problemsIn({
      ...FILES,
      "fleet.yaml": NEWSROOM.replace("  local:", "  scripted: { script: { file: script.yaml } }\n  local:"),
      "schemas/draft.json": `{ "type": "object",\n  "propertys": {} }`,
      "script.yaml": "agents:\n  lead:\n    - { say: hi, wen: turn == 0 }\n",
    });
    expect(problems.map(short)).toEqual([
      `DEFINITION_UNKNOWN_KEY schemas/draft.json:2 ["propertys"] unknown JSON Schema keyword "propertys" → properties`,
      `DEFINITION_UNKNOWN_KEY script.yaml:3 [wen] unknown key "wen" → when`,
    ]);
  });
});

describe("I1: code beside YAML", () => {
  const withTool = (tool: string) => ({ ...FILES, "fleet.yaml": fleet({ more: `tools:\n  t: ${tool}\n` }) });

  test.each([
    [
      "an export that is not there",
      "{ module: ./tools.ts#publsh, effect: write }",
      `DEFINITION_REFERENCE fleet.yaml:6 [./tools.ts#publsh] module "./tools.ts" does not export "publsh" → ./tools.ts#publish`,
    ],
    [
      "a module of nearly that name",
      "{ module: ./tool.ts#publish, effect: write }",
      `DEFINITION_FILE fleet.yaml:6 [./tool.ts#publish] module "./tool.ts" cannot be read: there is no such file → ./tools.ts#publish`,
    ],
    [
      "an export that is no tool",
      "{ module: ./lib/url.ts#url, effect: read }",
      `DEFINITION_INVALID fleet.yaml:6 [./lib/url.ts#url] export "url" of "./lib/url.ts" is a value of type string, and must be a function or the result of tool()`,
    ],
    [
      "another effect than the module's",
      "{ module: ./tools.ts#publish, effect: read }",
      `DEFINITION_INVALID fleet.yaml:6 [read] tool "t" has effect read here and write in its module`,
    ],
    [
      "a bare function without a description",
      "{ module: ./tools.ts#bare, effect: read, input: {} }",
      `DEFINITION_MISSING_KEY fleet.yaml:6 [t] tool "t" has no description, and its module exports a bare function`,
    ],
  ])("%s", async (_, tool, expected) => {
    expect((await problemsIn(withTool(tool))).map(short)).toEqual([expected]);
  });

  test.each([
    ["does not compile", "export const a = = 1;\n", "DEFINITION_SYNTAX code.ts:1"],
    ["throws", "throw new Error('no');\n", "DEFINITION_SYNTAX code.ts:1"],
    ["needs a compiler", "enum A { B }\nexport const a = A.B;\n", "DEFINITION_SYNTAX code.ts:1"],
    ["imports what is not there", `import "./gone.ts";\n`, "DEFINITION_FILE code.ts Cannot find module 'gone.ts'"],
    [
      "ends the process",
      "process.exit(3);\n",
      "DEFINITION_SYNTAX code.ts code.ts ended the process while it was loaded (exit code 3)",
    ],
    ["waits for ever", "await new Promise(() => {});\n", "DEFINITION_SYNTAX code.ts code.ts waits for ever"],
  ])("a module that %s is named, and takes nothing with it", async (_, code, expected) => {
    const problems = await problemsIn({ ...withTool("{ module: ./code.ts#a, effect: read }"), "code.ts": code });
    expect(problems.map(short)).toEqual([expect.stringContaining(expected)]);
  });

  test("a user's own pattern checks its options, and is found by its module", async () => {
    const files = {
      "fleet.yaml": fleet({
        workflows: "workflows:\n  main: { pattern: { module: ./mine.ts#mine }, first: leed }\n",
      }),
      "mine.ts": `import { z } from "ZOD";
import { definePattern } from "${new URL("../../src/pattern/pattern.ts", import.meta.url).href}";
export const mine = definePattern({
  name: "mine", options: z.object({ first: z.string() }), agents: ({ first }) => [first], plan: () => [],
});`,
    };
    expect((await problemsIn(files)).map(short)).toEqual([
      `DEFINITION_REFERENCE fleet.yaml:6 [leed] workflow "main" uses agent "leed", which is not defined → lead`,
    ]);
    const right = { ...files, "fleet.yaml": files["fleet.yaml"].replace("leed", "lead") };
    const { definition } = await loadFleet(folderWith(right));
    expect(definition.workflows.main).toMatchObject({
      pattern: "mine",
      module: { module: "./mine.ts", export: "mine" },
    });
    expect(Object.keys(definition.modules)).toEqual(["mine.ts"]);
  });
});
