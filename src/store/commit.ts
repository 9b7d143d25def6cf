import { invariant } from "../error.ts";
import type { Commit } from "./store.ts";
import { FLEET_JOURNAL } from "./store.ts";

/** The bound of the queue when `StoreOptions.queueDepthMax` is absent (M8). */
export const QUEUE_DEPTH_MAX = 1_000_000;

/** Snapshots of a journal that a store keeps. */
export const SNAPSHOTS_KEPT = 2;

/** Refuses a commit that no store could apply, before anything is applied: callers are our own code, so a malformed
 *  commit is a defect. @throws {FlotillaError} INVARIANT */
export function checkCommit(commit: Commit): void {
  const { journal, expectedVersion, events, run } = commit;
  const broken = (rule: string) => `commit of ${journal}: ${rule}`;
  invariant(
    Number.isSafeInteger(expectedVersion) && expectedVersion >= 0,
    broken("the expected version is no version"),
  );
  for (let i = 0; i < events.length; i++) {
    const event = events[i];
    invariant(event?.version === expectedVersion + 1 + i, broken("the versions of its events have a gap"));
    invariant(event.hash.length === 32, broken(`event ${event.version} has no hash of 32 bytes`));
  }
  if (run?.create) {
    invariant(expectedVersion === 0 && events.length > 0, broken("a run is created with its first event"));
    invariant(journal !== FLEET_JOURNAL, broken("the journal of the fleet is no run"));
  }
  if (commit.snapshot || commit.blobs?.length || commit.blobRefs?.length) {
    invariant(expectedVersion + events.length > 0, broken("a journal is created with its first event"));
  }
  invariant(!commit.remove?.includes(journal), broken("it removes its own journal"));
}

/** How many tasks the queue holds more once a commit that creates a run is applied (M8). */
export function tasksAdded(commit: Commit): number {
  if (!commit.tasks) return 0;
  const held = new Set<string>();
  for (const write of commit.tasks) {
    if (write.op === "remove") held.delete(write.task);
    else held.add(write.task);
  }
  return held.size;
}
