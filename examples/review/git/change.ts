import { git, gitOrNull } from "./git.ts";
import { openRepository } from "./repository.ts";

/** What specialists are given: a repository and two commits, as full ids. */
export interface Scope {
  repo: string;
  base: string;
  head: string;
}

export interface AddedLine {
  /** In the file at head, from 1. */
  line: number;
  text: string;
}

export interface ChangedFile {
  path: string;
  /** Before a rename; else the same. */
  before: string;
  status: "added" | "deleted" | "changed" | "renamed";
  added: AddedLine[];
  removed: number;
}

const FILES_MAX = 300;
const FILE_BYTES_MAX = 512 * 1024;

/** Two commits of a repository: what changed between them, and what files hold. */
export class Change {
  readonly scope: Scope;
  readonly folder: string;
  readonly files: readonly ChangedFile[];
  /** Changed files beyond the first 300, which nobody looks at. */
  readonly leftOut: number;

  private constructor(scope: Scope, folder: string, files: readonly ChangedFile[]) {
    this.scope = scope;
    this.folder = folder;
    this.files = files.slice(0, FILES_MAX);
    this.leftOut = files.length - this.files.length;
  }

  /** @throws {Unreviewable} when the repository is not there or the difference is too large */
  static async open({ repo, base, head }: Scope): Promise<Change> {
    const folder = await openRepository(repo);
    const options = ["--no-color", "--no-ext-diff", "--no-textconv", "--find-renames", "--unified=0", "--no-prefix"];
    const text = await git(folder, ["diff", ...options, ids(base), ids(head), "--"]);
    return new Change({ repo, base, head }, folder, readDiff(text));
  }

  /** A file's text; null when it is not there, larger than 512 KB, or no text. */
  async read(side: "base" | "head", path: string): Promise<string | null> {
    const name = `${this.scope[side]}:${path}`;
    const size = await gitOrNull(this.folder, ["cat-file", "-s", name]);
    if (size === null || Number(size) > FILE_BYTES_MAX) return null;
    const text = await git(this.folder, ["cat-file", "blob", name]);
    return text.includes("\0") ? null : text;
  }

  /** Paths of all files of one side. */
  async paths(side: "base" | "head"): Promise<string[]> {
    const text = await git(this.folder, ["ls-tree", "-r", "-z", "--name-only", ids(this.scope[side])]);
    return text.split("\0").filter((path) => path !== "");
  }

  /** Lines that hold these very words, by file, of one side. */
  async find(side: "base" | "head", words: string): Promise<{ path: string; line: number; text: string }[]> {
    const given = ["grep", "-n", "-z", "-I", "--fixed-strings", "-e", words, ids(this.scope[side]), "--"];
    const text = (await gitOrNull(this.folder, given)) ?? "";
    return [...text.matchAll(/^[0-9a-f]+:([^\0]*)\0(\d+)\0(.*)$/gm)].map(([, path = "", line, found = ""]) => {
      return { path, line: Number(line), text: found };
    });
  }
}

/** Only full ids go where git would also take options. */
function ids(id: string): string {
  if (!/^[0-9a-f]{40,64}$/.test(id)) throw new TypeError(`"${id}" is no id of a commit`);
  return id;
}

function readDiff(text: string): ChangedFile[] {
  const files: ChangedFile[] = [];
  let file: ChangedFile | undefined;
  let next = 0;
  let isHead = true;
  for (const line of text.split("\n")) {
    if (line.startsWith("diff --git ")) {
      file = { path: "", before: "", status: "changed", added: [], removed: 0 };
      files.push(file);
      isHead = true;
    } else if (file === undefined) continue;
    else if (isHead && !line.startsWith("@@")) readHead(file, line);
    else if (line.startsWith("@@")) {
      next = Number(/\+(\d+)/.exec(line)?.[1] ?? 1);
      isHead = false;
    } else if (line.startsWith("+")) file.added.push({ line: next++, text: line.slice(1).replace(/\r$/, "") });
    else if (line.startsWith("-")) file.removed += 1;
  }
  return files.filter(({ path }) => path !== "");
}

function readHead(file: ChangedFile, line: string): void {
  const [, what = "", value = ""] = /^(---|\+\+\+|rename from|rename to|deleted file|new file) (.*)$/.exec(line) ?? [];
  const path = value.replace(/\t$/, "");
  if (what === "deleted file") file.status = "deleted";
  if (what === "new file") file.status = "added";
  if (what === "rename from") Object.assign(file, { before: path, status: "renamed" });
  if (what === "rename to") file.path = path;
  if (what === "---" && path !== "/dev/null") Object.assign(file, { before: path, path: file.path || path });
  if (what === "+++" && path !== "/dev/null") Object.assign(file, { path, before: file.before || path });
}
