import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { nearest } from "../definition/nearest.ts";
import { FlotillaError } from "../error.ts";
import { usageError } from "./failure.ts";

/** What can be set for every command: by flag, by `FLOTILLA_*`, in the project's or the user's file, in this order. */
export interface Settings {
  /** The definition file. */
  file: string | null;
  /** `sqlite:PATH` or `memory:`. */
  store: string | null;
  /** Replaces every agent's model. */
  model: string | null;
  /** Worker host processes, and tasks at a time in each. */
  hosts: number | null;
  concurrency: number | null;
  /** Level of the log in `.flotilla/log`. */
  logLevel: "debug" | "info" | "warn" | "error" | null;
}

type Name = keyof Settings;
export type Origin = "flag" | "environment" | "project" | "user" | "default";
export type Origins = Readonly<Record<Name, Origin>>;

/** The file of settings, in the project's folder and in the user's configuration folder. */
export const SETTINGS_FILE = "flotilla.yaml";

const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
const PATHS: ReadonlySet<Name> = new Set(["file", "store"]);
const READERS: { [K in Name]: (value: string, where: string) => Settings[K] } = {
  file: (value) => value,
  store: (value) => value,
  model: (value) => value,
  hosts: (value, where) => positive(value, where),
  concurrency: (value, where) => positive(value, where),
  logLevel: (value, where) => {
    const level = LOG_LEVELS.find((one) => one === value);
    if (level === undefined) throw usageError(`${where} must be one of ${LOG_LEVELS.join(", ")}, not "${value}"`);
    return level;
  },
};
const NAMES = Object.keys(READERS) as Name[];

/** Settings with where each of them came from. `projectFolder`: null when there is no project here.
 *  @throws {FlotillaError} USAGE for unknown names and wrong values */
export async function readSettings(given: {
  flags: Partial<Record<Name, string | undefined>>;
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  projectFolder: string | null;
}): Promise<{ settings: Settings; origins: Origins }> {
  const { flags, env, cwd, projectFolder } = given;
  const project = projectFolder === null ? {} : await readFile(join(projectFolder, SETTINGS_FILE));
  const user = await readFile(join(userFolder(env), SETTINGS_FILE));
  const settings = {} as Record<Name, unknown>;
  const origins = {} as Record<Name, Origin>;
  for (const name of NAMES) {
    const variable = variableOf(name);
    const sources = [
      ["flag", flags[name], `--${dashed(name)}`, cwd],
      ["environment", nonEmpty(env[variable]), variable, cwd],
      ["project", project[name], `${name} in ${SETTINGS_FILE}`, projectFolder ?? cwd],
      ["user", user[name], `${name} in ${join(userFolder(env), SETTINGS_FILE)}`, userFolder(env)],
    ] as const;
    const [origin, value, where, folder] = sources.find(([, value]) => value !== undefined) ?? [
      "default",
      undefined,
      "",
      cwd,
    ];
    origins[name] = origin;
    settings[name] =
      value === undefined ? null : READERS[name](PATHS.has(name) ? absolute(name, value, folder) : value, where);
  }
  return { settings: settings as unknown as Settings, origins };
}

export function variableOf(name: Name): string {
  return `FLOTILLA_${dashed(name).replaceAll("-", "_").toUpperCase()}`;
}

export function userFolder(env: Readonly<Record<string, string | undefined>>): string {
  return join(nonEmpty(env.XDG_CONFIG_HOME) ?? join(env.HOME ?? homedir(), ".config"), "flotilla");
}

const dashed = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const nonEmpty = (value: string | undefined): string | undefined => (value === "" ? undefined : value);

/** Paths are relative to where they are written; a store's path stands behind its kind. */
function absolute(name: Name, value: string, folder: string): string {
  const [, kind, path] = /^(sqlite:)(.+)$/s.exec(value) ?? [];
  if (kind !== undefined && path !== undefined) return `${kind}${resolve(folder, path)}`;
  return /^[a-z]+:/.test(value) || name === "store" ? value : resolve(folder, value);
}

function positive(value: string, where: string): number {
  const number = Number(value);
  if (Number.isInteger(number) && number >= 1 && number <= 1_000) return number;
  throw usageError(`${where} must be a whole number from 1 to 1000, not "${value}"`);
}

async function readFile(file: string): Promise<Partial<Record<Name, string>>> {
  const text = textOf(file);
  if (text === null) return {};
  const data = await parsed(text, file);
  if (data === null || data === undefined) return {};
  if (typeof data !== "object" || Array.isArray(data))
    throw usageError(`${file} must hold settings as \`name: value\``);
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [known(name, file), String(value)]));
}

function known(name: string, file: string): Name {
  const found = NAMES.find((one) => one === name);
  if (found !== undefined) return found;
  const near = nearest(name, NAMES);
  throw usageError(
    `${file} has an unknown setting "${name}"`,
    `${near === null ? "" : `Did you mean "${near}"? `}Settings are: ${NAMES.join(", ")}.`,
  );
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw new FlotillaError("USAGE", `${file} cannot be read: ${(error as Error).message}`, {
      hint: `See ${dirname(file)}.`,
      cause: error,
    });
  }
}

async function parsed(text: string, file: string): Promise<unknown> {
  // Imported late: most commands find no such file.
  const { parse } = await import("yaml");
  try {
    return parse(text);
  } catch (error) {
    throw new FlotillaError("USAGE", `${file} is not valid YAML: ${(error as Error).message.split("\n")[0]}`, {
      hint: "Correct the file.",
      cause: error,
    });
  }
}
