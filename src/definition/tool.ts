import { z } from "zod";
import type { Json } from "../core/json.ts";
import type { ApprovalPolicy, ModuleRef, RetryPolicy, SecretRef, ToolDefinition } from "../core/definition.ts";
import type { ToolCheck, ToolContext } from "./context.ts";
import { completeApproval, completeRetry, DEFAULTS, type Partially } from "./default.ts";
import { checkOptions } from "./option.ts";
import { ApprovalShape, DurationMs, Effect, HeadersShape, JsonValue, RetryShape } from "./shape.ts";
import { type Checked, inputSchema, outputSchema, parseResult, parseValue, ZodSchema } from "./zod-schema.ts";

/** The code of a tool as a host runs it: JSON in, JSON out, schemas applied (defaults, transforms) on both sides.
 *  @throws {FlotillaError} TOOL_INPUT_INVALID, TOOL_OUTPUT_INVALID; what the tool itself throws passes through */
export interface ToolCode {
  run(input: Json, context: ToolContext): Promise<Json>;
  check: ((input: Json, context: ToolContext) => Promise<ToolCheck<Json>>) | null;
  /** The value that `tool()` returned, so that `ctx.tool(value, …)` finds the name; null for a bare function. */
  origin: Tool | null;
}

const MARK = Symbol.for("flotilla.tool");

export interface ToolParts {
  definition: ToolDefinition;
  code: ToolCode | null;
  /** The functions that were given, so that a changed one is noticed. */
  functions: readonly Function[];
}

/** A tool, as `tool`, `httpTool` and `mcpTool` return it. It has no name until `fleet` gives it one. */
export interface Tool<Input = unknown, Output = unknown> {
  readonly [MARK]: ToolParts;
  /** Never there: carries the types. */
  readonly "~types"?: { input: Input; output: Output };
}

interface ToolCommon {
  /** What it does, for the model that chooses it. */
  description: string;
  /** F13: `read` changes nothing outside; `write` does: it is written ahead and never repeated silently. */
  effect: "read" | "write";
  /** Milliseconds for one call. Default 30,000. */
  timeoutMs?: number;
  retry?: Partially<RetryPolicy>;
  /** A person must allow each call (F9). Default: nobody is asked. */
  approval?: Partially<ApprovalPolicy>;
}

interface CodeToolCommon<Parsed> extends ToolCommon {
  /** A writing tool that passes on `ctx.idempotencyKey` may be retried under the same key after a crash. Default false. */
  idempotent?: boolean;
  /** Finds out whether an interrupted write happened (F13); asked before anything is retried. */
  check?: (input: Parsed, context: ToolContext) => Promise<ToolCheck<Json>> | ToolCheck<Json>;
}

export interface ToolOptions<Input, Parsed, Output, Returned> extends CodeToolCommon<Parsed> {
  input: z.ZodType<Parsed, Input>;
  output: z.ZodType<Output, Returned>;
  /** What it returns is held to `output`, and says nothing about it: else less than all keys would do. */
  run(input: Parsed, context: ToolContext): Promise<NoInfer<Returned>> | NoInfer<Returned>;
}

export interface ToolOptionsWithoutOutput<Input, Parsed, Output> extends CodeToolCommon<Parsed> {
  input: z.ZodType<Parsed, Input>;
  output?: undefined;
  run(input: Parsed, context: ToolContext): Promise<Output> | Output;
}

const ToolOptionsShape = z.strictObject({
  description: z.string().min(1),
  effect: Effect,
  input: ZodSchema,
  output: ZodSchema.optional(),
  run: z.custom<(input: unknown, context: ToolContext) => unknown>((value) => typeof value === "function", {
    error: "must be a function",
  }),
  check: z
    .custom<(input: unknown, context: ToolContext) => unknown>((value) => typeof value === "function", {
      error: "must be a function",
    })
    .optional(),
  timeoutMs: DurationMs.optional(),
  retry: RetryShape.optional(),
  approval: ApprovalShape.optional(),
  idempotent: z.boolean().optional(),
});

/** A tool whose code is TypeScript (I3). Input, and output if it has a schema, are checked on every call.
 *  @throws {FlotillaError} DEFINITION_* at once when an option is unknown or wrong */
