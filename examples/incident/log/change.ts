import { bucketsOf } from "./bucket.ts";
import { bitOf } from "./catalogue.ts";
import {
  distance,
  frequent,
  isTimed,
  linesWhere,
  type LogIndex,
  type Quote,
  quote,
  sourceAt,
  SYMPTOM,
} from "./log-index.ts";
import { type Trouble, troubleIn } from "./trouble.ts";
import { weigh } from "./weigh.ts";

/** Something that people or schedulers did to the system. */
export interface Change extends Quote {
  /** How long before the first sign, or before the end of harm, in words. */
  ahead: string;
  /** Version before and after, when the line says so. */
  from: string | null;
  to: string | null;
}

/** What goes with a cause: where it sits, what set it off, what was new, what ended it. */
export interface Circumstances {
  /** The program that shows most signs of it; empty when no line names one. */
  component: string;
  /** Programs that are harmed, most first. */
  harmed: { name: string; count: number }[];
  trigger: Change | null;
  /** Lines of kinds that the log never had before, between trigger and first harm. */
  newKinds: (Quote & { times: number })[];
  /** The change after which the harm ended. */
  recovery: Change | null;
  /** Whether the harm ended before the log does. */
  ended: boolean;
}

const RELEASE =
  /\b(?:rollout|roll(?:ed|ing)? ?(?:out|back)|deploy(?:s|ed|ing|ment)?|releas(?:e|ed|ing)|upgrad(?:e|ed|ing)|migrat(?:ion|ed|ing))\b(?!=)/i;
const SETTING =
  /\b(?:config(?:uration)?|settings?|certificates?|feature flag)\b.{0,40}\b(?:chang|updat|reload|appl|rotat|enabl|disabl|renew)|\breload(?:ed|ing)\b|\bfail(?:ed)? ?over\b|\bpromot(?:ed|ing)\b/i;
const RESTART = /\b(?:restart(?:ed|ing)?|scal(?:e|ed|ing)|start(?:ed|ing)|stopp(?:ed|ing)|shut(?:ting)? down)\b/i;
const VERSIONS = /\b(v?\d+(?:\.\d+)+[\w.+-]*)\s*(?:->|→|to)\s*(v?\d+(?:\.\d+)+[\w.+-]*)/;

const KINDS_OF_CHANGE = [
  { pattern: RELEASE, weight: 1 },
  { pattern: SETTING, weight: 0.9 },
  { pattern: RESTART, weight: 0.3 },
];

/** A change that works through a leak may take this long to show: in buckets, and in seconds. */
const HORIZON = 60;
const HORIZON_SECONDS_MAX = 3_600;
/** Changes of one program at most so far apart are one change: in buckets, and in seconds. */
const PAUSE = 3;
const PAUSE_SECONDS_MAX = 30;
const NEW_KINDS_MAX = 3;

/** What the log tells about the circumstances of a cause; null when it tells of no trouble or shows no sign of it. */
export function circumstances(index: LogIndex, id: string): Circumstances | null {
  const trouble = troubleIn(index);
  const first = weigh(index, id)?.first ?? null;
  if (trouble === null || first === null) return null;
  const begin = Math.min(first, trouble.firstLine);
  const bit = bitOf(id);
  const component =
    frequent(linesWhere(index, (mark) => (mark & bit) !== 0).map((line) => sourceAt(index, line)))[0]?.name ?? "";
  const trigger = nearest(index, component, begin, begin);
  return {
    component,
    harmed: frequent(harmLines(index, trouble).map((line) => sourceAt(index, line))).slice(0, 4),
    trigger,
    newKinds: trigger === null ? [] : newKinds(index, trigger.line, trouble.firstLine),
    recovery: recoveryOf(index, trouble, component),
    ended: bucketsOf(index).count - 1 - trouble.end > 1,
  };
}

const harmLines = (index: LogIndex, { firstLine, lastLine }: Trouble): number[] =>
  linesWhere(index, (mark) => (mark & SYMPTOM) !== 0, { from: firstLine, to: lastLine });

/** The change that most likely set it off: close before, weighty, and about the program concerned. */
function nearest(index: LogIndex, component: string, until: number, measuredAt: number): Change | null {
  const horizon = reach(index, HORIZON, HORIZON_SECONDS_MAX);
  const candidates = changes(index, until).flatMap((change) => {
    const away = apart(index, change.line, measuredAt);
    if (away < 0 || away > horizon) return [];
    const about =
      component !== "" && change.text.toLowerCase().replaceAll("_", "-").includes(component.toLowerCase()) ? 0.5 : 0;
    return [{ ...change, rank: change.weight + about + (1 - away / horizon) }];
  });
  const best = candidates.toSorted((a, b) => b.rank - a.rank)[0];
  return best === undefined ? null : described(index, best, measuredAt);
}

