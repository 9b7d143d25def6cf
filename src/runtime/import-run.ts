import { readFile, stat } from "node:fs/promises";
import type { z } from "zod";
import { emptyRun, emptyScratch, evolve, type RunState } from "../core/state.ts";
import type { RunEvent } from "../core/event.ts";
import { FlotillaError } from "../error.ts";
import { canonicalBytes, sha256 } from "../message/canonical.ts";
import { COORDINATOR } from "../message/envelope.ts";
import { sign, verify } from "../message/identity.ts";
import type { KeyRing } from "../message/keys.ts";
import type { Blob, Commit, EventRow, JournalId, Store } from "../store/store.ts";
import { DigestTable } from "./digest-table.ts";
import { spansOf } from "./erasure.ts";
import type { FleetEventData, FleetJournal } from "./fleet-journal.ts";
import { payloadBlob } from "./journal.ts";
import { summaryOf } from "./ledger.ts";
import { parsedJson, portableHeader, type PortableHeader, portableRecord, rowOfPortable } from "./portable-run.ts";
import { walkJournal } from "./verify-journal.ts";
import { RunWitness } from "./verify-proof.ts";

/** A file to take in, by its absolute path, and who does. */
export interface ImportRequest {
  file: string;
  by: string;
}

/** What an import did. */
export interface Imported {
  run: JournalId;
  /** The fleet that ran it, as the file says. */
  fleet: string;
  /** Runs that were added: none when all of them were there. */
  runs: number;
  events: number;
  /** Contents that the file does not have. */
  leftOut: number;
}

/** What the fleet's journal says of an import. */
export type ImportRecord = FleetEventData["run.imported"];

function importStatement({ signature: _, ...said }: ImportRecord): Uint8Array {
  return canonicalBytes({ purpose: "flotilla.import.1", ...said });
}

/** Whether one of these keys signed it. */
export function isImportSigned(record: ImportRecord, keys: readonly string[]): boolean {
  return keys.some((key) => verify(key, importStatement(record), Buffer.from(record.signature, "base64url")));
}

const RUN_ID = /^r-[0-9a-z]+$/;

/** Longer files are not read. */
const FILE_BYTES_MAX = 512 * 1024 * 1024;

/** Takes ended runs of other stores in, as records (F11). First an import goes on record in the fleet's journal, signed;
 *  then all runs of the file are stored in one transaction. After a crash in between the record alone is there, and the
 *  same import may be made again. */
export class Importer {
  readonly #store: Store;
  readonly #fleet: FleetJournal;
  readonly #keys: KeyRing;
  #last: Promise<unknown> = Promise.resolve();

  constructor({ store, fleet, keys }: { store: Store; fleet: FleetJournal; keys: KeyRing }) {
    this.#store = store;
    this.#fleet = fleet;
    this.#keys = keys;
  }

