import { type Buckets, bucketsOf, placesIn, rankCorrelation } from "./bucket.ts";
import { bitOf, CATALOGUE, type Hypothesis, hypothesis } from "./catalogue.ts";
import {
  clock,
  distance,
  frequent,
  type LogIndex,
  linesWhere,
  type Quote,
  quote,
  sourceAt,
  SYMPTOM,
} from "./log-index.ts";
import { stretches, type Trouble, troubleIn } from "./trouble.ts";

/** How well a hypothesis fits what happened. Shares are from 0 to 1. */
export interface Weight {
  hypothesis: string;
  label: string;
  family: string;
  /** Lines with its signs. */
  signs: number;
  /** Share of the lines of harm that come while its signs are there. */
  coverage: number;
  /** Share of the time of its signs in which there is harm. */
  precision: number;
  /** Rank correlation of signs and harm over time, from -1 to 1: the more of one, the more of the other. */
  dose: number;
  /** Share of the lines of harm that name it themselves. */
  named: number;
  /** Lines of harm in a piece of time with its signs, and without. */
  rateWith: number;
  rateWithout: number;
  /** Its signs begin before the harm or with it. */
  comesFirst: boolean;
  /** First and last line with its signs in the stretch that goes with the harm; null when there is none. */
  first: number | null;
  last: number | null;
  /** All of it in one number from 0 to 1. */
  score: number;
  /** The same in sentences, for and against it, each with the lines that show it. */
  pro: Point[];
  contra: Point[];
}

export interface Point {
  says: string;
  evidence: Quote[];
}

/** What each part counts for in the score. */
const SHARES = { coverage: 0.3, precision: 0.3, dose: 0.2, named: 0.1, comesFirst: 0.1 };
/** How many buckets a sign goes on to count for: until the next one is due, or until the harm of an event is over. */
const REACH = { state: 1, event: 10 };
/** How long before the first harm a cause may begin, in buckets. */
const LEAD_MAX = 36;
const PAUSE_MAX = 6;

/** Weighs one hypothesis against the whole log; null when the log tells of no trouble. */
export function weigh(index: LogIndex, id: string): Weight | null {
  const trouble = troubleIn(index);
  return trouble === null ? null : weighed(index, bucketsOf(index), trouble, hypothesis(id));
}

/** Weighs all of the catalogue that shows any sign, best first. */
export function weighAll(index: LogIndex): Weight[] {
  const trouble = troubleIn(index);
  if (trouble === null) return [];
  return CATALOGUE.map((one) => weighed(index, bucketsOf(index), trouble, one))
    .filter((weight) => weight.signs > 0)
    .toSorted((a, b) => b.score - a.score);
}

function weighed(index: LogIndex, buckets: Buckets, trouble: Trouble, one: Hypothesis): Weight {
  const counts = buckets.signs[CATALOGUE.indexOf(one)] ?? new Uint32Array();
  const active = spread(counts, REACH[one.lasts]);
  const bad = [...trouble.bad];
  const harmIn = (list: readonly number[]) => list.reduce((sum, place) => sum + (buckets.symptoms[place] ?? 0), 0);
  const places = placesIn(counts);
  const harmful = (place: number) => [-1, 0, 1, 2].some((step) => trouble.bad.has(place + step));
  const run = runWith(places, trouble);
  const bit = bitOf(one.id);
  const inRun = (line: number) => run !== null && within(buckets.bucketOf[line - 1] ?? 0, run);
  const lines = linesWhere(index, (mark, line) => (mark & bit) !== 0 && inRun(line));
  const naming = linesWhere(
    index,
    (mark, line) => (mark & bit) !== 0 && (mark & SYMPTOM) !== 0 && inTrouble(trouble, line),
  );
  const [first = null, last = null] = [lines[0], lines.at(-1)];
  const parts = {
    coverage: share(harmIn(bad.filter((place) => (active[place] ?? 0) > 0)), harmIn(bad)),
    precision: share(places.filter(harmful).length, places.length),
    dose: rankCorrelation(one.lasts === "event" ? active : counts, buckets.symptoms),
    named: share(naming.length, trouble.symptoms),
    comesFirst: first !== null && comesFirst(buckets, trouble, first),
  };
  const weight: Weight = {
    hypothesis: one.id,
    label: one.label,
    family: one.family,
    signs: counts.reduce((sum, count) => sum + count, 0),
    ...rounded(parts),
    comesFirst: parts.comesFirst,
    rateWith: round(meanWhere(buckets.symptoms, (place) => (active[place] ?? 0) > 0)),
    rateWithout: round(meanWhere(buckets.symptoms, (place) => (active[place] ?? 0) === 0)),
    first,
    last,
    score: round(
      SHARES.coverage * parts.coverage +
        SHARES.precision * parts.precision +
        SHARES.dose * Math.max(0, parts.dose) +
        SHARES.named * parts.named +
        SHARES.comesFirst * (parts.comesFirst ? 1 : 0),
    ),
    pro: [],
    contra: [],
  };
  return { ...weight, ...points(index, buckets, trouble, one, weight) };
}

/** A sign counts for some buckets more. */
function spread(counts: ArrayLike<number>, reach: number): number[] {
  return Array.from(counts).map((_, place) => {
    let sum = 0;
    for (let step = 0; step <= reach; step++) sum += counts[place - step] ?? 0;
    return sum;
  });
}

