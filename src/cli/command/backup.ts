import { join, relative, resolve } from "node:path";
import { BACKUP_STORE, makeBackup } from "../../runtime/backup.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { grouped } from "../format/number.ts";
import { findProject, pathOf, type Project } from "../project.ts";
import { verified } from "./verify.ts";

/** `flotilla backup FOLDER`: a copy of the store with its keys, as of one moment, verified; also while it is written. */
export async function run(context: Context, [folder = ""]: readonly (string | undefined)[]): Promise<ExitCode> {
  const project = await findProject(context, { optional: true });
  const target = resolve(context.terminal.cwd, folder);
  const size = makeBackup(pathOf(project.store), target).bytes;
  const { broken, journals, events } = await verified(context, inBackup(project, target));
  if (context.json) printJson(context, { folder: target, bytes: size, journals, events, broken });
  else {
    const shown = relative(context.terminal.cwd, target) || target;
    context.terminal.out(`${shown}: ${grouped(size)} bytes, ${journals} journals, ${events} events`);
    context.terminal.note(
      broken === 0
        ? `It holds the fleet's signing keys: keep it as private as .flotilla.  Next: flotilla restore ${shown}`
        : `${broken} journals are not as recorded, in the store as in its copy.  Next: flotilla verify`,
    );
  }
  return broken === 0 ? EXIT.ok : EXIT.failed;
}

/** The project with a backup in the place of its store. */
export function inBackup(project: Project, folder: string): Project {
  return { ...project, store: `sqlite:${join(folder, BACKUP_STORE)}` };
}
