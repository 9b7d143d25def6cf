import { type Judged, tallyOf } from "./check/finding.ts";
import { Unreviewable } from "./git/git.ts";

interface Reviewed {
  findings: Judged[];
  /** Where the review was written. */
  review: string;
  sarif: string;
  failOn: string;
}

/** An agent of code, the last in the run: fails it when findings are as grave as `failOn`, so that CI sees an exit code.
 *  The review is written by then. */
export function gate(_context: unknown, { findings, review, sarif, failOn }: Reviewed) {
  const tally = tallyOf(findings);
  const { errors, warnings, notes, summary } = tally;
  const grave = { error: errors, warning: errors + warnings, note: errors + warnings + notes }[failOn] ?? 0;
  if (grave > 0) throw new Unreviewable(`${grave} findings of level "${failOn}" or above (${summary}); see ${review}`);
  return { ...tally, review, sarif };
}
