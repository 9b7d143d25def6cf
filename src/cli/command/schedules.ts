import { readSchedules, type ScheduleView } from "../../runtime/schedule-view.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { oneLine } from "../format/brief.ts";
import { scheduleText } from "../format/schedule.ts";
import { dateTime } from "../format/sentence.ts";
import { shortId } from "../format/status.ts";
import { table } from "../format/table.ts";
import { heldDocument, heldLine, heldOf } from "../held.ts";
import { findProject, readStore } from "../project.ts";

/** `flotilla schedules`: what starts by itself: next times, last run, what is held (I8). */
export async function run(context: Context): Promise<ExitCode> {
  const project = await findProject(context, { optional: true });
  const now = Date.now();
  const schedules = await readStore(context, project, async (store) =>
    store === null ? [] : readSchedules(store, now),
  );
  if (context.json) printJson(context, schedules.map(document));
  else print(context, schedules);
  return EXIT.ok;
}

const iso = (time: number): string => new Date(time).toISOString();

/** As `--json` lists it; times in ISO 8601. */
function document({ next, last, waiting, missed, paused, ...rest }: ScheduleView) {
  return {
    ...rest,
    next: next.map(iso),
    last: last && { ...last, time: iso(last.time) },
    waiting: waiting.map(iso),
    missed: missed && { ...missed, time: iso(missed.time) },
    paused: paused && heldDocument(heldOf(paused)),
  };
}

function print({ terminal }: Context, schedules: readonly ScheduleView[]): void {
  const paint = terminal.outPaint;
  if (schedules.length === 0) {
    terminal.note(
      "No schedule is on record.  Those of the definition count from when the fleet is served: flotilla dev",
    );
    return;
  }
  const head = ["", "SCHEDULE", "WORKFLOW", "WHEN", "NEXT", "LAST RUN", ""].map(paint.dim);
  const lines = schedules.map((one) => [
    one.paused === null ? (one.next.length === 0 ? paint.dim("–") : paint.cyan("●")) : paint.yellow("‖"),
    one.name,
    one.workflow,
    scheduleText(one),
    one.paused === null ? (one.next[0] === undefined ? "none" : dateTime(one.next[0])) : paint.yellow("paused"),
    one.last === null ? "" : `${shortId(one.last.run)} for ${dateTime(one.last.time)}`,
    noteOf(one),
  ]);
  terminal.out(table([head, ...lines]));
  const holds = new Map(schedules.flatMap(({ paused }) => (paused === null ? [] : [[paused.at, paused]])));
  for (const hold of holds.values()) terminal.note(terminal.notePaint.yellow(heldLine(heldOf(hold))));
  const [last] = schedules.flatMap((one) => one.last ?? []);
  terminal.note(last === undefined ? "Next: flotilla show fleet" : `Next: flotilla show ${shortId(last.run)}`);
}

function noteOf({ waiting, missed }: ScheduleView): string {
  if (waiting.length > 0) return `${waiting.length} waiting`;
  return missed === null ? "" : oneLine(`none for ${dateTime(missed.time)}: ${missed.why}`, 60);
}
