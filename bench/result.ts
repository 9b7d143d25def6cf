import type { Measured } from "./measure.ts";
import type { Workload } from "./measure-main.ts";
import { median, significant } from "./statistics.ts";
import type { Mode, StoreKind } from "./subject.ts";

/** One workload in one mode: medians over the rounds. W4 also repeats what other workloads found of memory and flushes. */
export interface Result extends Measured {
  workload: Workload;
  mode: Mode;
  store: StoreKind;
  broker: null;
  rounds: number;
}

/** Median of each figure over what processes found in so many rounds; `n` is what one round did. */
export function resultOf(
  workload: Workload,
  mode: Mode,
  store: StoreKind,
  found: readonly Measured[],
  rounds: number,
): Result {
  const figures = new Set(found.flatMap((round) => Object.keys(round) as (keyof Measured)[]));
  const medians = [...figures].map((figure) => [
    figure,
    significant(median(found.flatMap((round) => round[figure] ?? []))),
  ]);
  return { workload, mode, store, broker: null, ...(Object.fromEntries(medians) as Measured), rounds };
}

/** W4 gathers memory after W3 and flushes of W1, which were measured there. */
export function withCosts(results: readonly Result[]): Result[] {
  return results.map((result) => {
    if (result.workload !== "W4") return result;
    const of = (workload: Workload) =>
      results.find(
        (other) => other.workload === workload && other.mode === result.mode && other.store === result.store,
      );
    const [flushes, pssMiB, cappedPssMiB] = [of("W1")?.flushes, of("W3")?.pssMiB, of("W3")?.cappedPssMiB];
    return {
      ...result,
      ...(flushes === undefined ? {} : { flushes }),
      ...(pssMiB === undefined ? {} : { pssMiB }),
      ...(cappedPssMiB === undefined ? {} : { cappedPssMiB }),
    };
  });
}
