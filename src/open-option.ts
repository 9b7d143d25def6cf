import { z } from "zod";
import { type Fleet, isFleet } from "./definition/fleet.ts";
import { checkArguments } from "./definition/option.ts";
import { PriorityShape, WorkflowLimitsShape } from "./definition/shape.ts";
import { FlotillaError } from "./error.ts";
import type { ForkOptions, OpenOptions, PauseTarget, RunStartOptions } from "./open.ts";
import type { FleetLog } from "./runtime/open-fleet.ts";

// What is passed to the API, checked when it is passed: JavaScript has no compiler, and an option that is misspelt must
// never be one that does nothing.

const count = z.int().min(1);

const OPEN_OPTIONS = {
  store: z.string().min(1).optional(),
  queueDepthMax: count.optional(),
  model: z.string().min(1).optional(),
  log: z.custom<FleetLog>(isLog, { error: "must have the functions debug, info, warn and error" }).optional(),
  hosts: z.int().min(0).optional(),
  concurrency: count.optional(),
  hangMs: count.optional(),
  memoryBytesMax: count.optional(),
  heapMbMax: count.optional(),
  suspectHostsMax: count.optional(),
} satisfies Record<keyof OpenOptions, z.ZodType>;

/** Characters: a key is an index entry, not a place for content. */
const IDEMPOTENCY_KEY_MAX = 512;

const START_OPTIONS = {
  idempotencyKey: z.string().min(1).max(IDEMPOTENCY_KEY_MAX).optional(),
  limits: WorkflowLimitsShape.optional(),
  priority: PriorityShape.optional(),
  by: z.string().min(1).optional(),
} satisfies Record<keyof RunStartOptions, z.ZodType>;

const EraseShape = z.strictObject({
  reason: z.string().min(1),
  versions: z.array(count).optional(),
  by: z.string().min(1).optional(),
});
const effectPolicy = z.enum(["allow", "stub", "skip"]);

const FORK_OPTIONS = {
  at: count.optional(),
  task: z.string().min(1).optional(),
  agents: z
    .record(
      z.string(),
      z.strictObject({
        instructions: z.string().optional(),
        model: z.string().min(1).optional(),
        tools: z.array(z.string()).readonly().optional(),
      }),
    )
    .optional(),
  input: z.json().optional(),
  effects: z.strictObject({ default: effectPolicy, tools: z.record(z.string(), effectPolicy).optional() }).optional(),
  by: z.string().min(1).optional(),
} satisfies Record<keyof ForkOptions, z.ZodType>;

const OpenShape = z.strictObject(OPEN_OPTIONS);
const StartShape = z.strictObject(START_OPTIONS);
const ForkShape = z.strictObject(FORK_OPTIONS);

/** @throws {FlotillaError} OPTION_INVALID naming each mistake */
export function checkOpenOptions(options: OpenOptions): OpenOptions {
  return given(checkArguments("open", OpenShape, options)) as OpenOptions;
}

/** @throws {FlotillaError} OPTION_INVALID naming each mistake */
export function checkStartOptions(options: RunStartOptions): RunStartOptions {
  return given(checkArguments("start", StartShape, options)) as RunStartOptions;
}

const TargetShape = z.union(
  [
    z.strictObject({ workflow: z.string().min(1) }),
    z.strictObject({ agent: z.string().min(1) }),
    z.strictObject({ fleet: z.literal(true) }),
  ],
  { error: 'must be { workflow: "name" }, { agent: "name" } or { fleet: true }' },
);

/** @throws {FlotillaError} OPTION_INVALID */
export function checkPauseTarget(target: PauseTarget): PauseTarget {
  return checkArguments("pause", TargetShape, target);
}

/** @throws {FlotillaError} OPTION_INVALID without one */
export function checkReason(reason: string): string {
  if (typeof reason === "string" && reason.trim() !== "") return reason;
  throw new FlotillaError("OPTION_INVALID", "pause() wants a reason: it is shown until it is resumed", {
    hint: 'For example: pause({ agent: "mailer" }, "the mail server is down").',
  });
}

/** @throws {FlotillaError} OPTION_INVALID naming each mistake */
export function checkEraseOptions(options: unknown): { reason: string; versions?: readonly number[]; by?: string } {
  return checkArguments("erase", EraseShape, options) as { reason: string };
}

/** @throws {FlotillaError} OPTION_INVALID naming each mistake */
export function checkForkOptions(options: ForkOptions = {}): ForkOptions {
  return given(checkArguments("fork", ForkShape, options)) as ForkOptions;
}

/** @throws {FlotillaError} OPTION_INVALID when it is nothing that can be opened */
export function checkFleet(fleet: unknown): Fleet | URL | string {
  if (isFleet(fleet) || fleet instanceof URL || (typeof fleet === "string" && fleet !== "")) return fleet;
  const inside = typeof fleet === "object" && fleet !== null && "default" in fleet && isFleet(fleet.default);
  throw new FlotillaError("OPTION_INVALID", "open() takes a fleet made by fleet(), or the path or URL of its file", {
    hint: inside
      ? "This is a module: give its default export."
      : 'For example: open(myFleet), open("fleet.yaml") or open(new URL("./fleet.ts", import.meta.url)).',
  });
}

/** What was given as undefined was not given. */
function given<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
}

function isLog(value: unknown): value is FleetLog {
  if (typeof value !== "object" || value === null) return false;
  const log = value as Record<string, unknown>;
  return ["debug", "info", "warn", "error"].every((level) => typeof log[level] === "function");
}

/** @throws {FlotillaError} OPTION_INVALID when it is no name */
export function checkWorkflow<Name extends string>(workflow: Name): Name {
  if (typeof workflow === "string" && workflow !== "") return workflow;
  throw new FlotillaError(
    "OPTION_INVALID",
    `start(): the workflow must be a name, not ${workflow === "" ? "empty" : String(workflow)}`,
    {
      hint: 'For example: start("article", { topic: "tides" }).',
    },
  );
}
