import type { JournalId, RunRow, Store } from "../store/store.ts";
import { FLEET_JOURNAL } from "../store/store.ts";
import { type PublicKeys, RecordedKeys, SignedHeads } from "./verify-head.ts";
import { broken, type JournalProblem, type JournalWalk, rowProblem, walkJournal } from "./verify-journal.ts";
import { Proofs, type ProofCounts } from "./verify-proof.ts";

export interface VerifyOptions {
  /** Which runs; default: all of them. The fleet's journal, whose signatures vouch for the runs, is always read. */
  runs?: readonly JournalId[];
  /** The keys that are trusted, by name: those of the key file. Default: those that the fleet's journal records of
   *  itself, which proves less: who can rewrite everything can also write other keys. */
  keys?: PublicKeys;
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
  };
}

const RUN_PAGE = 200;

/** Verifies journals (X6, invariant 8): hash chains, payload digests, columns, rows; the coordinator's signed heads,
 *  which reveal a cut tail and a rebuilt chain; the agents' signatures over what they sent. `report` is called once
 *  for each journal, with the first problem of that journal. Reads only; may run while the fleet works. */
export async function verifyJournals(
  store: Store,
  options: VerifyOptions,
  report: (report: JournalReport) => void,
): Promise<VerifyResult> {
  const recorded = new RecordedKeys();
  const keys = options.keys ?? recorded.of;
  const heads = new SignedHeads(store, keys, options.runs);
  // What is there now must still be there after the walk; what a running fleet adds meanwhile may be.
  const head = await store.head(FLEET_JOURNAL);
  const fleet = await walkJournal(store, FLEET_JOURNAL, async ({ row, event }) => {
    recorded.see(event);
    await heads.see(row, event);
  });
  const proofs = new Proofs(keys);
  const total = { journals: 0, events: 0, erased: 0, broken: 0 };
  const tell = (walk: JournalWalk, problem: JournalProblem | null) => {
    total.journals += 1;
    total.events += walk.events;
    total.erased += walk.erased;
    if (problem !== null) total.broken += 1;
    const { journal, events, erased, version } = walk;
    report({ journal, events, erased, version, head: Buffer.from(walk.head).toString("hex"), problem });
  };

  let unsignedRuns = 0;
  for await (const { id, row } of runsOf(store, options.runs)) {
    const witness = proofs.run(id);
    const walk = await walkJournal(store, id, (walked) => witness.see(walked));
    const grown = row === null || walk.version <= row.version ? row : await store.run(id);
    const beside = grown === null ? null : rowProblem(grown, walk);
    const cut = row !== null && walk.version < row.version ? truncated(walk, row.version) : null;
    tell(walk, walk.problem ?? (await heads.problemOf(walk)) ?? cut ?? beside ?? witness.problem);
    if (row !== null && row.updatedAt > heads.lastAt) unsignedRuns += 1;
  }
  for (const { run, problem } of await heads.vanished()) tell(nothing(run), problem);

  const cut = head.version <= fleet.version ? null : truncated(fleet, head.version);
  const seals = await proofs.checkSeals(store);
  tell(fleet, fleet.problem ?? heads.problem ?? cut ?? seals);
  const counts = {
    ...proofs.counts(),
    heads: heads.sound,
    unsignedRuns,
    unchecked: heads.unchecked + proofs.unchecked,
  };
  return { ...total, signatures: { ...counts, keys: options.keys === undefined ? "recorded" : "given" } };
}

async function* runsOf(
  store: Store,
  wanted: readonly JournalId[] | undefined,
): AsyncGenerator<{ id: JournalId; row: RunRow | null }> {
  if (wanted !== undefined) {
    for (const id of wanted) yield { id, row: await store.run(id) };
    return;
  }
  for (let before: { createdAt: number; id: JournalId } | undefined; ; ) {
    const rows = await store.runs({ limit: RUN_PAGE, ...(before === undefined ? {} : { before }) });
    for (const row of rows) yield { id: row.id, row };
    const last = rows.at(-1);
    if (last === undefined || rows.length < RUN_PAGE) return;
    before = { createdAt: last.createdAt, id: last.id };
  }
}

function truncated(walk: JournalWalk, version: number): JournalProblem {
  return broken("truncated", walk, walk.version + 1, `is missing: the store says that there are ${version}`);
}

function nothing(journal: JournalId): JournalWalk {
  const head = new Uint8Array(0);
  return { journal, events: 0, erased: 0, version: 0, head, first: null, end: null, problem: null };
}
