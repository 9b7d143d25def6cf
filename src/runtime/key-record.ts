import type { FormerKeys, KeyRing } from "../message/keys.ts";
import { FLEET_JOURNAL, type Store } from "../store/store.ts";
import type { FleetEventData, FleetJournal } from "./fleet-journal.ts";
import type { JournalEvent } from "./journal.ts";
import { readableEvents } from "./verify-journal.ts";

/** The keys that the fleet's journal records, by name, oldest first. */
export class RecordedKeys {
  readonly #keys = new Map<string, string[]>();
  /** Names whose key was replaced, since the one before was lost. */
  readonly replaced = new Set<string>();

  see(event: JournalEvent): void {
    if (event.type !== "key.created" && event.type !== "key.replaced") return;
    const { name, publicKey } = event.data as FleetEventData["key.created"];
    const known = this.#keys.get(name) ?? [];
    if (!known.includes(publicKey)) this.#keys.set(name, [...known, publicKey]);
    if (event.type === "key.replaced") this.replaced.add(name);
  }

  get all(): FormerKeys {
    return this.#keys;
  }

  readonly of = (name: string): readonly string[] => this.#keys.get(name) ?? [];
}

/** The public keys that are on record. Reads the whole journal of the fleet: only for names whose keys are missing. */
export async function keysOnRecord(store: Store): Promise<FormerKeys> {
  const recorded = new RecordedKeys();
  for await (const { event } of readableEvents(store, FLEET_JOURNAL)) recorded.see(event);
  return recorded.all;
}

const LOST = "the key before was not in the key file any more";

/** Puts the keys on record that are not yet (X1). A crash before that is durable leaves them named in the key file, and
 *  the next start records them. Returns the names whose keys were replaced. */
export function recordKeys(ring: KeyRing, journal: FleetJournal, saved: () => void, failed: (error: unknown) => void) {
  const names = [...ring.unrecorded];
  const replaced: string[] = [];
  const durable = names.map((name) => {
    const [publicKey = "", ...former] = ring.publicKeys(name);
    if (former.length === 0) return journal.append("key.created", { name, publicKey });
    replaced.push(name);
    return journal.append("key.replaced", { name, publicKey, former, why: LOST });
  });
  const done = () => {
    ring.recorded(names);
    saved();
  };
  if (names.length > 0) Promise.all(durable).then(done).catch(failed);
  return replaced;
}
