import { hash } from "node:crypto";
import { checkEventData, type EventData, type EventType, type Payload, type RunEvent } from "../core/event.ts";
import type { Json } from "../core/json.ts";
import { FlotillaError } from "../error.ts";
import { canonicalJson, sha256 } from "../message/canonical.ts";
import type { Random } from "../platform/random.ts";
import type { Blob, EventRow, JournalId, Store } from "../store/store.ts";

/**
 * The journal's format. An event is stored as the canonical JSON of
 * `{ at, data, n, type, v, payload? }`, where `n` is its version in the journal, `v` the version of its type, and
 * `payload` the SHA-256 of salt ‖ canonical payload, in base64url. The chain is `hash = SHA-256(previous hash ‖ bytes)`, starting
 * from the SHA-256 of the journal's id, so that events cannot be moved between journals either.
 * The payload column is `[1 byte kind][16 bytes salt][content]`: kind 0 holds the canonical payload itself, kind 1 the
 * 32-byte hash of a blob. Erasing the column erases the content and its salt; the chain still verifies.
 */

/** Larger payloads go to content-addressed blobs. */
export const INLINE_PAYLOAD_BYTES_MAX = 64 * 1024;

const SALT_BYTES = 16;
const KIND_INLINE = 0;
const KIND_BLOB = 1;
/** Version of every event type written today; older ones are upcast in `upcast`. */
const EVENT_VERSION = 1;

/** An event as any journal holds it: the run's and the fleet's. */
export interface JournalEvent {
  type: string;
  at: number;
  data: object;
  payload?: Payload;
}

export interface SealedEvent {
  row: EventRow;
  blob: Blob | null;
}

export function genesis(journal: JournalId): Uint8Array {
  return sha256(`flotilla.journal.1:${journal}`);
}

export function chain(previous: Uint8Array, bytes: Uint8Array): Uint8Array {
  const joined = Buffer.allocUnsafe(previous.length + bytes.length);
  joined.set(previous, 0);
  joined.set(bytes, previous.length);
  return sha256(joined);
}

/** Serialises an event once, as it will be stored and hashed for ever. */
export function sealEvent(event: JournalEvent, version: number, previous: Uint8Array, random: Random): SealedEvent {
  const { at, data, payload, type } = event;
  const content = payload === undefined ? null : contentOf(payload, random);
  // Exactly the canonical JSON of the record: its own keys are in order, and its type and digest need no escaping.
  const digest = content === null ? "" : `,"payload":"${content.digest}"`;
  const text = `{"at":${at},"data":${canonicalJson(data)},"n":${version}${digest},"type":"${type}","v":${EVENT_VERSION}}`;
  const length = Buffer.byteLength(text);
  // From the pool: memory of its own for each, outside of V8's heap, costs more than the hash. Rows live for one commit.
  const chained = Buffer.allocUnsafe(previous.length + length);
  chained.set(previous, 0);
  chained.write(text, previous.length);
  const bytes = chained.subarray(previous.length);
  return {
    row: { version, at, type, bytes, hash: sha256(chained), payload: content?.packed ?? null },
    blob: content?.blob ?? null,
  };
}

interface Content {
  packed: Uint8Array;
  digest: string;
  blob: Blob | null;
}

function contentOf(payload: Payload, random: Random): Content {
  const text = canonicalJson(payload);
  const length = Buffer.byteLength(text);
  const packed = Buffer.allocUnsafe(1 + SALT_BYTES + length);
  packed[0] = KIND_INLINE;
  packed.set(random.bytes(SALT_BYTES), 1);
  packed.write(text, 1 + SALT_BYTES);
  // Salt and content lie side by side, as they are hashed.
  const digest = hash("sha256", packed.subarray(1), "base64url");
  if (length <= INLINE_PAYLOAD_BYTES_MAX) return { packed, digest, blob: null };
  const bytes = packed.subarray(1 + SALT_BYTES);
  const address = sha256(bytes);
  const reference = Buffer.concat([packed.subarray(0, 1 + SALT_BYTES), address]);
  reference[0] = KIND_BLOB;
  return { packed: reference, digest, blob: { hash: address.toString("hex"), bytes } };
}

function saltedDigest(salt: Uint8Array, content: Uint8Array): string {
  return hash("sha256", Buffer.concat([salt, content]), "base64url");
}

/** What reading one stored event found. `problem` names what is wrong with it, in words. */
export interface OpenedEvent {
  event: JournalEvent | null;
  /** True when the content was erased on purpose. */
  erased: boolean;
  problem: string | null;
}

