import { readFile } from "node:fs/promises";
import { nearest } from "../../definition/nearest.ts";
import { catalogue, type ErrorCode } from "../../error.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { packageFile } from "../package.ts";
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
  const page = await pageOf(code);
  if (context.json) printJson(context, { code, id, class: cls, exit, meaning, fix, page });
  else context.terminal.out(text(context, code, page));
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

function text({ terminal }: Context, code: ErrorCode, page: string | null): string {
  const { id, meaning, fix, class: cls, exit } = catalogue[code];
  const { bold, dim } = terminal.outPaint;
  const lines = [`${bold(`${id} ${code}`)}  ${meaning}`, `  fix: ${fix}`, dim(`  ${RETRY[cls]}; exit code ${exit}`)];
  return page === null ? lines.join("\n") : [...lines, "", page].join("\n");
}

/** What the reference says beyond the catalogue: the section of its heading, when the package brings it. */
async function pageOf(code: ErrorCode): Promise<string | null> {
  const reference = await readFile(packageFile("docs/reference/errors.md"), "utf8").catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "";
      throw error;
    },
  );
  const { id } = catalogue[code];
  const section = reference.split(/^(?=#{2,4} )/m).find((one) => one.split("\n", 1)[0]?.includes(id));
  const body = section?.split("\n").slice(1).join("\n").trim() ?? "";
  return body === "" ? null : body;
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
