import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { FlotillaError } from "../error.ts";
import { type Redactor, redactor } from "../telemetry/redact.ts";

/** The places besides the environment, as they are shown to people, in the order in which they are searched. */
export const SECRET_PLACES: readonly string[] = [".env", "~/.config/flotilla"];

/** Where secrets come from (X8). Each value that was handed out is remembered, so that it can be redacted. */
export interface Secrets {
  /** The value of `name`, or undefined where no place has a value that is not empty. */
  get(name: string): string | undefined;
  /** The same for what is no secret, as a base URL: it is not remembered. */
  setting(name: string): string | undefined;
  /** Removes every secret that was handed out so far. */
  readonly redact: Redactor;
}

export interface SecretsOptions {
  /** The definition's folder, where `.env` is looked for; null looks for none. */
  directory: string | null;
  /** Usually `process.env`; never changed. */
  env: Readonly<Record<string, string | undefined>>;
  /** The user's home folder; null looks for no file there. */
  home: string | null;
}

/** Reads the files once and looks a name up in the environment, then in `.env` next to the definition, then in
 *  `~/.config/flotilla/env`. A file that is not there is no error.
 *  @throws {FlotillaError} DEFINITION_FILE when a file is there and cannot be read */
export function readSecrets(options: SecretsOptions): Secrets {
  const sources = [
    options.env,
    options.directory === null ? {} : envFile(join(options.directory, ".env")),
    options.home === null ? {} : envFile(join(options.home, ".config", "flotilla", "env")),
  ];
  const handedOut = new Map<string, string>();
  let redact: Redactor = (text) => text;

  function setting(name: string): string | undefined {
    return sources.map((source) => source[name]).find((candidate) => candidate !== undefined && candidate !== "");
  }

  function get(name: string): string | undefined {
    const value = setting(name);
    if (value !== undefined && handedOut.get(name) !== value) {
      handedOut.set(name, value);
      redact = redactor(handedOut);
    }
    return value;
  }

  return { get, setting, redact: (text) => redact(text) };
}

function envFile(path: string): Readonly<Record<string, string | undefined>> {
  try {
    return parseEnv(readFileSync(path, "utf8"));
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR")) return {};
    throw new FlotillaError("DEFINITION_FILE", `cannot read ${path}`, { cause: error });
  }
}
