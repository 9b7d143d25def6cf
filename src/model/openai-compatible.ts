import type { Json } from "../core/json.ts";
import { FlotillaError } from "../error.ts";
import { aiSdkModel } from "./ai-sdk.ts";
import type { Model } from "./model.ts";
import type { ProviderSettings } from "./provider.ts";

/** Any server that speaks OpenAI's chat completions: Ollama, vLLM, LM Studio, gateways (I2). A key is sent only where
 *  there is one. Of `options`, `structuredOutputs: false` is for servers that take no JSON Schema, `queryParams` is put
 *  into the URL, and everything else goes into the request's body as it is. */
export function openaiCompatibleModel(settings: ProviderSettings): Model {
  const { structuredOutputs = true, queryParams = {}, ...body } = settings.options;
  const query = stringValues(settings.name, queryParams);
  const adapter = {
    package: "@ai-sdk/openai-compatible",
    load: async () => {
      const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
      return (model: string, fetch: ProviderSettings["fetch"]) => {
        const provider = createOpenAICompatible({
          name: OPTIONS_KEY,
          baseURL: settings.baseUrl,
          ...(settings.apiKey === null ? {} : { apiKey: settings.apiKey }),
          headers: { ...settings.headers },
          queryParams: query,
          includeUsage: true,
          supportsStructuredOutputs: structuredOutputs === true,
          fetch,
        });
        return provider(model);
      };
    },
    providerOptions: { [OPTIONS_KEY]: { strictJsonSchema: false, ...body } },
    takesSchema: structuredOutputs === true,
  };
  return aiSdkModel(adapter, settings);
}

/** The SDK files its options and metadata under this name, whatever the provider is called in the definition. */
const OPTIONS_KEY = "openaiCompatible";

function stringValues(provider: string, value: Json): Record<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new FlotillaError("DEFINITION_INVALID", `providers.${provider}.options.queryParams must be a map of texts`);
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, typeof item === "string" ? item : JSON.stringify(item)]),
  );
}
