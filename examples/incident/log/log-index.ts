import { eachLine, findLog, linesAt, type LogFile, UnreadableLog } from "./file.ts";
import { readLine } from "./line.ts";

/** What is kept of a log: a few bytes for each line, never its text. Lines are numbered from 1. */
export interface LogIndex {
  file: LogFile;
  /** How many lines there are. */
  lines: number;
  /** Where line n begins, at n - 1; one more for the end of the file. */
  offsets: Float64Array;
  /** Milliseconds; a line without a time has that of the line above. NaN before the first. */
  times: Float64Array;
  /** Signs of hypotheses as bits, and SYMPTOM. */
  marks: Uint32Array;
  /** Index into `sources`. */
  sourceOf: Uint16Array;
  sources: readonly string[];
  /** Index into `kinds`; 0 for lines that continue another. */
  kindOf: Uint32Array;
  /** What lines have in common when numbers are left out, in order of appearance. */
  kinds: readonly string[];
  /** Share of the lines, continuations aside, that carry a time. */
  timed: number;
}

/** Marks a line that tells of harm. */
export const SYMPTOM = 1 << 30;

/** A line as it is cited. */
export interface Quote {
  line: number;
  text: string;
}

const SOURCES_MAX = 0xffff;
const KINDS_MAX = 200_000;
const KIND_CHARACTERS = 90;
const QUOTE_CHARACTERS = 220;
const TIMED_MIN = 0.5;
const KEPT_MAX = 4;

const kept = new Map<string, Promise<LogIndex>>();

/** The index of a log, made once for each state of the file in this process. Cached by path, size and time of change.
 *  @throws {UnreadableLog} when it is missing, empty, packed, or no text */
export function openLog(log: string): Promise<LogIndex> {
  const file = findLog(log);
  const key = `${file.path}\n${file.bytes}\n${file.modifiedMs}`;
  const known = kept.get(key);
  if (known !== undefined) return known;
  const made = indexLog(file);
  kept.set(key, made);
  made.catch(() => kept.delete(key));
  for (const old of kept.keys()) if (kept.size > KEPT_MAX) kept.delete(old);
  return made;
}

async function indexLog(file: LogFile): Promise<LogIndex> {
  const offsets = new Column(Float64Array);
  const times = new Column(Float64Array);
  const marks = new Column(Uint32Array);
  const sourceOf = new Column(Uint16Array);
  const kindOf = new Column(Uint32Array);
  const sources = new Names(SOURCES_MAX);
  const kinds = new Names(KINDS_MAX);
  let time = Number.NaN;
  let own = 0;
  let whole = 0;
  let words = false;
  await eachLine(file, (text, offset) => {
    const line = readLine(text);
    time = line.time ?? time;
    words ||= text.trim() !== "";
    if (!line.continuation) {
      whole++;
      if (line.time !== null) own++;
    }
    offsets.add(offset);
    times.add(time);
    marks.add(line.signs | (line.symptom ? SYMPTOM : 0));
    sourceOf.add(sources.idOf(line.source));
    kindOf.add(line.continuation ? 0 : kinds.idOf(kindOfText(line.source, line.text)));
  });
  if (!words) throw new UnreadableLog(`the log ${file.path} is empty: it has only blank lines`);
  const lines = offsets.length;
  offsets.add(file.bytes);
  return {
    file,
    lines,
    offsets: offsets.values(),
    times: times.values(),
    marks: marks.values(),
    sourceOf: sourceOf.values(),
    sources: sources.list,
    kindOf: kindOf.values(),
    kinds: kinds.list,
    timed: whole === 0 ? 0 : own / whole,
  };
}

/** A text without what differs from line to line: numbers and long hexadecimal ids. */
function kindOfText(source: string, text: string): string {
  const head = text.length > KIND_CHARACTERS ? text.slice(0, KIND_CHARACTERS) : text;
  return `${source} ${head.replace(/\b(?=[a-f]*\d)[0-9a-f]{8,}\b|\d+(?:\.\d+)?/g, "#")}`;
}

/** Names by number, 0 for the empty one; beyond the most, all share one. */
class Names {
  readonly list: string[] = [""];
  private readonly ids = new Map<string, number>([["", 0]]);
  private readonly most: number;

  constructor(most: number) {
    this.most = most;
  }

  idOf(name: string): number {
    const known = this.ids.get(name);
    if (known !== undefined) return known;
    if (this.list.length >= this.most) return this.most - 1;
    this.ids.set(name, this.list.length);
    return this.list.push(name) - 1;
  }
}

type Numbers = Float64Array | Uint32Array | Uint16Array;

/** A list of numbers that grows, in little memory. */
class Column<T extends Numbers> {
  length = 0;
  private data: T;
  private readonly make: new (
    length: number,
  ) => T;

  constructor(make: new (length: number) => T) {
    this.make = make;
    this.data = new make(1_024);
  }

  add(value: number): void {
    if (this.length === this.data.length) {
      const grown = new this.make(this.data.length * 2);
      grown.set(this.data);
      this.data = grown;
    }
    this.data[this.length++] = value;
  }

  values(): T {
    return this.data.subarray(0, this.length) as T;
  }
}

/** Lines word by word, for citing. */
export function quote(index: LogIndex, lines: readonly number[]): Quote[] {
  const places = lines.map((line) => {
    const offset = index.offsets[line - 1] ?? 0;
    return { offset, bytes: Math.max(0, (index.offsets[line] ?? offset) - offset) };
  });
  const texts = linesAt(index.file.path, places, QUOTE_CHARACTERS);
  return lines.map((line, place) => ({ line, text: (texts[place] ?? "").replace(/[\r\n]+$/, "") }));
}

/** Numbers of the lines from `from` to `to` for which `wanted` holds, at most `limit`. */
export function linesWhere(
  index: LogIndex,
  wanted: (mark: number, line: number) => boolean,
  { from = 1, to = index.lines, limit = Number.POSITIVE_INFINITY } = {},
): number[] {
  const found: number[] = [];
  for (let line = Math.max(1, from); line <= Math.min(to, index.lines) && found.length < limit; line++) {
    if (wanted(index.marks[line - 1] ?? 0, line)) found.push(line);
  }
  return found;
}

/** Whether times can be relied on; else lines are counted instead. */
export const isTimed = ({ timed }: LogIndex): boolean => timed >= TIMED_MIN;

/** Words for a line's time, to be read by people; null when the log has none. */
export function clock(index: LogIndex, line: number): string | null {
  if (!isTimed(index)) return null;
  const time = index.times[line - 1] ?? Number.NaN;
  return Number.isNaN(time) ? null : new Date(time).toISOString().slice(11, 19);
}

/** How long it is from one line to another, in words. */
export function distance(index: LogIndex, from: number, to: number): string {
  const seconds = ((index.times[to - 1] ?? Number.NaN) - (index.times[from - 1] ?? Number.NaN)) / 1_000;
  if (!isTimed(index) || Number.isNaN(seconds)) return `${to - from} lines`;
  return seconds >= 120 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds * 10) / 10} s`;
}

export const sourceAt = (index: LogIndex, line: number): string => index.sources[index.sourceOf[line - 1] ?? 0] ?? "";

/** Names, most frequent first. */
export function frequent(names: Iterable<string>): { name: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const name of names) if (name !== "") counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => ({ name, count })).sort((a, b) => b.count - a.count);
}
