import { COORDINATOR } from "../message/envelope.ts";
import { type EventRow, FLEET_JOURNAL } from "../store/store.ts";
import type { FleetEventData } from "./fleet-journal.ts";
import type { JournalEvent } from "./journal.ts";
import { isSigned, SIGNED_HEAD_FILE, type SignedHead } from "./signed-head.ts";
import type { PublicKeys } from "./verify-head.ts";
import { broken, type JournalProblem, type JournalWalk } from "./verify-journal.ts";

/** What the owner keeps outside of the store, as `readSignedHead` gives it. */
export type KeptHead = SignedHead | "unknown" | "damaged" | null;

/** A commit may take this long until its run is told to whoever signs heads. */
const COMMIT_MS_MAX = 10_000;

/** Which part of time the fleet's own journal vouches for, and whether that journal is all there (X6). */
export class Coverage {
  readonly #kept: KeptHead;
  readonly #keys: PublicKeys;
  /** From the last signature of a process to the opening by the next. */
  readonly #gaps: { from: number; to: number }[] = [];
  #openedAt: number | null = null;
  #signedAt = 0;
  /** Signatures over this journal itself are in it: a head was kept outside then. */
  #keeps = false;
  #problem: JournalProblem | null = null;

  constructor(kept: KeptHead, keys: PublicKeys) {
    this.#kept = kept;
    this.#keys = keys;
  }

  see({ version, hash }: EventRow, event: JournalEvent): void {
    const kept = this.#kept;
    if (isHead(kept) && version === kept.version && Buffer.from(hash).toString("base64url") !== kept.head) {
      const what = `or one before was altered and the chain computed anew: the head that was kept in ${SIGNED_HEAD_FILE} is another`;
      this.#problem ??= broken("altered", { journal: FLEET_JOURNAL }, version, what);
    }
    if (event.type === "fleet.opened") {
      if (this.#openedAt !== null) this.#gaps.push({ from: this.#signedAt, to: event.at });
      this.#openedAt ??= event.at;
      this.#signedAt = event.at;
    }
    if (event.type === "heads.signed") {
      this.#signedAt = event.at;
      this.#keeps ||= (event.data as FleetEventData["heads.signed"]).fleet !== undefined;
    }
    if (event.type === "journal.cut") {
      const cut = event.data as FleetEventData["journal.cut"];
      const when = new Date(cut.signedAt).toISOString();
      const what = `says that this journal was cut or replaced: it was signed up to event ${cut.version} at ${when}, and found with ${cut.found}`;
      this.#problem ??= broken("truncated", { journal: FLEET_JOURNAL }, version, what);
    }
  }

  /** Whether a run that began then must have a signed head: it did not begin in the moments in which none was made. */
  covers(startedAt: number): boolean {
    if (this.#openedAt === null || startedAt < this.#openedAt) return true;
    if (startedAt >= this.#signedAt - COMMIT_MS_MAX) return false;
    return !this.#gaps.some(({ from, to }) => startedAt >= from - COMMIT_MS_MAX && startedAt <= to);
  }

  /** What is wrong with the fleet's journal as a whole, after it was walked through. */
  problemOf(walk: JournalWalk): JournalProblem | null {
    return this.#keptProblem(walk) ?? this.#problem;
  }

  #keptProblem(walk: JournalWalk): JournalProblem | null {
    const kept = this.#kept;
    if (kept === "damaged") return broken("signature", walk, null, `${SIGNED_HEAD_FILE} was altered or is damaged`);
    if (kept === "unknown" && this.#keeps)
      return broken("signature", walk, null, `${SIGNED_HEAD_FILE} knows other fleets, and not this one`);
    if (!isHead(kept)) return null;
    const when = new Date(kept.at).toISOString();
    if (kept.version > walk.version) {
      const what = `is missing: ${SIGNED_HEAD_FILE} says that event ${kept.version} was signed at ${when}`;
      return broken("truncated", walk, walk.version + 1, what);
    }
    const keys = this.#keys(COORDINATOR);
    if (keys.length === 0 || isSigned(kept, keys)) return null;
    return broken("signature", walk, null, `${SIGNED_HEAD_FILE} was not signed by the coordinator`);
  }
}

const isHead = (kept: KeptHead): kept is SignedHead => typeof kept === "object" && kept !== null;
