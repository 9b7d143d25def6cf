import { relative, resolve } from "node:path";
import type { FleetDefinition } from "../../core/definition.ts";
import { type Exported, type ExportOptions, exportRun, exportRunTo } from "../../runtime/export-run.ts";
import type { RunRow, Store } from "../../store/store.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { plural } from "../format/number.ts";
import { shortId } from "../format/status.ts";
import { knownSecrets } from "../known-secret.ts";
import { text } from "../option.ts";
import type { Options } from "../program.ts";
import { findProject, type Project, readStore } from "../project.ts";
import { findRun } from "../run-id.ts";

/** `flotilla export RUN [--out FILE] [--redact]`: an ended run as a portable file, on standard output without `--out`
 *  (F11). */
export async function run(
  context: Context,
  [target = ""]: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const project = await findProject(context, { optional: true });
  const out = text(options.out);
  return readStore(context, project, async (looked) => {
    const { row, store } = await findRun(looked, target);
    const wanted = { redact: options.redact === true, secrets: await secretsOf(context, project, store, row) };
    if (out === undefined) return print(context, store, row, wanted);
    const file = resolve(context.terminal.cwd, out);
    const told = await exportRunTo(store, row.id, file, wanted);
    if (context.json) printJson(context, { file, ...told });
    else context.terminal.out(`${relative(context.terminal.cwd, file)}: ${summary(told)}`);
    if (!context.json) context.terminal.note(`Next: flotilla import ${out}, in another project`);
    return EXIT.ok;
  });
}

async function print({ terminal }: Context, store: Store, row: RunRow, options: ExportOptions): Promise<ExitCode> {
  const lines = exportRun(store, row.id, options);
  for (let next = await lines.next(); ; next = await lines.next()) {
    if (next.done === true) {
      terminal.note(summary(next.value));
      return EXIT.ok;
    }
    terminal.out(next.value.trimEnd());
  }
}

function summary({ run, runs, events, leftOut }: Exported): string {
  const children = runs > 1 ? ` with ${plural(runs - 1, "child run")}` : "";
  const without = leftOut > 0 ? `, ${plural(leftOut, "content")} left out` : "";
  return `${shortId(run)}${children}, ${plural(events, "event")}${without}`;
}

/** Secrets that the run's definition refers to, as far as they are known here. */
async function secretsOf({ terminal }: Context, { folder }: Project, store: Store, { definition }: RunRow) {
  const bytes = await store.blob(definition);
  if (bytes === null) return [];
  const parsed = JSON.parse(Buffer.from(bytes).toString("utf8")) as FleetDefinition;
  return knownSecrets(parsed, folder, terminal.env);
}
