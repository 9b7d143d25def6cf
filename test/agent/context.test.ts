import { describe, expect, test } from "vitest";
import { z } from "zod";
import { DEFAULT_RETRY } from "../../src/core/definition.ts";
import { tool, toolParts } from "../../src/definition/tool.ts";
import { FlotillaError } from "../../src/error.ts";
import type { FetchAnswer, FetchRequest } from "../../src/tool/fetch.ts";
import { calling, completed, failed, fakeModel, fleetOf, World } from "./world.ts";

const text = (words: string) => [{ type: "text" as const, text: words }];

describe("ctx.model", () => {
  test("takes what is left out from the agent, and gives text, reasoning and usage", async () => {
    const model = fakeModel(() => ({ content: [{ type: "reasoning", text: "hm" }, ...text("42")] }));
    const world = new World();
    const fleet = fleetOf({
      models: { "fake/one": model },
      run: async (ctx) => {
        const { output, text, reasoning, usage, simulated } = await ctx.model("what?");
        return { output, text, reasoning, tokens: usage.inputTokens, simulated };
      },
    });
    expect(completed(await world.run(fleet))).toEqual({
      output: "42",
      text: "42",
      reasoning: "hm",
      tokens: 10,
      simulated: true,
    });
    expect(model.requests[0]).toMatchObject({
      system: "Do it.",
      messages: [{ role: "user", content: text("what?") }],
      tools: [],
    });
    expect(world.records[0]).toMatchObject({
      kind: "model",
      input: { model: "fake/one", messages: [{ role: "user" }] },
    });
  });

  test("F7: an answer that does not match is asked for again, by what JSON Schema cannot say too", async () => {
    const model = fakeModel((_, call) => ["{}", '{"n":3}', '{"n":4}'][call - 1] ?? "");
    const output = z.object({ n: z.number() }).refine(({ n }) => n % 2 === 0, "n must be even");
    const fleet = fleetOf({
      models: { "fake/one": model },
      run: async (ctx) => (await ctx.model({ prompt: "?", output })).output,
    });
    expect(completed(await new World().run(fleet))).toEqual({ n: 4 });
    expect(JSON.stringify(model.requests[2]?.messages.at(-1))).toContain("n must be even");
    const stubborn = fakeModel(() => "no");
    const other = fleetOf({
      models: { "fake/one": stubborn },
      run: async (ctx) => (await ctx.model({ prompt: "?", output })).output,
    });
    expect(failed(await new World().run(other))).toMatchObject({ code: "OUTPUT_INVALID" });
    expect(stubborn.requests).toHaveLength(3);
  });

  test("tools are offered by name; the calls are in the answer, nothing is called", async () => {
    const model = fakeModel(() => calling(["it", { q: 1 }]));
    const fleet = fleetOf({
      models: { "fake/one": model },
      tools: { it: { runner: { call: () => Promise.reject(new Error("called")), check: null } } },
      run: async (ctx) => (await ctx.model({ prompt: "?", tools: ["it"] })).content as never,
    });
    expect(completed(await new World().run(fleet))).toMatchObject([{ type: "tool-call", tool: "it", input: { q: 1 } }]);
    expect(model.requests[0]?.tools).toHaveLength(1);
    const ungranted = fleetOf({
      models: { "fake/one": model },
      run: async (ctx) => (await ctx.model({ prompt: "?", tools: ["it"] })).text,
    });
    expect(failed(await new World().run(ungranted))).toMatchObject({ code: "TOOL_NOT_GRANTED" });
  });

  test("fallback models, and no model at all", async () => {
    const one = fakeModel(() => new FlotillaError("MODEL_UNAUTHORISED", "401"));
    const fleet = fleetOf({
      models: { "fake/one": one, "fake/two": fakeModel(() => "two") },
      agent: { fallbackModels: ["fake/two"] },
      run: async (ctx) => (await ctx.model("?")).text,
    });
    expect(completed(await new World().run(fleet))).toBe("two");
    const none = fleetOf({ agent: { model: null }, run: async (ctx) => (await ctx.model("?")).text });
    expect(failed(await new World().run(none))).toMatchObject({ code: "MODEL_UNKNOWN" });
  });
});

