import type { Context } from "../context.ts";
import type { ExitCode } from "../failure.ts";
import type { Options } from "../program.ts";
import { decide } from "./decide.ts";

/** `flotilla approve ITEM…`: lets calls be made that wait for a person (F9). */
export function run(context: Context, items: readonly (string | undefined)[], options: Options): Promise<ExitCode> {
  return decide(context, items, "approve", options);
}
