import { CATALOGUE } from "./catalogue.ts";
import { isTimed, type LogIndex, SYMPTOM } from "./log-index.ts";

/** A log cut into equal pieces of time; pieces in which nothing was printed are left out. In a log without times a
 *  piece is a number of lines. */
export interface Buckets {
  /** Seconds, or lines when the log has no times. */
  width: number;
  unit: "s" | "lines";
  count: number;
  /** By bucket, in order of time: its number on the clock. */
  ticks: readonly number[];
  /** The bucket of line n, at n - 1. */
  bucketOf: Uint32Array;
  symptoms: Uint32Array;
  /** By hypothesis in the catalogue's order: lines with its signs. */
  signs: readonly Uint32Array[];
}

/** Pieces in the middle half of a log. */
const PIECES = 60;
const LINES_MIN = 10;
const WIDTHS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400];

const made = new WeakMap<LogIndex, Buckets>();

export function bucketsOf(index: LogIndex): Buckets {
  const known = made.get(index) ?? makeBuckets(index);
  made.set(index, known);
  return known;
}

function makeBuckets(index: LogIndex): Buckets {
  const timed = isTimed(index);
  const width = timed ? secondsOf(index) : Math.max(LINES_MIN, Math.ceil(index.lines / (PIECES * 2)));
  const first = index.times.find((time) => !Number.isNaN(time)) ?? 0;
  const tickOf = (line: number): number => {
    if (!timed) return Math.floor((line - 1) / width);
    const time = index.times[line - 1] ?? Number.NaN;
    return Math.floor((Number.isNaN(time) ? first : time) / 1_000 / width);
  };
  const ticks = [...new Set(Array.from({ length: index.lines }, (_, place) => tickOf(place + 1)))].sort(
    (a, b) => a - b,
  );
  const placeOf = new Map(ticks.map((tick, place) => [tick, place]));
  const bucketOf = new Uint32Array(index.lines);
  const symptoms = new Uint32Array(ticks.length);
  const signs = CATALOGUE.map(() => new Uint32Array(ticks.length));
  for (let line = 1; line <= index.lines; line++) {
    const place = placeOf.get(tickOf(line)) ?? 0;
    bucketOf[line - 1] = place;
    const mark = index.marks[line - 1] ?? 0;
    if (mark === 0) continue;
    if ((mark & SYMPTOM) !== 0) increase(symptoms, place);
    for (const [bit, list] of signs.entries()) if ((mark & (1 << bit)) !== 0) increase(list, place);
  }
  return { width, unit: timed ? "s" : "lines", count: ticks.length, ticks, bucketOf, symptoms, signs };
}

function increase(list: Uint32Array, place: number): void {
  list[place] = (list[place] ?? 0) + 1;
}

/** From the middle half of the lines, so that a few lines from another day do not stretch it. */
function secondsOf(index: LogIndex): number {
  const times = index.times.filter((time) => !Number.isNaN(time)).sort();
  const seconds =
    ((times[Math.floor(times.length * 0.75)] ?? 0) - (times[Math.floor(times.length * 0.25)] ?? 0)) / 1_000;
  const wanted = seconds / PIECES;
  return WIDTHS.find((width) => width >= wanted) ?? Math.ceil(wanted);
}

/** Places at which the list holds something. */
export const placesIn = (list: ArrayLike<number>, wanted = (value: number) => value > 0): number[] => {
  return Array.from(list).flatMap((value, place) => (wanted(value) ? [place] : []));
};

/** Spearman's rank correlation, from -1 to 1; 0 when one of them never changes. */
export function rankCorrelation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [x, y] = [ranks(a), ranks(b)];
  const mean = (x.length + 1) / 2;
  let [cross, squaresX, squaresY] = [0, 0, 0];
  for (const [place, rank] of x.entries()) {
    const [dx, dy] = [rank - mean, (y[place] ?? mean) - mean];
    cross += dx * dy;
    squaresX += dx * dx;
    squaresY += dy * dy;
  }
  return squaresX === 0 || squaresY === 0 ? 0 : cross / Math.sqrt(squaresX * squaresY);
}

/** Ranks from 1; equal values share their mean rank. */
function ranks(values: ArrayLike<number>): number[] {
  const order = Array.from(values)
    .map((value, place) => ({ value, place }))
    .sort((a, b) => a.value - b.value);
  const result = order.map(() => 0);
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (end < order.length && order[end]?.value === order[start]?.value) end++;
    for (const { place } of order.slice(start, end)) result[place] = (start + end + 1) / 2;
    start = end;
  }
  return result;
}
