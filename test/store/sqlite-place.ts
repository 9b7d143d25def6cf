import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A new folder, removed when the test is over. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-sqlite-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Every file of a folder with its content and the time of its last change: equal when nothing was touched. */
export function fingerprint(folder: string): Record<string, string> {
  const files = readdirSync(folder).map((name): [string, string] => {
    const path = join(folder, name);
    const { mtimeNs, size, mode } = statSync(path, { bigint: true });
    const digest = statSync(path).isFile() ? createHash("sha256").update(readFileSync(path)).digest("hex") : "folder";
    return [name, `${size} ${mode} ${mtimeNs} ${digest}`];
  });
  return Object.fromEntries(files);
}
