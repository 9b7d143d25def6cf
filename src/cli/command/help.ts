import { nearest } from "../../definition/nearest.ts";
import { catalogue, type ErrorCode } from "../../error.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { COMMANDS, commandOf } from "../program.ts";

/** `flotilla help [FLTnnn | CODE | command]`, offline. */
export async function run(context: Context, [topic]: readonly (string | undefined)[]): Promise<ExitCode> {
  const { main } = await import("../main.ts");
  if (topic === undefined) return main(["--help"], context.terminal);
  const code = codeOf(topic);
  if (code === null) {
    if (commandOf(topic) !== undefined) return main([topic, "--help"], context.terminal);
    throw unknownTopic(topic);
  }
  const { id, meaning, fix, class: cls, exit } = catalogue[code];
  if (context.json) printJson(context, { code, id, class: cls, exit, meaning, fix });
  else context.terminal.out(text(context, code));
  return EXIT.ok;
}

function codeOf(topic: string): ErrorCode | null {
  const wanted = topic.toUpperCase();
  const found = Object.entries(catalogue).find(([code, { id }]) => code === wanted || id === wanted);
  return found === undefined ? null : (found[0] as ErrorCode);
}

const RETRY = {
  transient: "transient: it is retried with back-off",
  permanent: "permanent: it is not retried",
  business: "business: a rule or limit of the workflow; people decide",
} as const;

function text({ terminal }: Context, code: ErrorCode): string {
  const { id, meaning, fix, class: cls, exit } = catalogue[code];
  const { bold, dim } = terminal.outPaint;
  return [`${bold(`${id} ${code}`)}  ${meaning}`, `  fix: ${fix}`, dim(`  ${RETRY[cls]}; exit code ${exit}`)].join(
    "\n",
  );
}

function unknownTopic(topic: string): Error {
  const topics = [
    ...COMMANDS.map(({ name }) => name),
    ...Object.entries(catalogue).flatMap(([code, { id }]) => [code, id]),
  ];
  const near = nearest(topic, topics);
  const hint = near === null ? "Name a command or an error, such as FLT103." : `Did you mean "${near}"?`;
  return usageError(`there is no help on "${topic}"`, hint);
}
