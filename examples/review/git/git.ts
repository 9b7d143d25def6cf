import { execFile } from "node:child_process";
import { resolve } from "node:path";

/** Where paths of repositories and reports start from: the folder of the example. */
export const FOLDER = resolve(import.meta.dirname, "..");

const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const TIMEOUT_MS = 20_000;

/** What cannot be reviewed. Trying again does not help: `code` says so to the runtime. */
export class Unreviewable extends Error {
  override readonly name = "Unreviewable";
  readonly code = "EINVAL";
}

/** No setting of the machine or of a hostile repository makes git start a program, ask, page or go to the network. */
const SAFE = ["core.fsmonitor=false", "core.hooksPath=/dev/null", "protocol.allow=never", "core.quotePath=false"];
const ENVIRONMENT = {
  PATH: process.env.PATH,
  HOME: process.env.HOME,
  LC_ALL: "C",
  GIT_OPTIONAL_LOCKS: "0",
  GIT_TERMINAL_PROMPT: "0",
  GIT_NO_LAZY_FETCH: "1",
  GIT_PAGER: "cat",
};

/** Runs git in a repository and gives what it prints. Arguments go to git as they are, through no shell.
 *  @throws {Unreviewable} when git refuses, takes 20 s or prints more than 16 MB */
export async function git(repo: string, args: readonly string[], { settings = [] as readonly string[] } = {}) {
  const given = ["-C", repo, ...[...SAFE, ...settings].flatMap((setting) => ["-c", setting]), ...args];
  return new Promise<string>((done, fail) => {
    const options = { maxBuffer: OUTPUT_BYTES_MAX, timeout: TIMEOUT_MS, env: ENVIRONMENT };
    execFile("git", given, options, (error, output, complaint) => {
      if (error === null) done(output);
      else fail(refusal(repo, args, error, complaint));
    });
  });
}

/** What git prints, or null when it refuses: for questions that may have no answer. */
export async function gitOrNull(repo: string, args: readonly string[]): Promise<string | null> {
  return git(repo, args).catch((error: unknown) => {
    if (error instanceof Unreviewable) return null;
    throw error;
  });
}

function refusal(repo: string, args: readonly string[], error: Error & { code?: unknown }, complaint: string): Error {
  const what = `git ${args[0]}`;
  if (error.code === "ENOENT") return new Unreviewable("git is not installed, or not on the PATH");
  if (error.code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER")
    return new Unreviewable(`${what} in ${repo} printed more than 16 MB; give a smaller range`);
  const first = complaint.split("\n").find((line) => line.trim() !== "") ?? `${what} was ended after 20 s`;
  return new Unreviewable(`${repo}: ${first.replace(/^(fatal|error): /, "")}`);
}
