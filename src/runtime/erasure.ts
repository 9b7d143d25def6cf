import { z } from "zod";
import { FlotillaError } from "../error.ts";
import { canonicalBytes } from "../message/canonical.ts";
import { COORDINATOR } from "../message/envelope.ts";
import { type Identity, sign, verify } from "../message/identity.ts";
import type { KeyRing } from "../message/keys.ts";
import type { EventRow, JournalId, Store } from "../store/store.ts";
import type { FleetJournal } from "./fleet-journal.ts";
import { payloadBlob } from "./journal.ts";

/** What somebody wants erased (S6). */
export interface EraseRequest {
  run: JournalId;
  /** The events whose content goes; null: all of them. */
  versions: readonly number[] | null;
  /** Why, for the record. */
  reason: string;
  by: string;
}

/** An erasure as the fleet's journal records it: what may be missing, and who answers for it. `versions` are pairs of
 *  first and last. */
export const erasureSchema = z.strictObject({
  run: z.string().min(1),
  versions: z.array(z.tuple([z.number().int().min(1), z.number().int().min(1)])),
  reason: z.string(),
  by: z.string(),
  /** The coordinator's, over `erasureStatement`. */
  signature: z.string(),
});
export type Erasure = z.infer<typeof erasureSchema>;

function erasureStatement({ run, versions, reason, by }: Omit<Erasure, "signature">): Uint8Array {
  return canonicalBytes({ purpose: "flotilla.erasure.1", run, versions, reason, by });
}

function signErasure(signer: Identity, erasure: Omit<Erasure, "signature">): Erasure {
  return { ...erasure, signature: sign(signer, erasureStatement(erasure)).toString("base64url") };
}

/** Whether one of these keys signed it. */
export function isErasureSigned({ signature, ...erasure }: Erasure, keys: readonly string[]): boolean {
  return keys.some((key) => verify(key, erasureStatement(erasure), Buffer.from(signature, "base64url")));
}

export function isErased({ versions }: Erasure, version: number): boolean {
  return versions.some(([from, to]) => version >= from && version <= to);
}

/** The outbox's topic for erasures that are on record and have yet to be carried out. */
const TOPIC = "erase";
const OUTBOX_PAGE = 1_000;
const PAGE = 500;

/** Erases content on request. First the erasure is recorded in the fleet's journal, signed; the same commit leaves a
 *  note in the outbox; then it is carried out and the note removed. A crash in between leaves the note, which the next
 *  start finds; carrying out twice changes nothing. */
export class Eraser {
  readonly #store: Store;
  readonly #fleet: FleetJournal;
  readonly #keys: KeyRing;
  readonly #failed: (error: unknown) => void;
  #last: Promise<unknown> = Promise.resolve();

  /** `failed` is told of what nobody asked for in this process. */
  constructor(ports: { store: Store; fleet: FleetJournal; keys: KeyRing; failed(error: unknown): void }) {
    const { store, fleet, keys, failed } = ports;
    this.#store = store;
    this.#failed = failed;
    this.#fleet = fleet;
    this.#keys = keys;
  }

  /** Resolves with the number of contents that are gone; 0 when there were none, and then nothing is recorded.
   *  @throws {FlotillaError} RUN_UNKNOWN, ERASE_REFUSED, STORE_FULL, STORE_READONLY */
  erase(request: EraseRequest): Promise<number> {
    return this.#inTurn(() => this.#erase(request));
  }

  /** Carries out what an earlier process recorded. */
  resume(): Promise<void> {
    return this.#inTurn(() => this.#carryOutAll());
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #erase({ run, versions, reason, by }: EraseRequest): Promise<number> {
    const row = await this.#store.run(run);
    if (row === null) throw new FlotillaError("RUN_UNKNOWN", `there is no run ${run}`);
    if (row.status === "running")
      throw new FlotillaError("ERASE_REFUSED", `run ${run} is under way and needs its content`, { details: { run } });
    const beyond = versions?.find((version) => !Number.isSafeInteger(version) || version < 1 || version > row.version);
    if (beyond !== undefined)
      throw new FlotillaError("ERASE_REFUSED", `run ${run} has no event ${beyond}; it has ${row.version}`, {
        hint: "Name events that it has: flotilla replay RUN.",
        details: { run, version: beyond },
      });
    const wanted = versions === null ? null : new Set(versions);
    const erased: number[] = [];
    for await (const { version, payload } of this.#rows(run))
      if (payload !== null && (wanted === null || wanted.has(version))) erased.push(version);
    if (erased.length === 0) return 0;
    const erasure = signErasure(this.#keys.identity(COORDINATOR), { run, versions: spansOf(erased), reason, by });
    const note = { topic: TOPIC, bytes: Buffer.from(JSON.stringify(erasure)) };
    await this.#fleet.insist("content.erased", erasure, { outbox: [note] });
    await this.#carryOutAll();
    return erased.length;
  }

  async #carryOutAll(): Promise<void> {
    for (const { id, topic, bytes } of await this.#store.outbox(OUTBOX_PAGE)) {
      if (topic !== TOPIC) continue;
      const erasure = this.#noted(bytes);
      if (erasure !== null) await this.#carryOut(erasure);
      await this.#store.outboxSent([id]);
    }
  }

  /** Nothing is erased because the outbox says so: what it says must be signed. */
  #noted(bytes: Uint8Array): Erasure | null {
    const { success, data: erasure } = erasureSchema.safeParse(parsed(bytes));
    if (success && isErasureSigned(erasure, this.#keys.publicKeys(COORDINATOR))) return erasure;
    this.#failed(
      new FlotillaError("EVENT_INVALID", "an erasure in the outbox was not signed by the coordinator; it is dropped"),
    );
    return null;
  }

  async #carryOut(erasure: Erasure): Promise<void> {
    const { run } = erasure;
    const versions: number[] = [];
    const blobs = new Set<string>();
    const kept = new Set<string>();
    for await (const row of this.#rows(run)) {
      const blob = payloadBlob(row);
      if (!isErased(erasure, row.version)) {
        if (blob !== null) kept.add(blob);
        continue;
      }
      versions.push(row.version);
      if (blob !== null) blobs.add(blob);
    }
    await this.#store.erasePayloads(
      run,
      versions,
      [...blobs].filter((blob) => !kept.has(blob)),
    );
  }

  async *#rows(run: JournalId): AsyncGenerator<EventRow> {
    for (let after = 0; ; ) {
      const rows = await this.#store.events(run, after, PAGE);
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE) return;
      after = last.version;
    }
  }
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Runs of numbers that follow each other, as pairs of first and last. */
export function spansOf(versions: readonly number[]): [number, number][] {
  const spans: [number, number][] = [];
  for (const version of versions) {
    const last = spans.at(-1);
    if (last !== undefined && last[1] === version - 1) last[1] = version;
    else spans.push([version, version]);
  }
  return spans;
}
