import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Writes a file whole or not at all, also when the process dies in the middle. */
export function replaceFile(path: string, text: string, key: string): void {
  const half = `${path}.${key.replaceAll(/\W/g, "").slice(-16)}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(half, text);
    renameSync(half, path);
  } finally {
    rmSync(half, { force: true });
  }
}
