import type { Assessed, Examined } from "./assess.ts";
import type { Item } from "./item.ts";

export interface Ranked extends Assessed {
  rank: number;
  id: string;
  /** Ids of items that say nearly the same. */
  again: string[];
  /** Why it counts less than at first sight. */
  less: string;
}

interface Group {
  row: number;
  ids: string[];
}

/** All items that were assessed, the most urgent first; told again counts a little, what came first decides between
 *  equals. */
export function rank(
  items: readonly Item[],
  {
    assessed,
    examined,
    groups,
  }: { assessed: readonly Assessed[]; examined: readonly Examined[]; groups: readonly Group[] },
): Ranked[] {
  const second = new Map(examined.map((one) => [one.row, one]));
  const again = new Map(groups.map(({ row, ids }) => [row, ids]));
  const all = assessed.map((one) => {
    const { score = one.score, less = "" } = second.get(one.row) ?? {};
    return { ...one, id: items[one.row]?.id ?? "", score, less, again: again.get(one.row) ?? [], rank: 0 };
  });
  const told = ({ score, again: ids }: Ranked): number => (score === 0 ? 0 : score + Math.log2(1 + ids.length) / 2);
  const sorted = all.toSorted((a, b) => told(b) - told(a) || a.row - b.row);
  return sorted.map((one, index) => ({ ...one, rank: index + 1 }));
}
