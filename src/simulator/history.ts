import { sha256 } from "../message/canonical.ts";
import type { EventRow, JournalId } from "../store/store.ts";

/** An event that became durable, in the order in which it did. */
export interface DurableEvent {
  readonly journal: JournalId;
  readonly row: EventRow;
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: what is on disk is looked at by checkers, each of which knows its types
  readonly data: any;
  readonly payload: Readonly<Record<string, unknown>> | null;
  readonly atMs: number;
}

interface Recorded {
  version: number;
  head: Uint8Array;
}

const PAYLOAD_HEADER = 17;

/** All that ever became durable, read from the disk itself and never from what a role believes. */
export class History {
  readonly journals = new Map<JournalId, Recorded>();
  readonly #listeners: ((event: DurableEvent) => void)[] = [];
  readonly #elapsedMs: () => number;
  #digest = sha256("");
  events = 0;

  constructor(elapsedMs: () => number) {
    this.#elapsedMs = elapsedMs;
  }

  onEvent(listener: (event: DurableEvent) => void): void {
    this.#listeners.push(listener);
  }

  version(journal: JournalId): number {
    return this.journals.get(journal)?.version ?? 0;
  }

  add(journal: JournalId, row: EventRow): void {
    const record = JSON.parse(Buffer.from(row.bytes).toString("utf8")) as { type: string; data: unknown };
    this.journals.set(journal, { version: row.version, head: row.hash });
    this.events += 1;
    this.#digest = sha256(Buffer.concat([this.#digest, Buffer.from(journal), row.hash, row.payload ?? Buffer.alloc(0)]));
    const event = { journal, row, type: record.type, data: record.data, payload: payloadOf(row), atMs: this.#elapsedMs() };
    for (const listener of this.#listeners) listener(event);
  }

  /** Covers every byte of every journal, and the order in which they became durable. */
  get digest(): string {
    return this.#digest.toString("hex");
  }
}

/** Payloads that are kept as blobs are not looked into. */
function payloadOf(row: EventRow): Readonly<Record<string, unknown>> | null {
  if (row.payload === null || row.payload[0] !== 0) return null;
  return JSON.parse(Buffer.from(row.payload.subarray(PAYLOAD_HEADER)).toString("utf8")) as Record<string, unknown>;
}
