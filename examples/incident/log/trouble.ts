import { type Buckets, bucketsOf, placesIn } from "./bucket.ts";
import { linesWhere, type LogIndex, SYMPTOM } from "./log-index.ts";

/** The time in which a log tells of harm. */
export interface Trouble {
  /** Buckets, both included. */
  start: number;
  end: number;
  /** Lines of the first and last symptom. */
  firstLine: number;
  lastLine: number;
  /** Lines that tell of harm within it, and in all other places. */
  symptoms: number;
  elsewhere: number;
  /** Buckets with more harm than the log's usual, also outside. */
  bad: ReadonlySet<number>;
  /** A stretch of time without any line just before: how the trouble began is not in the log. */
  hole: { after: number; before: number; seconds: number } | null;
}

/** Fewer lines of harm than this are not an incident. */
const SYMPTOMS_MIN = 5;
/** Buckets without harm that do not yet end the trouble. */
const PAUSE_MAX = 6;
/** How far before the first symptom a hole matters, in buckets. */
const LEAD = 6;
const HOLE_BUCKETS_MIN = 12;
const HOLE_SHARE_MIN = 0.05;

/** The worst stretch of harm in the log; null when there is none worth the name. */
export function troubleIn(index: LogIndex): Trouble | null {
  const buckets = bucketsOf(index);
  const usual = quantile(buckets.symptoms, 0.25);
  const threshold = usual + 3 * Math.sqrt(usual);
  const bad = placesIn(buckets.symptoms, (count) => count > threshold);
  const sum = (places: readonly number[]) => places.reduce((total, place) => total + (buckets.symptoms[place] ?? 0), 0);
  const worst = stretches(bad, PAUSE_MAX).toSorted((a, b) => sum(b) - sum(a))[0];
  if (worst === undefined || sum(worst) < SYMPTOMS_MIN) return null;
  const [start, end] = [worst[0] ?? 0, worst.at(-1) ?? 0];
  const within = new Set(worst);
  const lines = linesWhere(
    index,
    (mark, line) => (mark & SYMPTOM) !== 0 && within.has(buckets.bucketOf[line - 1] ?? 0),
  );
  const all = buckets.symptoms.reduce((total, count) => total + count, 0);
  return {
    start,
    end,
    firstLine: lines[0] ?? 1,
    lastLine: lines.at(-1) ?? index.lines,
    symptoms: lines.length,
    elsewhere: all - lines.length,
    bad: new Set(bad),
    hole: holeBefore(index, buckets, start),
  };
}

/** Runs of places that lie at most `pause` apart. */
export function stretches(places: readonly number[], pause: number): number[][] {
  const runs: number[][] = [];
  for (const place of places) {
    const run = runs.at(-1);
    if (run !== undefined && place - (run.at(-1) ?? place) <= pause) run.push(place);
    else runs.push([place]);
  }
  return runs;
}

function quantile(list: ArrayLike<number>, share: number): number {
  const sorted = Array.from(list).sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
}

/** A silence much longer than the log's own rhythm. */
function holeBefore(index: LogIndex, buckets: Buckets, start: number): Trouble["hole"] {
  if (buckets.unit !== "s") return null;
  const silenceMin = Math.max(HOLE_BUCKETS_MIN, buckets.count * HOLE_SHARE_MIN);
  for (let place = Math.max(1, start - LEAD); place <= start; place++) {
    const silence = (buckets.ticks[place] ?? 0) - (buckets.ticks[place - 1] ?? 0) - 1;
    if (silence < silenceMin || isSparse(buckets, place)) continue;
    const before = buckets.bucketOf.indexOf(place) + 1;
    const after = buckets.bucketOf.lastIndexOf(place - 1) + 1;
    return { after, before, seconds: silence * buckets.width };
  }
  return null;
}

/** Where such silences are usual, they say nothing. */
function isSparse(buckets: Buckets, except: number): boolean {
  const silences = buckets.ticks.filter(
    (tick, place) => place > 0 && place !== except && tick - (buckets.ticks[place - 1] ?? tick) > 2,
  );
  return silences.length > buckets.count * HOLE_SHARE_MIN;
}
