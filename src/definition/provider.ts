import { z } from "zod";
import type { McpServerDefinition, ProviderDefinition } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import type { Finding } from "./finding.ts";
import { list } from "./name-list.ts";
import { nearest } from "./nearest.ts";
import { HeadersShape, JsonValue, ProviderKind, SecretShape } from "./shape.ts";

/** Providers that need no declaration. */
export const BUILT_IN_PROVIDERS = [
  "openai",
  "anthropic",
  "google",
  "scripted",
] as const satisfies ProviderDefinition["kind"][];

export const BaseUrl = z
  .string()
  .regex(/^https?:\/\/[^\s/]+/, { error: "must start with http:// or https:// and a host" })
  .describe("Where the provider's API is, such as http://127.0.0.1:11434/v1.");

const Usd = z.number().min(0);

const PriceShape = z.strictObject({
  inputUsdPerMTok: Usd.describe("USD for a million input tokens."),
  outputUsdPerMTok: Usd.describe("USD for a million output tokens."),
  cachedInputUsdPerMTok: Usd.optional().describe("USD for a million input tokens that the provider had cached."),
});

/** A provider in either spelling; `script` differs, since YAML may name a file. */
export const providerFields = {
  kind: ProviderKind.optional().describe(
    "What it speaks. May be left out when the key is openai, anthropic, google or scripted.",
  ),
  baseUrl: BaseUrl.optional(),
  apiKey: SecretShape.optional().describe(
    "The secret that holds the API key. Absent: the provider's usual environment variable.",
  ),
  headers: HeadersShape.optional(),
  options: z.record(z.string(), JsonValue).optional().describe("Passed to the provider as they are."),
  prices: z
    .record(z.string(), PriceShape)
    .optional()
    .describe(
      "What models cost, by the model's name; * for all others. Needed where a workflow has limits.costUsdMax.",
    ),
};

export const ProviderOptionsShape = z.strictObject({
  ...providerFields,
  script: JsonValue.optional().describe("Kind scripted: the rules."),
});

export type ProviderOptions = z.input<typeof ProviderOptionsShape>;

/** The kind of a provider: as declared, or by its name. */
export function providerKind(name: string, kind: unknown): ProviderDefinition["kind"] | null {
  const parsed = ProviderKind.safeParse(kind ?? name);
  return parsed.success ? parsed.data : null;
}

/** What is wrong with a provider beyond the form of its keys. `given` need not be well-formed. */
export function checkProvider(name: string, given: Readonly<Record<string, unknown>>): Finding[] {
  const kind = providerKind(name, given.kind);
  if (kind === null) {
    if (given.kind !== undefined) return []; // The form of `kind` is told of already.
    return [
      {
        code: "DEFINITION_MISSING_KEY",
        message: `provider "${name}" does not say its kind`,
        path: [],
        part: "key",
        missing: ["kind"],
        hint: `add kind: ${ProviderKind.options.join(", ")}`,
      },
    ];
  }
  const findings: Finding[] = [];
  const unfit = (key: string, why: string) =>
    findings.push({
      code: "DEFINITION_INVALID",
      message: `provider "${name}" ${why}`,
      path: [key],
      part: "key",
      hint: `remove ${key}`,
    });
  if (kind === "openai-compatible" && given.baseUrl === undefined) {
    findings.push({
      code: "DEFINITION_MISSING_KEY",
      message: `provider "${name}" is openai-compatible and has no baseUrl`,
      path: [],
      part: "key",
      missing: ["baseUrl"],
      hint: "add baseUrl, such as http://127.0.0.1:11434/v1",
    });
  }
  if (kind === "scripted") {
    for (const key of ["baseUrl", "apiKey", "headers", "options"]) {
      if (given[key] !== undefined) unfit(key, `is scripted and has no use for ${key}`);
    }
    if (given.script === undefined) {
      findings.push({
        code: "DEFINITION_MISSING_KEY",
        message: `provider "${name}" is scripted and has no script`,
        path: [],
        part: "key",
        missing: ["script"],
        hint: "add script: { file: script.yaml }",
      });
    }
  } else if (given.script !== undefined) unfit("script", `is ${kind} and has no use for a script`);
  return findings;
}