/** Reads one event back, checking bytes, payload digest and form, but not the chain. */
export async function openRow(
  row: EventRow,
  blobOf: (hash: string) => Promise<Uint8Array | null>,
): Promise<OpenedEvent> {
  const form = rowFormProblem(row);
  if (form !== null) return { event: null, erased: false, problem: form };
  const record = parse(row.bytes);
  if (record === null) return { event: null, erased: false, problem: "its bytes are not JSON" };
  const { at, data, n, type, v } = record;
  if (n !== row.version || at !== row.at || type !== row.type) {
    return { event: null, erased: false, problem: "its columns are not what its bytes say" };
  }
  if (typeof type !== "string" || typeof at !== "number" || typeof data !== "object" || data === null) {
    return { event: null, erased: false, problem: "it has not the form of an event" };
  }
  if (v !== EVENT_VERSION)
    return { event: null, erased: false, problem: `version ${String(v)} of ${type} is not known here` };
  const event: JournalEvent = { type, at, data };
  if (record.payload === undefined) {
    const problem = row.payload === null ? null : "it has content that was never recorded";
    return { event, erased: false, problem };
  }
  if (row.payload === null) return { event, erased: true, problem: null };
  const content = await payloadContent(row.payload, blobOf);
  if (content === null) return { event, erased: false, problem: "its blob is missing" };
  if (!(content instanceof Uint8Array)) return { event, erased: false, problem: "its blob is not bytes any more" };
  if (saltedDigest(row.payload.subarray(1, 1 + SALT_BYTES), content) !== record.payload) {
    return { event, erased: false, problem: "its content is not what was recorded" };
  }
  event.payload = JSON.parse(Buffer.from(content).toString("utf8")) as Payload;
  return { event, erased: false, problem: null };
}

/** A database lets anything stand in any column: what is wrong with a row's types, in words; null when they are sound. */
export function rowFormProblem(row: EventRow): string | null {
  const { version, at, type, bytes, hash, payload } = row as { readonly [column in keyof EventRow]: unknown };
  if (!Number.isSafeInteger(version)) return "its version is no number";
  if (typeof at !== "number") return "its time is no number";
  if (typeof type !== "string") return "its type is no text";
  if (!(bytes instanceof Uint8Array)) return "its bytes are not bytes any more";
  if (!(hash instanceof Uint8Array)) return "its hash is not bytes any more";
  return payload === null || payload instanceof Uint8Array ? null : "its content is not bytes any more";
}

async function payloadContent(
  packed: Uint8Array,
  blobOf: (hash: string) => Promise<Uint8Array | null>,
): Promise<Uint8Array | null> {
  const content = packed.subarray(1 + SALT_BYTES);
  if (packed[0] === KIND_INLINE) return content;
  return blobOf(Buffer.from(content).toString("hex"));
}

/** The hash of the blob that a payload refers to, if it does. */
export function payloadBlob(row: EventRow): string | null {
  if (row.payload === null || row.payload[0] !== KIND_BLOB) return null;
  return Buffer.from(row.payload.subarray(1 + SALT_BYTES)).toString("hex");
}

function parse(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

const PAGE = 500;

/** Events of a run with version > `after`, checked one by one, each against the one before it; the first against
 *  `headThere`, the hash of event `after`, if it is given.
 *  @throws {FlotillaError} EVENT_INVALID, BLOB_MISSING: the run cannot be folded; other runs are not concerned (F14) */
export async function* readRun(
  store: Store,
  run: JournalId,
  after = 0,
  headThere: Uint8Array | null = null,
): AsyncGenerator<{ version: number; event: RunEvent; erased: boolean }> {
  let head = after === 0 ? genesis(run) : headThere;
  for await (const { row, opened } of readJournal(store, run, after)) {
    const { event } = opened;
    // A flipped bit may leave sound JSON behind, and nothing may be decided on what nobody wrote.
    const torn = () => head !== null && !chain(head, row.bytes).every((byte, i) => byte === row.hash[i]);
    const problem =
      opened.problem ??
      (torn() ? "its hash does not follow from what it holds" : event && checkEventData(event.type, event.data));
    head = row.hash;
    if (event === null || problem !== null) {
      throw new FlotillaError("EVENT_INVALID", `event ${row.version} of ${run}: ${problem ?? "unreadable"}`, {
        details: { run, version: row.version },
      });
    }
    yield { version: row.version, event: event as RunEvent, erased: opened.erased };
  }
}

/** Pages through any journal. */
export async function* readJournal(
  store: Pick<Store, "events" | "blob">,
  journal: JournalId,
  after = 0,
): AsyncGenerator<{ row: EventRow; opened: OpenedEvent }> {
  for (let version = after; ; ) {
    const rows = await store.events(journal, version, PAGE);
    for (const row of rows) {
      yield { row, opened: await openRow(row, (hash) => store.blob(hash)) };
      version = row.version;
    }
    if (rows.length < PAGE) return;
  }
}

/** The event of a type, for code that makes one. */
export function event<K extends EventType>(type: K, at: number, data: EventData[K], payload?: Payload): RunEvent {
  return { type, at, data, ...(payload === undefined ? {} : { payload }) } as RunEvent;
}

/** SHA-256 of a value's canonical JSON, hex. */
export function digestOf(value: Json): string {
  return sha256(canonicalJson(value)).toString("hex");
}
