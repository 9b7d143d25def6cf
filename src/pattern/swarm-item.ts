import { z } from "zod";
import type { JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { PRIORITY, type PriorityName } from "../core/definition.ts";
import { schemaCheck } from "../definition/json-schema.ts";
import type { SwarmOptions } from "./swarm-option.ts";

/** What lies on the board: work of a type, and what is to be worked on. */
export interface Item {
  type: string;
  content: Json;
  /** Work of one type and key is posted once, however often it is found (C11). */
  key?: string | undefined;
  priority?: PriorityName | undefined;
}

const KEY = "^[A-Za-z][A-Za-z0-9_.-]{0,63}$";
const PRIORITIES = Object.keys(PRIORITY) as [PriorityName, ...PriorityName[]];

const ItemShape = z.strictObject({
  type: z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/),
  content: z.json(),
  key: z.string().regex(new RegExp(KEY)).optional(),
  priority: z.enum(PRIORITIES).optional(),
});

type Types = Pick<SwarmOptions, "types">;

/** A list of items as somebody gave it, or all that is wrong with it: form, types, contents by their types' schemas. */
export function readItems({ types }: Types, given: unknown): { items: readonly Item[] } | { problems: string[] } {
  const parsed = z.array(ItemShape).safeParse(given);
  if (!parsed.success) return { problems: parsed.error.issues.map(sentenceOf) };
  const items = parsed.data as readonly Item[];
  const problems = items.flatMap((item, index) =>
    contentProblems(types, item).map((one) => `item ${index + 1} ${one}`),
  );
  return problems.length > 0 ? { problems } : { items };
}

function contentProblems(types: SwarmOptions["types"], { type, content }: Item): string[] {
  if (types === undefined) return [];
  const schema = Object.hasOwn(types, type) ? types[type] : undefined;
  if (schema === undefined) return [`is of type "${type}"; there are ${Object.keys(types).join(", ")}`];
  return (schemaCheck(schema as JsonSchema)(content) ?? []).map((problem) => `has a content in which ${problem}`);
}

function sentenceOf({ path: [index, ...rest], message }: z.core.$ZodIssue): string {
  if (index === undefined) return `they are no list of items: ${message}`;
  return `item ${Number(index) + 1}${rest.length === 0 ? "" : `, ${rest.join(".")}`}: ${message}`;
}

/** The output of an agent that may add to the board: models are held to it, and what does not conform is asked for
 *  again (F7) before anything of it is posted. */
export function outputSchema({ types }: Types, adds: readonly string[]): JsonSchema {
  const item = (type: string): JsonSchema => ({
    type: "object",
    required: ["type", "content"],
    properties: {
      type: { const: type },
      content: (types?.[type] ?? {}) as Json,
      key: { type: "string", pattern: KEY, description: "Names the work, so that it is posted once." },
      priority: { enum: PRIORITIES },
    },
    additionalProperties: false,
  });
  return {
    type: "object",
    required: ["result"],
    properties: {
      result: { description: "What became of the item." },
      more: { type: "array", items: { anyOf: adds.map(item) }, description: "Work that others should take up." },
    },
    additionalProperties: false,
  };
}
