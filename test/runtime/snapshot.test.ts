import { expect, test } from "vitest";
import type { RunState } from "../../src/core/state.ts";
import { createIdentity, type Identity } from "../../src/message/identity.ts";
import { genesis, sealEvent } from "../../src/runtime/journal.ts";
import { isSnapshotDue, openSnapshot, sealSnapshot } from "../../src/runtime/snapshot.ts";
import { openMemoryStore } from "../../src/store/memory.ts";
import type { EventRow, Snapshot } from "../../src/store/store.ts";
import { desk, work } from "../core/desk.ts";

const random = { bytes: (count: number) => new Uint8Array(count), next: () => 0 };
const identity = (seed: number): Identity => createIdentity("coordinator", new Uint8Array(32).fill(seed));
const coordinator = identity(1);

/** A run with facts, steps and a delayed task, on record, with a snapshot of it that `change` may have touched. */
async function recorded(change: (snapshot: Snapshot) => Snapshot = (snapshot) => snapshot) {
  const at = desk([work("a"), work("b", { needs: ["a"] }), work("c")]);
  at.send({ type: "fact.set", fact: "city", value: "Rome", by: "me", why: "", until: null });
  at.assign("a");
  at.step("a", { phase: "completed", key: "look#1", output: 1 });
  at.assign("c");
  at.send({ type: "task.suspend", task: "c", attempt: 1, wakeAt: null, waits: ["x#1"] });
  let head = genesis("r-1");
  const events = at.events.map((event, index): EventRow => {
    const { row } = sealEvent(event, index + 1, head, random);
    head = row.hash;
    return row;
  });
  const sealed = sealSnapshot(coordinator, "r-1", { version: events.length, head, state: at.state });
  const store = openMemoryStore({ fleet: "f" });
  const create = { workflow: "w", definition: "d", createdAt: 0 };
  const commit = { journal: "r-1", expectedVersion: 0, events, run: { create }, snapshot: change(sealed) };
  expect(await store.commit([commit])).toEqual([{ ok: true }]);
  return { store, at, version: events.length, head };
}

const keys = [coordinator.publicKey];

test("F11: a state is read back as it was, maps, sets, infinities and all", async () => {
  const { store, at, version, head } = await recorded();
  const opened = await openSnapshot<RunState>(store, "r-1", keys);
  expect(opened).toMatchObject({ version });
  expect(Buffer.from(opened?.head ?? []).equals(head)).toBe(true);
  expect(opened?.state).toEqual(at.state);
});

test("X6: one that was altered, is another's or does not follow from the journal is passed over", async () => {
  const altered = (index: (length: number) => number) => (snapshot: Snapshot) => {
    const bytes = Uint8Array.from(snapshot.bytes);
    const place = index(bytes.length);
    bytes[place] = (bytes[place] ?? 0) ^ 1;
    return { ...snapshot, bytes };
  };
  const others: ((snapshot: Snapshot) => Snapshot)[] = [
    altered((length) => length - 5),
    altered(() => 3),
    (snapshot) => ({ ...snapshot, version: snapshot.version - 1 }),
    (snapshot) => ({ ...snapshot, bytes: new Uint8Array() }),
    (snapshot) => ({ ...snapshot, bytes: Buffer.from("{}\nnothing") }),
    ({ version }) => sealSnapshot(coordinator, "r-1", { version, head: genesis("r-2"), state: {} }),
    ({ version }) => sealSnapshot(identity(2), "r-1", { version, head: genesis("r-1"), state: {} }),
  ];
  for (const other of others) {
    const { store } = await recorded(other);
    expect(await openSnapshot(store, "r-1", keys)).toBeNull();
  }
});

test("one is due when the run has grown by as much as another one costs", () => {
  const at = desk([work("a"), work("b"), work("c")]);
  const { version } = at.state;
  expect(isSnapshotDue(at.state, version, 1)).toBe(false);
  expect(isSnapshotDue({ ...at.state, version: version + 5 }, version, 1)).toBe(false);
  expect(isSnapshotDue({ ...at.state, version: version + 6 }, version, 1)).toBe(true);
  expect(isSnapshotDue({ ...at.state, version: version + 6 }, version, 7)).toBe(false);
});
