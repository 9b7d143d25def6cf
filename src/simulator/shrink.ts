import { faultName } from "./fault.ts";
import type { Report } from "./simulation.ts";

/** Repeats a simulation with just these faults. */
export type Repeat = (schedule: ReadonlySet<string>) => Promise<Report>;

/** The smallest schedule of faults that still breaks the promise that `report` found broken (T2), by delta debugging
 *  (Zeller and Hildebrandt, 2002): no single fault of it can be left out. Takes at most `triesMax` simulations. */
export async function shrink(report: Report, repeat: Repeat, triesMax = 400): Promise<string[]> {
  const promise = report.violations[0]?.promise;
  let tries = 0;
  const fails = async (names: readonly string[]): Promise<boolean> => {
    tries += 1;
    const { violations } = await repeat(new Set(names));
    return violations.some((violation) => violation.promise === promise);
  };
  let names = report.faults.map(faultName);
  if (await fails([])) return [];
  for (let parts = 2; names.length >= 2 && tries < triesMax; ) {
    const smaller = await firstFailing(without(names, parts), fails);
    if (smaller !== null) {
      names = smaller;
      parts = Math.max(parts - 1, 2);
    } else if (parts >= names.length) {
      return names;
    } else {
      parts = Math.min(parts * 2, names.length);
    }
  }
  return names;
}

async function firstFailing(
  candidates: Iterable<string[]>,
  fails: (names: readonly string[]) => Promise<boolean>,
): Promise<string[] | null> {
  for (const names of candidates) if (await fails(names)) return names;
  return null;
}

/** The list with one of `parts` equal parts left out, each in turn. */
function* without(names: readonly string[], parts: number): Generator<string[]> {
  const size = Math.ceil(names.length / parts);
  for (let from = 0; from < names.length; from += size) yield [...names.slice(0, from), ...names.slice(from + size)];
}
