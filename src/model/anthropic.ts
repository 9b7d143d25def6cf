import { aiSdkModel } from "./ai-sdk.ts";
import type { Model } from "./model.ts";
import type { ProviderSettings } from "./provider.ts";

export const ANTHROPIC_BASE_URL = "https://api.anthropic.com/v1";

/** Anthropic's Messages API (I2). */
export function anthropicModel(settings: ProviderSettings): Model {
  const adapter = {
    package: "@ai-sdk/anthropic",
    load: async () => {
      const { createAnthropic } = await import("@ai-sdk/anthropic");
      return (model: string, fetch: ProviderSettings["fetch"]) => {
        const { baseUrl, apiKey, headers } = settings;
        return createAnthropic({ baseURL: baseUrl, apiKey: apiKey ?? "", headers: { ...headers }, fetch })(model);
      };
    },
    providerOptions: { anthropic: { ...settings.options } },
    takesSchema: true,
  };
  return aiSdkModel(adapter, settings);
}
