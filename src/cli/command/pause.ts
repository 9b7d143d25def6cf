import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { resumeCommand, shortName } from "../held.ts";
import { holdTarget, reasonOf, withoutFleetFlag } from "../hold-target.ts";
import { personOf } from "../person.ts";
import type { Options } from "../program.ts";
import { findProject } from "../project.ts";
import { openSession } from "../session.ts";

/** `flotilla pause RUN | --agent A | --workflow W | --fleet`: nothing of it starts any more until it is resumed, and what
 *  is in flight is aborted (X5). Through the process that serves the fleet or, where there is none, by itself. */
export async function run(
  given: Context,
  [runId]: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const context = withoutFleetFlag(given);
  const why = reasonOf(options);
  const project = await findProject(context);
  const target = await holdTarget(context, project, runId, options);
  const session = await openSession(context, project, { hosts: 0 });
  let changed: boolean;
  try {
    changed = await session.app.control.pause(target, session.clean(why), personOf());
  } finally {
    await session.close({ drain: false });
  }
  if (context.json) printJson(context, { ...target, paused: changed, why });
  else {
    const { terminal } = context;
    const name = shortName(target);
    terminal.out(changed ? `${terminal.outPaint.yellow("‖")} ${name} is paused: ${why}` : nothing(name, target));
    terminal.note(`Next: ${resumeCommand(target)}`);
  }
  return EXIT.ok;
}

const nothing = (name: string, target: object): string =>
  "run" in target ? `– ${name} is paused already, or has ended` : `– ${name} is paused already`;
