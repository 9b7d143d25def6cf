import { COORDINATOR } from "../message/envelope.ts";
import { FLEET_JOURNAL, type JournalId, type Store } from "../store/store.ts";
import { type Erasure, isErased, isErasureSigned } from "./erasure.ts";
import type { JournalEvent } from "./journal.ts";
import type { PublicKeys } from "./verify-head.ts";
import { broken, type JournalProblem, readableEvents } from "./verify-journal.ts";

/** The erasures on record: content that is missing without one was removed by somebody else (S6, X6). */
export class RecordedErasures {
  readonly #store: Pick<Store, "events" | "blob">;
  readonly #keys: PublicKeys;
  readonly #erasures = new Map<JournalId, Erasure[]>();
  #version = 0;
  /** One that the coordinator did not sign. */
  problem: JournalProblem | null = null;

  constructor(store: Pick<Store, "events" | "blob">, keys: PublicKeys) {
    this.#store = store;
    this.#keys = keys;
  }

  see(version: number, event: JournalEvent): void {
    this.#version = version;
    if (event.type !== "content.erased") return;
    const erasure = event.data as Erasure;
    const keys = this.#keys(COORDINATOR);
    if (keys.length > 0 && !isErasureSigned(erasure, keys)) {
      const what = `erases content of ${erasure.run}, and the coordinator did not sign it`;
      this.problem ??= broken("signature", { journal: FLEET_JOURNAL }, version, what);
      return;
    }
    this.#erasures.set(erasure.run, [...(this.#erasures.get(erasure.run) ?? []), erasure]);
  }

  /** Whether the erasure of an event's content is on record, also since the fleet's journal was walked through. */
  async has(run: JournalId, version: number): Promise<boolean> {
    if (this.#known(run, version)) return true;
    for await (const later of readableEvents(this.#store, FLEET_JOURNAL, this.#version))
      this.see(later.version, later.event);
    return this.#known(run, version);
  }

  #known(run: JournalId, version: number): boolean {
    return this.#erasures.get(run)?.some((erasure) => isErased(erasure, version)) ?? false;
  }
}
