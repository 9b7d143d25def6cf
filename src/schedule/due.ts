import type { ScheduleDefinition, ScheduleState } from "../core/schedule.ts";
import { nextTime, parseCron } from "./cron.ts";
import { afterGap, momentsOf } from "./zone.ts";

/** A time counts as met when something could start within this of it: a restart in between is nothing to catch up on. */
export const ON_TIME_MS = 60_000;
/** Times of one schedule that wait for its runs to end. */
export const WAITING_MAX = 100;
/** Times that are looked at to find the newest ones. */
const LOOKED_AT_MAX = 10_000;
const HOUR_MS = 3_600_000;

const AT = /^(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)(Z|[+-]\d\d:\d\d)?$/;

/** The moment that `at` names; null when it is none. */
export function momentOf(at: string, zone: string): number | null {
  const [, local, offset] = AT.exec(at) ?? [];
  if (local === undefined) return null;
  const wall = Date.parse(`${local}${offset ?? "Z"}`);
  if (Number.isNaN(wall)) return null;
  return offset === undefined ? (momentsOf(zone, wall)[0] ?? afterGap(zone, wall)) : wall;
}

/** The first time of a schedule after `after`; null when there is none any more. */
export function nextOf({ cron, at, zone }: ScheduleDefinition, after: number): number | null {
  if (at !== null) {
    const moment = momentOf(at, zone);
    return moment !== null && moment > after ? moment : null;
  }
  const parsed = cron === null ? null : parseCron(cron);
  return parsed?.ok === true ? nextTime(parsed.cron, zone, after) : null;
}

/** The time for which a schedule waits. */
export function upcoming({ spec, since, last }: ScheduleState): number | null {
  return nextOf(spec, Math.max(since, last ?? since));
}

/** What is due now: the times to start, in order, up to which time all are dealt with, and how many of those that were
 *  looked at start nothing; null when none has come. */
export function dueOf(state: ScheduleState, now: number): { until: number; start: number[]; passed: number } | null {
  const { spec, since, last, waiting } = state;
  const times = newest(spec, Math.max(since, last ?? since), now, spec.catchUpMax);
  const until = times.at(-1);
  if (until === undefined) return null;
  const wanted = chosen(spec, times, now - until <= ON_TIME_MS);
  const start = wanted.slice(0, Math.max(0, WAITING_MAX - waiting.length));
  return { until, start, passed: times.length - start.length };
}

function chosen({ catchUp, catchUpMax }: ScheduleDefinition, times: readonly number[], isOnTime: boolean): number[] {
  if (catchUp === "all") return times.slice(-catchUpMax);
  return catchUp === "last" || isOnTime ? times.slice(-1) : [];
}

/** The newest times in a span, at least `count` of them where there are so many. The span is looked at from its end,
 *  since it may be years long. */
function newest(spec: ScheduleDefinition, from: number, to: number, count: number): number[] {
  for (let span = HOUR_MS; ; span *= 4) {
    const start = Math.max(from, to - span);
    const times: number[] = [];
    for (let time = nextOf(spec, start); time !== null && time <= to && times.length < LOOKED_AT_MAX; ) {
      times.push(time);
      time = nextOf(spec, time);
    }
    if (start === from || times.length >= count) return times;
  }
}

/** The same time of the same schedule is one run, however often it is started (C11). */
export function scheduleKey(name: string, time: number): string {
  return `schedule/${name}/${new Date(time).toISOString()}`;
}
