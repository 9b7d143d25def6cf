const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Wall-clock time as if it were UTC: milliseconds whose UTC fields are what a clock on the wall shows. */
export type WallMs = number;

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    calendar: "gregory",
    numberingSystem: "latn",
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  formats.set(zone, made);
  return made;
}

/** Whether a time zone is known by this name (IANA, such as Europe/Berlin, or UTC). */
export function isZone(zone: string): boolean {
  try {
    formatOf(zone);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** What a clock on the wall of a zone shows, to the second. */
export function wallAt(zone: string, at: number): WallMs {
  if (zone === "UTC") return Math.floor(at / 1_000) * 1_000;
  const fields: Record<string, number> = {};
  for (const { type, value } of formatOf(zone).formatToParts(at)) fields[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = fields;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

/** Milliseconds that a zone is ahead of UTC at a moment. */
function offsetAt(zone: string, at: number): number {
  return wallAt(zone, at) - Math.floor(at / 1_000) * 1_000;
}

/** Whether clocks of the zone were never put forward or back on that day of the wall and around it. */
export function isPlainDay(zone: string, day: WallMs): boolean {
  return zone === "UTC" || offsetAt(zone, day - DAY_MS) === offsetAt(zone, day + 2 * DAY_MS);
}

/** The moments at which a clock on the wall shows this: one; two, in their order, in the hour that clocks repeat; none in
 *  the hour that they leave out. */
export function momentsOf(zone: string, wall: WallMs): number[] {
  const offsets = new Set([offsetAt(zone, wall - DAY_MS), offsetAt(zone, wall + DAY_MS)]);
  return [...offsets]
    .map((offset) => wall - offset)
    .filter((at) => wallAt(zone, at) === wall)
    .sort((a, b) => a - b);
}

/** The first moment after the gap in which a wall-clock time is left out. */
export function afterGap(zone: string, wall: WallMs): number {
  let before = wall - Math.max(offsetAt(zone, wall - DAY_MS), offsetAt(zone, wall + DAY_MS));
  let after = wall - Math.min(offsetAt(zone, wall - DAY_MS), offsetAt(zone, wall + DAY_MS));
  const offset = offsetAt(zone, before);
  while (after - before > 1_000) {
    const middle = before + Math.floor((after - before) / 2_000) * 1_000;
    if (offsetAt(zone, middle) === offset) before = middle;
    else after = middle;
  }
  return after;
}
