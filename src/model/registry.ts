import type { ProviderDefinition, SecretRef } from "../core/definition.ts";
import { nearest } from "../definition/nearest.ts";
import { FlotillaError } from "../error.ts";
import { redactor } from "../telemetry/redact.ts";
import { ANTHROPIC_BASE_URL, anthropicModel } from "./anthropic.ts";
import { SECRET_PLACES } from "./env.ts";
import { modelFetch } from "./fetch.ts";
import { GOOGLE_BASE_URL, googleModel } from "./google.ts";
import type { Model } from "./model.ts";
import { OPENAI_BASE_URL, openaiModel } from "./openai.ts";
import { openaiCompatibleModel } from "./openai-compatible.ts";
import type { Fetch, ProviderSettings } from "./provider.ts";
import { scriptedModel } from "./scripted.ts";

export interface ModelRegistryOptions {
  /** As declared; openai, anthropic, google and scripted need no declaration. */
  providers: Readonly<Record<string, ProviderDefinition>>;
  /** Looks a secret up by name: see `readSecrets`. */
  secret: (name: string) => string | undefined;
  /** Looks up what is no secret: the base URL variables that people set for a provider's own SDK. Default: nothing. */
  setting?: (name: string) => string | undefined;
  /** Default: a pool of its own without time-outs (`modelFetch`). */
  fetch?: Fetch;
}

export interface ResolvedModel {
  model: Model;
  /** What `ModelRequest.model` must be: the part behind the first slash. */
  name: string;
  provider: string;
}

export interface ModelRegistry {
  /** The model of a `provider/name`, or of `scripted` alone; one instance per provider. `agent` is named in errors.
   *  @throws {FlotillaError} MODEL_UNKNOWN, MODEL_KEY_MISSING, SECRET_MISSING, DEFINITION_INVALID */
  resolve(ref: string, agent?: string): ResolvedModel;
}

/** The models of a fleet, by `provider/name` (I2). Nothing is imported, read or connected before it is needed. */
export function modelRegistry(options: ModelRegistryOptions): ModelRegistry {
  const models = new Map<string, Model>();
  const fetch = options.fetch ?? modelFetch();
  const definitions: Readonly<Record<string, ProviderDefinition>> = { ...BUILT_IN, ...options.providers };

  return {
    resolve(ref, agent) {
      const { provider, name } = split(ref);
      const definition = Object.hasOwn(definitions, provider) ? definitions[provider] : undefined;
      if (definition === undefined) throw unknownProvider(ref, provider, Object.keys(definitions));
      const known = models.get(provider);
      if (known !== undefined) return { model: known, name, provider };
      const model = createModel(provider, definition, options, fetch, agent);
      models.set(provider, model);
      return { model, name, provider };
    },
  };
}

/** The environment variables in which each kind's key is looked for when the definition names no secret. */
export const KEY_NAMES: Readonly<Record<ProviderDefinition["kind"], readonly string[]>> = {
  openai: ["OPENAI_API_KEY"],
  anthropic: ["ANTHROPIC_API_KEY"],
  google: ["GOOGLE_GENERATIVE_AI_API_KEY", "GEMINI_API_KEY"],
  "openai-compatible": [],
  scripted: [],
};

const builtIn = (kind: ProviderDefinition["kind"]): ProviderDefinition => {
  return { kind, baseUrl: null, apiKey: null, headers: {}, options: {}, prices: {}, script: null };
};

const BUILT_IN: Readonly<Record<string, ProviderDefinition>> = {
  openai: builtIn("openai"),
  anthropic: builtIn("anthropic"),
  google: builtIn("google"),
  scripted: builtIn("scripted"),
};

/** The variables by which people redirect a provider without a declaration, and where it is otherwise. */
const BASE_URLS = {
  openai: { variable: "OPENAI_BASE_URL", url: OPENAI_BASE_URL },
  anthropic: { variable: "ANTHROPIC_BASE_URL", url: ANTHROPIC_BASE_URL },
  google: { variable: "GOOGLE_GENERATIVE_AI_BASE_URL", url: GOOGLE_BASE_URL },
} as const;

