import { watch } from "node:fs";
import { extname, sep } from "node:path";

/** What definitions are made of. */
const KINDS = new Set([".yaml", ".yml", ".ts", ".mts", ".js", ".mjs", ".json", ".md", ".txt"]);
const IGNORED = new Set([".flotilla", "node_modules", ".git"]);
/** Editors write a file in several steps. */
const SETTLE_MS = 120;

/** Calls `changed` after files below `folder` that could belong to a definition were changed, one call at a time.
 *  Returns how to end it. */
export function watchDefinition(folder: string, changed: () => Promise<void>, failed: (error: Error) => void): () => void {
  let timer: NodeJS.Timeout | null = null;
  let running = false;
  let again = false;
  const run = async () => {
    if (running) {
      again = true;
      return;
    }
    running = true;
    do {
      again = false;
      await changed();
    } while (again);
    running = false;
  };
  const watcher = watch(folder, { recursive: true }, (_event, file) => {
    if (file === null || !mayBelong(file)) return;
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(() => void run(), SETTLE_MS);
  });
  watcher.on("error", failed);
  return () => {
    if (timer !== null) clearTimeout(timer);
    watcher.close();
  };
}

export function mayBelong(file: string): boolean {
  return KINDS.has(extname(file)) && !file.split(sep).some((part) => IGNORED.has(part));
}
