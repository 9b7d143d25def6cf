import { isFlotillaError } from "../error.ts";
import { COORDINATOR } from "../message/envelope.ts";
import { verify } from "../message/identity.ts";
import { type EventRow, FLEET_JOURNAL, type JournalId, type Store } from "../store/store.ts";
import { type FleetEventData, type FleetHead, type Head, headsRoot, headsStatement } from "./fleet-journal.ts";
import { genesis, type JournalEvent } from "./journal.ts";
import { broken, type JournalProblem, type JournalWalk, readableEvents } from "./verify-journal.ts";

/** The public keys, today's and earlier ones, that `name` signs with. */
export type PublicKeys = (name: string) => readonly string[];

/** Compares the heads that the coordinator signed with what the runs hold now: a cut tail, a run that vanished and a
 *  chain that was computed anew show only here. Holds just the runs that differ. */
export class SignedHeads {
  readonly #store: Store;
  readonly #keys: PublicKeys;
  readonly #wanted: ReadonlySet<JournalId> | null;
  /** The first signed version at which a run differs. */
  readonly #differs = new Map<JournalId, number>();
  /** The highest signed version that is not there any more. */
  readonly #missing = new Map<JournalId, number>();
  /** Runs of which a head was signed and that no list has shown yet. */
  readonly #unseen = new Set<JournalId>();
  /** Of the fleet's journal itself: a signature that does not hold. */
  problem: JournalProblem | null = null;
  /** Heads that hold. */
  sound = 0;
  /** Signatures of which no key is known. */
  unchecked = 0;
  /** When the last heads were signed. */
  lastAt = 0;
  /** The event of the fleet's journal that was seen last. */
  #previous: EventRow | null = null;
  /** The last event of that journal that a signature covers. */
  #covered = 0;

  constructor(store: Store, keys: PublicKeys, wanted: readonly JournalId[] | undefined) {
    this.#store = store;
    this.#keys = keys;
    this.#wanted = wanted === undefined ? null : new Set(wanted);
  }

  async see(row: EventRow, event: JournalEvent): Promise<void> {
    const { version } = row;
    const previous = this.#previous;
    this.#previous = row;
    if (event.type === "run.removed") {
      // Retention removed the whole run on the record: its signed heads have nothing to hold any more.
      const { run } = event.data as FleetEventData["run.removed"];
      this.#differs.delete(run);
      this.#missing.delete(run);
      this.#unseen.delete(run);
    }
    if (event.type !== "heads.signed") return;
    const { heads, fleet, root, signature } = event.data as FleetEventData["heads.signed"];
    if (!this.#isSigned(heads, fleet, root, signature)) {
      this.problem ??= broken(
        "signature",
        { journal: FLEET_JOURNAL },
        version,
        "was not signed by the coordinator: its signature does not hold",
      );
      return;
    }
    if (fleet !== undefined) this.#compareFleet(fleet, previous);
    this.lastAt = event.at;
    for (const head of heads) await this.#compare(head);
  }

  /** What the coordinator signed of the fleet's journal must be what stands before the signature. */
  #compareFleet([version, head]: FleetHead, previous: EventRow | null): void {
    const stands = previous === null ? genesis(FLEET_JOURNAL) : previous.hash;
    if (version === (previous?.version ?? 0) && Buffer.from(stands).toString("base64url") === head) {
      this.#covered = version;
      return;
    }
    const from = this.#covered + 1;
    const what = `or one of those up to ${version} was altered and the chain computed anew: the coordinator signed another head of version ${version}`;
    this.problem ??= broken("altered", { journal: FLEET_JOURNAL }, from, what);
  }

  #isSigned(heads: readonly Head[], fleet: FleetHead | undefined, root: string, signature: string): boolean {
    if (headsRoot(heads) !== root) return false;
    const statement = headsStatement(root, fleet);
    const keys = this.#keys(COORDINATOR);
    if (keys.length === 0) this.unchecked += 1;
    return keys.length === 0 || keys.some((key) => verify(key, statement, Buffer.from(signature, "base64url")));
  }

  async #compare([run, version, head]: Head): Promise<void> {
    if (this.#wanted !== null && !this.#wanted.has(run)) return;
    this.#unseen.add(run);
    const row = await this.#event(run, version);
    if (row?.version !== version) this.#missing.set(run, Math.max(version, this.#missing.get(run) ?? 0));
    else if (row.hash instanceof Uint8Array && Buffer.from(row.hash).toString("base64url") === head) this.sound += 1;
    else this.#differs.set(run, Math.min(version, this.#differs.get(run) ?? version));
  }

  /** Null when it is not there, or cannot be read, which the walk through its run names. */
  async #event(run: JournalId, version: number): Promise<EventRow | null> {
    try {
      return (await this.#store.events(run, version - 1, 1))[0] ?? null;
    } catch (error) {
      if (!isFlotillaError(error)) throw error;
      return null;
    }
  }

  /** Runs with a signed head that no list has shown. */
  get unseen(): readonly JournalId[] {
    return [...this.#unseen];
  }

  /** A run that a list has shown; returns whether any head of it was signed. */
  seen(run: JournalId): boolean {
    return this.#unseen.delete(run);
  }

  /** What the signed heads say against a run whose own chain holds. */
  async problemOf(walk: JournalWalk): Promise<JournalProblem | null> {
    const differs = this.#differs.get(walk.journal);
    const missing = this.#missing.get(walk.journal);
    this.#differs.delete(walk.journal);
    this.#missing.delete(walk.journal);
    if (differs !== undefined) {
      const from = (await this.#lastSound(walk.journal, differs)) + 1;
      const what = from === differs ? "was altered" : `or one of those up to ${differs} was altered`;
      return broken(
        "altered",
        walk,
        from,
        `${what} and the chain computed anew: the signed head of version ${differs} is another`,
      );
    }
    if (missing === undefined || missing <= walk.version) return null;
    return broken("truncated", walk, walk.version + 1, `is missing: the signed head says version ${missing}`);
  }

  /** The problem of a run of which nothing is left although heads were signed and no retention removed it; null when
   *  something is there. */
  vanished(run: JournalId): JournalProblem | null {
    const version = this.#missing.get(run);
    if (version === undefined) return null;
    const what = `is missing with the whole run: the signed head says version ${version}`;
    return broken("truncated", { journal: run }, 1, what);
  }

  /** The highest signed version below `version` that still holds: everything up to it is as it was. */
  async #lastSound(run: JournalId, version: number): Promise<number> {
    let last = 0;
    for await (const { event } of readableEvents(this.#store, FLEET_JOURNAL)) {
      if (event.type !== "heads.signed") continue;
      const { heads } = event.data as FleetEventData["heads.signed"];
      for (const [id, at] of heads) if (id === run && at < version) last = Math.max(last, at);
    }
    return last;
  }
}
