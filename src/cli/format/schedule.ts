import type { ScheduleDefinition } from "../../core/schedule.ts";

/** When a schedule is due, in a few words. */
export function scheduleText({ cron, at, zone }: ScheduleDefinition): string {
  const inZone = zone === "UTC" && cron === null ? "" : ` ${zone}`;
  return cron === null ? `at ${at ?? ""}${inZone}` : `cron ${cron}${inZone}`;
}
