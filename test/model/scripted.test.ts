import { describe, expect, it } from "vitest";
import type { Json } from "../../src/core/json.ts";
import type { ModelCallOptions, ModelMessage, ModelRequest } from "../../src/model/model.ts";
import { Script } from "../../src/model/script.ts";
import { scriptedModel } from "../../src/model/scripted.ts";

const user = (text: string): ModelMessage => ({ role: "user", content: [{ type: "text", text }] });

const request = (agent: string, messages: readonly ModelMessage[]): ModelRequest => ({
  model: "scripted",
  agent,
  system: "",
  messages,
  tools: [{ name: "count", description: "Counts", input: {} }],
  output: null,
  outputTokensMax: 100,
  temperature: null,
});

function options(more: Partial<ModelCallOptions> = {}): ModelCallOptions {
  return { signal: new AbortController().signal, sleep: () => Promise.resolve(), ...more };
}

const answered = (turn: number, tool: string, input: Json, output: Json): ModelMessage[] => [
  { role: "assistant", content: [{ type: "tool-call", id: `call-${turn}-0`, tool, input }] },
  { role: "tool", content: [{ type: "tool-result", id: `call-${turn}-0`, tool, output }] },
];

/** A reader and a judge as the incident example has them: tools find, the script only words. */
const INCIDENT: Json = {
  agents: {
    reader: [
      {
        when: "turn == 0",
        think: "I read lines ${input.from} to ${input.to} first.",
        call: { tool: "histogram", input: { from: "${input.from}", to: "${input.to}", bucketMs: 60000 } },
      },
      {
        when: "turn == 1 && last.spikes.size() > 0",
        let: { worst: "last.spikes.sortBy('count').reverse()[0]" },
        say: "Looking at the spike of ${vars.worst.count} errors.",
        calls: [
          { tool: "examples", input: { signature: "${vars.worst.signature}", limit: 3 } },
          { tool: "count", input: { pattern: "${vars.worst.signature}" } },
        ],
      },
      { when: "turn == 1", output: { suspicious: false, evidence: [] } },
      {
        let: { lines: "results.filter(r, r.tool == 'examples').map(r, r.output.lines).flatten()" },
        output: {
          suspicious: true,
          total: "${results.filter(r, r.tool == 'count').map(r, r.output.n).sum()}",
          span: "${vars.lines.min()}–${vars.lines.max()}",
          evidence: "${vars.lines.map(l, {'line': l, 'window': input.from})}",
          share: "${round(vars.lines.size() / 7.0, 2)}",
        },
      },
    ],
    "*": [{ when: "feedback != null", say: "Again, minding: ${feedback}" }, { say: "From ${agent}: ${input}" }],
  },
};

