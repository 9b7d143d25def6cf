import type { CheckerMaker } from "./checker.ts";

const GRACE_MS = 1_000;

/** A host is gone within a second of losing its coordinator, so that nothing runs that nobody watches. */
export const noOrphan: CheckerMaker = ({ world }, fail) => ({
  promise: "issue 2 line 4: hosts exit within a second of losing their coordinator",
  look() {
    for (const { name, alive, parent } of world.processes) {
      const lostMs = parent?.endedMs ?? null;
      if (alive && lostMs !== null && world.elapsedMs - lostMs > GRACE_MS)
        fail(`${name} lives ${world.elapsedMs - lostMs} ms after ${parent?.name}`);
    }
  },
  call({ process, kind, name }) {
    const lostMs = process.parent?.endedMs ?? null;
    if (lostMs !== null && world.elapsedMs - lostMs > GRACE_MS)
      fail(`${process.name} executes ${kind} ${name} after ${process.parent?.name} is gone`);
  },
});
