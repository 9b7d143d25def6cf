import { z } from "zod";
import type { JsonSchema, RouteIntent } from "../core/definition.ts";
import type { Json } from "../core/json.ts";

/** What a classifier says when no intent fits. */
export const NONE = "none";

/** The output to which a classifier is held. */
export function outputSchema(intents: readonly RouteIntent[]): JsonSchema {
  return {
    type: "object",
    required: ["intent"],
    properties: {
      intent: {
        enum: [...intents.map(({ name }) => name), NONE],
        description: `What the request is about; "${NONE}" if none fits.`,
      },
      confidence: { type: "number", minimum: 0, maximum: 1 },
      why: { type: "string" },
    },
    additionalProperties: false,
  };
}

const Classification = z.object({
  intent: z.string(),
  confidence: z.number().default(1),
  why: z.string().default(""),
});

/** A classifier's answer; one of another form says nothing. */
export function classification(output: Json): z.output<typeof Classification> {
  const parsed = Classification.safeParse(output);
  return parsed.success ? parsed.data : { intent: NONE, confidence: 0, why: "its answer has another form" };
}
