import { open, rm } from "node:fs/promises";
import { isChild } from "../core/seat.ts";
import { FlotillaError } from "../error.ts";
import type { EventRow, JournalId, RunRow, Store } from "../store/store.ts";
import { type Redactor, redactor } from "../telemetry/redact.ts";
import { payloadBlob, readJournal } from "./journal.ts";
import {
  PORTABLE_VERSION,
  portableEvent,
  type PortableHeader,
  type PortableRecord,
  SIGNATURES_STATEMENT,
} from "./portable-run.ts";

export interface ExportOptions {
  /** Leave all content out: what people, models and tools wrote. Default false. */
  redact?: boolean;
  /** Names and values: content that holds one is left out, since it cannot be changed. Default none. */
  secrets?: Iterable<readonly [name: string, value: string]>;
}

/** What an export holds. */
export interface Exported {
  run: JournalId;
  runs: number;
  events: number;
  /** Contents that are not in it: left out, or erased before. */
  leftOut: number;
}

const CHILDREN_MAX = 100_000;

/** An ended run with its child runs as lines of a portable file (F11); its value is what they held. Reads only, page by
 *  page. @throws {FlotillaError} RUN_UNKNOWN, EXPORT_REFUSED, JOURNAL_DAMAGED */
export async function* exportRun(
  store: Store,
  run: JournalId,
  { redact = false, secrets: known = [] }: ExportOptions = {},
): AsyncGenerator<string, Exported> {
  const secrets = redactor(known);
  const rows = await rowsToExport(store, run);
  yield line(headerOf(store.fleet, run, rows, redact));
  for (const hash of new Set(rows.map(({ definition }) => definition)))
    yield line({ kind: "definition", hash, text: await definitionText(store, hash, secrets) });
  const told: Exported = { run, runs: rows.length, events: 0, leftOut: 0 };
  const blobs = new Set<string>();
  for (const row of rows) {
    for await (const { row: event, opened } of readJournal(store, row.id)) {
      if (event.version > row.version) break;
      if (opened.problem !== null) throw damaged(row.id, event, opened.problem);
      const payload = redact ? null : await shareable(store, row.id, event, secrets);
      const blob = payload === null ? null : payloadBlob(event);
      if (blob !== null && !blobs.has(blob)) {
        blobs.add(blob);
        const bytes = Buffer.from((await store.blob(blob)) ?? []).toString("base64");
        yield line({ kind: "blob", hash: blob, bytes });
      }
      told.events += 1;
      const hasContent = opened.erased || opened.event?.payload !== undefined;
      if (payload === null && hasContent) told.leftOut += 1;
      yield line(checked(row.id, event, payload, secrets));
    }
  }
  return told;
}

/** As `exportRun`, into a new file that its user alone may read; nothing of it stays when that fails.
 *  @throws {FlotillaError} as `exportRun`, and EXPORT_REFUSED when the file is there already or cannot be written */
export async function exportRunTo(store: Store, run: JournalId, file: string, options: ExportOptions = {}) {
  const lines = exportRun(store, run, options);
  const first = await lines.next();
  const handle = await open(file, "wx", 0o600).catch((cause: NodeJS.ErrnoException) => {
    const why = cause.code === "EEXIST" ? "is there already" : `cannot be written: ${cause.message}`;
    throw new FlotillaError("EXPORT_REFUSED", `${file} ${why}`, { hint: "Name another file.", cause });
  });
  try {
    for (let next = first; ; next = await lines.next()) {
      if (next.done === true) return next.value;
      await handle.appendFile(next.value);
    }
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

async function rowsToExport(store: Store, run: JournalId): Promise<RunRow[]> {
  if (isChild(run)) {
    const [root = ""] = run.split(".");
    throw new FlotillaError("EXPORT_REFUSED", `${run} is a child run, and goes along with ${root}`, {
      hint: `Export that one: flotilla export ${root}`,
    });
  }
  const children = await store.runIdsByPrefix(`${run}.`, CHILDREN_MAX);
  const rows: RunRow[] = [];
  for (const id of [run, ...children]) {
    const row = await store.run(id);
    if (row === null) throw new FlotillaError("RUN_UNKNOWN", `there is no run ${id}`);
    if (row.status === "running")
      throw new FlotillaError(
        "EXPORT_REFUSED",
        `run ${id} is under way: what is exported is the record of an ended one`,
      );
    rows.push(row);
  }
  return rows;
}

function headerOf(fleet: string, run: JournalId, rows: readonly RunRow[], redacted: boolean): PortableHeader {
  const runs = rows.map(({ id, version, head }) => ({ run: id, version, head: Buffer.from(head).toString("hex") }));
  return { kind: "run", format: PORTABLE_VERSION, fleet, run, runs, redacted, signatures: SIGNATURES_STATEMENT };
}

async function definitionText(store: Store, hash: string, secrets: Redactor): Promise<string> {
  const bytes = await store.blob(hash);
  if (bytes === null)
    throw new FlotillaError("JOURNAL_DAMAGED", `definition ${hash.slice(0, 12)} is missing from the store`);
  const text = Buffer.from(bytes).toString("utf8");
  if (secrets(text) === text) return text;
  throw new FlotillaError("EXPORT_REFUSED", `definition ${hash.slice(0, 12)} holds a secret`, {
    hint: "Refer to secrets by name in definitions. What was recorded with it cannot leave this store.",
  });
}

/** An event's content, if it may leave the store. */
async function shareable(store: Store, run: JournalId, row: EventRow, secrets: Redactor): Promise<Uint8Array | null> {
  const blob = payloadBlob(row);
  const content = blob === null ? row.payload : await store.blob(blob);
  if (content === null && blob !== null) throw damaged(run, row, "its blob is missing");
  const text = Buffer.from(content ?? []).toString("utf8");
  return secrets(text) === text ? row.payload : null;
}

/** What the chain is over cannot be changed or left out. @throws {FlotillaError} EXPORT_REFUSED when it holds a secret */
function checked(run: JournalId, row: EventRow, payload: Uint8Array | null, secrets: Redactor): PortableRecord {
  const event = portableEvent(run, row, payload);
  if (secrets(event.text) === event.text) return event;
  throw new FlotillaError("EXPORT_REFUSED", `event ${row.version} of ${run} holds a secret outside of its content`, {
    hint: "It cannot leave this store without breaking the chain.",
  });
}

function damaged(run: JournalId, { version }: EventRow, problem: string): FlotillaError {
  const message = `event ${version} of ${run} is not as it was recorded: ${problem}`;
  return new FlotillaError("JOURNAL_DAMAGED", message, { details: { run, version } });
}

const line = (record: PortableHeader | PortableRecord): string => `${JSON.stringify(record)}\n`;
