import { FLEET_JOURNAL } from "../../store/store.ts";
import { type CheckerMaker, TERMINAL } from "./checker.ts";

/** Every run that is on record, or was promised to a client, ends once; afterwards nothing but late frames is recorded. */
export const oneEnd: CheckerMaker = ({ history, world }, fail) => {
  const ends = new Map<string, string>();
  const accepted = new Map<string, string>();
  const keys = new Map<string, string>();
  return {
    promise: "1: an accepted run ends in exactly one terminal state",
    event({ journal, type, data }) {
      if (journal === FLEET_JOURNAL) return;
      const end = ends.get(journal);
      if (end !== undefined && type !== "result.late") fail(`${journal} records ${type} after ${end}`);
      if (TERMINAL.has(type)) ends.set(journal, type);
      if (type !== "run.started") return;
      const { idempotencyKey } = data;
      if (idempotencyKey === undefined) return;
      const earlier = keys.get(idempotencyKey);
      if (earlier !== undefined) fail(`key ${idempotencyKey} started both ${earlier} and ${journal}`);
      keys.set(idempotencyKey, journal);
    },
    accepted(order, run) {
      if (history.version(run) === 0) fail(`${order.id} was promised ${run}, which is not on the disk`);
      const earlier = accepted.get(order.id);
      if (earlier !== undefined && earlier !== run) fail(`${order.id} was promised ${earlier} and then ${run}`);
      accepted.set(order.id, run);
    },
    stopped(order, run) {
      if (!ends.has(run)) fail(`${order.id} was told that ${run} is stopped, which is not on record`);
    },
    end() {
      for (const run of history.journals.keys()) {
        if (run !== FLEET_JOURNAL && !ends.has(run))
          fail(`${run} has not ended after ${world.elapsedMs} ms of virtual time`);
      }
    },
  };
};
