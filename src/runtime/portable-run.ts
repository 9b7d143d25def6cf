import { z } from "zod";
import type { EventRow, JournalId } from "../store/store.ts";

/**
 * A run as a file (F11): NDJSON, one record a line. First a header, then definitions, blobs and events, in any order. An
 * event's `text` is exactly what its hash is over, so that the chain can be computed anew from the file alone; `payload`
 * is the column as stored, in base64, null where there is none or it was left out.
 */
export const PORTABLE_VERSION = 1;

const id = z.string().min(1);
const hex = z.string().regex(/^[0-9a-f]{64}$/);
const version = z.number().int().min(1);

/** `runs`: the run, then its child runs, each with its last version and head. */
export const portableHeader = z.strictObject({
  kind: z.literal("run"),
  format: z.literal(PORTABLE_VERSION),
  fleet: id,
  run: id,
  runs: z.array(z.strictObject({ run: id, version, head: hex })).min(1),
  redacted: z.boolean(),
  signatures: z.string(),
});
export type PortableHeader = z.infer<typeof portableHeader>;

export const portableRecord = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("definition"), hash: hex, text: z.string() }),
  z.strictObject({ kind: z.literal("blob"), hash: hex, bytes: z.base64() }),
  z.strictObject({ kind: z.literal("event"), run: id, text: z.string(), hash: hex, payload: z.base64().nullable() }),
]);
export type PortableRecord = z.infer<typeof portableRecord>;
type PortableEvent = Extract<PortableRecord, { kind: "event" }>;

/** What the header says of signatures: it is no proof that the file is what a fleet recorded. */
export const SIGNATURES_STATEMENT =
  "Not in this file: agents and coordinator sign in their fleet's journal, together with other runs. The chain proves that nothing was altered since its head; ask the fleet that ran it for the head.";

export function portableEvent(run: JournalId, { bytes, hash }: EventRow, payload: Uint8Array | null): PortableEvent {
  return {
    kind: "event",
    run,
    text: Buffer.from(bytes).toString("utf8"),
    hash: Buffer.from(hash).toString("hex"),
    payload: payload === null ? null : Buffer.from(payload).toString("base64"),
  };
}

/** The row that an event's record stands for. What its text does not say stands at `place`, and is found out there. */
export function rowOfPortable({ text, hash, payload }: PortableEvent, place: number): EventRow {
  const { n, at, type } = named(text);
  return {
    version: typeof n === "number" && Number.isSafeInteger(n) && n > 0 ? n : place,
    at: typeof at === "number" ? at : 0,
    type: typeof type === "string" ? type : "",
    bytes: Buffer.from(text),
    hash: Buffer.from(hash, "hex"),
    payload: payload === null ? null : Buffer.from(payload, "base64"),
  };
}

function named(text: string): { n?: unknown; at?: unknown; type?: unknown } {
  const value = parsedJson(text);
  return typeof value === "object" && value !== null ? value : {};
}

/** Undefined when it is no JSON. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
