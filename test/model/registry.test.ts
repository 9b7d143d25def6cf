import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ProviderDefinition } from "../../src/core/definition.ts";
import { aiSdkModel } from "../../src/model/ai-sdk.ts";
import type { ModelRequest } from "../../src/model/model.ts";
import { modelRegistry } from "../../src/model/registry.ts";
import { estimateTokens } from "../../src/model/tokens.ts";
import { type Double, startDouble } from "./double.ts";

const provider = (more: Partial<ProviderDefinition> & Pick<ProviderDefinition, "kind">): ProviderDefinition => {
  return { baseUrl: null, apiKey: null, headers: {}, options: {}, prices: {}, script: null, ...more };
};

const request: ModelRequest = {
  model: "qwen3:8b",
  agent: "a",
  system: "s",
  messages: [{ role: "user", content: [{ type: "text", text: "hi" }] }],
  tools: [],
  output: null,
  outputTokensMax: 64,
  temperature: 0.5,
};
const options = () => ({ signal: new AbortController().signal, sleep: () => Promise.resolve() });

describe("the model registry", () => {
  it("splits at the first slash and keeps one model per provider", () => {
    const registry = modelRegistry({
      providers: { local: provider({ kind: "openai-compatible", baseUrl: "http://127.0.0.1:1/v1" }) },
      secret: () => undefined,
    });
    const one = registry.resolve("local/org/model:8b");
    expect(one).toMatchObject({ provider: "local", name: "org/model:8b" });
    expect(registry.resolve("local/other").model).toBe(one.model);
    expect(registry.resolve("scripted")).toMatchObject({ provider: "scripted", name: "scripted" });
  });

  it("knows the built-in providers by the standard names of their keys", () => {
    const keys: Record<string, string> = {
      OPENAI_API_KEY: "k-openai",
      ANTHROPIC_API_KEY: "k-anthropic",
      GEMINI_API_KEY: "k-google",
    };
    const registry = modelRegistry({ providers: {}, secret: (name) => keys[name] });
    for (const ref of ["openai/m", "anthropic/m", "google/m", "scripted/m"])
      expect(registry.resolve(ref).name).toBe("m");
  });

  it("says where it looked for a key", () => {
    const registry = modelRegistry({
      providers: { mine: provider({ kind: "openai", apiKey: { secret: "MY_KEY" } }) },
      secret: () => undefined,
    });
    expect(() => registry.resolve("anthropic/m", "judge")).toThrow(
      expect.objectContaining({
        code: "MODEL_KEY_MISSING",
        message:
          'no API key for provider "anthropic" (agent judge)\n  looked in: ANTHROPIC_API_KEY, .env, ~/.config/flotilla',
        hint: expect.stringContaining("--model scripted") as string,
      }) as Error,
    );
    expect(() => registry.resolve("google/m")).toThrow("GOOGLE_GENERATIVE_AI_API_KEY, GEMINI_API_KEY, .env");
    expect(() => registry.resolve("mine/m")).toThrow("looked in: MY_KEY, .env");
  });

  it("lists the known providers and the nearest one", () => {
    const registry = modelRegistry({ providers: { local: provider({ kind: "scripted" }) }, secret: () => undefined });
    expect(() => registry.resolve("antropic/m")).toThrow(
      /known: openai, anthropic, google, scripted, local\. +Did you mean "anthropic"\?/,
    );
    expect(() => registry.resolve("constructor/m")).toThrow(
      expect.objectContaining({ code: "MODEL_UNKNOWN" }) as Error,
    );
    for (const ref of ["gpt", "/m", "openai/", ""]) {
      expect(() => registry.resolve(ref)).toThrow(expect.objectContaining({ code: "MODEL_UNKNOWN" }) as Error);
    }
  });

  it("names a package that is missing", async () => {
    const absent = Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" });
    const adapter = {
      package: "@ai-sdk/x",
      load: () => Promise.reject(absent),
      providerOptions: {},
      takesSchema: true,
    };
    const settings = {
      name: "x",
      baseUrl: "",
      apiKey: null,
      headers: {},
      options: {},
      fetch,
      redact: (text: string) => text,
    };
    await expect(aiSdkModel(adapter, settings).call(request, options())).rejects.toMatchObject({
      code: "PACKAGE_MISSING",
      hint: "npm install @ai-sdk/x",
    });
  });
});

