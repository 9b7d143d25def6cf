import { z } from "zod";
import type { Json } from "./json.ts";

const id = z.string().min(1);
const scope = z.enum(["fleet", "workflow", "agent"]);

const time = z.number().int();
const count = z.number().int().min(0);
const span = z.tuple([z.number().int().min(1), z.number().int().min(1)]);
const scheduleSpec = z.strictObject({
  workflow: id,
  input: z.json() as z.ZodType<Json>,
  cron: z.string().nullable(),
  at: z.string().nullable(),
  zone: id,
  catchUp: z.enum(["skip", "last", "all"]),
  catchUpMax: count,
  overlap: z.enum(["allow", "skip", "queue"]),
});

/** Events of the fleet's journal that something is decided by: they are folded when the fleet is opened. The others are
 *  only a record (`runtime/fleet-journal.ts`). */
export const foldedEventSchemas = {
  /** From here on nothing of the scope starts, until it is lifted (X5). `name` is null for the whole fleet. */
  "hold.placed": z.strictObject({ scope, name: id.nullable(), why: id, by: id, kill: z.boolean() }),
  "hold.lifted": z.strictObject({ scope, name: id.nullable(), why: z.string(), by: id }),
  /** A schedule was declared, or declared anew: its times count from here on (I8). */
  "schedule.set": z.strictObject({ schedule: id, spec: scheduleSpec }),
  "schedule.removed": z.strictObject({ schedule: id }),
  /** Times came: those in `start` are to start a run each; all others up to `until` start nothing. */
  "schedule.due": z.strictObject({ schedule: id, until: time, start: z.array(time), passed: count }),
  /** What became of one of them. `run` is null when none was started, and `why` says why not. */
  "schedule.ran": z.strictObject({ schedule: id, time, run: id.nullable(), why: z.string() }),
  /** An ended run of another store was taken in as a record, with its child runs (F11); recorded before it is done.
   *  `leftOut`: versions, pairs of first and last, whose content the file did not have. `signature`: the coordinator's. */
  "run.imported": z.strictObject({
    run: id,
    fleet: id,
    runs: z.array(z.strictObject({ run: id, version: count, head: z.string(), leftOut: z.array(span) })),
    by: z.string(),
    signature: z.string(),
  }),
} as const;

export type FoldedEventType = keyof typeof foldedEventSchemas;
export type FoldedEventData = { [K in FoldedEventType]: z.infer<(typeof foldedEventSchemas)[K]> };
export type FoldedEvent = {
  [K in FoldedEventType]: { type: K; at: number; data: FoldedEventData[K] };
}[FoldedEventType];

export function isFoldedEvent(type: string): type is FoldedEventType {
  return Object.hasOwn(foldedEventSchemas, type);
}
