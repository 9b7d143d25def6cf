import type { Json } from "./json.ts";

/** When a workflow is started by itself (I8). One of `cron` and `at` is set. */
export interface ScheduleDefinition {
  workflow: string;
  input: Json;
  cron: string | null;
  /** ISO 8601; without an offset it is what the wall shows in `zone`. */
  at: string | null;
  /** IANA name. */
  zone: string;
  /** Of the times that passed while nothing could start: none, the newest, or all of them, up to `catchUpMax`. */
  catchUp: "skip" | "last" | "all";
  catchUpMax: number;
  /** What happens at a time at which the run before it has not ended. */
  overlap: "allow" | "skip" | "queue";
}

/** A schedule, folded from the fleet's journal. Times are those that it names, not when something was done. */
export interface ScheduleState {
  readonly spec: ScheduleDefinition;
  /** Times up to here are none of its business: it was declared, or changed, then. */
  readonly since: number;
  /** The newest time that was dealt with. */
  readonly last: number | null;
  /** Times that are to start a run and have not yet, in order. */
  readonly waiting: readonly number[];
  /** The newest run, with its time. */
  readonly run: { readonly id: string; readonly time: number } | null;
  /** What came of the newest time that started nothing. */
  readonly missed: { readonly time: number; readonly why: string } | null;
}
