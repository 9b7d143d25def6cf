import type { FoldedEvent } from "./fleet-event.ts";
import { type Hold, holdKey } from "./hold.ts";
import type { ScheduleDefinition, ScheduleState } from "./schedule.ts";

/** Lifted holds that are remembered, so that the time under them is not counted against limits of runs. */
const LIFTED_MAX = 1_000;

/** What of the fleet's journal is decided by, folded from it. Plain JSON: it is also the journal's snapshot. */
export interface FleetState {
  /** Holds placed and lifted so far: tells dispatches before a hold from those after it. */
  epoch: number;
  /** In the order in which they were placed; those that were lifted too, the newest of them. */
  holds: readonly Hold[];
  schedules: Readonly<Record<string, ScheduleState>>;
  /** Runs that are records of another store, by id; absent while there are none. */
  imports?: Readonly<Record<string, ImportedFrom>>;
}

/** Where a run came from, and when. */
export interface ImportedFrom {
  fleet: string;
  at: number;
}

export function emptyFleet(): FleetState {
  return { epoch: 0, holds: [], schedules: {} };
}

/** Applies one event. Total and deterministic; what is said twice changes nothing the second time. */
export function evolveFleet(state: FleetState, event: FoldedEvent): FleetState {
  switch (event.type) {
    case "hold.placed": {
      if (holdInForce(state, event.data) !== null) return state;
      state.epoch += 1;
      const { scope, name, why, by, kill } = event.data;
      state.holds = pruned([...state.holds, { scope, name, why, by, kill, at: event.at, liftedAt: null }]);
      return state;
    }
    case "hold.lifted": {
      const held = holdInForce(state, event.data);
      if (held === null) return state;
      state.epoch += 1;
      state.holds = state.holds.map((hold) => (hold === held ? { ...hold, liftedAt: event.at } : hold));
      return state;
    }
    case "schedule.set":
    case "schedule.removed":
    case "schedule.due":
    case "schedule.ran":
      state.schedules = evolveSchedules(state.schedules, event);
      return state;
    case "run.imported": {
      const from = { fleet: event.data.fleet, at: event.at };
      state.imports = { ...state.imports, ...Object.fromEntries(event.data.runs.map(({ run }) => [run, from])) };
      return state;
    }
    default:
      event satisfies never;
      return state;
  }
}

type ScheduleEvent = Extract<FoldedEvent, { type: `schedule.${string}` }>;

function evolveSchedules(schedules: FleetState["schedules"], event: ScheduleEvent): FleetState["schedules"] {
  const name = event.data.schedule;
  const known = schedules[name];
  const { [name]: _, ...others } = schedules;
  if (event.type === "schedule.removed") return others;
  const next = event.type === "schedule.set" ? declared(known, event.data.spec, event.at) : known && met(known, event);
  return next === undefined ? schedules : { ...others, [name]: next };
}

/** New times count from now on; with the same times, what it waited for it waits for still. */
function declared(known: ScheduleState | undefined, spec: ScheduleDefinition, at: number): ScheduleState {
  if (known === undefined) return { spec, since: at, last: null, waiting: [], run: null, missed: null };
  const { cron, at: moment, zone } = known.spec;
  const isSame = cron === spec.cron && moment === spec.at && zone === spec.zone;
  return isSame ? { ...known, spec } : { ...known, spec, since: at, last: null };
}

function met(
  known: ScheduleState,
  event: Exclude<ScheduleEvent, { type: "schedule.set" | "schedule.removed" }>,
): ScheduleState {
  if (event.type === "schedule.due") {
    const { until, start, passed } = event.data;
    const missed = passed === 0 ? known.missed : { time: until, why: `${passed} passed by` };
    return { ...known, last: until, waiting: [...known.waiting, ...start], missed };
  }
  const { time, run, why } = event.data;
  const waiting = known.waiting.filter((one) => one !== time);
  return run === null ? { ...known, waiting, missed: { time, why } } : { ...known, waiting, run: { id: run, time } };
}

/** The hold of exactly this scope that is in force. */
export function holdInForce({ holds }: FleetState, which: Pick<Hold, "scope" | "name">): Hold | null {
  return holds.find((hold) => hold.liftedAt === null && holdKey(hold) === holdKey(which)) ?? null;
}

export function holdsInForce({ holds }: Pick<FleetState, "holds">): Hold[] {
  return holds.filter(({ liftedAt }) => liftedAt === null);
}

function pruned(holds: readonly Hold[]): readonly Hold[] {
  let lifted = holds.filter(({ liftedAt }) => liftedAt !== null).length;
  if (lifted <= LIFTED_MAX) return holds;
  return holds.filter((hold) => hold.liftedAt === null || lifted-- <= LIFTED_MAX);
}
