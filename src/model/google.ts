import { aiSdkModel } from "./ai-sdk.ts";
import type { Model } from "./model.ts";
import type { ProviderSettings } from "./provider.ts";

export const GOOGLE_BASE_URL = "https://generativelanguage.googleapis.com/v1beta";

/** Google's Gemini API, `streamGenerateContent` (I2). */
export function googleModel(settings: ProviderSettings): Model {
  const adapter = {
    package: "@ai-sdk/google",
    load: async () => {
      const { createGoogle } = await import("@ai-sdk/google");
      return (model: string, fetch: ProviderSettings["fetch"]) => {
        const { baseUrl, apiKey, headers } = settings;
        return createGoogle({ baseURL: baseUrl, apiKey: apiKey ?? "", headers: { ...headers }, fetch })(model);
      };
    },
    providerOptions: { google: { ...settings.options } },
    takesSchema: true,
  };
  return aiSdkModel(adapter, settings);
}
