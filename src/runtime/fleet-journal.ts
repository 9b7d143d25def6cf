import { z } from "zod";
import { type FoldedEvent, foldedEventSchemas, isFoldedEvent } from "../core/fleet-event.ts";
import { emptyFleet, evolveFleet, type FleetState } from "../core/fleet-state.ts";
import type { Json } from "../core/json.ts";
import { FlotillaError, isFlotillaError } from "../error.ts";
import { canonicalBytes } from "../message/canonical.ts";
import { type Identity, sign } from "../message/identity.ts";
import { merkleRoot } from "../message/merkle.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import { openSnapshot, sealSnapshot } from "./snapshot.ts";
import { signHead, type SignedHead } from "./signed-head.ts";
import {
  type Blob,
  type Commit,
  type CommitResult,
  type DeadLetter,
  FLEET_JOURNAL,
  type Store,
  type TimerWrite,
} from "../store/store.ts";
import { erasureSchema } from "./erasure.ts";
import { genesis, type JournalEvent, readJournal, sealEvent } from "./journal.ts";

const id = z.string().min(1);

const deadLetterAct = z.strictObject({ id, reason: z.string(), run: id.nullable(), by: z.string(), note: z.string() });

/** Every event of the fleet's journal, version 1 of each. */
export const fleetEventSchemas = {
  "fleet.opened": z.strictObject({ fleet: id, version: z.string(), definition: id }),
  "fleet.closed": z.strictObject({ why: z.string() }),
  "key.created": z.strictObject({ name: id, publicKey: id }),
  /** A participant got another key, since the one before was lost with the key file; `former`: those before. */
  "key.replaced": z.strictObject({ name: id, publicKey: id, former: z.array(id), why: z.string() }),
  "definition.registered": z.strictObject({ definition: id, name: id }),
  "definition.missing": z.strictObject({ definition: id, run: id }),
  /** A model, provider or tool is left alone (`open`), tried (`half-open`) or used again (F4). */
  "breaker.changed": z.strictObject({ gate: id, from: z.string(), to: z.string(), why: z.string() }),
  "worker.started": z.strictObject({ worker: id, session: z.string(), queue: id, agents: z.number() }),
  "worker.stopped": z.strictObject({ worker: id, why: z.string(), crashed: z.boolean() }),
  /** A sender's signature over its frames of a session (X1); see `message/seal.ts`. */
  "messages.sealed": z.strictObject({
    worker: id,
    agent: id,
    session: z.string(),
    from: z.number(),
    to: z.number(),
    root: z.string(),
    signature: z.string(),
  }),
  "message.refused": z.strictObject({ worker: id, sender: z.string(), what: z.string(), why: z.string() }),
  /** Version and head of every journal that grew since the last one, signed by the coordinator: reveals truncation.
   *  `fleet`: version and head of this journal before this event, signed with them. The signature is over
   *  `headsStatement`. */
  "heads.signed": z.strictObject({
    heads: z.array(z.tuple([z.string(), z.number(), z.string()])),
    fleet: z.tuple([z.number(), z.string()]).optional(),
    root: z.string(),
    signature: z.string(),
  }),
  /** Content of an ended run was erased on request; recorded before it is done. */
  "content.erased": erasureSchema,
  "run.removed": z.strictObject({ run: id, version: z.number(), head: z.string() }),
  /** This journal was found to be another than the one whose head had been signed and kept outside of the store:
   *  `version` had been signed, and the event there is gone or another one. */
  "journal.cut": z.strictObject({ version: z.number(), signedAt: z.number(), found: z.number() }),
  ...foldedEventSchemas,
  /** A person did something with a dead letter (M9); `run`: what a replay started. */
  "dead-letter.replayed": deadLetterAct,
  "dead-letter.dropped": deadLetterAct,
  "dead-letter.edited": deadLetterAct,
} as const;

export type FleetEventType = keyof typeof fleetEventSchemas;
export type FleetEventData = { [K in FleetEventType]: z.infer<(typeof fleetEventSchemas)[K]> };

export type Head = [run: string, version: number, head: string];
/** Of the fleet's own journal. */
export type FleetHead = [version: number, head: string];

