import { sha256 } from "../message/canonical.ts";
import type { EventRow, JournalId } from "../store/store.ts";

/** What checkers look at in the data of events, whatever their type: read from the bytes, and trusted no further. */
export interface EventFields {
  readonly task?: string;
  readonly tasks?: readonly string[];
  readonly attempt?: number;
  readonly key?: string;
  readonly call?: string;
  readonly accounts?: readonly {
    readonly account: string;
    readonly window: string;
    readonly tokens: number;
    readonly tokensMax?: number | null;
  }[];
  readonly tokens?: number;
  readonly kind?: string;
  readonly name?: string | null;
  readonly idempotencyKey?: string;
  readonly settle?: string;
  readonly outcome?: string;
  readonly decision?: string;
  readonly choice?: string;
  readonly approval?: string;
  readonly what?: string;
  readonly why?: string;
  readonly suspect?: boolean;
  readonly error?: { readonly code: string; readonly message: string };
  readonly usage?: { readonly inputTokens: number; readonly outputTokens: number };
  readonly workflow?: string;
  readonly agent?: string;
  readonly route?: string;
  readonly candidates?: readonly { readonly agent: string; readonly fits: boolean; readonly load: number }[];
  readonly limits?: { readonly tokensMax: number; readonly depthMax: number; readonly stepsMax: number };
  readonly child?: string;
  readonly status?: string;
  readonly parent?: { readonly run: string; readonly task: string };
  readonly proof?: { readonly session: string; readonly seq: number; readonly digest: string };
  readonly scope?: string;
  readonly schedule?: string;
  readonly start?: readonly number[];
  readonly time?: number;
  readonly add?: readonly {
    readonly task: string;
    readonly needs: readonly (string | RecordedNeed)[];
    readonly agent: string | null;
    readonly asker?: { readonly task: string; readonly key: string };
    readonly tools?: readonly string[];
  }[];
  readonly ask?: { readonly ask: string; readonly agent?: string; readonly fact?: string; readonly peek?: boolean };
  readonly fact?: string | null;
  readonly version?: number | null;
  readonly action?: string;
  readonly cancel?: readonly { readonly task: string }[];
}

export interface RecordedNeed {
  readonly task: string;
  readonly on: "completed" | "settled" | "failed";
}

/** An event that became durable, in the order in which it did. */
export interface DurableEvent {
  readonly journal: JournalId;
  readonly row: EventRow;
  readonly type: string;
  readonly data: EventFields;
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
    const record = JSON.parse(Buffer.from(row.bytes).toString("utf8")) as { type: string; data: EventFields };
    this.journals.set(journal, { version: row.version, head: row.hash });
    this.events += 1;
    this.#digest = sha256(
      Buffer.concat([this.#digest, Buffer.from(journal), row.hash, row.payload ?? Buffer.alloc(0)]),
    );
    const event = {
      journal,
      row,
      type: record.type,
      data: record.data,
      get payload() {
        return payloadOf(row);
      },
      atMs: this.#elapsedMs(),
    };
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
