import type { ProviderDefinition } from "../../src/core/definition.ts";
import { modelConformance } from "../../src/conformance/model.ts";
import { modelRegistry } from "../../src/model/registry.ts";
import { startDouble, type Wire } from "./double.ts";

const KEY = "sk-canary-0123456789abcdef";

for (const kind of ["openai", "anthropic", "google", "openai-compatible"] as const satisfies readonly Wire[]) {
  modelConformance({
    name: kind,
    async open() {
      const provider = await startDouble();
      const definition: ProviderDefinition = {
        kind,
        baseUrl: provider.baseUrl(kind),
        apiKey: { secret: "KEY" },
        headers: {},
        options: {},
        prices: {},
        script: null,
      };
      const registry = modelRegistry({ providers: { mine: definition }, secret: () => KEY });
      const { model } = registry.resolve("mine/double-1");
      return { model, modelName: "double-1", provider, key: KEY };
    },
    skip:
      kind === "openai-compatible"
        ? { "the provider's signature of its reasoning goes back as it came": "chat completions have none" }
        : {},
  });
}
