import { z } from "zod";
import { askSchema, errorRecordSchema, stepKindSchema, usageSchema } from "../core/event.ts";
import { jsonFault } from "../message/json-bound.ts";
import { MESSAGE_BYTES_MAX } from "../message/schema.ts";
import { parseSeal } from "../message/seal.ts";

const count = z.number().int().min(0);
const name = z.string().min(1).max(512);

/** `StepRecord` as a worker may send it: the proof is the coordinator's to add. */
const Step = z.strictObject({
  phase: z.enum(["started", "asked", "completed", "failed"]),
  key: name,
  kind: stepKindSchema,
  name: z.string().max(512),
  inputHash: z.string().max(512),
  input: z.unknown().optional(),
  output: z.unknown().optional(),
  error: errorRecordSchema.optional(),
  durationMs: count.optional(),
  usage: usageSchema.optional(),
  idempotencyKey: name.optional(),
  settle: z.enum(["check", "retry", "person"]).optional(),
  ask: askSchema.optional(),
  call: name.optional(),
  approval: name.optional(),
});

type Fields = { readonly [key: string]: unknown };

/** What is wrong with the form of a frame from a worker, in words; null when it may be looked at. A host runs users'
 *  code, so what comes out of it may be anything, also on an authentic channel (M2). Envelopes are left to
 *  `verifyMessage`. Never throws. */
export function workerFrameProblem(frame: unknown): string | null {
  if (!isFields(frame)) return "a frame is an object";
  switch (frame.f) {
    case "ready":
    case "heartbeat":
      return null;
    case "seal":
      return Array.isArray(frame.seals) && frame.seals.every(isSeal) ? null : "malformed seals";
    case "permit":
      return (
        refProblem(frame) ??
        (isCount(frame.id) &&
        isName(frame.call) &&
        (frame.kind === "tool" ? isName(frame.tool) : frame.kind === "model" && isModelCall(frame))
          ? null
          : "malformed permit")
      );
    case "outcome":
      return (
        refProblem(frame) ??
        (isName(frame.call) &&
        (frame.code === null || isName(frame.code)) &&
        BILLED.has(frame.billed) &&
        (frame.tokens === undefined || isCount(frame.tokens)) &&
        (frame.retryAfterMs === undefined || isCount(frame.retryAfterMs))
          ? null
          : "malformed outcome")
      );
    case "token":
    case "status":
      return (
        refProblem(frame) ?? (isName(frame.agent) && typeof frame.text === "string" ? null : `malformed ${frame.f}`)
      );
    case "log":
      return (
        refProblem(frame) ?? (LEVELS.has(frame.level) && typeof frame.message === "string" ? null : "malformed log")
      );
    case "step":
      return refProblem(frame) ?? signedProblem(frame) ?? stepProblem(frame.step);
    case "result":
      return refProblem(frame) ?? signedProblem(frame);
    case "suspend":
      return (
        refProblem(frame) ??
        signedProblem(frame) ??
        (frame.wakeAt === null || isCount(frame.wakeAt) ? null : "malformed wakeAt") ??
        (frame.waits === undefined || (Array.isArray(frame.waits) && frame.waits.every(isName))
          ? null
          : "malformed waits")
      );
    default:
      return `unknown frame ${String(frame.f).slice(0, 64)}`;
  }
}

const isModelCall = ({ model, tokens, costMicroUsd }: Fields): boolean =>
  isName(model) && isCount(tokens) && (costMicroUsd === null || isCount(costMicroUsd));

const BILLED = new Set<unknown>(["none", "unknown", "recorded"]);
const LEVELS = new Set<unknown>(["debug", "info", "warn", "error"]);

function refProblem({ run, task, attempt }: Fields): string | null {
  return isName(run) && isName(task) && isCount(attempt) ? null : "it names no attempt at a task";
}

function signedProblem({ agent, seq }: Fields): string | null {
  return isName(agent) && isCount(seq) ? null : "it names no sender, or has no number";
}

function stepProblem(step: unknown): string | null {
  const fault = jsonFault(step, MESSAGE_BYTES_MAX);
  if (fault !== null) return `step: ${fault}`;
  const { success, error } = Step.safeParse(step);
  return success ? null : `step: ${z.prettifyError(error).slice(0, 500)}`;
}

const SEAL_FIELDS = 6;

/** Seals are journaled as they come. */
function isSeal(seal: unknown): boolean {
  return parseSeal(seal) !== null && Object.keys(seal as Fields).length === SEAL_FIELDS;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= 512 && value.isWellFormed();
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
