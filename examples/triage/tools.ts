import { join, resolve } from "node:path";
import { assess, type Assessed, examine, type Examined } from "./list/assess.ts";
import { duplicatesIn } from "./list/duplicate.ts";
import { type Columns, openList } from "./list/item.ts";
import { rank, type Ranked } from "./list/rank.ts";
import { FOLDER } from "./list/source.ts";
import { csv, replaceFile } from "./list/write.ts";

// The tools of the fleet. Each really reads the list and gives a small JSON value. Paths start from this folder.

interface Source {
  file: string;
  columns?: Columns;
}

/** How many items there are, in which columns, and which say nearly the same.
 *  @throws {Untriageable} when the file is missing, empty, no list, or without text */
export function measureList({ file, columns }: Source) {
  const { path, columns: mapped, items } = openList(file, columns);
  const groups = duplicatesIn(items).map(({ first, again }) => ({
    row: first,
    rows: again,
    ids: again.map((row) => items[row]?.id ?? ""),
  }));
  return { file: path, columns: mapped, items: items.length, groups };
}

interface Batch extends Source {
  /** Rows of the list, from 0, both included. */
  from: number;
  to: number;
  /** Rows in between that were told before. */
  skip: number[];
}

/** How urgent a batch of items is, and whose each is. */
export function assessBatch({ file, columns, from, to, skip }: Batch) {
  const { items } = openList(file, columns);
  const told = new Set(skip);
  const assessed = items
    .slice(from, to + 1)
    .filter(({ row }) => !told.has(row))
    .map(assess);
  return { assessed, urgent: assessed.filter(({ score }) => score > 0).map(({ row }) => row) };
}

/** A second look at items that sounded urgent. */
export function examineItems({ file, columns, rows }: Source & { rows: number[] }): { examined: Examined[] } {
  const { items } = openList(file, columns);
  return { examined: rows.flatMap((row) => (items[row] === undefined ? [] : [examine(items[row])])) };
}

interface RankRequest extends Source {
  /** Where to write. */
  list: string;
  assessed: Assessed[];
  examined: Examined[];
  groups: { row: number; ids: string[] }[];
}

const FIRST = 10;

/** Writes the ranked and routed list. The same request writes the same file, so it may be repeated after a crash. */
export function writeList({ file, columns, list, ...found }: RankRequest, context: { idempotencyKey: string }) {
  const path = resolve(FOLDER, list);
  const ranked = rank(openList(file, columns).items, found);
  replaceFile(path, table(ranked), context.idempotencyKey);
  const teams = Map.groupBy(ranked, ({ team }) => team);
  return {
    list: path,
    items: ranked.length,
    urgent: ranked.filter(({ score }) => score > 0).length,
    first: ranked.slice(0, FIRST).map(({ id, team, why }) => `${id} to ${team}: ${why}`),
    teams: [...teams].map(([team, items]) => ({ team, ids: items.map(({ id }) => id) })),
  };
}

const table = (ranked: readonly Ranked[]): string =>
  csv(
    ["rank", "id", "team", "score", "why", "counts_less_since", "told_again_by"],
    ranked.map(({ rank: place, id, team, score, why, less, again }) => [
      place,
      id,
      team,
      score,
      why,
      less,
      again.join(" "),
    ]),
  );

interface Dispatch {
  /** Folder of the teams' queues. */
  queue: string;
  team: string;
  /** The most urgent first. */
  ids: string[];
}

/** Puts a batch into a team's queue. The same batch gives the same file, so it may be repeated after a crash. */
export function dispatch({ queue, team, ids }: Dispatch, context: { idempotencyKey: string }) {
  const path = join(resolve(FOLDER, queue), `${team.replaceAll(/[^\w-]/g, "_")}.csv`);
  replaceFile(
    path,
    csv(
      ["place", "id"],
      ids.map((id, index) => [index + 1, id]),
    ),
    context.idempotencyKey,
  );
  return { summary: `${ids.length} items for ${team}`, team, file: path, items: ids.length };
}
