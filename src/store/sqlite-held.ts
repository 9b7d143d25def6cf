import { statSync } from "node:fs";

/** Store files that this process has open, by device and inode. POSIX drops all locks that a process holds on a file
 *  when it closes any descriptor of it: reading a store's header beside its open database would take SQLite's lock
 *  away, and another program could then delete the live -wal, with commits that were acknowledged (F14). */
const held = new Map<string, number>();

/** Notes that this process has the file open, until what is returned is called. */
export function holdFile(path: string): () => void {
  const key = keyOf(path) ?? path;
  held.set(key, (held.get(key) ?? 0) + 1);
  return () => {
    const left = (held.get(key) ?? 1) - 1;
    if (left === 0) held.delete(key);
    else held.set(key, left);
  };
}

/** Whether this process has the file open as a database: then only SQLite may open it again. */
export function isHeld(path: string): boolean {
  return held.has(keyOf(path) ?? path);
}

function keyOf(path: string): string | null {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? null : `${stat.dev}:${stat.ino}`;
}
