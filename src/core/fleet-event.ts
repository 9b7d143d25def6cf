import { z } from "zod";

const id = z.string().min(1);
const scope = z.enum(["fleet", "workflow", "agent"]);

/** Events of the fleet's journal that something is decided by: they are folded when the fleet is opened. The others are
 *  only a record (`runtime/fleet-journal.ts`). */
export const foldedEventSchemas = {
  /** From here on nothing of the scope starts, until it is lifted (X5). `name` is null for the whole fleet. */
  "hold.placed": z.strictObject({ scope, name: id.nullable(), why: id, by: id, kill: z.boolean() }),
  "hold.lifted": z.strictObject({ scope, name: id.nullable(), why: z.string(), by: id }),
} as const;

export type FoldedEventType = keyof typeof foldedEventSchemas;
export type FoldedEventData = { [K in FoldedEventType]: z.infer<(typeof foldedEventSchemas)[K]> };
export type FoldedEvent = {
  [K in FoldedEventType]: { type: K; at: number; data: FoldedEventData[K] };
}[FoldedEventType];

export function isFoldedEvent(type: string): type is FoldedEventType {
  return Object.hasOwn(foldedEventSchemas, type);
}
