import { isDeepStrictEqual } from "node:util";
import { emptyFleet, evolveFleet } from "../core/fleet-state.ts";
import { isFlotillaError } from "../error.ts";
import { FLEET_JOURNAL, type Snapshot, type Store } from "../store/store.ts";
import { type FoldedEvent, isFoldedEvent } from "../core/fleet-event.ts";
import type { JournalEvent } from "./journal.ts";
import { snapshotState } from "./snapshot.ts";
import { broken, type JournalProblem } from "./verify-journal.ts";

/** The fleet's journal is folded from its newest snapshot on, which holds what is paused or killed: it must be what the
 *  events before it fold to. */
export class FleetSnapshotCheck {
  readonly #store: Pick<Store, "snapshot">;
  readonly #state = emptyFleet();
  #snapshot: Promise<Snapshot | null> | null = null;
  #unreadable: string | null = null;
  #problem: string | null = null;
  #checked = false;

  constructor(store: Pick<Store, "snapshot">) {
    this.#store = store;
  }

  async see(version: number, event: JournalEvent): Promise<void> {
    if (isFoldedEvent(event.type)) evolveFleet(this.#state, event as FoldedEvent);
    const snapshot = await this.#read();
    if (snapshot?.version === version) this.#compare(snapshot);
  }

  async problemOf(): Promise<JournalProblem | null> {
    const snapshot = await this.#read();
    const never = snapshot !== null && !this.#checked ? "belongs to no event that is there" : null;
    const what = this.#unreadable ?? this.#problem ?? never;
    return what === null ? null : broken("row", { journal: FLEET_JOURNAL }, null, `its snapshot ${what}`);
  }

  #compare(snapshot: Snapshot): void {
    this.#checked = true;
    const kept = snapshotState(snapshot);
    const sound = kept !== null && (kept.foreign || isDeepStrictEqual(kept.state, this.#state));
    if (!sound) this.#problem = "is not what its events fold to";
  }

  #read(): Promise<Snapshot | null> {
    this.#snapshot ??= this.#store.snapshot(FLEET_JOURNAL).catch((error: unknown) => {
      if (!isFlotillaError(error)) throw error;
      this.#unreadable = `cannot be read: ${error.message}`;
      return null;
    });
    return this.#snapshot;
  }
}
