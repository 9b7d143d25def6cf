import { isFlotillaError } from "../error.ts";
import type { JournalId, RunRow, Store } from "../store/store.ts";
import { FLEET_JOURNAL } from "../store/store.ts";
import type { FleetEventData } from "./fleet-journal.ts";
import { Coverage, type KeptHead } from "./verify-coverage.ts";
import { DefinitionCheck } from "./verify-definition.ts";
import { RecordedErasures } from "./verify-erasure.ts";
import { importProblem, isLeftOut, RecordedImports } from "./verify-import.ts";
import { RecordedKeys } from "./key-record.ts";
import { type PublicKeys, SignedHeads } from "./verify-head.ts";
import {
  broken,
  type JournalProblem,
  type JournalWalk,
  same,
  walkJournal,
  type WalkedEvent,
} from "./verify-journal.ts";
import { DigestTable } from "./digest-table.ts";
import { Proofs, type ProofCounts, RunWitness } from "./verify-proof.ts";
import { RowWitness } from "./verify-row.ts";
import { FleetSnapshotCheck } from "./verify-snapshot.ts";

export interface VerifyOptions {
  /** Which runs; default: all of them. The fleet's journal, whose signatures vouch for the runs, is always read. */
  runs?: readonly JournalId[];
  /** The keys that are trusted, by name: those of the key file. Default: those that the fleet's journal records of
   *  itself, which proves less: who can rewrite everything can also write other keys. */
  keys?: PublicKeys;
  /** The signed head of the fleet's journal that is kept outside of the store. Default: none is at hand, and a journal
   *  that was cut at its end cannot be told from one that ends there. */
  signedHead?: KeptHead;
}

/** What verifying one journal found. */
export interface JournalReport {
  journal: JournalId;
  events: number;
  /** Events whose content was erased on request; their digests hold. */
  erased: number;
  version: number;
  head: string;
  problem: JournalProblem | null;
}

export interface VerifyResult {
  journals: number;
  events: number;
  erased: number;
  /** Journals with a problem. */
  broken: number;
  signatures: ProofCounts & {
    /** Heads of runs that the coordinator signed, and that the runs still have. */
    heads: number;
    /** Runs that went on after the last signed head: what a crash leaves, and all that nobody has vouched for yet. */
    unsignedRuns: number;
    /** Signatures of whose signers no key is known here: they prove nothing. */
    unchecked: number;
    /** Where the trusted keys came from. */
    keys: "given" | "recorded";
    /** Participants whose key file was lost: what they signed before is checked with keys that the record itself gives. */
    keysReplaced: number;
  };
}

const RUN_PAGE = 200;

/** Verifies journals (X6, invariant 8): hash chains, payload digests, columns; rows and summaries against what the
 *  events fold to; definitions against their hashes; the coordinator's signed heads, which reveal a cut tail and a rebuilt
 *  chain; the agents' signatures over what they sent. `report` is called once for each journal, with the first problem
 *  of that journal. Whatever stands in the database is named, never thrown. Reads only; may run while the fleet works. */
export function verifyJournals(
  store: Store,
  options: VerifyOptions,
  report: (report: JournalReport) => void,
): Promise<VerifyResult> {
  return new Verification(store, options, report).run();
}

/** A run as a list or a look-up shows it. */
interface Listed {
  id: JournalId;
  row: RunRow | null;
  /** Why its row cannot be read, in words. */
  unreadable: string | null;
}

class Verification {
  readonly #store: Store;
  readonly #options: VerifyOptions;
  readonly #report: (report: JournalReport) => void;
  readonly #recorded = new RecordedKeys();
  readonly #heads: SignedHeads;
  readonly #proofs: Proofs;
  readonly #definitions: DefinitionCheck;
  readonly #coverage: Coverage;
  readonly #snapshots: FleetSnapshotCheck;
  readonly #erasures: RecordedErasures;
  readonly #imports: RecordedImports;
  /** The fleet's own journal can be relied on for what it does not say. */
  #fleetSound = false;
  readonly #total = { journals: 0, events: 0, erased: 0, broken: 0 };
  #unsignedRuns = 0;
  /** What the fleet's journal refers to and is not there, or not readable. */
  #beside: JournalProblem | null = null;

