import { userInfo } from "node:os";
import { text } from "./option.ts";
import type { Options } from "./program.ts";

/** Who gives a command, for the record: `--as`, else the user of the system. */
export function personOf(options: Options = {}): string {
  return text(options.as) ?? userInfo().username;
}
