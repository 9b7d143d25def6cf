import { existsSync } from "node:fs";
import { relative, resolve } from "node:path";
import { FlotillaError } from "../../error.ts";
import { restoreBackup } from "../../runtime/backup.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import type { Options } from "../program.ts";
import { findProject, pathOf } from "../project.ts";
import { inBackup } from "./backup.ts";
import { verified } from "./verify.ts";

/** `flotilla restore FOLDER`: puts a backup, which is verified first, in the place of the store; what was there is kept
 *  beside it. */
export async function run(
  context: Context,
  [folder = ""]: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const project = await findProject(context, { optional: true });
  const source = resolve(context.terminal.cwd, folder);
  const store = pathOf(project.store);
  const { broken, journals, events } = await verified(context, inBackup(project, source));
  if (broken > 0)
    throw new FlotillaError(
      "JOURNAL_DAMAGED",
      `${broken} journals of ${folder} are not as they were recorded; nothing was restored`,
    );
  if (existsSync(store) && options.yes !== true) {
    throw usageError(
      `there is a store already: ${store}`,
      "With --yes it is moved aside, and the backup takes its place. What happened since the backup is then unknown to the fleet.",
    );
  }
  const { kept } = restoreBackup(source, store, Date.now());
  if (context.json) printJson(context, { store, journals, events, kept });
  else {
    context.terminal.out(
      `${relative(context.terminal.cwd, store)}: ${journals} journals, ${events} events, all as recorded`,
    );
    if (kept !== null) context.terminal.note(`What was there is in ${relative(context.terminal.cwd, kept)}`);
    context.terminal.note("Steps done since the backup may be done again.  Next: flotilla ls   flotilla dev");
  }
  return EXIT.ok;
}