/** The stretch of signs that goes with the trouble: the one that overlaps most of it, or ends shortly before. */
function runWith(places: readonly number[], trouble: Trouble): [number, number] | null {
  const runs = stretches(places, PAUSE_MAX).map((run): [number, number] => [run[0] ?? 0, run.at(-1) ?? 0]);
  const near = runs.filter(([start, end]) => end >= trouble.start - LEAD_MAX && start <= trouble.end);
  const overlap = ([start, end]: [number, number]) => Math.min(end, trouble.end) - Math.max(start, trouble.start);
  return near.toSorted((a, b) => overlap(b) - overlap(a))[0] ?? null;
}

const within = (place: number, [start, end]: [number, number]): boolean => place >= start && place <= end;
const inTrouble = (trouble: Trouble, line: number): boolean => line >= trouble.firstLine && line <= trouble.lastLine;

function comesFirst(buckets: Buckets, trouble: Trouble, first: number): boolean {
  const place = buckets.bucketOf[first - 1] ?? 0;
  const early = first <= trouble.firstLine || place === trouble.start;
  return early && place >= trouble.start - LEAD_MAX;
}

/** What speaks for the hypothesis and against it, in words that only fill in numbers. */
function points(
  index: LogIndex,
  buckets: Buckets,
  trouble: Trouble,
  one: Hypothesis,
  weight: Weight,
): Pick<Weight, "pro" | "contra"> {
  const bit = bitOf(one.id);
  const has = (mark: number) => (mark & bit) !== 0;
  const pro: Point[] = [];
  const contra: Point[] = [];
  const span = (count: number) => `${Math.round(count * buckets.width)} ${buckets.unit}`;
  const quiet = linesWhere(index, (mark, line) => has(mark) && !nearTrouble(buckets, trouble, line));
  const covered = `${percent(weight.coverage)} of the harm`;
  (weight.coverage >= 0.5 ? pro : contra).push({
    says: `its signs are there with ${covered} (${span(trouble.bad.size)} of it), ${weight.rateWith} lines of harm per ${span(1)} against ${weight.rateWithout} without them`,
    evidence: quote(index, weight.first === null ? [] : [...new Set([weight.first, weight.last ?? weight.first])]),
  });
  if (quiet.length > 0) {
    contra.push({
      says: `${quiet.length} of its ${weight.signs} signs come where nothing is harmed, such as at ${places(index, quiet)}`,
      evidence: quote(index, spaced(quiet, 2)),
    });
  } else if (weight.signs > 0)
    pro.push({ says: `none of its ${weight.signs} signs comes where nothing is harmed`, evidence: [] });
  if (weight.first !== null) {
    const lead = distance(index, weight.first, trouble.firstLine);
    (weight.comesFirst ? pro : contra).push({
      says: weight.comesFirst
        ? `its first sign is ${lead} ahead of the first harm`
        : "its first sign comes after the first harm, or far too early",
      evidence: quote(index, [weight.first, trouble.firstLine]),
    });
  }
  const naming = linesWhere(index, (mark, line) => has(mark) && (mark & SYMPTOM) !== 0 && inTrouble(trouble, line));
  if (naming.length > 0) {
    const [most] = frequent(naming.map((line) => sourceAt(index, line)));
    pro.push({
      says: `${naming.length} of ${trouble.symptoms} lines of harm name it themselves${most === undefined ? "" : `, most of them from ${most.name}`}`,
      evidence: quote(index, naming.slice(0, 1)),
    });
  } else contra.push({ says: `none of the ${trouble.symptoms} lines of harm names it`, evidence: [] });
  (weight.dose >= 0.4 ? pro : contra).push({
    says: `${weight.dose >= 0.4 ? "the more of its signs, the more harm" : "more of its signs do not mean more harm"} (rank correlation ${weight.dose})`,
    evidence: [],
  });
  return { pro, contra };
}

function nearTrouble(buckets: Buckets, trouble: Trouble, line: number): boolean {
  const place = buckets.bucketOf[line - 1] ?? 0;
  if (place >= trouble.start - PAUSE_MAX * 2 && place <= trouble.end + 2) return true;
  return [-1, 0, 1, 2].some((step) => trouble.bad.has(place + step));
}

function places(index: LogIndex, lines: readonly number[]): string {
  return spaced(lines, 2)
    .map((line) => `line ${line}${clock(index, line) === null ? "" : ` (${clock(index, line)})`}`)
    .join(" and ");
}

/** The first and the last of the lines, and some between. */
export function spaced(lines: readonly number[], count: number): number[] {
  if (lines.length <= count) return [...lines];
  return Array.from(
    { length: count },
    (_, place) => lines[Math.round((place * (lines.length - 1)) / Math.max(1, count - 1))] ?? 0,
  );
}

const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
const percent = (part: number): string => `${Math.round(part * 100)} %`;
const round = (value: number): number => Math.round(value * 100) / 100;

function rounded<T extends { coverage: number; precision: number; dose: number; named: number }>(parts: T) {
  return {
    coverage: round(parts.coverage),
    precision: round(parts.precision),
    dose: round(parts.dose),
    named: round(parts.named),
  };
}

function meanWhere(values: ArrayLike<number>, wanted: (place: number) => boolean): number {
  const chosen = Array.from(values).filter((_, place) => wanted(place));
  return share(
    chosen.reduce((sum, value) => sum + value, 0),
    chosen.length,
  );
}