/** What the coordinator signs over heads: purpose and the RFC 9162 root over the canonical entries. */
export function headsRoot(heads: readonly Head[]): string {
  return merkleRoot(heads.map((head) => canonicalBytes(head as unknown as Json))).toString("hex");
}
export function headsStatement(root: string, fleet: FleetHead | undefined): Uint8Array {
  if (fleet === undefined) return canonicalBytes({ purpose: "flotilla.heads.1", root });
  return canonicalBytes({ purpose: "flotilla.heads.2", root, fleet });
}

/** Heads are signed at most this often. */
const SIGN_EVERY_MS = 250;
const HEADS_MAX = 5_000;
/** After so many commits in a row that were refused, nobody else's writing explains it any more. */
const REFUSALS_MAX = 20;
/** Events after which the folded state is kept as a snapshot, so that opening does not read the whole journal. */
const SNAPSHOT_EVERY = 500;

/** What goes with an event in its commit. */
export interface Beside {
  blob?: Blob;
  outbox?: readonly { topic: string; bytes: Uint8Array }[];
  timers?: readonly TimerWrite[];
  deadLetters?: readonly DeadLetter[];
  deadLettersRemoved?: readonly string[];
}

interface Pending {
  /** Made when its place is known: signatures are over what comes before. */
  event(version: number, previous: Uint8Array): JournalEvent;
  beside: Beside;
  done: (() => void) | null;
  /** For whoever does not wait until the store takes it. */
  refused: ((error: unknown) => void) | null;
}

/** What the fleet's journal says up to its end: from its newest snapshot, and the events after that. One that holds
 *  decisions and cannot be read is taken for a hold of everything, since it may have been one (F14).
 *  `version` is that of the last event; `keys`: the coordinator's, as `openSnapshot` takes them. */
export async function foldFleet(
  store: Pick<Store, "events" | "blob" | "snapshot">,
  keys: readonly string[] | null,
): Promise<{ state: FleetState; version: number; snapshotVersion: number }> {
  const snapshot = await openSnapshot<FleetState>(store, FLEET_JOURNAL, keys);
  const state = snapshot?.state ?? emptyFleet();
  const snapshotVersion = snapshot?.version ?? 0;
  let version = snapshotVersion;
  for await (const { row, opened } of readJournal(store, FLEET_JOURNAL, version)) {
    version = row.version;
    if (!isFoldedEvent(row.type)) continue;
    const data = foldedEventSchemas[row.type].safeParse(opened.event?.data).data;
    if (data !== undefined) evolveFleet(state, { type: row.type, at: row.at, data } as FoldedEvent);
    else if (row.type.startsWith("hold.")) evolveFleet(state, unreadable(row.version, row.at));
  }
  return { state, version, snapshotVersion };
}

function unreadable(version: number, at: number): FoldedEvent {
  const why = `event ${version} of the fleet's journal, of a hold, cannot be read`;
  return { type: "hold.placed", at, data: { scope: "fleet", name: null, why, by: "flotilla", kill: false } };
}

/** The journal of what concerns the whole fleet. Its events ride along with the next group commit. */
export class FleetJournal {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #coordinator: Identity;
  readonly #keys: readonly string[];
  readonly #wake: () => void;
  readonly #signed: (head: SignedHead) => void;
  readonly #opened: () => void;
  /** What is on record; null until it was read. */
  #state: FleetState | null = null;
  #snapshotVersion = 0;
  #version = 0;
  #head: Uint8Array = genesis(FLEET_JOURNAL);
  #pending: Pending[] = [];
  #taken = 0;
  #takenHead: Uint8Array | null = null;
  #takenFolded: FoldedEvent[] = [];
  /** The last signature that was taken. */
  #takenSigned: { version: number; head: Uint8Array; at: number } | null = null;
  #stale = true;
  /** Commits in a row that were refused. */
  #refusals = 0;
  #resting = false;
  #reading: Promise<void> | null = null;
  #heads = new Map<string, Head>();
  /** There are events that no signature covers yet. */
  #unsigned = false;
  #signing: Timer | null = null;
  #closed = false;

  constructor(ports: {
    store: Store;
    clock: Clock;
    random: Random;
    coordinator: Identity;
    /** The coordinator's public keys, retired ones too. */
    keys: readonly string[];
    wake: () => void;
    /** Told of signed heads of this journal when they are durable. */
    signed?: (head: SignedHead) => void;
    /** The journal was folded: `state` is there, or is newer. */
    opened: () => void;
  }) {
    this.#store = ports.store;
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#coordinator = ports.coordinator;
    this.#keys = ports.keys;
    this.#wake = ports.wake;
    this.#signed = ports.signed ?? (() => {});
    this.#opened = ports.opened;
  }