export function providerDefinition(
  name: string,
  given: Omit<z.output<typeof ProviderOptionsShape>, "script">,
  script: Json | null,
): ProviderDefinition {
  return {
    kind: providerKind(name, given.kind) ?? "openai-compatible",
    baseUrl: given.baseUrl ?? null,
    apiKey: given.apiKey ?? null,
    headers: given.headers ?? {},
    options: given.options ?? {},
    prices: given.prices ?? {},
    script,
  };
}

/** Whether `provider/name` can be asked, given the declared providers by name. `subject` is who names it. */
export function checkModel(
  model: string,
  providers: Readonly<Record<string, unknown>>,
  subject: string,
): Omit<Finding, "path" | "part"> | null {
  const slash = model.indexOf("/");
  const provider = slash === -1 ? model : model.slice(0, slash);
  const known = [...new Set([...BUILT_IN_PROVIDERS, ...Object.keys(providers)])];
  if (slash === -1 ? provider !== "scripted" : slash === 0 || slash === model.length - 1) {
    const like = known.includes(provider) ? `${provider}/NAME` : "anthropic/NAME";
    return {
      code: "DEFINITION_INVALID",
      message: `${subject} names model "${model}", which is not of the form provider/name`,
      hint: `write ${like}, or scripted`,
    };
  }
  if (!known.includes(provider)) {
    const suggestion = nearest(provider, known);
    return {
      code: "MODEL_UNKNOWN",
      message: `${subject} uses provider "${provider}", which is not defined`,
      ...(suggestion === null ? {} : { suggestion: slash === -1 ? suggestion : `${suggestion}${model.slice(slash)}` }),
      notes: [`defined: ${list(known)}`],
      hint: "declare it under providers, or use one that is defined",
    };
  }
  if (provider === "scripted" && !Object.hasOwn(providers, provider)) {
    return {
      code: "DEFINITION_REFERENCE",
      message: `${subject} uses the scripted model, and there is no script`,
      hint: "add providers: { scripted: { script: { file: script.yaml } } }",
    };
  }
  return null;
}

export const McpServerShape = z
  .strictObject({
    command: z.string().min(1).optional().describe("A program that speaks MCP on its standard input and output."),
    args: z.array(z.string()).optional().describe("Arguments of the command."),
    env: z
      .record(z.string(), z.union([z.string(), SecretShape]))
      .optional()
      .describe("Environment of the command; a value is text or { secret: NAME }."),
    url: BaseUrl.optional().describe("Of a server that speaks MCP over HTTP."),
    headers: HeadersShape.optional(),
  })
  .describe("An MCP server: a command (stdio) or a url (HTTP).");

export type McpServerOptions = z.input<typeof McpServerShape>;

/** What is wrong with a server beyond the form of its keys. */
export function checkMcpServer(name: string, given: Readonly<Record<string, unknown>>): Finding[] {
  const finding = (path: string[], message: string, hint: string): Finding => {
    return { code: "DEFINITION_INVALID", message: `MCP server "${name}" ${message}`, path, part: "key", hint };
  };
  if (given.command === undefined && given.url === undefined) {
    return [finding([], "has neither a command nor a url", "add command (stdio) or url (HTTP)")];
  }
  if (given.command !== undefined && given.url !== undefined) {
    return [finding(["url"], "has both a command and a url", "keep one of them")];
  }
  const foreign = given.command === undefined ? ["args", "env"] : ["headers"];
  const owner = given.command === undefined ? "command" : "url";
  return foreign
    .filter((key) => given[key] !== undefined)
    .map((key) => finding([key], `has ${key}, which go with a ${owner}`, `remove ${key}`));
}

export function mcpServerDefinition(given: z.output<typeof McpServerShape>): McpServerDefinition {
  return {
    transport: given.command === undefined ? "http" : "stdio",
    command: given.command ?? null,
    args: given.args ?? [],
    env: given.env ?? {},
    url: given.url ?? null,
    headers: given.headers ?? {},
  };
}
