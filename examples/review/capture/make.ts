import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { BEFORE, CHANGE, type Files, HISTORY, TRUTH } from "./story.ts";

// Makes the bundled repository: node capture/make.ts [folder]. The same commits, with the same ids, each time.

const out = resolve(process.argv[2] ?? join(import.meta.dirname, "../data"));
const work = mkdtempSync(join(tmpdir(), "parcel-"));
const DAY_S = 86_400;
let clock = Date.UTC(2026, 2, 2, 9) / 1_000;

function git(...args: string[]): string {
  const date = `${clock} +0000`;
  const person = { NAME: "Parcel Example", EMAIL: "parcel@example.invalid", DATE: date };
  const env: Record<string, string | undefined> = { PATH: process.env.PATH, HOME: work, GIT_CONFIG_NOSYSTEM: "1" };
  for (const [key, value] of Object.entries(person)) {
    env[`GIT_AUTHOR_${key}`] = value;
    env[`GIT_COMMITTER_${key}`] = value;
  }
  return execFileSync("git", ["-C", work, ...args], { env, encoding: "utf8" }).trim();
}

function commit(subject: string, files: Files): void {
  for (const [path, text] of Object.entries(files)) {
    const file = join(work, path);
    if (text === null) rmSync(file);
    else {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  }
  clock += DAY_S;
  git("add", "-A");
  git("-c", "commit.gpgsign=false", "commit", "--quiet", "--no-verify", "-m", subject);
}

try {
  git("init", "--quiet", "--initial-branch=main", "--object-format=sha1");
  commit("Parcel: what sending a parcel costs", BEFORE);
  for (const { subject, files } of HISTORY) commit(subject, files);
  git("switch", "--quiet", "-c", "labels-and-loyalty");
  for (const { subject, files } of CHANGE) commit(subject, files);
  git("switch", "--quiet", "main");
  clock += DAY_S;
  const subject = "Merge branch 'labels-and-loyalty'";
  git("-c", "commit.gpgsign=false", "merge", "--quiet", "--no-ff", "--no-verify", "-m", subject, "labels-and-loyalty");
  mkdirSync(out, { recursive: true });
  git("bundle", "create", "--quiet", join(out, "parcel.bundle"), "HEAD", "main");
  const truth = { head: git("rev-parse", "HEAD"), base: git("rev-parse", "HEAD^1"), ...TRUTH };
  writeFileSync(join(out, "truth.json"), `${JSON.stringify(truth, null, 2)}\n`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
