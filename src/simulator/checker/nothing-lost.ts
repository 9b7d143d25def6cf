import type { CheckerMaker } from "./checker.ts";

/** Versions go up by one, and whatever anybody was told of is on the disk. */
export const nothingLost: CheckerMaker = ({ history }, fail) => {
  const versions = new Map<string, number>();
  const outcomes = new Set<string>();
  return {
    promise: "4: versions go up by one; no update is lost",
    event({ journal, row, type, data }) {
      const due = (versions.get(journal) ?? 0) + 1;
      if (row.version !== due) fail(`event ${row.version} of ${journal} came where ${due} was due`);
      versions.set(journal, row.version);
      if (type === "step.started") outcomes.add(`${journal}/${data.task}/${data.key}/started`);
      if (type === "step.asked") outcomes.add(`${journal}/${data.task}/${data.key}/asked`);
      if (type === "step.completed") outcomes.add(`${journal}/${data.task}/${data.key}/completed`);
      if (type === "step.failed") outcomes.add(`${journal}/${data.task}/${data.key}/failed`);
    },
    notice(run, version) {
      if (version > history.version(run)) fail(`event ${version} of ${run} was told of and is not on the disk`);
    },
    frame(frame) {
      if (frame.f !== "ack" || !frame.ok) return;
      const step = `${frame.run}/${frame.task}/${frame.key}/${frame.phase}`;
      if (!outcomes.has(step)) fail(`step ${step} was acknowledged and is not on the disk`);
    },
  };
};
