import { type FleetState, holdsInForce } from "../core/fleet-state.ts";
import type { Hold } from "../core/hold.ts";
import type { ScheduleDefinition, ScheduleState } from "../core/schedule.ts";
import { nextOf } from "../schedule/due.ts";
import type { Store } from "../store/store.ts";
import { foldFleet } from "./fleet-journal.ts";

/** A schedule as commands and programs see it. Times are milliseconds since the epoch. */
export interface ScheduleView extends ScheduleDefinition {
  name: string;
  /** Its next times, at most `NEXT_SHOWN`; empty when there is none any more. */
  next: number[];
  /** The newest run that it started, and for which time. */
  last: { run: string; time: number } | null;
  /** Times that wait for the run before them to end, or for a hold. */
  waiting: number[];
  /** The newest time that started nothing, and why. */
  missed: { time: number; why: string } | null;
  /** What keeps it from starting anything. */
  paused: Hold | null;
}

export const NEXT_SHOWN = 3;

/** Every schedule on record, by name. */
export async function readSchedules(store: Store, now: number): Promise<ScheduleView[]> {
  const { state } = await foldFleet(store, null);
  return Object.entries(state.schedules)
    .map(([name, schedule]) => viewOf(name, schedule, state, now))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function viewOf(
  name: string,
  { spec, since, last, waiting, run, missed }: ScheduleState,
  fleet: FleetState,
  now: number,
) {
  const next: number[] = [];
  for (let time = nextOf(spec, Math.max(since, last ?? since, now)); time !== null && next.length < NEXT_SHOWN; ) {
    next.push(time);
    time = nextOf(spec, time);
  }
  const holds = holdsInForce(fleet);
  const paused =
    holds.find(({ scope }) => scope === "fleet") ??
    holds.find(({ scope, name: held }) => scope === "workflow" && held === spec.workflow) ??
    null;
  const newest = run === null ? null : { run: run.id, time: run.time };
  return { ...spec, name, next, last: newest, waiting: [...waiting], missed, paused };
}