describe("an openai-compatible server", () => {
  let double: Double;
  beforeEach(async () => {
    double = await startDouble();
  });
  afterEach(() => double.close());

  const registryWith = (more: Partial<ProviderDefinition>, secrets: Record<string, string> = {}) =>
    modelRegistry({
      providers: {
        local: provider({ kind: "openai-compatible", baseUrl: `${double.baseUrl("openai-compatible")}/`, ...more }),
      },
      secret: (name) => secrets[name],
    });

  it("as Ollama needs no key, and is sent none", async () => {
    await registryWith({}).resolve("local/qwen3:8b").model.call(request, options());
    expect(double.requests[0]?.headers).not.toHaveProperty("authorization");
    expect(double.requests[0]?.body).toMatchObject({
      model: "qwen3:8b",
      temperature: 0.5,
      max_tokens: 64,
      stream: true,
    });
  });

  it("gets headers, secret ones too, options and query parameters", async () => {
    const registry = registryWith(
      {
        headers: { "x-team": "tides", "x-gate": { secret: "GATE" } },
        options: { top_k: 7, queryParams: { "api-version": "1" } },
      },
      { GATE: "gate-canary-123" },
    );
    const { model } = registry.resolve("local/m");
    await model.call(request, options());
    expect(double.requests[0]?.headers).toMatchObject({ "x-team": "tides", "x-gate": "gate-canary-123" });
    expect(double.requests[0]?.body).toMatchObject({ top_k: 7 });
    expect(double.requests[0]?.path).toContain("api-version=1");
    double.script({ status: 500, message: "bad gate gate-canary-123" });
    await expect(model.call(request, options())).rejects.toMatchObject({
      message: expect.stringContaining("[secret x-gate]") as string,
    });
    expect(() => registryWith({ headers: { "x-gate": { secret: "GATE" } } }).resolve("local/m")).toThrow(
      expect.objectContaining({ code: "SECRET_MISSING" }) as Error,
    );
  });

  it("that takes no schema is told it in words", async () => {
    const output = { type: "object", properties: { metres: { type: "number" } } };
    const { model } = registryWith({ options: { structuredOutputs: false } }).resolve("local/m");
    await model.call({ ...request, output }, options());
    expect(double.requests[0]?.body).not.toHaveProperty("response_format");
    expect(JSON.stringify(double.requests[0]?.body)).toContain("metres");
  });

  it("that counts no tokens is counted by estimate", async () => {
    double.script({ answer: { text: "x".repeat(40), usage: null } });
    const { usage } = await registryWith({}).resolve("local/m").model.call(request, options());
    expect(usage).toMatchObject({ inputTokens: estimateTokens(request), outputTokens: 10 });
  });

  it("is not followed to another address: a redirect would carry the key along", async () => {
    double.script({ status: 307, headers: { location: "http://127.0.0.1:9/elsewhere" } });
    await expect(registryWith({}).resolve("local/m").model.call(request, options())).rejects.toMatchObject({
      code: "MODEL_REQUEST_INVALID",
    });
  });

  it("refuses options that the provider package does not accept, before anything is sent", async () => {
    const { model } = registryWith({ options: { reasoningEffort: { no: "text" } } }).resolve("local/m");
    await expect(model.call(request, options())).rejects.toMatchObject({ code: "MODEL_REQUEST_INVALID" });
    expect(double.requests).toHaveLength(0);
  });
});
