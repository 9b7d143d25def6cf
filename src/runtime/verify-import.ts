import { COORDINATOR } from "../message/envelope.ts";
import { FLEET_JOURNAL, type JournalId, type Store } from "../store/store.ts";
import type { FleetEventData } from "./fleet-journal.ts";
import { type ImportRecord, isImportSigned } from "./import-run.ts";
import type { JournalEvent } from "./journal.ts";
import type { PublicKeys } from "./verify-head.ts";
import { broken, type JournalProblem, type JournalWalk, readableEvents } from "./verify-journal.ts";

type ImportedRun = ImportRecord["runs"][number];

/** Runs that were imported, as the fleet's journal has them: nobody here signed their heads as they grew, and what was
 *  left out of the file is missing with good reason (F11, X6). */
export class RecordedImports {
  readonly #store: Pick<Store, "events" | "blob">;
  readonly #keys: PublicKeys;
  readonly #runs = new Map<JournalId, ImportedRun>();
  #version = 0;
  /** One that the coordinator did not sign. */
  problem: JournalProblem | null = null;

  constructor(store: Pick<Store, "events" | "blob">, keys: PublicKeys) {
    this.#store = store;
    this.#keys = keys;
  }

  see(version: number, event: JournalEvent): void {
    this.#version = version;
    if (event.type === "run.removed") this.#runs.delete((event.data as FleetEventData["run.removed"]).run);
    if (event.type !== "run.imported") return;
    const record = event.data as ImportRecord;
    const keys = this.#keys(COORDINATOR);
    if (keys.length > 0 && !isImportSigned(record, keys)) {
      const what = `says that ${record.run} was imported, and the coordinator did not sign it`;
      this.problem ??= broken("signature", { journal: FLEET_JOURNAL }, version, what);
      return;
    }
    for (const run of record.runs) this.#runs.set(run.run, run);
  }

  /** Null for a run of this fleet; also what was imported since the fleet's journal was walked through is known. */
  async of(run: JournalId): Promise<ImportedRun | null> {
    const known = this.#runs.get(run);
    if (known !== undefined) return known;
    for await (const later of readableEvents(this.#store, FLEET_JOURNAL, this.#version))
      this.see(later.version, later.event);
    return this.#runs.get(run) ?? null;
  }
}

/** Whether content was left out of the file. */
export function isLeftOut({ leftOut }: ImportedRun, version: number): boolean {
  return leftOut.some(([from, to]) => version >= from && version <= to);
}

/** An imported run never grows: it must be what was taken in. */
export function importProblem({ version, head }: ImportedRun, walk: JournalWalk): JournalProblem | null {
  if (walk.version < version)
    return broken("truncated", walk, walk.version + 1, `is missing: ${version} events were imported`);
  if (walk.version === version && Buffer.from(walk.head).toString("base64url") === head) return null;
  return broken("altered", walk, null, "it is not what was imported: its head is another");
}
