import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

/** The example's folder, and what is known about its bundled repository. */
export const EXAMPLE = resolve(import.meta.dirname, "../../examples/review");
export const BUNDLED = join(EXAMPLE, "data/parcel.bundle");

interface Planted {
  rule: string;
  file: string;
  subject?: string;
}

export const TRUTH = JSON.parse(readFileSync(join(EXAMPLE, "data/truth.json"), "utf8")) as {
  head: string;
  base: string;
  defects: Planted[];
  decoys: Planted[];
};

/** A folder for repositories that a test makes, gone when `remove` is called. */
export function repositoryFolder() {
  const path = mkdtempSync(join(tmpdir(), "flotilla-review-"));
  return {
    path,
    write(name: string, content: string | Uint8Array): string {
      const file = join(path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
      return file;
    },
    repository: (name: string) => new Repository(join(path, name)),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** A git repository of a test's own. */
export class Repository {
  readonly path: string;

  constructor(path: string, { from }: { from?: string } = {}) {
    this.path = path;
    if (from === undefined) {
      mkdirSync(path, { recursive: true });
      this.git("init", "--quiet", "--initial-branch=main");
    } else execFileSync("git", ["clone", "--quiet", from, path], { stdio: "ignore" });
  }

  git(...args: string[]): string {
    const person = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false"];
    return execFileSync("git", ["-C", this.path, ...person, ...args], { encoding: "utf8" }).trim();
  }

  write(files: Readonly<Record<string, string | Uint8Array>>): void {
    for (const [name, content] of Object.entries(files)) {
      const file = join(this.path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
    }
  }

  commit(subject: string, files: Readonly<Record<string, string | Uint8Array>> = {}): string {
    this.write(files);
    this.git("add", "-A");
    this.git("commit", "--quiet", "--allow-empty", "--no-verify", "-m", subject);
    return this.git("rev-parse", "HEAD");
  }
}
