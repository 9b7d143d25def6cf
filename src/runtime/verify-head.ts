import { COORDINATOR } from "../message/envelope.ts";
import { verify } from "../message/identity.ts";
import { type EventRow, FLEET_JOURNAL, type JournalId, type Store } from "../store/store.ts";
import { type FleetEventData, type Head, headsRoot, headsStatement } from "./fleet-journal.ts";
import { type JournalEvent, readJournal } from "./journal.ts";
import { broken, type JournalProblem, type JournalWalk } from "./verify-journal.ts";

/** The public keys, today's and earlier ones, that `name` signs with. */
export type PublicKeys = (name: string) => readonly string[];

/** The keys that the fleet's journal records of itself. */
export class RecordedKeys {
  readonly #keys = new Map<string, string[]>();

  see(event: JournalEvent): void {
    if (event.type !== "key.created") return;
    const { name, publicKey } = event.data as FleetEventData["key.created"];
    this.#keys.set(name, [...(this.#keys.get(name) ?? []), publicKey]);
  }

  readonly of: PublicKeys = (name) => this.#keys.get(name) ?? [];
}

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
  /** Of the fleet's journal itself: a signature that does not hold. */
  problem: JournalProblem | null = null;
  /** Heads that hold. */
  sound = 0;
  /** Signatures of which no key is known. */
  unchecked = 0;
  /** When the last heads were signed. */
  lastAt = 0;

  constructor(store: Store, keys: PublicKeys, wanted: readonly JournalId[] | undefined) {
    this.#store = store;
    this.#keys = keys;
    this.#wanted = wanted === undefined ? null : new Set(wanted);
  }

  async see({ version }: EventRow, event: JournalEvent): Promise<void> {
    if (event.type === "run.removed") {
      // Retention removed the whole run on the record: its signed heads have nothing to hold any more.
      const { run } = event.data as FleetEventData["run.removed"];
      this.#differs.delete(run);
      this.#missing.delete(run);
    }
    if (event.type !== "heads.signed") return;
    const { heads, root, signature } = event.data as FleetEventData["heads.signed"];
    if (!this.#isSigned(heads, root, signature)) {
      this.problem ??= broken(
        "signature",
        { journal: FLEET_JOURNAL },
        version,
        "was not signed by the coordinator: its signature does not hold",
      );
      return;
    }
    this.lastAt = event.at;
    for (const head of heads) await this.#compare(head);
  }

  #isSigned(heads: readonly Head[], root: string, signature: string): boolean {
    if (headsRoot(heads) !== root) return false;
    const statement = headsStatement(root);
    const keys = this.#keys(COORDINATOR);
    if (keys.length === 0) this.unchecked += 1;
    return keys.length === 0 || keys.some((key) => verify(key, statement, Buffer.from(signature, "base64url")));
  }

  async #compare([run, version, head]: Head): Promise<void> {
    if (this.#wanted !== null && !this.#wanted.has(run)) return;
    const [row] = await this.#store.events(run, version - 1, 1);
    if (row?.version !== version) this.#missing.set(run, Math.max(version, this.#missing.get(run) ?? 0));
    else if (Buffer.from(row.hash).toString("base64url") === head) this.sound += 1;
    else this.#differs.set(run, Math.min(version, this.#differs.get(run) ?? version));
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

  /** Runs of which nothing is left although heads were signed and no retention removed them. */
  async vanished(): Promise<{ run: JournalId; problem: JournalProblem }[]> {
    const gone = [...this.#missing].filter(([run]) => this.#wanted === null || this.#wanted.has(run));
    return gone.map(([run, version]) => {
      const what = `is missing with the whole run: the signed head says version ${version}`;
      return { run, problem: broken("truncated", { journal: run }, 1, what) };
    });
  }

  /** The highest signed version below `version` that still holds: everything up to it is as it was. */
  async #lastSound(run: JournalId, version: number): Promise<number> {
    let last = 0;
    for await (const { opened } of readJournal(this.#store, FLEET_JOURNAL)) {
      if (opened.event?.type !== "heads.signed") continue;
      const { heads } = opened.event.data as FleetEventData["heads.signed"];
      for (const [id, at] of heads) if (id === run && at < version) last = Math.max(last, at);
    }
    return last;
  }
}
