import { existsSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import type { FleetDefinition, ModuleRef } from "../core/definition.ts";
import { FlotillaError } from "../error.ts";
import { patterns } from "../pattern/index.ts";
import { definitionHash } from "./hash.ts";
import { definitionPath, hashModules } from "./module.ts";
import { type ModuleReader, modulesHere } from "./module-reader.ts";
import { definitionError, problem, refuse } from "./problem.ts";

export { loadCode } from "./code.ts";

/** A definition as read from its file. */
export interface LoadedFleet {
  definition: FleetDefinition;
  /** `definitionHash(definition)`. */
  hash: string;
  /** What the definition's paths are relative to. */
  folder: string;
  file: string;
}

export interface LoadOptions {
  /** Where modules are imported to learn what they declare. `process` (default): in one of their own, so that users'
   *  code does not run here and a changed module is read afresh. `here`: in this one, which saves about 150 ms. */
  modules?: "process" | "here";
}

/** Definition files in the order in which they are looked for. */
export const DEFINITION_FILES = ["fleet.yaml", "fleet.yml", "fleet.ts"] as const;

/** Reads a fleet from its YAML, from a module whose default export `fleet()` made, or from the folder that holds one.
 *  @throws {FlotillaError} DEFINITION_*, MODEL_UNKNOWN: all independent mistakes in `details.problems` */
export async function loadFleet(where: string | URL, options: LoadOptions = {}): Promise<LoadedFleet> {
  const file = definitionFile(definitionPath(where));
  const folder = dirname(file);
  const modules = options.modules === "here" ? modulesHere(folder) : await modulesElsewhere(folder);
  try {
    const definition = await (YAML.has(extname(file)) ? loadYaml(file, modules) : loadModule(file, modules));
    return { definition, hash: definitionHash(definition), folder, file };
  } finally {
    await modules.close();
  }
}

/** Who opens a value starts no process for it, and does without what starts them. */
async function modulesElsewhere(folder: string): Promise<ModuleReader> {
  const elsewhere = await import("./module-reader-process.ts");
  return elsewhere.modulesElsewhere(folder);
}

/** The definition of the project that `folder` lies in: the nearest one upwards, as far as the repository's root.
 *  @throws {FlotillaError} DEFINITION_NOT_FOUND naming the folders, DEFINITION_AMBIGUOUS naming both files */
export function findDefinition(folder: string): string {
  const looked: string[] = [];
  for (let current = folder; ; current = dirname(current)) {
    const found = definitionIn(current);
    if (found !== null) return found;
    looked.push(current);
    if (existsSync(join(current, ".git")) || dirname(current) === current) throw notFound(looked);
  }
}

const YAML = new Set([".yaml", ".yml"]);
const MODULES = new Set([".ts", ".mts", ".js", ".mjs"]);

function definitionFile(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  const file = stat?.isDirectory() === true ? definitionIn(path) : stat === undefined ? null : path;
  if (file === null) throw notFound([path]);
  if (YAML.has(extname(file)) || MODULES.has(extname(file))) return file;
  const known = [...YAML, ...MODULES].join(", ");
  throw new FlotillaError(
    "DEFINITION_NOT_FOUND",
    `${basename(file)} is not a definition: its name must end with ${known}`,
  );
}

function definitionIn(folder: string): string | null {
  const [first, second] = DEFINITION_FILES.map((name) => join(folder, name)).filter((file) => existsSync(file));
  if (first !== undefined && second !== undefined) {
    throw new FlotillaError("DEFINITION_AMBIGUOUS", `${folder} has both ${basename(first)} and ${basename(second)}`, {
      details: { candidates: [first, second] },
    });
  }
  return first ?? null;
}

function notFound(looked: readonly string[]): FlotillaError {
  const [first = "", last] = [looked[0], looked.at(-1)];
  const where = last === undefined || last === first ? first : `${first} and its parents up to ${last}`;
  return new FlotillaError("DEFINITION_NOT_FOUND", `no ${DEFINITION_FILES.join(", ")} in ${where}`, {
    details: { looked },
  });
}

async function loadYaml(file: string, modules: ModuleReader): Promise<FleetDefinition> {
  // Who opens a value or a module does without the parser.
  const { readFleetYaml } = await import("./yaml.ts");
  const folder = dirname(file);
  const text = await readFile(file, "utf8");
  const result = await readFleetYaml(text, { file: basename(file), folder, patterns, modules });
  if (!result.ok) throw definitionError(result.problems);
  const definition = { ...result.definition, modules: {} };
  return { ...definition, modules: await hashModules(folder, modulesOf(definition)) };
}

function modulesOf({ tools, agents, workflows }: Omit<FleetDefinition, "modules">): string[] {
  const refs = [
    ...Object.values(tools).map((tool) => (tool.kind === "code" ? tool.module : null)),
    ...Object.values(agents).map((agent) => agent.module),
    ...Object.values(workflows).map((workflow) => workflow.module),
  ];
  return refs.flatMap((ref) => (ref === null ? [] : [ref.module]));
}

async function loadModule(file: string, modules: ModuleReader): Promise<FleetDefinition> {
  const ref: ModuleRef = { module: `./${basename(file)}`, export: "default" };
  const definition = located(await describedFleet(ref, modules), ref);
  return { ...definition, modules: await hashModules(dirname(file), [ref.module]) };
}

async function describedFleet(ref: ModuleRef, modules: ModuleReader): Promise<FleetDefinition> {
  const description = await modules.describe(ref);
  if (description.kind === "fleet") return description.definition;
  if (description.kind === "failed") refuse(description.problems);
  const file = ref.module.slice("./".length);
  const hint = "end it with: export default fleet({ … })";
  const what = description.kind === "missing" ? "has no default export" : "does not export a fleet by default";
  throw definitionError([problem("DEFINITION_INVALID", `${file} ${what}`, { file, hint })]);
}

/** A fleet that was a value, as one whose code is in a module. */
function located(definition: FleetDefinition, module: ModuleRef): FleetDefinition {
  const map = <T extends object>(record: Record<string, T>, isCode: (value: T) => boolean): Record<string, T> =>
    Object.fromEntries(
      Object.entries(record).map(([name, value]) => [name, isCode(value) ? { ...value, module } : value]),
    );
  return {
    ...definition,
    tools: map(definition.tools, (tool) => tool.kind === "code"),
    agents: map(definition.agents, (agent) => agent.kind === "code"),
    workflows: map(definition.workflows, (workflow) => !patterns.has(workflow.pattern)),
  };
}