describe("ctx.fetch", () => {
  const answer = (status: number, body: string | Uint8Array): FetchAnswer =>
    new Response(typeof body === "string" ? body : new Uint8Array(body), { status, headers: { "x-a": "1" } });

  test("is a recorded step: resumed, the answer comes from the record", async () => {
    const world = new World();
    const requests: [string, FetchRequest][] = [];
    const fleet = fleetOf({
      fetch: async (url, init) => {
        requests.push([url, init]);
        return answer(200, '{"n":1}');
      },
      run: async (ctx) => {
        const got = await ctx.fetch("http://a.example/x?k=1", { headers: { authorization: "Bearer t" } });
        const all = {
          status: got.status,
          ok: got.ok,
          header: got.headers.get("x-a"),
          text: await got.text(),
          json: await got.json(),
        };
        if (world.attempt === 1) throw new Error("passes");
        return all;
      },
    });
    failed(await world.run(fleet));
    expect(completed(await world.run(fleet))).toEqual({
      status: 200,
      ok: true,
      header: "1",
      text: '{"n":1}',
      json: { n: 1 },
    });
    expect(requests).toHaveLength(1);
    expect(world.records[0]).toMatchObject({
      kind: "fetch",
      input: { method: "GET", url: "http://a.example/x?k=1", headers: ["authorization"] },
    });
    expect(JSON.stringify(world.records)).not.toContain("Bearer t");
  });

  test("bytes survive the record", async () => {
    const bytes = new Uint8Array([0, 255, 128, 10]);
    const fleet = fleetOf({
      fetch: async () => answer(200, bytes),
      run: async (ctx) => [...(await (await ctx.fetch("http://a.example/")).bytes())],
    });
    expect(completed(await new World().run(fleet))).toEqual([0, 255, 128, 10]);
  });

  test("reads are tried again when the connection fails; a write is not, unless it carries an idempotency key", async () => {
    const reset = () =>
      Object.assign(new TypeError("fetch failed"), {
        cause: Object.assign(new Error("reset"), { code: "ECONNRESET" }),
      });
    const run = async (init: { method?: string; headers?: Record<string, string> }) => {
      let calls = 0;
      const outcome = await new World().run(
        fleetOf({
          fetch: async () => {
            calls += 1;
            if (calls === 1) throw reset();
            return answer(200, "ok");
          },
          run: async (ctx) => (await ctx.fetch("http://a.example/", init)).text(),
        }),
      );
      return { outcome, calls };
    };
    expect(await run({})).toMatchObject({ outcome: { output: "ok" }, calls: 2 });
    expect(await run({ method: "POST" })).toMatchObject({ outcome: { error: { code: "OUTCOME_UNKNOWN" } }, calls: 1 });
    expect(await run({ method: "PUT", headers: { "Idempotency-Key": "k" } })).toMatchObject({
      outcome: { output: "ok" },
      calls: 2,
    });
  });
});

describe("ctx.tool", () => {
  test("finds a tool that is given by value", async () => {
    const double = tool({
      description: "Doubles",
      effect: "read",
      input: z.object({ n: z.number().default(2) }),
      output: z.object({ n: z.number() }),
      run: async ({ n }, ctx) => {
        ctx.log(`doubling ${n}`);
        return { n: 2 * n, key: ctx.idempotencyKey };
      },
    });
    const world = new World();
    const { definition, code } = toolParts(double);
    const base = fleetOf({ agent: { tools: ["double"] }, run: async (ctx) => ctx.tool(double, {}) });
    base.definition.tools.double = definition;
    const tools = new Map(code === null ? [] : [["double", code]]);
    expect(completed(await world.run({ ...base, code: { ...base.code, tools } }))).toEqual({ n: 4 });
    expect(world.records[0]).toMatchObject({ key: "double#1", kind: "tool" });
    expect(world.logs[0]?.message).toBe("doubling 2");
  });

  test("one that was not granted is refused on record", async () => {
    const world = new World();
    const fleet = fleetOf({ run: async (ctx) => ctx.tool("rm", { path: "/" }) });
    expect(failed(await world.run(fleet))).toMatchObject({ code: "TOOL_NOT_GRANTED", class: "permanent" });
    expect(world.records).toMatchObject([{ key: "rm#1", phase: "failed", input: { path: "/" } }]);
  });
});

describe("ctx.step", () => {
  test("records input and output, and undefined as null", async () => {
    const world = new World();
    const fleet = fleetOf({
      run: async (ctx) => [await ctx.step("a", { n: 1 }, ({ n }) => n + 1), await ctx.step("b", () => undefined)],
    });
    expect(completed(await world.run(fleet))).toEqual([2, null]);
    expect(world.records).toMatchObject([
      { key: "a#1", kind: "effect", input: { n: 1 }, output: 2 },
      { key: "b#1", output: null },
    ]);
  });

  test("what JSON cannot hold is refused, naming the place", async () => {
    const fleet = fleetOf({ run: async (ctx) => ctx.step("a", () => ({ list: [new Map()] })) as never });
    const error = failed(await new World().run(fleet));
    expect(error).toMatchObject({ code: "AGENT_FAILED", class: "permanent" });
    expect(error.message).toContain("/list/0 is an instance of Map");
  });

  test("F3: it has the agent's time-out for steps", async () => {
    const fleet = fleetOf({
      agent: { stepTimeoutMs: 50, retry: { ...DEFAULT_RETRY, attemptsMax: 1 } },
      run: async (ctx) => ctx.step("a", () => new Promise(() => {})) as never,
    });
    expect(failed(await new World().run(fleet))).toMatchObject({
      code: "STEP_TIMEOUT",
      message: "a#1 took longer than 50 ms",
    });
  });
});
