import { type Context, printJson } from "../context.ts";
import { type Diagnosis, diagnose } from "../diagnosis.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { table } from "../format/table.ts";

/** `flotilla doctor`: what is here and what is missing; the exit code is that of the first thing that keeps a fleet
 *  from working. */
export async function run(context: Context): Promise<ExitCode> {
  const diagnoses = await diagnose(context);
  if (context.json) printJson(context, diagnoses);
  else print(context, diagnoses);
  return diagnoses.find(({ state }) => state === "bad")?.exit ?? EXIT.ok;
}

function print({ terminal }: Context, diagnoses: readonly Diagnosis[]): void {
  const { green, yellow, red, dim } = terminal.outPaint;
  const signs = { good: green("✓"), note: yellow("!"), bad: red("✗") };
  const rows = diagnoses.flatMap(({ name, state, found, fix }) => [
    [signs[state], name, found],
    ...(fix === null ? [] : [["", "", dim(`fix: ${fix}`)]]),
  ]);
  terminal.out(table(rows));
  const bad = diagnoses.filter(({ state }) => state === "bad").length;
  terminal.note(bad === 0 ? "Next: flotilla run" : `${bad} of ${diagnoses.length} keep the fleet from working.`);
}