export function tool<Input, Parsed, Output>(
  options: ToolOptionsWithoutOutput<Input, Parsed, Output>,
): Tool<Input, Output>;
// The last one is the one that the compiler tells of when none fits.
export function tool<Input, Parsed, Output, Returned>(
  options: ToolOptions<Input, Parsed, Output, Returned>,
): Tool<Input, Output>;
export function tool(options: unknown): Tool {
  const { description, effect, input, output, run, check, timeoutMs, retry, approval, idempotent } = checkOptions(
    "tool",
    ToolOptionsShape,
    options,
  );
  const definition = codeToolDefinition({
    description,
    effect,
    input: inputSchema(input, "the tool's input"),
    output: output === undefined ? null : outputSchema(output, "the tool's output"),
    timeoutMs,
    retry,
    approval,
    idempotent,
    module: null,
    hasCheck: check !== undefined,
  });
  const parsed = (value: Json) => parseValue(input, value, { code: "TOOL_INPUT_INVALID", what: "the tool's input" });
  const code: ToolCode = {
    run: async (value, context) => parseResult(output, await run(await parsed(value), context), TOOL_OUTPUT),
    check:
      check === undefined
        ? null
        : async (value, context) => (await check(await parsed(value), context)) as ToolCheck<Json>,
    origin: null,
  };
  return mark(definition, code, check === undefined ? [run] : [run, check]);
}

/** How what a tool's code returned is told of when it does not fit. */
export const TOOL_OUTPUT: Checked = { code: "TOOL_OUTPUT_INVALID", what: "what the tool's run() returned" };

/** What the definitions of all kinds of tools share, before defaults. */
interface GivenTool {
  description: string;
  effect: "read" | "write";
  input: ToolDefinition["input"];
  output: ToolDefinition["output"];
  timeoutMs?: number | undefined;
  retry?: Partially<RetryPolicy> | undefined;
  approval?: Partially<ApprovalPolicy> | undefined;
  idempotent?: boolean | undefined;
}

function completeTool({ description, effect, input, output, timeoutMs, retry, approval, idempotent }: GivenTool) {
  return {
    description,
    effect,
    input,
    output,
    timeoutMs: timeoutMs ?? DEFAULTS.toolTimeoutMs,
    retry: completeRetry(retry),
    idempotent: idempotent ?? false,
    ...(approval === undefined ? {} : { approval: completeApproval(approval) }),
  };
}

/** The definition of a tool of code from either spelling. */
export function codeToolDefinition(given: GivenTool & { module: ModuleRef | null; hasCheck: boolean }): ToolDefinition {
  return { ...completeTool(given), kind: "code", module: given.module, hasCheck: given.hasCheck };
}

export interface HttpToolOptions<Input, Parsed, Output, Returned> extends ToolCommon {
  input: z.ZodType<Parsed, Input>;
  output?: z.ZodType<Output, Returned>;
  /** `{name}` stands for the input's value of that name, percent-encoded. What is in neither URL nor `body` goes into
   *  the query (GET, HEAD, DELETE) or is the JSON body. */
  url: string;
  /** Default: GET for `read`, POST for `write`. */
  method?: HttpMethod;
  headers?: Readonly<Record<string, string | SecretRef>>;
  /** JSON in whose strings `{name}` stands for the input's value; a string that is nothing else keeps the value's type. */
  body?: Json;
  /** The other side repeats nothing when it sees one `idempotency-key` header, which writes send, again. Default false. */
  idempotent?: boolean;
}

export const HTTP_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] as const;
export type HttpMethod = (typeof HTTP_METHODS)[number];

export const HttpUrl = z
  .string()
  .regex(/^https?:\/\/[^\s/{}]+/, { error: "must start with http:// or https:// and a host" })
  .describe("Where to; {name} stands for the input's value of that name, percent-encoded.");

export const HttpShape = z
  .strictObject({
    url: HttpUrl,
    method: z.enum(HTTP_METHODS).optional().describe("Default: GET for effect read, POST for effect write."),
    headers: HeadersShape.optional(),
    body: JsonValue.optional().describe("JSON to send; {name} in a text stands for the input's value."),
  })
  .describe("An HTTP call; needs no code.");

