import type { EventData, RunEvent } from "../core/event.ts";
import { emptyRun, emptyScratch, evolve, type RunState } from "../core/state.ts";
import { FlotillaError } from "../error.ts";
import type { RunRow, Store } from "../store/store.ts";
import type { RunResult } from "./app-contract.ts";
import { readRun } from "./journal.ts";

/** The run as folded from its journal, up to `version` if one is given. @throws {FlotillaError} RUN_UNKNOWN, EVENT_INVALID */
export async function readState(store: Store, run: string, version = Number.POSITIVE_INFINITY): Promise<RunState> {
  const state = emptyRun(run);
  for await (const { version: at, event } of readRun(store, run)) {
    if (at > version) break;
    evolve(state, event);
  }
  if (state.version === 0) throw new FlotillaError("RUN_UNKNOWN", `there is no run ${run}`);
  state.scratch = emptyScratch();
  return state;
}

/** How an event ends a run; null when it does not. */
export function resultOf(event: RunEvent): RunResult | null {
  if (event.type === "run.completed")
    return { status: "completed", output: event.payload?.output ?? null, error: null };
  if (event.type === "run.failed") return { status: "failed", output: null, error: failureOf(event.data) };
  if (event.type !== "run.stopped") return null;
  const message = `the run was stopped by ${event.data.by}: ${event.data.why}`;
  return { status: "stopped", output: null, error: { code: "CANCELLED", class: "business", message } };
}

/** Why a run failed, with the task that failed it. */
function failureOf({ error, task }: EventData["run.failed"]): RunResult["error"] {
  const { code, class: cls, message, hint } = error;
  const details = { ...error.details, ...(task === null ? {} : { task }) };
  return {
    code,
    class: cls,
    message,
    ...(hint === undefined ? {} : { hint }),
    ...(Object.keys(details).length === 0 ? {} : { details }),
  };
}

/** Late frames may follow a run's end; it is found among this many last events, or by reading all. */
const TAIL = 20;

/** The result of a run that has ended. @throws {FlotillaError} PAYLOAD_ERASED, EVENT_INVALID, JOURNAL_DAMAGED */
export async function readResult(store: Store, row: RunRow): Promise<RunResult> {
  for (const after of [Math.max(0, row.version - TAIL), 0]) {
    for await (const { version, event, erased } of readRun(store, row.id, after)) {
      const result = resultOf(event);
      if (result === null) continue;
      if (!erased) return result;
      const message = `the output of ${row.id} was erased on request, or left out when it was exported; see: flotilla show fleet`;
      throw new FlotillaError("PAYLOAD_ERASED", message, { details: { run: row.id, version } });
    }
  }
  throw new FlotillaError(
    "JOURNAL_DAMAGED",
    `run ${row.id} is ${row.status} and its journal does not say how it ended`,
  );
}
