import { z } from "zod";
import type { JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { type ErrorCode, FlotillaError } from "../error.ts";
import { asJson } from "./as-json.ts";
import { definitionError, problem } from "./problem.ts";

/** A zod 4 schema given as an option; recognised by its own mark, since two copies of zod may meet. */
export const ZodSchema = z.custom<z.ZodType>(isZodSchema, { error: "must be a zod schema, such as z.object({ … })" });

export function isZodSchema(value: unknown): value is z.ZodType {
  return typeof value === "object" && value !== null && "_zod" in value;
}

const inputs = new WeakMap<z.ZodType, JsonSchema>();
const outputs = new WeakMap<z.ZodType, JsonSchema>();

/** The JSON Schema of what may be given to `schema`: keys with defaults may be absent, and unknown keys may be present
 *  unless it is strict, as in zod itself. @throws {FlotillaError} DEFINITION_INVALID when JSON cannot express it */
export function inputSchema(schema: z.ZodType, what: string): JsonSchema {
  return convert(schema, "input", inputs, what);
}

/** The JSON Schema of what comes out of `schema`: closed objects, which is what models are held to.
 *  @throws {FlotillaError} DEFINITION_INVALID when JSON cannot express it */
export function outputSchema(schema: z.ZodType, what: string): JsonSchema {
  return convert(schema, "output", outputs, what);
}

function convert(
  schema: z.ZodType,
  io: "input" | "output",
  cache: WeakMap<z.ZodType, JsonSchema>,
  what: string,
): JsonSchema {
  const known = cache.get(schema);
  if (known !== undefined) return known;
  const converted = toJsonSchema(schema, io, what);
  cache.set(schema, converted);
  return converted;
}

function toJsonSchema(schema: z.ZodType, io: "input" | "output", what: string): JsonSchema {
  try {
    const { $schema: _, "~standard": __, ...rest } = z.toJSONSchema(schema, { target: "draft-2020-12", io });
    return JSON.parse(JSON.stringify(rest)) as JsonSchema;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const hint = "Use schemas whose values are JSON: for a date z.iso.datetime(), and transforms on input only.";
    throw definitionError([problem("DEFINITION_INVALID", `${what} cannot be a JSON Schema: ${why}`, { hint })], cause);
  }
}

/** What is checked, in the words of its error. */
export interface Checked {
  code: ErrorCode;
  /** `the output`. */
  what: string;
  /** Default: the catalogue's. */
  hint?: string;
}

/** `value` as `schema` makes it (defaults, transforms). @throws {FlotillaError} naming each field */
export async function parseValue<Output>(schema: z.ZodType<Output>, value: unknown, checked: Checked): Promise<Output> {
  const result = await schema.safeParseAsync(value);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => ({ path: `/${issue.path.join("/")}`, message: issue.message }));
  const shown = issues.slice(0, 5).map(({ path, message }) => `${path === "/" ? "" : `${path}: `}${message}`);
  throw unfit(checked, `does not match its schema: ${shown.join("; ")}`, { details: { issues } });
}

/** What code returned, as JSON that matches `schema` if there is one. @throws {FlotillaError} */
export async function parseResult(schema: z.ZodType | undefined, value: unknown, checked: Checked): Promise<Json> {
  const parsed = schema === undefined ? value : await parseValue(schema, value, checked);
  try {
    return asJson(parsed);
  } catch (cause) {
    throw unfit(checked, `is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

function unfit(
  { code, what, hint }: Checked,
  why: string,
  more: { details?: Record<string, unknown>; cause?: unknown },
) {
  return new FlotillaError(code, `${what} ${why}`, { ...(hint === undefined ? {} : { hint }), ...more });
}
