import { resolve } from "node:path";
import type { Assessed, Examined } from "./list/assess.ts";
import type { Columns } from "./list/item.ts";
import { FOLDER } from "./list/source.ts";

/** What these agents need of their context. */
interface Context {
  tool(name: string, input: unknown): Promise<unknown>;
  status(text: string): void;
  now(): Promise<number>;
}

interface Asked {
  file?: string;
  columns?: Columns;
  workers?: number;
  batch?: number;
  approve?: "auto" | "ask";
  list?: string;
  queue?: string;
}

interface Measured {
  file: string;
  columns: Columns;
  items: number;
  groups: { row: number; rows: number[]; ids: string[] }[];
}

const MILLISECONDS = 1_000;
const BATCHES_MAX = 64;

/** An agent of code: measures the list, leaves out what was told before, and cuts the rest into batches for the board.
 *  Fills in what was left out; the command line does so too. */
export async function intake(context: Context, asked: Asked) {
  const { file = "data/reports.csv", columns = {}, workers = 8, batch = 50, approve = "auto" } = asked;
  context.status(`reading ${file}`);
  const startedAt = await context.now();
  const measured = (await context.tool("measure_list", { file, columns })) as Measured;
  const known = measured.groups.flatMap(({ rows }) => rows).toSorted((a, b) => a - b);
  const size = Math.max(batch, Math.ceil(measured.items / BATCHES_MAX));
  const source = { file: measured.file, columns: measured.columns };
  const board = Array.from({ length: Math.ceil(measured.items / size) }, (_, place) => {
    const [from, to] = [place * size, Math.min(measured.items, (place + 1) * size) - 1];
    const skip = known.filter((row) => row >= from && row <= to);
    return { type: "batch", key: `from-${from}`, content: { from, to, skip } };
  });
  return {
    summary: `${measured.items} items, ${known.length} of them told before, in ${board.length} batches`,
    startedAt,
    items: measured.items,
    duplicates: known.length,
    groups: measured.groups.map(({ row, ids }) => ({ row, ids })),
    board: { ...source, workers, items: board },
    approve,
    list: resolve(FOLDER, asked.list ?? "routed.csv"),
    queue: resolve(FOLDER, asked.queue ?? "queue"),
  };
}

interface Board {
  done: { assessed?: Assessed[]; examined?: Examined[] }[];
  failed: string[];
}

interface RankInput {
  board: Board;
  begun: { board: { file: string; columns: Columns }; groups: { row: number; ids: string[] }[]; list: string };
}

/** An agent of code: puts what the workers found into one ranked list. Work that failed is named, never left out
 *  silently. */
export async function ranker(context: Context, { board, begun }: RankInput) {
  const assessed = board.done.flatMap((one) => one.assessed ?? []);
  const examined = board.done.flatMap((one) => one.examined ?? []);
  const {
    board: { file, columns },
    groups,
    list,
  } = begun;
  const written = (await context.tool("write_list", { file, columns, list, assessed, examined, groups })) as {
    urgent: number;
  };
  return {
    summary: `${assessed.length} items ranked, ${examined.length} looked at twice`,
    ...written,
    examined: examined.length,
    failed: board.failed,
  };
}

interface CloseInput {
  intake: { startedAt: number; items: number; duplicates: number };
  ranked: { list: string; items: number; urgent: number; examined: number; failed: string[]; first: string[] };
  sent: { team: string; items: number }[];
}

/** An agent of code: what came of it, and how fast. */
export async function close(context: Context, { intake: begun, ranked, sent }: CloseInput) {
  const seconds = Math.max(0.001, ((await context.now()) - begun.startedAt) / MILLISECONDS);
  const perSecond = Math.round(begun.items / seconds);
  return {
    summary: `${begun.items} items, ${begun.duplicates} told before, ${ranked.urgent} urgent; ${perSecond} items a second`,
    items: begun.items,
    duplicates: begun.duplicates,
    urgent: ranked.urgent,
    examined: ranked.examined,
    failed: ranked.failed,
    itemsPerSecond: perSecond,
    list: ranked.list,
    first: ranked.first,
    teams: sent.map(({ team, items }) => `${team}: ${items}`),
  };
}
