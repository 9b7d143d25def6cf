import { mkdir } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { fleetSchema } from "../../definition/fleet-schema.ts";
import { patterns } from "../../pattern/index.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { replaceFile } from "../fix.ts";
import { text } from "../option.ts";
import type { Options } from "../program.ts";
import { findProject } from "../project.ts";

/** `flotilla schema`: writes the JSON Schema of fleet.yaml, so that editors complete and check it. */
export async function run(
  context: Context,
  _args: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const schema = fleetSchema(patterns.values());
  const out = text(options.out);
  if (out === "-") {
    printJson(context, schema);
    return EXIT.ok;
  }
  const { terminal } = context;
  const { folder } = await findProject(context, { optional: true });
  const file = out === undefined ? join(folder, ".flotilla", "fleet.schema.json") : resolve(terminal.cwd, out);
  await mkdir(dirname(file), { recursive: true });
  await replaceFile(file, `${JSON.stringify(schema, null, 2)}\n`);
  if (context.json) {
    printJson(context, { file });
    return EXIT.ok;
  }
  terminal.out(relative(terminal.cwd, file));
  terminal.note(
    `Put this on the first line of fleet.yaml:\n  # yaml-language-server: $schema=${relative(folder, file)}`,
  );
  return EXIT.ok;
}
