import { parseQueue } from "../../runtime/ledger.ts";
import type { CheckerMaker } from "./checker.ts";

/** What a coordinator holds is bounded by what is going on; no attempt is counted once all has ended. */
export const boundedMemory: CheckerMaker = ({ machine, history }, fail) => {
  /** Child runs that their parents have asked for, on record: one that is being started is in memory before it has a
   *  journal, and one run may ask for many at once. */
  const children = new Set<string>();
  return {
    promise: "11: memory is bounded by configuration, not by history",
    event({ type, data: { child = "" } }) {
      if (type === "child.requested") children.add(child);
    },
    look() {
      const { owner } = machine;
      if (owner === null) return;
      const { hotRuns } = owner.coordinator;
      const known = new Set([...history.journals.keys(), ...children]).size;
      if (hotRuns > known + STARTING_MAX) fail(`${hotRuns} runs in memory of ${known} that exist`);
      for (const { queue, running, workers } of owner.coordinator.depth()) {
        const slots = workers * (parseQueue(queue).slots ?? machine.slots);
        if (running > slots) fail(`queue ${queue} runs ${running} attempts in ${slots} slots`);
      }
    },
    end() {
      const { owner } = machine;
      if (owner === null) return fail("nobody owns the store");
      for (const { queue, running } of owner.coordinator.depth()) {
        if (running > 0) fail(`the coordinator counts ${running} attempts at work in queue ${queue}`);
      }
      for (const host of owner.hosts?.attached() ?? []) {
        if (owner.coordinator.held(host) > 0) fail(`${host} still holds ${owner.coordinator.held(host)} attempts`);
      }
    },
  };
};

/** Runs that are being started and have nothing on the disk yet. */
const STARTING_MAX = 8;
