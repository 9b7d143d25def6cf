import { type FSWatcher, readdirSync, watch } from "node:fs";
import { extname, join, sep } from "node:path";

/** What definitions are made of. */
const KINDS = new Set([".yaml", ".yml", ".ts", ".mts", ".js", ".mjs", ".json", ".md", ".txt"]);
const IGNORED = new Set([".flotilla", "node_modules", ".git"]);
/** Editors write a file in several steps. */
const SETTLE_MS = 120;
/** Folders below the definition's that are watched; a definition does not lie in more. */
const FOLDERS_MAX = 256;

/** Calls `changed` after files below `folder` that could belong to a definition were changed, one call at a time.
 *  Returns how to end it.
 *
 *  Each folder has a watcher of its own: Node's recursive one on Linux (24.21) misses a file that is replaced a second
 *  time by renaming another over it, which is how most editors save. */
export function watchDefinition(
  folder: string,
  changed: () => Promise<void>,
  failed: (error: Error) => void,
): () => void {
  const watchers = new Map<string, FSWatcher>();
  const soon = oneAtATime(changed);
  const add = (path: string) => {
    if (watchers.has(path) || watchers.size >= FOLDERS_MAX) return;
    const watcher = watch(path, (_event, file) => {
      for (const inner of foldersIn(path)) add(inner);
      if (file !== null && mayBelong(file)) soon.call();
    });
    watchers.set(path, watcher);
    watcher.on("error", (error: NodeJS.ErrnoException) => {
      watchers.delete(path);
      watcher.close();
      if (path === folder) failed(error);
    });
    for (const inner of foldersIn(path)) add(inner);
  };
  add(folder);
  return () => {
    soon.cancel();
    for (const watcher of watchers.values()) watcher.close();
  };
}

function foldersIn(path: string): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && !IGNORED.has(entry.name))
      .map((entry) => join(path, entry.name));
  } catch {
    return []; // It went away meanwhile: there is nothing in it to watch.
  }
}

/** Puts calls that come together into one, and never runs two at once. */
function oneAtATime(work: () => Promise<void>): { call(): void; cancel(): void } {
  let timer: NodeJS.Timeout | undefined;
  let running = false;
  let again = false;
  const run = async () => {
    again = running;
    if (running) return;
    running = true;
    await work();
    running = false;
    if (again) await run();
  };
  return {
    call() {
      clearTimeout(timer);
      timer = setTimeout(() => void run(), SETTLE_MS);
    },
    cancel: () => clearTimeout(timer),
  };
}

export function mayBelong(file: string): boolean {
  return KINDS.has(extname(file)) && !file.split(sep).some((part) => IGNORED.has(part));
}
