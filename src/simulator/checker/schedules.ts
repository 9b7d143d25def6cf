import { nextOf, scheduleKey } from "../../schedule/due.ts";
import { FLEET_JOURNAL } from "../../store/store.ts";
import type { CheckerMaker } from "./checker.ts";

const KEY = /^schedule\/([^/]+)\/(.+)$/;

/** A schedule's run is for a time that it names, each time has one run at most, and what was to start did (I8). */
export const schedules: CheckerMaker = ({ definition, world }, fail) => {
  const declared = definition.schedules ?? {};
  const runs = new Map<string, string>();
  const announced = new Map<string, { schedule: string; time: number }>();
  const settled = new Set<string>();
  const since = new Map<string, number>();
  return {
    promise: "I8: each time of a schedule starts one run, once",
    event({ journal, row, type, data }) {
      const name = data.schedule ?? "";
      if (journal === FLEET_JOURNAL && type === "schedule.set") since.set(name, row.at);
      if (journal === FLEET_JOURNAL && type === "schedule.due")
        for (const time of data.start ?? []) announced.set(scheduleKey(name, time), { schedule: name, time });
      if (journal === FLEET_JOURNAL && type === "schedule.ran") settled.add(scheduleKey(name, data.time ?? 0));
      const { idempotencyKey = "" } = data;
      if (type !== "run.started" || !KEY.test(idempotencyKey)) return;
      const before = runs.get(idempotencyKey);
      if (before !== undefined) fail(`${idempotencyKey} started ${journal} after ${before}`);
      runs.set(idempotencyKey, journal);
      const due = announced.get(idempotencyKey);
      const spec = due === undefined ? undefined : declared[due.schedule];
      if (due === undefined || spec === undefined)
        fail(`${journal} was started for ${idempotencyKey}, which was not due`);
      else if (nextOf(spec, due.time - 1) !== due.time) fail(`${idempotencyKey} is no time of its schedule`);
    },
    end() {
      for (const key of announced.keys()) if (!settled.has(key)) fail(`${key} was due and came to nothing`);
      for (const [name, spec] of Object.entries(declared)) {
        const declaredAt = since.get(name);
        const first = declaredAt === undefined ? null : nextOf(spec, declaredAt);
        if (first === null || first > world.clockMs) continue;
        if (![...announced.values()].some(({ schedule }) => schedule === name))
          fail(`schedule ${name} never started anything`);
      }
    },
  };
};