  constructor(store: Store, options: VerifyOptions, report: (report: JournalReport) => void) {
    this.#store = store;
    this.#options = options;
    this.#report = report;
    const keys = options.keys ?? this.#recorded.of;
    this.#heads = new SignedHeads(store, keys, options.runs);
    this.#proofs = new Proofs(keys);
    this.#snapshots = new FleetSnapshotCheck(store);
    this.#coverage = new Coverage(options.signedHead ?? null, keys);
    this.#erasures = new RecordedErasures(store, keys);
    this.#imports = new RecordedImports(store, keys);
    this.#definitions = new DefinitionCheck(store);
  }

  async run(): Promise<VerifyResult> {
    // What is there now must still be there after the walk; what a running fleet adds meanwhile may be.
    const row = await readable(() => this.#store.head(FLEET_JOURNAL));
    let rowHead: Uint8Array | null = null;
    const fleet = await walkJournal(this.#store, FLEET_JOURNAL, async (walked) => {
      if ("value" in row && walked.row.version === row.value.version) rowHead = walked.row.hash;
      await this.#seeFleet(walked);
    });
    const whole = this.#coverage.problemOf(fleet) ?? (await this.#snapshots.problemOf());
    this.#fleetSound = fleet.problem === null;
    for await (const listed of this.#runs()) await this.#verifyRun(listed);
    const beside = fleetRowProblem(row, fleet, rowHead, this.#total.journals);
    const seals = await this.#proofs.checkSeals(this.#store);
    this.#tell(
      fleet,
      fleet.problem ??
        this.#heads.problem ??
        whole ??
        this.#erasures.problem ??
        this.#imports.problem ??
        beside ??
        seals ??
        this.#beside,
    );
    const signatures = {
      ...this.#proofs.counts(),
      heads: this.#heads.sound,
      unsignedRuns: this.#unsignedRuns,
      unchecked: this.#heads.unchecked + this.#proofs.unchecked,
      keys: this.#options.keys === undefined ? ("recorded" as const) : ("given" as const),
      keysReplaced: this.#recorded.replaced.size,
    };
    return { ...this.#total, signatures };
  }

  async #seeFleet({ row, event }: WalkedEvent): Promise<void> {
    this.#recorded.see(event);
    this.#coverage.see(row, event);
    await this.#snapshots.see(row.version, event);
    this.#erasures.see(row.version, event);
    this.#imports.see(row.version, event);
    await this.#heads.see(row, event);
    if (event.type !== "definition.registered") return;
    const { definition } = event.data as FleetEventData["definition.registered"];
    const problem = await this.#definitions.problemOf(definition);
    if (problem === null) return;
    this.#beside ??= broken(
      "definition",
      { journal: FLEET_JOURNAL },
      row.version,
      `registered what is lost: ${problem}`,
    );
  }

  async #verifyRun(listed: Listed): Promise<void> {
    const { id } = listed;
    const signed = this.#heads.seen(id);
    const imported = await this.#imports.of(id);
    // Its messages are counted where it ran: sessions of other fleets are nobody's here.
    const witness = imported === null ? this.#proofs.run(id) : new RunWitness(id, new DigestTable());
    const fold = new RowWitness(id, imported !== null);
    const see = (walked: WalkedEvent) => {
      witness.see(walked);
      fold.see(walked);
    };
    const mayBeErased = (version: number) =>
      (imported !== null && isLeftOut(imported, version)) || this.#erasures.has(id, version);
    const walk = await walkJournal(this.#store, id, see, mayBeErased);
    const vanished = walk.events === 0 ? this.#heads.vanished(id) : null;
    if (vanished !== null) return this.#tell(walk, vanished);
    const { row, unreadable } = isOlder(listed.row, walk) ? await this.#look(id) : listed;
    const beside =
      row === null
        ? broken("row", walk, null, unreadable ?? "its row is missing, or hides it from lists")
        : (this.#cutTail(row, walk) ?? fold.problemOf(row, walk) ?? (await this.#definitionProblem(row, walk)));
    const known = imported === null ? null : importProblem(imported, walk);
    const unknown = signed || row === null || imported !== null ? known : this.#unknownProblem(row, walk);
    this.#tell(walk, walk.problem ?? (await this.#heads.problemOf(walk)) ?? beside ?? unknown ?? witness.problem);
    if (row !== null && imported === null && row.updatedAt > this.#heads.lastAt) this.#unsignedRuns += 1;
  }

  /** A run of which the fleet's journal knows nothing, though it vouches for the time in which it began. */
  #unknownProblem({ createdAt }: RunRow, walk: JournalWalk): JournalProblem | null {
    if (!this.#fleetSound || !this.#coverage.covers(createdAt)) return null;
    return broken("signature", walk, null, "the fleet's journal has no record of it: no head of it was ever signed");
  }

  #cutTail({ version }: RunRow, walk: JournalWalk): JournalProblem | null {
    return Number.isSafeInteger(version) && walk.version < version ? truncated(walk, version) : null;
  }

  async #definitionProblem({ definition }: RunRow, walk: JournalWalk): Promise<JournalProblem | null> {
    const problem = await this.#definitions.problemOf(definition);
    return problem === null ? null : broken("definition", walk, null, `its ${problem}`);
  }