  /** Said twice, the second time changes nothing.
   *  @throws {FlotillaError} IMPORT_INVALID (the file, with the first event that is not as it was recorded),
   *  IMPORT_REFUSED (another run of this id is here), QUEUE_FULL, STORE_FULL, STORE_READONLY; each with nothing stored */
  import(request: ImportRequest): Promise<Imported> {
    const turn = this.#last.then(() => this.#import(request));
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #import({ file, by }: ImportRequest): Promise<Imported> {
    const { header, runs } = await checkedRuns(await readPortable(file));
    const added: CheckedRun[] = [];
    for (const run of runs) if (!(await this.#isHere(run))) added.push(run);
    const told = { run: header.run, fleet: header.fleet, runs: added.length };
    const events = added.reduce((sum, { rows }) => sum + rows.length, 0);
    const leftOut = added.reduce((sum, run) => sum + run.leftOut.length, 0);
    if (added.length === 0) return { ...told, events, leftOut };
    await this.#fleet.insist("run.imported", this.#recordOf(header, added, by));
    const results = await this.#store.commit(added.map(commitOf));
    const refused = results.find((result) => !result.ok);
    if (refused !== undefined && !refused.ok)
      throw new FlotillaError(
        refused.reason === "full" ? "QUEUE_FULL" : "IMPORT_REFUSED",
        `${header.run} was not taken in: ${refused.reason}`,
      );
    for (const { id, version, head } of added) this.#fleet.grew(id, version, head);
    return { ...told, events, leftOut };
  }

  async #isHere({ id, version, head }: CheckedRun): Promise<boolean> {
    const row = await this.#store.run(id);
    if (row === null) return false;
    if (row.version === version && Buffer.compare(row.head, head) === 0) return true;
    throw new FlotillaError("IMPORT_REFUSED", `run ${id} is here already, and is another one: its head differs`, {
      details: { run: id, version: row.version, inFile: version },
    });
  }

  #recordOf({ run, fleet }: PortableHeader, added: readonly CheckedRun[], by: string): ImportRecord {
    const runs = added.map(({ id, version, head, leftOut }) => {
      return { run: id, version, head: Buffer.from(head).toString("base64url"), leftOut: spansOf(leftOut) };
    });
    const said = { run, fleet, runs, by, signature: "" };
    const signature = sign(this.#keys.identity(COORDINATOR), importStatement(said)).toString("base64url");
    return { ...said, signature };
  }
}

interface Portable {
  header: PortableHeader;
  /** By run, in order of version. */
  events: Map<JournalId, EventRow[]>;
  blobs: Map<string, Uint8Array>;
}

/** @throws {FlotillaError} IMPORT_INVALID naming the line */
async function readPortable(file: string): Promise<Portable> {
  const [first = "", ...lines] = (await textOf(file)).split("\n");
  const header = taken(portableHeader, first, 1);
  if (!RUN_ID.test(header.run) || header.runs[0]?.run !== header.run) throw invalid(`${header.run} is no run's id`);
  const events = new Map<JournalId, EventRow[]>(header.runs.map(({ run }) => [run, []]));
  const blobs = new Map<string, Uint8Array>();
  for (const [at, text] of lines.entries()) {
    if (text === "" && at === lines.length - 1) break;
    const record = taken(portableRecord, text, at + 2);
    if (record.kind === "event") {
      const rows = events.get(record.run);
      if (rows === undefined) throw invalid(`line ${at + 2} is of run ${record.run}, which the header does not name`);
      rows.push(rowOfPortable(record, rows.length + 1));
      continue;
    }
    const bytes = record.kind === "blob" ? Buffer.from(record.bytes, "base64") : Buffer.from(record.text);
    if (sha256(bytes).toString("hex") !== record.hash)
      throw invalid(`${record.kind} ${record.hash.slice(0, 12)} (line ${at + 2}) was altered: it has another hash`);
    blobs.set(record.hash, bytes);
  }
  for (const rows of events.values()) rows.sort((a, b) => a.version - b.version);
  return { header, events, blobs };
}

async function textOf(file: string): Promise<string> {
  try {
    const about = await stat(file);
    if (!about.isFile()) throw invalid(`${file} is no file`);
    if (about.size > FILE_BYTES_MAX) throw invalid(`${file} is longer than ${FILE_BYTES_MAX} bytes`);
    return await readFile(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw invalid(`there is no file ${file}`);
    if (code === "EACCES" || code === "EPERM") throw invalid(`${file} may not be read`);
    throw error;
  }
}

function taken<T>(schema: z.ZodType<T>, text: string, line: number): T {
  const result = schema.safeParse(parsedJson(text));
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? "" : ` (${issue.path.join(".")}: ${issue.message})`;
  throw invalid(line === 1 ? `it is no exported run${where}` : `line ${line} is not readable${where}`);
}

/** A run of a file whose events are all there and as they were recorded, up to its end. */
interface CheckedRun {
  id: JournalId;
  version: number;
  head: Uint8Array;
  rows: readonly EventRow[];
  state: RunState;
  /** Versions of which the content is not there. */
  leftOut: readonly number[];
  blobs: readonly Blob[];
}

async function checkedRuns({ header, events, blobs }: Portable) {
  const runs: CheckedRun[] = [];
  for (const { run, version, head } of header.runs) {
    if (run !== header.run && !isChildOf(header.run, run)) throw invalid(`${run} is no child run of ${header.run}`);
    if (runs.some(({ id }) => id === run)) throw invalid(`${run} is named twice`);
    runs.push(await checkedRun(run, { version, head }, events.get(run) ?? [], blobs));
  }
  return { header, runs };
}

const isChildOf = (root: JournalId, run: JournalId): boolean =>
  run.startsWith(root) && /^(\.\d+)+$/.test(run.slice(root.length));

/** The checks of `flotilla verify`, on what the file holds. */
async function checkedRun(
  run: JournalId,
  due: { version: number; head: string },
  rows: readonly EventRow[],
  blobs: ReadonlyMap<string, Uint8Array>,
): Promise<CheckedRun> {
  const state = emptyRun(run);
  const witness = new RunWitness(run, new DigestTable());
  const leftOut: number[] = [];
  const source = {
    events: async (_: JournalId, after: number, limit: number) =>
      rows.filter(({ version }) => version > after).slice(0, limit),
    blob: async (hash: string) => blobs.get(hash) ?? null,
  };
  const walk = await walkJournal(
    source,
    run,
    (walked) => {
      if (walked.erased) leftOut.push(walked.row.version);
      witness.see(walked);
      fold(state, walked.row.version, walked.event as RunEvent);
    },
    () => true,
  ).catch((error: unknown) => {
    throw error instanceof Unfoldable ? invalid(error.message, run, error.version) : error;
  });
  const problem = walk.problem ?? witness.problem;
  if (problem !== null) throw invalid(problem.message, run, problem.version);
  if (walk.version < due.version)
    throw invalid(`event ${walk.version + 1} of ${run} is missing: there were ${due.version}`, run, walk.version + 1);
  if (walk.version !== due.version || Buffer.from(walk.head).toString("hex") !== due.head)
    throw invalid(`${run} has another head than the file says`, run, walk.version);
  if (state.status === "running") throw invalid(`${run} has not ended`, run, walk.version);
  const needed = new Set([state.definition, ...rows.flatMap((row) => payloadBlob(row) ?? [])]);
  const kept = [...needed].map((hash) => blobIn(blobs, hash, run));
  return { id: run, version: walk.version, head: walk.head, rows, state, leftOut, blobs: kept };
}

class Unfoldable extends Error {
  readonly version: number;
  constructor(run: JournalId, version: number, why: string) {
    super(`event ${version} of ${run} does not follow from those before it (${why})`);
    this.version = version;
  }
}

function fold(state: RunState, version: number, event: RunEvent): void {
  const starts = event.type === "run.started";
  if (starts !== (version === 1) || (starts && event.data.run !== state.id))
    throw new Unfoldable(state.id, version, `it is ${event.type}`);
  try {
    evolve(state, event);
    state.scratch = emptyScratch();
  } catch (error) {
    throw new Unfoldable(state.id, version, error instanceof Error ? error.message : String(error));
  }
}

function blobIn(blobs: ReadonlyMap<string, Uint8Array>, hash: string, run: JournalId): Blob {
  const bytes = blobs.get(hash);
  if (bytes !== undefined) return { hash, bytes };
  throw invalid(`${hash.slice(0, 12)}, which ${run} refers to, is missing`, run);
}

/** An ended run, all at once: nothing ever takes it up. Its idempotency key counts where it ran. */
function commitOf({ id, rows, state, blobs }: CheckedRun): Commit {
  const { workflow, definition, startedAt, status } = state;
  return {
    journal: id,
    expectedVersion: 0,
    events: rows,
    blobs,
    run: {
      create: { workflow, definition, createdAt: startedAt, child: true },
      status,
      summary: Buffer.from(JSON.stringify(summaryOf(state))),
    },
  };
}

function invalid(problem: string, run?: JournalId, version: number | null = null): FlotillaError {
  const details = { ...(run === undefined ? {} : { run }), ...(version === null ? {} : { version }) };
  return new FlotillaError("IMPORT_INVALID", `the run cannot be taken in: ${problem}`, { details });
}
