import { createHash, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { FOLDER, git, gitOrNull, Unreviewable } from "./git.ts";

/** Reviewed when this folder is in no repository. */
const BUNDLED = "data/parcel.bundle";
const COMMITS_DEFAULT = 10;

export interface Range {
  /** Absolute path of the repository, or of a bundle. */
  repo: string;
  /** Commits, as full ids. */
  base: string;
  head: string;
  /** How the range was chosen, in words. */
  chosen: string;
}

/** The folder in which git finds the repository: of a bundle, a copy that is made once in `.flotilla`.
 *  @throws {Unreviewable} naming the path */
export async function openRepository(repo: string): Promise<string> {
  const path = resolve(FOLDER, repo);
  if (!existsSync(path)) throw new Unreviewable(`${path} does not exist; give a folder with a git repository`);
  if (statSync(path).isFile()) return unpacked(path);
  const found = await gitOrNull(path, ["rev-parse", "--git-dir"]);
  if (found === null) throw new Unreviewable(`${path} is in no git repository that this user may read`);
  return path;
}

async function unpacked(bundle: string): Promise<string> {
  const content = readFileSync(bundle);
  if (!content.subarray(0, 16).toString("latin1").startsWith("# v"))
    throw new Unreviewable(`${bundle} is neither a folder nor a git bundle`);
  const folder = join(FOLDER, ".flotilla/bundle", createHash("sha256").update(content).digest("hex").slice(0, 16));
  if (existsSync(folder)) return folder;
  const half = `${folder}.${randomUUID()}`;
  mkdirSync(dirname(folder), { recursive: true });
  try {
    await git(dirname(folder), ["clone", "--bare", "--quiet", bundle, half], {
      settings: ["protocol.file.allow=always"],
    });
    putInPlace(half, folder);
  } finally {
    rmSync(half, { recursive: true, force: true });
  }
  return folder;
}

/** Another process may have been faster; then its copy, which is the same, stays. */
function putInPlace(half: string, folder: string): void {
  try {
    renameSync(half, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
  }
}

/** What is to be reviewed. `repo` may be "." for the repository around this folder, or the bundled one when there is
 *  none. `range`: `A..B`, `A...B` (from where they parted), one commit, or "" for the last merge or the last commits.
 *  @throws {Unreviewable} naming what git does not know */
export async function findRange(repo: string, range: string): Promise<Range> {
  const isNone = repo === "." && (await gitOrNull(FOLDER, ["rev-parse", "--git-dir"])) === null;
  const path = resolve(FOLDER, isNone ? BUNDLED : repo);
  const folder = await openRepository(path);
  return { repo: path, ...(range.trim() === "" ? await lastChange(folder) : await namedRange(folder, range.trim())) };
}

async function namedRange(folder: string, range: string): Promise<Omit<Range, "repo">> {
  const [, from = "", dots = "", to = ""] = /^(.*?)(\.{2,3})(.*)$/.exec(range) ?? [];
  if (dots === "") {
    const head = await commit(folder, range);
    return { base: await parentOf(folder, head), head, chosen: `the commit ${range}` };
  }
  const head = await commit(folder, to === "" ? "HEAD" : to);
  const first = await commit(folder, from === "" ? "HEAD" : from);
  const base = dots === ".." ? first : (await git(folder, ["merge-base", first, head])).trim();
  return { base, head, chosen: `the range ${range}` };
}

async function lastChange(folder: string): Promise<Omit<Range, "repo">> {
  const merge = (await git(folder, ["rev-list", "--first-parent", "--merges", "-n1", "HEAD", "--"])).trim();
  if (merge !== "") return { base: await commit(folder, `${merge}^1`), head: merge, chosen: "the last merge" };
  const last = (await git(folder, ["rev-list", "--first-parent", `-n${COMMITS_DEFAULT}`, "HEAD", "--"])).trim();
  const commits = last.split("\n");
  const [head = ""] = commits;
  return {
    base: await parentOf(folder, commits.at(-1) ?? head),
    head,
    chosen: commits.length === 1 ? "the only commit" : `the last ${commits.length} commits; there is no merge`,
  };
}

async function commit(folder: string, name: string): Promise<string> {
  const id = await gitOrNull(folder, ["rev-parse", "--verify", "--quiet", "--end-of-options", `${name}^{commit}`]);
  if (id === null) throw new Unreviewable(`${folder} has no commit "${name}"`);
  return id.trim();
}

/** The commit before; of the first one, the tree that holds nothing. */
async function parentOf(folder: string, id: string): Promise<string> {
  const parent = await gitOrNull(folder, ["rev-parse", "--verify", "--quiet", `${id}^1`]);
  if (parent !== null) return parent.trim();
  return (await git(folder, ["hash-object", "-t", "tree", "/dev/null"])).trim();
}
