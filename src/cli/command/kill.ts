import type { Store } from "../../store/store.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { plural } from "../format/number.ts";
import { shortId } from "../format/status.ts";
import { reasonOf, withoutFleetFlag } from "../hold-target.ts";
import { personOf } from "../person.ts";
import type { Options } from "../program.ts";
import { findProject, readStore } from "../project.ts";
import { openSession } from "../session.ts";

const SAMPLE = 3;
const COUNTED_MAX = 10_000;

/** `flotilla kill`: the emergency stop of the whole fleet. As `pause --fleet`, and the worker processes are killed, so that
 *  code which does not heed its signal ends too. Holds until `resume --fleet` (X5). */
export async function run(given: Context, _args: readonly (string | undefined)[], options: Options): Promise<ExitCode> {
  const context = withoutFleetFlag(given);
  const why = reasonOf(options);
  const project = await findProject(context);
  if (options.yes !== true) await readStore(context, project, refuse);
  const session = await openSession(context, project, { hosts: 0 });
  let changed: boolean;
  try {
    changed = await session.app.control.pause({ fleet: true }, session.clean(why), personOf(), true);
  } finally {
    await session.close({ drain: false });
  }
  if (context.json) printJson(context, { fleet: true, killed: true, held: changed ? "now" : "before", why });
  else {
    const { terminal } = context;
    terminal.out(`${terminal.outPaint.red("■")} the fleet is stopped: ${why}`);
    if (!changed)
      terminal.out("  it was paused already; the reason of then stands, and its worker processes were killed");
    terminal.note("Nothing starts until: flotilla resume --fleet");
  }
  return EXIT.ok;
}

/** What is hard to take back shows what it would do first. */
async function refuse(store: Store | null): Promise<never> {
  const running = store === null ? [] : await store.runs({ status: "running", limit: COUNTED_MAX });
  const sample = running.slice(0, SAMPLE).map(({ id, workflow }) => `${workflow} ${shortId(id)}`);
  const more = running.length > SAMPLE ? ` and ${running.length - SAMPLE} more` : "";
  const what =
    running.length === 0 ? "no run is running" : `${plural(running.length, "run")}: ${sample.join(", ")}${more}`;
  throw usageError(
    `this would stop everything in the fleet (${what}); runs are kept, and go on after flotilla resume --fleet`,
    "Repeat it with --yes.",
  );
}
