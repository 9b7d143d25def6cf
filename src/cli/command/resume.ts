import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { shortName } from "../held.ts";
import { holdTarget, withoutFleetFlag } from "../hold-target.ts";
import { text } from "../option.ts";
import { personOf } from "../person.ts";
import type { Options } from "../program.ts";
import { findProject } from "../project.ts";
import { openSession } from "../session.ts";

/** `flotilla resume RUN | --agent A | --workflow W | --fleet`: what was paused goes on where it was. */
export async function run(
  given: Context,
  [runId]: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const context = withoutFleetFlag(given);
  const project = await findProject(context);
  const target = await holdTarget(context, project, runId, options);
  // Only decides: what is resumed goes on where the fleet is served, now or later.
  const session = await openSession(context, project, { hosts: 0 });
  let resumed: boolean;
  try {
    resumed = await session.app.control.resume(target, session.clean(text(options.reason) ?? ""), personOf());
  } finally {
    await session.close({ drain: false });
  }
  if (context.json) printJson(context, { ...target, resumed });
  else {
    const { terminal } = context;
    terminal.out(
      resumed
        ? `${terminal.outPaint.green("▶")} ${shortName(target)} goes on`
        : `– ${shortName(target)} was not paused`,
    );
    terminal.note("Next: flotilla ls --status running");
  }
  return EXIT.ok;
}
