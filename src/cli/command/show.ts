import { FLEET_JOURNAL, type Store } from "../../store/store.ts";
import type { Context } from "../context.ts";
import type { ExitCode } from "../failure.ts";
import { text } from "../option.ts";
import type { Options } from "../program.ts";
import { findProject, openToRead } from "../project.ts";
import { findRun, LAST } from "../run-id.ts";
import { showFleet } from "../show-fleet.ts";
import { showCause } from "../show-cause.ts";
import { showStep } from "../show-step.ts";
import { showStory } from "../show-story.ts";

/** `flotilla show [run | fleet]`: the newest run when none is named. */
export async function run(context: Context, [target = LAST]: readonly (string | undefined)[], options: Options): Promise<ExitCode> {
  const store = await openToRead(context, await findProject(context, { optional: true }));
  try {
    return await show(context, store, target, options);
  } finally {
    await store?.close();
  }
}

async function show(context: Context, store: Store | null, target: string, options: Options): Promise<ExitCode> {
  if (target === FLEET_JOURNAL && store !== null) return showFleet(context, store);
  const row = await findRun(store, target);
  // A run was found, so there is a store that it was found in.
  const found = store as Store;
  const step = text(options.step);
  if (step !== undefined) return showStep(context, found, row, step);
  if (options.rootCause === true) return showCause(context, found, row);
  return showStory(context, found, row, { all: options.all === true });
}
