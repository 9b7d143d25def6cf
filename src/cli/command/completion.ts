import { nearest } from "../../definition/nearest.ts";
import { completionScript, SHELLS } from "../completion.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";

/** `flotilla completion bash|zsh|fish|powershell`: writes the script with which a shell completes the command line. */
export async function run(context: Context, [asked = ""]: readonly (string | undefined)[]): Promise<ExitCode> {
  const shell = SHELLS.find((known) => known === asked);
  if (shell === undefined) {
    const near = nearest(asked, SHELLS);
    const meant = near === null ? "" : `Did you mean ${near}? `;
    throw usageError(`there is no completion for "${asked}"`, `${meant}Shells: ${SHELLS.join(", ")}.`);
  }
  const script = completionScript(shell);
  if (context.json) printJson(context, { shell, script });
  else context.terminal.out(script.trimEnd());
  return EXIT.ok;
}
