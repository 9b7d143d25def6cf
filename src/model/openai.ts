import { aiSdkModel } from "./ai-sdk.ts";
import type { Model } from "./model.ts";
import type { ProviderSettings } from "./provider.ts";

export const OPENAI_BASE_URL = "https://api.openai.com/v1";

/** OpenAI's Responses API (I2). Nothing is stored at OpenAI, so reasoning travels back encrypted with the conversation;
 *  schemas are not held to OpenAI's strict subset. `options` can set both otherwise. */
export function openaiModel(settings: ProviderSettings): Model {
  const adapter = {
    package: "@ai-sdk/openai",
    load: async () => {
      const { createOpenAI } = await import("@ai-sdk/openai");
      return (model: string, fetch: ProviderSettings["fetch"]) => {
        const { baseUrl, apiKey, headers } = settings;
        return createOpenAI({ baseURL: baseUrl, apiKey: apiKey ?? "", headers: { ...headers }, fetch }).responses(
          model,
        );
      };
    },
    providerOptions: { openai: { store: false, strictJsonSchema: false, ...settings.options } },
    takesSchema: true,
  };
  return aiSdkModel(adapter, settings);
}