describe("the scripted model", () => {
  const model = scriptedModel(INCIDENT);
  const first = [user('{"from":100,"to":200}')];
  const spikes = {
    spikes: [
      { signature: "slow", count: 2 },
      { signature: "timeout", count: 9 },
    ],
  };

  it("chooses real tool calls, their input keeping its types", async () => {
    const response = await model.call(request("reader", first), options());
    expect(response.content).toEqual([
      { type: "reasoning", text: "I read lines 100 to 200 first." },
      { type: "tool-call", id: "call-0-0", tool: "histogram", input: { from: 100, to: 200, bucketMs: 60000 } },
    ]);
    expect(response).toMatchObject({ finish: "tool-calls", simulated: true, model: "scripted" });
  });

  it("goes on from what the tools found", async () => {
    const messages = [...first, ...answered(0, "histogram", {}, spikes)];
    const response = await model.call(request("reader", messages), options());
    expect(response.content).toEqual([
      { type: "text", text: "Looking at the spike of 9 errors." },
      { type: "tool-call", id: "call-1-0", tool: "examples", input: { signature: "timeout", limit: 3 } },
      { type: "tool-call", id: "call-1-1", tool: "count", input: { pattern: "timeout" } },
    ]);
  });

  it("fills words and numbers in from results", async () => {
    const messages = [
      ...first,
      ...answered(0, "histogram", {}, spikes),
      ...answered(1, "examples", {}, { lines: [140, 112, 133] }),
      ...answered(2, "count", {}, { n: 9 }),
    ];
    const response = await model.call(request("reader", messages), options());
    expect(JSON.parse((response.content[0] as { text: string }).text)).toEqual({
      suspicious: true,
      total: 9,
      span: "112–140",
      evidence: [
        { line: 140, window: 100 },
        { line: 112, window: 100 },
        { line: 133, window: 100 },
      ],
      share: 0.43,
    });
  });

  it("takes the first rule that applies; a condition on what is absent does not", async () => {
    const messages = [...first, ...answered(0, "histogram", {}, { spikes: [] })];
    const response = await model.call(request("reader", messages), options());
    expect(response.content).toEqual([{ type: "text", text: '{"suspicious":false,"evidence":[]}' }]);
    const absent = scriptedModel({ agents: { a: [{ when: "input.phase == 'plan'", say: "plan" }, { say: "else" }] } });
    expect((await absent.call(request("a", [user("{}")]), options())).content).toEqual([
      { type: "text", text: "else" },
    ]);
    expect((await absent.call(request("a", [user("words")]), options())).content).toEqual([
      { type: "text", text: "else" },
    ]);
  });

  it("answers for agents without rules of their own by `*`, and knows feedback", async () => {
    const said = await model.call(request("judge", [user("some words")]), options());
    expect(said.content).toEqual([{ type: "text", text: "From judge: some words" }]);
    const again = [user("x"), { role: "assistant", content: [{ type: "text", text: "y" }] } as const, user("be brief")];
    const better = await model.call(request("judge", again), options());
    expect(better.content).toEqual([{ type: "text", text: "Again, minding: be brief" }]);
  });

  it("takes its time through `sleep`, streams its text, and is the same each time", async () => {
    const slow = scriptedModel({ takeMs: [100, 900], agents: { a: [{ say: "one two three four" }] } });
    const run = async (input: string) => {
      const slept: number[] = [];
      const tokens: string[] = [];
      const sleep = async (ms: number) => void slept.push(ms);
      const response = await slow.call(
        request("a", [user(input)]),
        options({ sleep, onToken: (text) => tokens.push(text) }),
      );
      return { slept, tokens, response, takesMs: slept.reduce((sum, ms) => sum + ms, 0) };
    };
    const once = await run("x");
    expect(once.tokens.join("")).toBe("one two three four");
    expect(once.tokens.length).toBeGreaterThan(1);
    expect(once.takesMs).toBeGreaterThanOrEqual(100);
    expect(once.takesMs).toBeLessThanOrEqual(900);
    expect(await run("x")).toEqual(once);
    const others = await Promise.all(["a", "b", "c", "d"].map(async (input) => (await run(input)).takesMs));
    expect(new Set(others).size).toBeGreaterThan(1);
  });

  it("F3: stops when it is aborted while it thinks", async () => {
    const controller = new AbortController();
    const slow = scriptedModel({ agents: { a: [{ say: "late", takeMs: 60_000 }] } });
    const sleep = (_: number, signal: AbortSignal) =>
      new Promise<void>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
    const called = slow.call(request("a", [user("x")]), options({ signal: controller.signal, sleep }));
    controller.abort(new Error("time is up"));
    await expect(called).rejects.toThrow("time is up");
  });

  it("counts usage by characters", async () => {
    const { usage } = await model.call(request("judge", [user("x".repeat(400))]), options());
    expect(usage.inputTokens).toBeGreaterThanOrEqual(100);
    expect(usage.outputTokens).toBeGreaterThanOrEqual(100);
  });

  it("says which rules there are when none applies", async () => {
    const narrow = scriptedModel({
      agents: {
        a: [
          { when: "turn == 7", say: "x" },
          { when: "last.n > 3", say: "y" },
        ],
      },
    });
    await expect(narrow.call(request("a", [user("{}")]), options())).rejects.toMatchObject({
      code: "MODEL_SCRIPT_EXHAUSTED",
      details: { agent: "a", turn: 0, conditions: ["turn == 7", "last.n > 3"] },
    });
    await expect(scriptedModel(null).call(request("a", []), options())).rejects.toMatchObject({
      code: "MODEL_SCRIPT_EXHAUSTED",
      message: expect.stringContaining("no rules for this agent") as string,
    });
  });

  it("names the expression that has no value", async () => {
    const wrong = scriptedModel({ agents: { a: [{ say: "${last.count}" }] } });
    await expect(wrong.call(request("a", [user("{}")]), options())).rejects.toMatchObject({
      code: "MODEL_SCRIPT_FAILED",
      details: { expression: "last.count" },
    });
    const senseless = scriptedModel({ agents: { a: [{ when: "input.n > 'x'", say: "a" }] } });
    await expect(senseless.call(request("a", [user('{"n":1}')]), options())).rejects.toMatchObject({
      code: "MODEL_SCRIPT_FAILED",
    });
  });
});

describe("scripts", () => {
  const problems = (script: Json): string[] => {
    const parsed = Script.safeParse(script);
    return parsed.success ? [] : parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  };

  it("report every mistake with its place", () => {
    const found = problems({
      agents: {
        a: [
          { when: "turn ==", say: "x" },
          { when: "trun == 1", say: "${last.", takeMs: [5, 1] },
          { think: "only" },
          { say: "x", output: {} },
          { call: { tool: "t", input: { deep: ["${nosuch(1)}"] } }, output: 1 },
          { sya: "x" },
        ],
      },
    });
    for (const expected of [
      /^agents\.a\.0\.when: Unexpected token/,
      /^agents\.a\.1\.when: .*trun/,
      /^agents\.a\.1\.say: .*no "}"/,
      /^agents\.a\.1\.takeMs/,
      /^agents\.a\.2: say what to do/,
      /^agents\.a\.3: use say or output/,
      /^agents\.a\.4\.call\.input: .*nosuch/,
      /^agents\.a\.5: .*sya/,
    ]) {
      expect(found).toContainEqual(expect.stringMatching(expected));
    }
  });

  it("that are wrong are refused before the first call", () => {
    expect(() => scriptedModel({ agents: { a: [] } })).toThrow(
      expect.objectContaining({ code: "DEFINITION_INVALID" }) as Error,
    );
  });
});
