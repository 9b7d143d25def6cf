import { cp, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import { nearest } from "../../definition/nearest.ts";
import { FlotillaError } from "../../error.ts";
import { VERSION } from "../../version.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { grouped, plural } from "../format/number.ts";
import { text } from "../option.ts";
import { packageFile } from "../package.ts";
import type { Options } from "../program.ts";

const EXAMPLE_DEFAULT = "incident";
const FOLDER_DEFAULT = "demo";

/** What an example holds for its makers and not for its users, and what a run of it leaves behind. */
const LEFT_OUT = new Set([
  "capture",
  "node_modules",
  ".flotilla",
  "test",
  "report.md",
  "action.md",
  "review.md",
  "review.sarif",
  "routed.csv",
  "queue",
  "runs.json",
  ".env",
]);

/** `flotilla init [folder]`: copies an example that the package brings. Needs no network; one question on a terminal,
 *  none elsewhere. */
export async function run(
  context: Context,
  [given]: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const examples = await examplesHere();
  if (options.list === true) return list(context, examples);
  const example = known(text(options.example) ?? EXAMPLE_DEFAULT, examples);
  const { terminal } = context;
  const named = given ?? text(options.dir);
  const folder = resolve(terminal.cwd, named ?? (await askFolder(context)));
  await refuseUsed(folder);
  await mkdir(folder, { recursive: true });
  const from = packageFile(`examples/${example}`);
  await cp(from, folder, { recursive: true, filter: (source) => source === from || !LEFT_OUT.has(basename(source)) });
  await addPackageFiles(folder);
  const files = await filesOf(folder);
  if (context.json) printJson(context, { folder, example, files });
  else print(context, folder, files);
  return EXIT.ok;
}

async function askFolder({ terminal, json }: Context): Promise<string> {
  if (!terminal.interactive || json) return FOLDER_DEFAULT;
  const answer = await terminal.ask(`Folder for the project [${FOLDER_DEFAULT}] `);
  return answer.trim() === "" ? FOLDER_DEFAULT : answer.trim();
}

/** Folders of the package's examples that hold a fleet. */
async function examplesHere(): Promise<string[]> {
  const entries = await readdir(packageFile("examples"), { withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    },
  );
  const found: string[] = [];
  for (const entry of entries) {
    if (!entry.isDirectory()) continue;
    const files = await readdir(packageFile(`examples/${entry.name}`));
    if (files.some((file) => /^fleet\.(ya?ml|ts)$/.test(file))) found.push(entry.name);
  }
  return found.toSorted();
}

function known(example: string, examples: readonly string[]): string {
  if (examples.includes(example)) return example;
  const near = nearest(example, examples);
  const hint = `${near === null ? "" : `Did you mean "${near}"? `}Examples: ${examples.join(", ")}.`;
  throw usageError(`there is no example "${example}"`, hint);
}

/** Nothing of the user's is ever overwritten. */
async function refuseUsed(folder: string): Promise<void> {
  const info = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw new FlotillaError("USAGE", `${folder} cannot be used: ${error.message}`, {
      hint: "Name another folder.",
      cause: error,
    });
  });
  if (info === null) return;
  if (!info.isDirectory()) throw usageError(`${folder} is a file`, "Name another folder.");
  if ((await readdir(folder)).length > 0)
    throw usageError(`${folder} is not empty`, "Name a new folder: flotilla init NAME");
}

/** Marks the project's modules as ES modules, keeps state and secrets out of version control. */
async function addPackageFiles(folder: string): Promise<void> {
  const manifest = { name: "fleet", private: true, type: "module", dependencies: { flotilla: `^${VERSION}` } };
  await writeNew(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  await writeNew(join(folder, ".gitignore"), ".flotilla/\nnode_modules/\n.env\n");
}

async function writeNew(file: string, content: string): Promise<void> {
  await writeFile(file, content, { flag: "wx" }).catch((error: NodeJS.ErrnoException) => {
    // The example brings its own.
    if (error.code !== "EEXIST") throw error;
  });
}

async function filesOf(folder: string): Promise<{ file: string; lines: number }[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const counted = files.map(async (file) => ({ file: relative(folder, file), lines: lineCount(await readFile(file)) }));
  return (await Promise.all(counted)).toSorted((a, b) => (a.file < b.file ? -1 : 1));
}

function lineCount(bytes: Uint8Array): number {
  let lines = 0;
  for (const byte of bytes) if (byte === 0x0a) lines += 1;
  return lines;
}

const LARGEST_SHOWN = 2;

function print({ terminal }: Context, folder: string, files: readonly { file: string; lines: number }[]): void {
  const place = relative(terminal.cwd, folder) || ".";
  const isFirst = ({ file }: { file: string }) => /^(fleet|script)\./.test(file);
  const largest = files.filter((one) => !isFirst(one)).toSorted((one, other) => other.lines - one.lines);
  const shown = [...files.filter(isFirst), ...largest.slice(0, LARGEST_SHOWN)];
  const more = files.length - shown.length;
  const named = shown.map(({ file, lines }) => `${file} (${grouped(lines)} lines)`).join("  ");
  terminal.out(`${place}/  ${named}${more > 0 ? `  and ${plural(more, "more file", "more files")}` : ""}`);
  terminal.note(`Next: ${place === "." ? "" : `cd ${place} && `}npx flotilla dev`);
}

function list(context: Context, examples: readonly string[]): ExitCode {
  if (context.json) printJson(context, examples);
  else if (examples.length > 0) context.terminal.out(examples.join("\n"));
  return EXIT.ok;
}
