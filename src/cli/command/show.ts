import { FLEET_JOURNAL, type Store } from "../../store/store.ts";
import type { Context } from "../context.ts";
import type { ExitCode } from "../failure.ts";
import { text } from "../option.ts";
import type { Options } from "../program.ts";
import { findProject, readStore } from "../project.ts";
import { findRun, LAST } from "../run-id.ts";
import { showFleet } from "../show-fleet.ts";
import { showCause } from "../show-cause.ts";
import { showStep } from "../show-step.ts";
import { showStory } from "../show-story.ts";

/** `flotilla show [run | fleet]`: the newest run when none is named. */
export async function run(
  context: Context,
  [target = LAST]: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const project = await findProject(context, { optional: true });
  return readStore(context, project, (store) => show(context, store, target, options));
}

async function show(context: Context, looked: Store | null, target: string, options: Options): Promise<ExitCode> {
  if (target === FLEET_JOURNAL && looked !== null) return showFleet(context, looked);
  const { row, store } = await findRun(looked, target);
  const step = text(options.step);
  if (step !== undefined) return showStep(context, store, row, step);
  if (options.rootCause === true) return showCause(context, store, row);
  return showStory(context, store, row, { all: options.all === true });
}
