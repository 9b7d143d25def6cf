import { resolve } from "node:path";
import type { Imported } from "../../runtime/import-run.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { plural } from "../format/number.ts";
import { shortId } from "../format/status.ts";
import { findProject } from "../project.ts";
import { openSession } from "../session.ts";

/** `flotilla import FILE`: an exported run becomes a record of this store, which nothing ever resumes (F11). */
export async function run(context: Context, [file = ""]: readonly (string | undefined)[]): Promise<ExitCode> {
  const project = await findProject(context);
  const session = await openSession(context, project, { hosts: 0 });
  try {
    const path = resolve(context.terminal.cwd, file);
    const told = await session.app.control.importRun({ file: path, by: "cli" });
    if (context.json) printJson(context, told);
    else print(context, told);
  } finally {
    await session.close({ drain: false });
  }
  return EXIT.ok;
}

function print({ terminal }: Context, { run, fleet, runs, events, leftOut }: Imported): void {
  const id = shortId(run);
  const without = leftOut > 0 ? `; ${plural(leftOut, "content")} left out` : "";
  terminal.out(
    runs === 0
      ? `${id} is here already, as in the file`
      : `${id} imported from fleet ${fleet}: ${plural(runs, "run")}, ${plural(events, "event")}, all as recorded${without}`,
  );
  terminal.note(`Next: flotilla show ${id}   flotilla replay ${id}   flotilla verify ${id}`);
}
