import { checkEventData } from "../core/event.ts";
import { isFlotillaError } from "../error.ts";
import { type EventRow, FLEET_JOURNAL, type JournalId, type Store } from "../store/store.ts";
import { fleetEventSchemas, type FleetEventType } from "./fleet-journal.ts";
import { chain, genesis, type JournalEvent, type OpenedEvent, openRow, rowFormProblem } from "./journal.ts";

/** The first thing in a journal that is not as it was recorded. */
export interface JournalProblem {
  kind: "altered" | "missing" | "reordered" | "truncated" | "unreadable" | "row" | "signature" | "definition";
  /** The first event concerned; null when it is not one event. */
  version: number | null;
  /** A sentence that names event and journal. */
  message: string;
}

/** What walking one journal found. */
export interface JournalWalk {
  journal: JournalId;
  events: number;
  /** Events whose content was erased on purpose: their digests still hold. */
  erased: number;
  /** Version and head of the last event that is there. */
  version: number;
  head: Uint8Array;
  problem: JournalProblem | null;
}

/** An event that could be read, wherever the journal is broken before it. */
export interface WalkedEvent {
  row: EventRow;
  event: JournalEvent;
  erased: boolean;
}

const PAGE = 500;

/** Recomputes the hash chain of a journal from its first event, and with it every payload digest, column and schema
 *  (X6). Reads page by page: memory does not grow with the journal. `each` is given every event that can be read, also
 *  behind the first problem, since what is signed there counts on its own. `mayBeErased`: whether the erasure of an
 *  event's content is on record; default: of none. */
export async function walkJournal(
  store: Pick<Store, "events" | "blob">,
  journal: JournalId,
  each: (walked: WalkedEvent) => void | Promise<void> = () => {},
  mayBeErased: (version: number) => boolean | Promise<boolean> = () => false,
): Promise<JournalWalk> {
  const head = genesis(journal);
  const walk: JournalWalk = { journal, events: 0, erased: 0, version: 0, head, problem: null };
  for await (const row of rowsOf(store, walk)) {
    const form = rowFormProblem(row);
    if (form !== null) {
      const version = Number.isSafeInteger(row.version) ? row.version : walk.version + 1;
      walk.problem ??= broken("altered", walk, version, `was altered: ${form}`);
      walk.version = version;
      continue;
    }
    walk.problem ??= chainProblem(walk, row);
    const { event, erased, problem } = await opened(store, row);
    if (erased && !(await mayBeErased(row.version))) {
      const what = "was altered: its content is missing, and no erasure of it is on record";
      walk.problem ??= broken("altered", walk, row.version, what);
    }
    if (problem !== null) walk.problem ??= broken("altered", walk, row.version, `was altered: ${problem}`);
    const unknown = event && schemaProblem(journal, event);
    if (unknown !== null)
      walk.problem ??= broken(
        "unreadable",
        walk,
        row.version,
        `is as it was recorded, but not understood here: ${unknown}`,
      );
    walk.events += 1;
    walk.version = row.version;
    walk.head = row.hash;
    if (event === null || unknown !== null) continue;
    if (erased) walk.erased += 1;
    await each({ row, event, erased });
  }
  return walk;
}

/** As `openRow`; a blob that the database itself cannot read is a problem of its event. */
async function opened(store: Pick<Store, "blob">, row: EventRow): Promise<OpenedEvent> {
  try {
    return await openRow(row, (hash) => store.blob(hash));
  } catch (error) {
    if (!isFlotillaError(error)) throw error;
    return { event: null, erased: false, problem: `its content cannot be read: ${error.message}` };
  }
}

/** The events of a journal after a version that can be read, wherever it is broken. */
export async function* readableEvents(
  store: Pick<Store, "events" | "blob">,
  journal: JournalId,
  after = 0,
): AsyncGenerator<{ version: number; event: JournalEvent }> {
  const walk: JournalWalk = { journal, events: 0, erased: 0, version: after, head: genesis(journal), problem: null };
  for await (const row of rowsOf(store, walk)) {
    if (Number.isSafeInteger(row.version)) walk.version = row.version;
    const { event } = await opened(store, row);
    if (event !== null && schemaProblem(journal, event) === null) yield { version: row.version, event };
  }
}

/** Events in order; one that the database itself cannot read ends the walk, named. */
async function* rowsOf(store: Pick<Store, "events">, walk: JournalWalk): AsyncGenerator<EventRow> {
  for (let limit = PAGE; ; ) {
    let rows: EventRow[];
    try {
      rows = await store.events(walk.journal, walk.version, limit);
    } catch (error) {
      if (!isFlotillaError(error)) throw error;
      if (limit > 1) {
        limit = 1;
        continue;
      }
      walk.problem ??= broken("unreadable", walk, walk.version + 1, `cannot be read: ${error.message}`);
      return;
    }
    yield* rows;
    // What is no number stands behind all numbers, and there is no reading on from it.
    if (rows.length < limit || !Number.isSafeInteger(rows.at(-1)?.version)) return;
  }
}

function chainProblem(walk: JournalWalk, row: EventRow): JournalProblem | null {
  const due = walk.version + 1;
  if (row.version !== due) {
    const many = row.version - due > 1 ? ` (and those up to ${row.version - 1})` : "";
    return broken("missing", walk, due, `is missing${many}: the next one on record is event ${row.version}`);
  }
  if (same(chain(walk.head, row.bytes), row.hash)) return null;
  const n = numberIn(row.bytes);
  if (n !== null && n !== row.version) {
    return broken("reordered", walk, row.version, `was moved here: its own bytes say that it is event ${n}`);
  }
  const before = walk.version === 0 ? "" : `, or event ${walk.version} was together with its hash`;
  return broken("altered", walk, row.version, `was altered${before}: its hash does not follow`);
}

/** The version that an event's own bytes give; null when they do not say. */
function numberIn(bytes: Uint8Array): number | null {
  try {
    const { n } = JSON.parse(Buffer.from(bytes).toString("utf8")) as { n?: unknown };
    return typeof n === "number" ? n : null;
  } catch {
    return null; // Altered beyond reading: the chain has told already.
  }
}

function schemaProblem(journal: JournalId, event: JournalEvent): string | null {
  if (journal !== FLEET_JOURNAL) return checkEventData(event.type, event.data);
  if (!Object.hasOwn(fleetEventSchemas, event.type)) return `unknown type ${event.type}`;
  const result = fleetEventSchemas[event.type as FleetEventType].safeParse(event.data);
  return result.success ? null : `its data has not the form of ${event.type}`;
}

/** A problem of a journal; without a version, `what` follows the journal's own name. */
export function broken(
  kind: JournalProblem["kind"],
  { journal }: Pick<JournalWalk, "journal">,
  version: number | null,
  what: string,
): JournalProblem {
  const name = journal === FLEET_JOURNAL ? "the fleet's journal" : journal;
  const message = version === null ? `${name}: ${what}` : `event ${version} of ${name} ${what}`;
  return { kind, version, message };
}

export function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
