import { FlotillaError } from "../error.ts";
import type { ModelResponse } from "../model/model.ts";
import { hang } from "./agents.ts";
import type { Faults } from "./fault.ts";

/** What befalls a call to a provider before it answers: nothing, silence for ever, 429 with a time to wait, or 500. */
export async function modelFault(faults: Faults): Promise<void> {
  if (faults.take("model.timeout") !== null) await hang();
  const limited = faults.take("model.429");
  if (limited !== null) {
    const options = { retryAfterMs: limited.int(100, 5_000), details: { status: 429 } };
    throw new FlotillaError("MODEL_RATE_LIMITED", "too many requests", options);
  }
  if (faults.take("model.500") !== null)
    throw new FlotillaError("MODEL_UNAVAILABLE", "the provider failed", { details: { status: 500 } });
}

/** An answer in plain words where a document or a tool call was due. */
export function garbledAnswer(response: ModelResponse): ModelResponse {
  return { ...response, content: [{ type: "text", text: "I would rather not say." }], finish: "stop" };
}
