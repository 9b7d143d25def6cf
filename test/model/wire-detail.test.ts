import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ModelRequest } from "../../src/model/model.ts";
import { modelRegistry } from "../../src/model/registry.ts";
import { type Double, startDouble, type Wire } from "./double.ts";

const request: ModelRequest = {
  model: "double-1",
  agent: "a",
  system: "s",
  messages: [{ role: "user", content: [{ type: "text", text: "hi" }] }],
  tools: [
    { name: "tides", description: "Tide table", input: { type: "object", properties: { place: { type: "string" } } } },
  ],
  output: null,
  outputTokensMax: 64,
  temperature: null,
};

describe("on the wire", () => {
  let double: Double;
  beforeEach(async () => {
    double = await startDouble();
  });
  afterEach(() => double.close());

  function call(kind: Wire, more: Partial<ModelRequest> = {}) {
    const definition = {
      kind,
      baseUrl: double.baseUrl(kind),
      apiKey: { secret: "K" },
      headers: {},
      options: {},
      prices: {},
      script: null,
    };
    const { model } = modelRegistry({ providers: { p: definition }, secret: () => "key-canary" }).resolve("p/double-1");
    return model.call(
      { ...request, ...more },
      { signal: new AbortController().signal, sleep: () => Promise.resolve() },
    );
  }

  it("anthropic is told that a tool failed", async () => {
    await call("anthropic", {
      messages: [
        ...request.messages,
        { role: "assistant", content: [{ type: "tool-call", id: "a1", tool: "tides", input: {} }] },
        {
          role: "tool",
          content: [{ type: "tool-result", id: "a1", tool: "tides", output: "no harbour", error: true }],
        },
      ],
    });
    expect(JSON.stringify(double.requests[0]?.body)).toContain('"is_error":true');
  });

  it("openai stores nothing, and holds no schema to its strict subset", async () => {
    await call("openai", { output: { type: "object", properties: { n: { type: "integer" } } } });
    expect(double.requests[0]?.body).toMatchObject({
      store: false,
      max_output_tokens: 64,
      text: { format: { type: "json_schema", strict: false } },
      tools: [{ name: "tides", strict: false }],
    });
  });

  it("google is asked for server-sent events, its key in a header", async () => {
    await call("google");
    expect(double.requests[0]?.path).toBe("/google/v1beta/models/double-1:streamGenerateContent?alt=sse");
    expect(double.requests[0]?.headers).toMatchObject({ "x-goog-api-key": "key-canary" });
  });

  it("an account without credit is not tried again, though openai answers 429", async () => {
    double.script({ status: 429, message: "quota", code: "insufficient_quota" });
    await expect(call("openai")).rejects.toMatchObject({
      code: "MODEL_UNAUTHORISED",
      class: "permanent",
      hint: expect.stringContaining("credit") as string,
    });
  });
});
