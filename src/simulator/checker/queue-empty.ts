import { FLEET_JOURNAL } from "../../store/store.ts";
import type { CheckerMaker } from "./checker.ts";

/** When every run has ended, nothing waits, is leased or is timed any more. */
export const queueEmpty: CheckerMaker = ({ disk, world }, fail) => ({
  promise: "10: every queued item ends acknowledged, retried or dead-lettered",
  async end() {
    for (const { queue, ready, delayed, leased } of await disk.depth(world.clockMs)) {
      fail(`queue ${queue} still holds ${ready} ready, ${delayed} delayed and ${leased} leased tasks`);
    }
    // The fleet's own are of schedules, which have no end.
    for (const { run, name } of await disk.dueTimers(Number.MAX_SAFE_INTEGER, 100))
      if (run !== FLEET_JOURNAL) fail(`timer ${name} of ${run} is still set`);
    if ((await disk.outbox(1)).length > 0) fail("the outbox is not empty");
  },
});