  /** What is on record and durable; null while it has not been read yet. */
  get state(): FleetState | null {
    return this.#state;
  }

  /** What is on record, read first where it was not yet. @throws {FlotillaError} STORE_UNAVAILABLE */
  async read(): Promise<FleetState> {
    while (this.#state === null) await this.#fold();
    return this.#state;
  }

  /** Appends an event; resolves when it is durable. */
  append<K extends FleetEventType>(type: K, data: FleetEventData[K]): Promise<void> {
    return new Promise((resolve) => this.#push(type, data, { beside: {}, done: resolve, refused: null }));
  }

  /** As `append`, for what cannot wait until the store takes it.
   *  @throws {FlotillaError} STORE_FULL, STORE_READONLY, with nothing recorded */
  insist<K extends FleetEventType>(type: K, data: FleetEventData[K], beside: Beside = {}): Promise<void> {
    return new Promise((resolve, reject) => this.#push(type, data, { beside, done: resolve, refused: reject }));
  }

  #push<K extends FleetEventType>(type: K, data: FleetEventData[K], rest: Omit<Pending, "event">): void {
    const event = { type, at: this.#clock.now(), data };
    this.#pending.push({ event: () => event, ...rest });
    this.#unsigned = true;
    this.#signSoon();
    this.#wake();
  }

  /** Takes note of how far a run's journal has come; signed soon. */
  grew(run: string, version: number, head: Uint8Array): void {
    this.#heads.set(run, [run, version, base64(head)]);
    this.#signSoon();
  }

  #signSoon(): void {
    if (this.#signing !== null || this.#closed) return;
    this.#signing = this.#clock.after(SIGN_EVERY_MS, () => {
      this.#signing = null;
      this.signHeads();
    });
  }

  /** Signs what is not signed yet, and nothing after that. */
  close(): void {
    this.#closed = true;
    this.#signing?.cancel();
    this.signHeads();
  }

  /** Signs the heads of what grew, and with them this journal up to there. */
  signHeads(): void {
    while (this.#heads.size > 0 || this.#unsigned) {
      const heads = [...this.#heads.values()].slice(0, HEADS_MAX);
      for (const [run] of heads) this.#heads.delete(run);
      this.#unsigned = false;
      const root = headsRoot(heads);
      const at = this.#clock.now();
      const event = (version: number, previous: Uint8Array) => {
        const fleet: FleetHead = [version - 1, base64(previous)];
        const signature = sign(this.#coordinator, headsStatement(root, fleet)).toString("base64url");
        return { type: "heads.signed", at, data: { heads, fleet, root, signature } };
      };
      this.#pending.push({ event, beside: {}, done: null, refused: null });
      this.#wake();
    }
  }

  /** The next commit of this journal; null when there is nothing, or its head must be read first. */
  take(): Commit | null {
    if (this.#pending.length === 0 || this.#resting) return null;
    if (this.#stale) {
      this.#read();
      return null;
    }
    let head = this.#head;
    this.#takenSigned = null;
    const rows = [];
    const blobs: Blob[] = [];
    const timers = this.#pending.flatMap(({ beside }) => beside.timers ?? []);
    const folded: FoldedEvent[] = [];
    const outbox = this.#pending.flatMap(({ beside }) => beside.outbox ?? []);
    const deadLetters = this.#pending.flatMap(({ beside }) => beside.deadLetters ?? []);
    const deadLettersRemoved = this.#pending.flatMap(({ beside }) => beside.deadLettersRemoved ?? []);
    for (const [i, { event, beside }] of this.#pending.entries()) {
      const version = this.#version + i + 1;
      const made = event(version, head);
      const sealed = sealEvent(made, version, head, this.#random);
      if (isFoldedEvent(made.type)) folded.push(made as FoldedEvent);
      head = sealed.row.hash;
      if (made.type === "heads.signed") this.#takenSigned = { version, head, at: made.at };
      rows.push(sealed.row);
      if (sealed.blob !== null) blobs.push(sealed.blob);
      if (beside.blob !== undefined) blobs.push(beside.blob);
    }
    this.#taken = rows.length;
    this.#takenHead = head;
    this.#takenFolded = folded;
    return {
      journal: FLEET_JOURNAL,
      expectedVersion: this.#version,
      events: rows,
      ...(blobs.length === 0 ? {} : { blobs }),
      ...(timers.length === 0 ? {} : { timers }),
      ...this.#snapshot(),
      ...(outbox.length === 0 ? {} : { outbox }),
      ...(deadLetters.length === 0 ? {} : { deadLetters }),
      ...(deadLettersRemoved.length === 0 ? {} : { deadLettersRemoved }),
    };
  }

  /** The state as it is on record, now and then. */
  #snapshot(): Pick<Commit, "snapshot"> {
    if (this.#state === null || this.#version - this.#snapshotVersion < SNAPSHOT_EVERY) return {};
    const at = { version: this.#version, head: this.#head, state: this.#state };
    return { snapshot: sealSnapshot(this.#coordinator, FLEET_JOURNAL, at) };
  }

  done(result: CommitResult): void {
    if (!result.ok) return this.#refused();
    this.#refusals = 0;
    if (this.#version - this.#snapshotVersion >= SNAPSHOT_EVERY) this.#snapshotVersion = this.#version;
    this.#version += this.#taken;
    this.#head = this.#takenHead as Uint8Array;
    if (this.#takenSigned !== null) {
      const { version, head, at } = this.#takenSigned;
      this.#signed(signHead(this.#coordinator, { fleet: this.#store.fleet, version, head: base64(head), at }));
    }
    if (this.#state !== null) for (const event of this.#takenFolded) evolveFleet(this.#state, event);
    for (const { done } of this.#pending.splice(0, this.#taken)) done?.();
    if (this.#pending.length > 0) this.#wake();
  }

  /** Somebody else wrote first, which happens now and then; what is refused time and again is a damaged journal. */
  #refused(): void {
    this.#stale = true;
    this.#refusals += 1;
    if (this.#refusals < REFUSALS_MAX) return this.#wake();
    this.#resting = true;
    const at = this.#version + 1;
    this.#tellInsisting(
      new FlotillaError(
        "JOURNAL_DAMAGED",
        `the store takes no event ${at} of the fleet's journal: its row and its events differ`,
        {
          hint: "See flotilla verify fleet; restore a backup of the whole folder.",
        },
      ),
    );
    this.#clock.after(SIGN_EVERY_MS, () => {
      this.#resting = false;
      this.#wake();
    });
  }

  /** Somebody else wrote, or the outcome is unknown: the head is read again before the next commit. What is pending
   *  may then be recorded twice, never lost. */
  failed(error: unknown): void {
    this.#stale = true;
    if (!isFlotillaError(error) || (error.code !== "STORE_FULL" && error.class !== "permanent")) return;
    this.#tellInsisting(error);
  }

  #tellInsisting(error: FlotillaError): void {
    const refused = this.#pending.filter((pending) => pending.refused !== null);
    this.#pending = this.#pending.filter((pending) => pending.refused === null);
    for (const pending of refused) pending.refused?.(error);
  }

  #read(): void {
    if (this.#reading !== null) return;
    this.#fold().catch((error: unknown) => {
      this.#clock.after(SIGN_EVERY_MS, () => this.#wake());
      if (!isFlotillaError(error)) throw error;
      // What is damaged stays so: whoever cannot do without the record is told (F14).
      if (error.class === "permanent") this.#tellInsisting(error);
    });
  }

  /** Folds what is on record; somebody else may have written since. Once at a time. */
  #fold(): Promise<void> {
    this.#reading ??= this.#foldAll().then(
      () => {
        this.#stale = false;
        this.#reading = null;
        this.#opened();
        this.#wake();
      },
      (error: unknown) => {
        this.#reading = null;
        throw error;
      },
    );
    return this.#reading;
  }

  async #foldAll(): Promise<void> {
    for (let before: number | null = null; ; ) {
      const { version, head } = await this.#store.head(FLEET_JOURNAL);
      const folded = await foldFleet(this.#store, this.#keys);
      // What was written in between belongs to the next look. When nobody writes, the end of the journal is missing: it
      // goes on behind what the store says, and verification names what is not there (F14).
      if (folded.version !== version && before !== version) {
        before = version;
        continue;
      }
      this.#version = Math.max(version, folded.version);
      this.#head = version === 0 ? genesis(FLEET_JOURNAL) : head;
      this.#state = folded.state;
      this.#snapshotVersion = folded.snapshotVersion;
      return;
    }
  }
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url");