function split(ref: string): { provider: string; name: string } {
  const slash = ref.indexOf("/");
  if (slash === -1 && ref === "scripted") return { provider: ref, name: ref };
  if (slash > 0 && slash < ref.length - 1) return { provider: ref.slice(0, slash), name: ref.slice(slash + 1) };
  throw new FlotillaError("MODEL_UNKNOWN", `"${ref}" names no model`, {
    hint: "Write provider/name, as in anthropic/MODEL, or scripted.",
    details: { ref },
  });
}

function unknownProvider(ref: string, provider: string, known: readonly string[]): FlotillaError {
  const suggestion = nearest(provider, known);
  const question = suggestion === null ? "" : `  Did you mean "${suggestion}"?`;
  return new FlotillaError(
    "MODEL_UNKNOWN",
    `model "${ref}" names provider "${provider}", which is not known\n  known: ${known.join(", ")}.${question}`,
    { details: { ref, provider, known: [...known], ...(suggestion === null ? {} : { suggestion }) } },
  );
}

type FindSecret = ModelRegistryOptions["secret"];

function createModel(
  name: string,
  definition: ProviderDefinition,
  { secret, setting = () => undefined }: ModelRegistryOptions,
  fetch: Fetch,
  agent: string | undefined,
): Model {
  if (definition.kind === "scripted") return scriptedModel(definition.script);
  const key = findKey(name, definition, secret, agent);
  const secretHeaders = Object.entries(definition.headers).filter(([, value]) => typeof value !== "string");
  const headers = resolveHeaders(name, definition.headers, secret);
  const settings: ProviderSettings = {
    name,
    baseUrl: baseUrlOf(name, definition, setting),
    apiKey: key?.value ?? null,
    headers,
    options: definition.options,
    fetch,
    redact: redactor([
      ...(key === null ? [] : [[key.name, key.value] as const]),
      ...secretHeaders.map(([header]) => [header, headers[header] ?? ""] as const),
    ]),
  };
  switch (definition.kind) {
    case "openai":
      return openaiModel(settings);
    case "anthropic":
      return anthropicModel(settings);
    case "google":
      return googleModel(settings);
    case "openai-compatible":
      return openaiCompatibleModel(settings);
  }
}

function findKey(
  provider: string,
  definition: ProviderDefinition,
  secret: FindSecret,
  agent: string | undefined,
): { name: string; value: string } | null {
  const names = definition.apiKey === null ? KEY_NAMES[definition.kind] : [definition.apiKey.secret];
  for (const name of names) {
    const value = secret(name);
    if (value !== undefined && value !== "") return { name, value };
  }
  if (names.length === 0) return null;
  const lookedIn = [...names, ...SECRET_PLACES];
  const asker = agent === undefined ? "" : ` (agent ${agent})`;
  throw new FlotillaError(
    "MODEL_KEY_MISSING",
    `no API key for provider "${provider}"${asker}\n  looked in: ${lookedIn.join(", ")}`,
    { hint: "set the key, or run offline: --model scripted", details: { provider, lookedIn } },
  );
}

function resolveHeaders(
  provider: string,
  headers: ProviderDefinition["headers"],
  secret: FindSecret,
): Record<string, string> {
  const resolve = (value: string | SecretRef): string => {
    if (typeof value === "string") return value;
    const found = secret(value.secret);
    if (found !== undefined) return found;
    throw new FlotillaError("SECRET_MISSING", `the secret ${value.secret} of provider "${provider}" is not set`, {
      details: { provider, secret: value.secret },
    });
  };
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, resolve(value)]));
}

function baseUrlOf(provider: string, definition: ProviderDefinition, setting: FindSecret): string {
  if (definition.baseUrl !== null) return definition.baseUrl.replace(/\/+$/, "");
  if (definition.kind === "openai-compatible" || definition.kind === "scripted") {
    throw new FlotillaError("DEFINITION_INVALID", `providers.${provider} needs a baseUrl`, { details: { provider } });
  }
  const { variable, url } = BASE_URLS[definition.kind];
  return (setting(variable) ?? url).replace(/\/+$/, "");
}
