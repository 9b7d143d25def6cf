import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { similar } from "../../definition/file.ts";
import { findDefinition } from "../../definition/load.ts";
import { type CaseFile, readCaseFile, type TestCase } from "../../testing/case-file.ts";
import { junit, type Suite } from "../../testing/junit.ts";
import { refuseNetwork } from "../../testing/network.ts";
import { type CaseResult, runCase } from "../../testing/run-case.ts";
import { readSource, type TestSource } from "../../testing/run-fleet.ts";
import { type Context, printJson } from "../context.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { replaceFile } from "../fix.ts";
import { harmless } from "../format/brief.ts";
import { duration, plural } from "../format/number.ts";
import { text } from "../option.ts";
import type { Options } from "../program.ts";
import { findProject, type Project } from "../project.ts";
import { updateRecordings, withOutputs } from "../test-update.ts";

const CASES = /\.test\.ya?ml$/;
const IGNORED = new Set(["node_modules", ".git", ".flotilla"]);

/** `flotilla test [path…]`: runs the cases of `*.test.yaml` files; exit code 1 when one fails (T4). */
export async function run(
  context: Context,
  paths: readonly (string | undefined)[],
  options: Options,
): Promise<ExitCode> {
  const project = await findProject(context, { optional: true });
  const files = await caseFiles(
    context,
    project,
    paths.filter((path) => path !== undefined),
  );
  const only = text(options.only);
  if (options.update === true) await updateRecordings(context, project, files);
  const suites = await withoutNetwork(() => runAll(context, project, files, only));
  if (options.update === true)
    for (const [index, file] of files.entries()) await update(file, suites[index]?.results ?? []);
  const report = text(options.junit);
  if (report !== undefined) await replaceFile(resolve(context.terminal.cwd, report), junit(suites));
  return tell(context, suites, { update: options.update === true, only });
}

async function withoutNetwork<T>(work: () => Promise<T>): Promise<T> {
  const allow = refuseNetwork();
  try {
    return await work();
  } finally {
    allow();
  }
}

async function caseFiles({ terminal }: Context, project: Project, paths: readonly string[]): Promise<CaseFile[]> {
  const places = paths.length === 0 ? [project.folder] : paths.map((path) => resolve(terminal.cwd, path));
  const found = new Set((await Promise.all(places.map(filesAt))).flat());
  if (found.size === 0)
    throw usageError(
      `no test cases in ${places.join(", ")}`,
      "Write some into a file whose name ends with .test.yaml; see docs/start.",
    );
  return Promise.all([...found].toSorted().map(readCaseFile));
}

async function filesAt(place: string): Promise<string[]> {
  const info = await stat(place).catch((error: Error) => {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT")
      throw usageError(`${place} cannot be read: ${error.message}`);
    const near = similar(dirname(place), basename(place));
    const hint =
      near === null
        ? "Name a folder, or a file such as fleet.test.yaml."
        : `Did you mean ${join(dirname(place), near)}?`;
    throw usageError(`there is no ${place}`, hint);
  });
  if (!info.isDirectory()) return [place];
  const entries = await readdir(place, { withFileTypes: true });
  const below = entries
    .filter((entry) => entry.isDirectory() && !IGNORED.has(entry.name))
    .map((entry) => filesAt(join(place, entry.name)));
  const here = entries
    .filter((entry) => entry.isFile() && CASES.test(entry.name))
    .map((entry) => join(place, entry.name));
  return [...here, ...(await Promise.all(below)).flat()];
}

async function runAll(
  context: Context,
  project: Project,
  files: readonly CaseFile[],
  only: string | undefined,
): Promise<Suite[]> {
  const sources = new Map<string, Promise<TestSource>>();
  const sourceOf = (definition: string) => {
    const known = sources.get(definition) ?? readSource(definition);
    sources.set(definition, known);
    return known;
  };
  const suites: Suite[] = [];
  for (const file of files) {
    const source = await sourceOf(
      file.fleet ?? project.settings.file ?? context.flags.file ?? findDefinition(dirname(file.path)),
    );
    const results: CaseResult[] = [];
    for (const one of file.cases.filter(({ name }) => only === undefined || name.includes(only))) {
      const result = await runCase(file, one, source);
      results.push(result);
      if (!context.json) tellCase(context, result);
    }
    suites.push({ name: relative(context.terminal.cwd, file.path), results });
  }
  return suites;
}

function tellCase({ terminal }: Context, { name, failures, durationMs }: CaseResult): void {
  const { green, red, dim } = terminal.outPaint;
  terminal.out(`${failures.length === 0 ? green("✓") : red("✗")} ${name}  ${dim(duration(durationMs))}`);
  for (const failure of failures) terminal.out(`    ${harmless(failure)}`);
}

/** What came out becomes what is expected, for the cases that ran and ended. */
async function update(file: CaseFile, results: readonly CaseResult[]): Promise<void> {
  const outputs = new Map(
    results.flatMap(({ name, run }) =>
      run === null || run.status !== "completed" ? [] : [[name, run.output] as const],
    ),
  );
  const changed = await withOutputs(file.text, file.cases as readonly TestCase[], outputs);
  if (changed !== file.text) await replaceFile(file.path, changed);
}

function tell(
  context: Context,
  suites: readonly Suite[],
  { update: updated, only }: { update: boolean; only: string | undefined },
): ExitCode {
  const results = suites.flatMap((suite) => suite.results);
  const failed = results.filter(({ failures }) => failures.length > 0).length;
  if (results.length === 0) throw usageError(`no case's name contains "${only}"`);
  if (context.json) {
    const cases = suites.flatMap(({ name: file, results: all }) =>
      all.map(({ name, failures, durationMs, run }) => ({
        file,
        name,
        passed: failures.length === 0,
        failures,
        durationMs,
        status: run?.status ?? null,
        output: run?.output ?? null,
      })),
    );
    printJson(context, { passed: results.length - failed, failed, cases });
  } else {
    context.terminal.note(
      `${plural(results.length - failed, "case")} passed, ${failed} failed${updated ? "; what came out is now what is expected" : ""}`,
    );
  }
  return failed === 0 || updated ? EXIT.ok : EXIT.failed;
}