const HttpToolOptionsShape = z.strictObject({
  ...HttpShape.shape,
  description: z.string().min(1),
  effect: Effect,
  input: ZodSchema,
  output: ZodSchema.optional(),
  timeoutMs: DurationMs.optional(),
  retry: RetryShape.optional(),
  approval: ApprovalShape.optional(),
  idempotent: z.boolean().optional(),
});

/** A tool that is one HTTP call and needs no code (I3). @throws {FlotillaError} DEFINITION_* */
export function httpTool<Input, Parsed, Output = Json, Returned = unknown>(
  options: HttpToolOptions<Input, Parsed, Output, Returned>,
): Tool<Input, Output>;
export function httpTool(options: unknown): Tool {
  const { input, output, ...given } = checkOptions("httpTool", HttpToolOptionsShape, options);
  return mark(
    httpToolDefinition({
      ...given,
      input: inputSchema(input, "the tool's input"),
      output: output === undefined ? null : outputSchema(output, "the tool's output"),
    }),
    null,
  );
}

/** The definition of an HTTP tool from either spelling. */
export function httpToolDefinition(given: GivenTool & z.output<typeof HttpShape>): ToolDefinition {
  return {
    ...completeTool(given),
    kind: "http",
    url: given.url,
    method: given.method ?? (given.effect === "read" ? "GET" : "POST"),
    headers: given.headers ?? {},
    body: given.body ?? null,
  };
}

/** What every MCP tool takes until its server says more: any object. */
export const ANY_OBJECT = { type: "object" } as const;

export interface McpToolOptions extends ToolCommon {
  /** A key of `fleet({ mcpServers })`. */
  server: string;
  /** The name that the server gives it. */
  tool: string;
  /** SHA-256 of the descriptor that was approved; a server that changes it is blocked (X3). `flotilla check --fix` sets it. */
  pin?: string;
  /** Default false. */
  idempotent?: boolean;
}

export const McpShape = z
  .strictObject({
    server: z.string().min(1).describe("A key of mcpServers."),
    tool: z.string().min(1).describe("The name that the server gives the tool."),
    pin: z
      .string()
      .regex(/^[0-9a-f]{64}$/, { error: "must be 64 hexadecimal digits, as `flotilla check --fix` writes them" })
      .optional()
      .describe("SHA-256 of the approved descriptor; a changed one is blocked. Set by flotilla check --fix."),
  })
  .describe("A tool of an MCP server.");

const McpToolOptionsShape = z.strictObject({
  ...McpShape.shape,
  description: z.string().optional(),
  effect: Effect,
  timeoutMs: DurationMs.optional(),
  retry: RetryShape.optional(),
  approval: ApprovalShape.optional(),
  idempotent: z.boolean().optional(),
});

/** A tool of an MCP server, granted by name (I3). Without a description the server's own is used.
 *  @throws {FlotillaError} DEFINITION_* */
export function mcpTool(options: Omit<McpToolOptions, "description"> & { description?: string }): Tool<Json, Json> {
  const given = checkOptions("mcpTool", McpToolOptionsShape, options);
  return mark<Json, Json>(mcpToolDefinition({ ...given, input: null, output: null }), null);
}

/** The definition of an MCP tool from either spelling. */
export function mcpToolDefinition(
  given: Omit<GivenTool, "description" | "input"> &
    z.output<typeof McpShape> & { description?: string | undefined; input: ToolDefinition["input"] | null },
): ToolDefinition {
  return {
    ...completeTool({ ...given, description: given.description ?? "", input: given.input ?? ANY_OBJECT }),
    kind: "mcp",
    server: given.server,
    tool: given.tool,
    pin: given.pin ?? null,
  };
}

/** Recognised by mark, since two copies of the package may meet. */
export function isTool(value: unknown): value is Tool {
  return typeof value === "object" && value !== null && MARK in value;
}

/** What a tool holds: its definition and, for code, what a host runs. */
export function toolParts(tool: Tool): ToolParts {
  return tool[MARK];
}

function mark<Input, Output>(
  definition: ToolDefinition,
  code: ToolCode | null,
  functions: readonly Function[] = [],
): Tool<Input, Output> {
  const made: Tool<Input, Output> = { [MARK]: { definition, code, functions } };
  if (code !== null) code.origin = made;
  return Object.freeze(made);
}