  /** Those that were asked for, or those of the list, newest first, and then those that it should have shown. */
  async *#runs(): AsyncGenerator<Listed> {
    if (this.#options.runs === undefined) yield* this.#list();
    for (const id of this.#options.runs ?? this.#heads.unseen) yield await this.#look(id);
  }

  async *#list(): AsyncGenerator<Listed> {
    for (let before: { createdAt: number; id: JournalId } | undefined; ; ) {
      const filter = { limit: RUN_PAGE, ...(before === undefined ? {} : { before }) };
      const page = await readable(() => this.#store.runs(filter));
      if (!("value" in page)) {
        const what = `the list of runs cannot be read: ${page.why}`;
        this.#beside ??= broken("unreadable", { journal: FLEET_JOURNAL }, null, what);
        return;
      }
      for (const row of page.value) yield { id: nameOf(row.id), row, unreadable: null };
      const last = page.value.at(-1);
      if (last === undefined || page.value.length < RUN_PAGE) return;
      before = { createdAt: last.createdAt, id: last.id };
    }
  }

  async #look(id: JournalId): Promise<Listed> {
    const found = await readable(() => this.#store.run(id));
    if ("value" in found) return { id, row: found.value, unreadable: null };
    return { id, row: null, unreadable: `its row cannot be read: ${found.why}` };
  }

  #tell(walk: JournalWalk, problem: JournalProblem | null): void {
    this.#total.journals += 1;
    this.#total.events += walk.events;
    this.#total.erased += walk.erased;
    if (problem !== null) this.#total.broken += 1;
    const { journal, events, erased, version } = walk;
    this.#report({ journal, events, erased, version, head: Buffer.from(walk.head).toString("hex"), problem });
  }
}

/** What stands in place of an id may be no text; no event is found under it. */
function nameOf(id: unknown): JournalId {
  return typeof id === "string" ? id : `(run without an id: ${JSON.stringify(id)})`;
}

/** What the store gives, or why it cannot. */
async function readable<T>(look: () => Promise<T>): Promise<{ value: T } | { why: string }> {
  try {
    return { value: await look() };
  } catch (error) {
    if (!isFlotillaError(error)) throw error;
    return { why: error.message };
  }
}

/** What the store says beside the fleet's journal must be so; the journal may have grown since. */
function fleetRowProblem(
  row: { value: { version: number; head: Uint8Array } } | { why: string },
  fleet: JournalWalk,
  hash: Uint8Array | null,
  runs: number,
): JournalProblem | null {
  if (!("value" in row)) return broken("row", fleet, null, `its row cannot be read: ${row.why}`);
  const { version, head } = row.value;
  if (!Number.isSafeInteger(version)) return broken("row", fleet, null, "its row holds no version");
  if (version > fleet.version) return truncated(fleet, version);
  if (version === 0 && fleet.events === 0)
    return runs === 0 ? null : broken("truncated", fleet, 1, "is missing with the whole journal: there are runs");
  if (hash !== null && head instanceof Uint8Array && same(head, hash)) return null;
  return broken("row", fleet, null, `its row says another head than event ${version} has`);
}

/** Whether a run went on between the look at its row and the walk through its events. */
function isOlder(row: RunRow | null, walk: JournalWalk): boolean {
  return row !== null && walk.version > row.version;
}

function truncated(walk: JournalWalk, version: number): JournalProblem {
  return broken("truncated", walk, walk.version + 1, `is missing: the store says that there are ${version}`);
}