/** The change in the last part of the harm after which it stopped. */
function recoveryOf(index: LogIndex, trouble: Trouble, component: string): Change | null {
  const found = nearest(index, component, trouble.lastLine, trouble.lastLine);
  return found !== null && found.line > trouble.firstLine ? found : null;
}

function described(index: LogIndex, { line, text }: Quote, measuredAt: number): Change {
  const [, from = null, to = null] = VERSIONS.exec(text) ?? [];
  return { line, text, ahead: distance(index, line, measuredAt), from, to };
}

const known = new WeakMap<LogIndex, readonly (Quote & { weight: number })[]>();

/** Changes up to a line; of those that belong together the first stands for all. */
function changes(index: LogIndex, until: number): (Quote & { weight: number })[] {
  const all = known.get(index) ?? allChanges(index);
  known.set(index, all);
  const pause = reach(index, PAUSE, PAUSE_SECONDS_MAX);
  const groups = new Map<string, Quote & { weight: number }>();
  const last = new Map<string, number>();
  const heads: (Quote & { weight: number })[] = [];
  for (const change of all.filter(({ line }) => line <= until)) {
    const source = sourceAt(index, change.line);
    const open = groups.get(source);
    if (
      open === undefined ||
      apart(index, last.get(source) ?? change.line, change.line) > pause ||
      change.weight > open.weight
    ) {
      groups.set(source, change);
      heads.push(change);
    }
    last.set(source, change.line);
  }
  return heads;
}

/** So many buckets, but at most so many seconds; in a log without times, in lines. */
function reach(index: LogIndex, buckets: number, secondsMax: number): number {
  const { width, unit } = bucketsOf(index);
  return unit === "s" ? Math.min(buckets * width, secondsMax) : buckets * width;
}

/** From one line to another, in seconds; in a log without times, in lines. */
function apart(index: LogIndex, from: number, to: number): number {
  if (!isTimed(index)) return to - from;
  return ((index.times[to - 1] ?? 0) - (index.times[from - 1] ?? 0)) / 1_000;
}

/** What is said all the time is work, not a change. */
const TIMES_MIN = 20;
const SHARE_MAX = 0.001;

/** Only kinds of lines are searched, of which there are few; then their lines. */
function allChanges(index: LogIndex): (Quote & { weight: number })[] {
  const times = new Uint32Array(index.kinds.length);
  for (const kind of index.kindOf) times[kind] = (times[kind] ?? 0) + 1;
  const timesMax = Math.max(TIMES_MIN, index.lines * SHARE_MAX);
  const weights = index.kinds.map((kind, place) => {
    if ((times[place] ?? 0) > timesMax) return 0;
    const text = kind.slice(kind.indexOf(" ") + 1);
    return KINDS_OF_CHANGE.find(({ pattern }) => pattern.test(text))?.weight ?? 0;
  });
  const weightOf = (line: number) => weights[index.kindOf[line - 1] ?? 0] ?? 0;
  const lines = linesWhere(index, (mark, line) => weightOf(line) > 0 && (mark & SYMPTOM) === 0);
  return quote(index, lines).map((found) => ({ ...found, weight: weightOf(found.line) }));
}

/** Kinds of lines that appear for the first time in the log between a change and the harm, most frequent first. */
function newKinds(index: LogIndex, after: number, before: number): (Quote & { times: number })[] {
  const old = new Set(index.kindOf.subarray(0, after));
  const fresh = new Map<number, { line: number; times: number }>();
  for (let line = after + 1; line < before; line++) {
    const kind = index.kindOf[line - 1] ?? 0;
    if (old.has(kind)) continue;
    const seen = fresh.get(kind);
    if (seen === undefined) fresh.set(kind, { line, times: 1 });
    else seen.times++;
  }
  const harmless = [...fresh.values()].filter(({ line }) => index.marks[line - 1] === 0);
  const chosen = harmless.toSorted((a, b) => b.times - a.times || a.line - b.line).slice(0, NEW_KINDS_MAX);
  return quote(
    index,
    chosen.map(({ line }) => line),
  ).map((found, place) => ({ ...found, times: chosen[place]?.times ?? 1 }));
}
