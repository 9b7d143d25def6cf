import { existsSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { similar } from "../definition/file.ts";
import { definitionPath } from "../definition/module.ts";
import { FlotillaError, isFlotillaError } from "../error.ts";
import type { Store } from "../store/store.ts";
import type { Context } from "./context.ts";
import { usageError } from "./failure.ts";
import { type Origins, readSettings, type Settings } from "./setting.ts";

/** What a command works on. */
export interface Project {
  /** The definition file; null when there is none and the command can do without. */
  file: string | null;
  /** The definition's folder, else the working one: what `.flotilla/` lies in by default. */
  folder: string;
  /** Always with a kind, paths absolute. */
  store: string;
  settings: Settings;
  origins: Origins;
}

/** Finds the project by flag, setting or upward search. The file is not read yet.
 *  @throws {FlotillaError} DEFINITION_NOT_FOUND unless `optional`, DEFINITION_AMBIGUOUS, USAGE for settings */
export async function findProject({ terminal, flags }: Context, { optional = false } = {}): Promise<Project> {
  const { findDefinition } = await import("../definition/load.ts");
  const { cwd, env } = terminal;
  const upward = () => {
    try {
      return findDefinition(cwd);
    } catch (error) {
      if (optional && isFlotillaError(error) && error.code === "DEFINITION_NOT_FOUND") return null;
      throw error;
    }
  };
  const given = flags.file ?? (env.FLOTILLA_FILE || undefined);
  const found = given === undefined ? upward() : existing(definitionPath(given));
  const projectFolder = found === null ? cwd : folderOf(found);
  const { settings, origins } = await readSettings({ flags, env, cwd, projectFolder });
  const file = settings.file === null ? found : existing(definitionPath(settings.file));
  const folder = file === null ? cwd : folderOf(file);
  return {
    file,
    folder,
    store: settings.store ?? `sqlite:${join(folder, ".flotilla", "store.db")}`,
    settings,
    origins,
  };
}

/** A definition that was named must be there. */
function existing(file: string): string {
  if (existsSync(file)) return file;
  const near = similar(dirname(file), basename(file));
  throw new FlotillaError("DEFINITION_NOT_FOUND", `there is no ${file}`, {
    hint: near === null ? "Correct the path." : `Did you mean ${join(dirname(file), near)}?`,
  });
}

const folderOf = (file: string): string => (extname(file) === "" ? file : dirname(file));

/** The definition that a command cannot do without. */
export function fileOf(project: Project): string {
  if (project.file !== null) return project.file;
  throw new FlotillaError("DEFINITION_NOT_FOUND", `no fleet definition in ${project.folder} and its parents`);
}

/** Looks at a store that other processes may be writing to; null when there is none yet.
 *  @throws {FlotillaError} STORE_*, USAGE when it holds several fleets and none is named */
export async function readStore<T>(
  context: Context,
  project: Project,
  work: (store: Store | null) => Promise<T>,
): Promise<T> {
  const store = await openToRead(context, project);
  try {
    return await work(store);
  } finally {
    await store?.close();
  }
}

async function openToRead(context: Context, project: Project): Promise<Store | null> {
  const path = pathOf(project.store);
  if (!existsSync(path)) return null;
  const [{ openReader }, { fleetName }] = await Promise.all([
    import("../runtime/open-fleet.ts"),
    import("./fleet-name.ts"),
  ]);
  const fleet = context.flags.fleet ?? (await fleetName(path, project.file));
  return fleet === null ? null : openReader(project.store, fleet);
}

/** The file of a SQLite store. @throws {FlotillaError} USAGE for a store that no other process can see, or of no kind */
export function pathOf(store: string): string {
  if (store.startsWith("sqlite:")) return store.slice("sqlite:".length);
  if (!store.startsWith("memory:")) {
    throw usageError(
      `the store \`${store}\` is of no known kind`,
      `Use sqlite:PATH, as in sqlite:${store}, or memory:.`,
    );
  }
  throw usageError(
    "a store in memory lives in one process and cannot be looked at from another",
    "Name a file: --store sqlite:.flotilla/store.db",
  );
}
