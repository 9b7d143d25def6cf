import { afterGap, isPlainDay, momentsOf, type WallMs, wallAt } from "./zone.ts";

/** A cron expression of five fields: minute, hour, day of the month, month, day of the week. */
export interface Cron {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly days: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  /** 0 is Sunday. */
  readonly weekdays: ReadonlySet<number>;
  /** With both restricted, a day that fits either fits (POSIX). */
  readonly eitherDay: boolean;
  /** The hour is `*` or a step of it: it goes by elapsed time, not by what the clock on the wall shows. */
  readonly everyHour: boolean;
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS = [
  { name: "minute", min: 0, max: 59, names: [] },
  { name: "hour", min: 0, max: 23, names: [] },
  { name: "day of the month", min: 1, max: 31, names: [] },
  { name: "month", min: 1, max: 12, names: MONTHS },
  { name: "day of the week", min: 0, max: 7, names: WEEKDAYS },
] as const satisfies readonly Field[];

interface Field {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** Names for the numbers from `min` on. */
  readonly names: readonly string[];
}

const MACROS: Readonly<Record<string, string>> = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@yearly": "0 0 1 1 *",
};

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Every date comes again within this many days: the 29th of February skips eight years around 2100. */
const SEARCH_DAYS = 366 * 9;

/** Reads an expression; what is wrong with it is a `problem` in words. */
export function parseCron(source: string): { ok: true; cron: Cron } | { ok: false; problem: string } {
  const text = MACROS[source.trim().toLowerCase()] ?? source.trim();
  const parts = text.split(/\s+/);
  if (text.startsWith("@")) return no(`"${text}" is none of ${Object.keys(MACROS).join(", ")}`);
  if (parts.length !== FIELDS.length) {
    const seconds = parts.length === 6 ? "; there is no field for seconds" : "";
    return no(
      `a cron expression has 5 fields (${FIELDS.map(({ name }) => name).join(", ")}), not ${parts.length}${seconds}`,
    );
  }
  const sets: Set<number>[] = [];
  for (const [index, field] of FIELDS.entries()) {
    const values = valuesOf(parts[index] ?? "", field);
    if (typeof values === "string") return no(values);
    sets.push(values);
  }
  const [minutes, hours, days, months, weekdays] = sets as [
    Set<number>,
    Set<number>,
    Set<number>,
    Set<number>,
    Set<number>,
  ];
  if (weekdays.delete(7)) weekdays.add(0);
  const [, hour = "", day = "", , weekday = ""] = parts;
  const cron: Cron = {
    minutes: sorted(minutes),
    hours: sorted(hours),
    days,
    months,
    weekdays,
    eitherDay: !day.startsWith("*") && !weekday.startsWith("*"),
    everyHour: hour.startsWith("*"),
  };
  const never = [...months].every((month) => [...days].every((one) => one > longest(month)));
  if (never && !cron.eitherDay) return no(`no month of it has a day ${parts[2]}`);
  return { ok: true, cron };
}

const no = (problem: string) => ({ ok: false as const, problem });
const sorted = (values: ReadonlySet<number>): number[] => [...values].sort((a, b) => a - b);
const longest = (month: number): number => (month === 2 ? 29 : [4, 6, 9, 11].includes(month) ? 30 : 31);

/** The numbers that a field stands for, or what is wrong with it. */
function valuesOf(text: string, field: Field): Set<number> | string {
  const values = new Set<number>();
  for (const part of text.split(",")) {
    const match = /^(\*|(\w+)(?:-(\w+))?)(?:\/(\d+))?$/.exec(part);
    if (match === null) return `"${part}" is no ${field.name}`;
    const [, range, first = "", last, every] = match;
    const from = range === "*" ? field.min : numberOf(first, field);
    // `5/15` means from 5 on.
    const end = range === "*" || every !== undefined ? field.max : from;
    const to = last === undefined ? end : numberOf(last, field);
    const step = every === undefined ? 1 : Number(every);
    if (from === null || to === null) return `"${part}" is no ${field.name}: ${bounds(field)}`;
    if (from > to) return `"${part}" goes backwards: write it as two ranges`;
    if (step === 0) return `"${part}" has a step of 0`;
    for (let value = from; value <= to; value += step) values.add(value);
  }
  return values;
}

function numberOf(text: string, { min, max, names }: Field): number | null {
  const named = names.indexOf(text.toLowerCase());
  if (named >= 0) return min + named;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : null;
}

function bounds({ min, max, names }: Field): string {
  const words = names.length === 0 ? "" : `, or ${names[0]} to ${names.at(-1)}`;
  return `${min} to ${max}${words}`;
}

/** The first time after `after` at which an expression is due, in milliseconds; null when there is none.
 *
 *  Where clocks are put forward or back, hours that are named follow the wall: a time in the hour that is left out is due
 *  at the first moment after it, a time in the hour that comes twice is due the first time only. `*` and its steps follow
 *  elapsed time: each hour counts, also the repeated one, and what is left out is not made up for. */
export function nextTime(cron: Cron, zone: string, after: number): number | null {
  const today = startOfDay(wallAt(zone, after));
  // From the day before: the moment after a gap may lie beyond midnight of the wall.
  for (let day = today - DAY_MS, n = 0; n < SEARCH_DAYS; day += DAY_MS, n++) {
    if (!fitsDay(cron, day)) continue;
    const found = firstOf(cron, zone, day, after);
    if (found !== null) return found;
  }
  return null;
}

const startOfDay = (wall: WallMs): WallMs => Math.floor(wall / DAY_MS) * DAY_MS;

function fitsDay({ days, months, weekdays, eitherDay }: Cron, day: WallMs): boolean {
  const date = new Date(day);
  if (!months.has(date.getUTCMonth() + 1)) return false;
  const byDay = days.has(date.getUTCDate());
  const byWeekday = weekdays.has(date.getUTCDay());
  return eitherDay ? byDay || byWeekday : byDay && byWeekday;
}

function firstOf(cron: Cron, zone: string, day: WallMs, after: number): number | null {
  const plain = isPlainDay(zone, day);
  const offset = plain ? day - (momentsOf(zone, day)[0] ?? day) : 0;
  let first: number | null = null;
  for (const hour of cron.hours) {
    for (const minute of cron.minutes) {
      const wall = day + hour * HOUR_MS + minute * MINUTE_MS;
      for (const at of plain ? [wall - offset] : dueAt(cron, zone, wall)) {
        if (at > after && (first === null || at < first)) first = at;
      }
      // Without a change of the clocks the first that fits is the earliest.
      if (plain && first !== null) return first;
    }
  }
  return first;
}

function dueAt({ everyHour }: Cron, zone: string, wall: WallMs): number[] {
  const moments = momentsOf(zone, wall);
  if (everyHour) return moments;
  return moments.length === 0 ? [afterGap(zone, wall)] : moments.slice(0, 1);
}
