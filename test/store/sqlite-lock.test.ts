import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { append } from "../../src/conformance/store-sample.ts";
import { openSqliteReader, openSqliteStore } from "../../src/store/sqlite.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "flotilla-lock-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const locksOn = (path: string) => {
  const { ino } = statSync(path);
  return readFileSync("/proc/locks", "utf8")
    .split("\n")
    .filter((line) => line.includes(`:${ino} `)).length;
};

// Without its lock the owner's -wal may be deleted under it, with commits in it that were acknowledged.
it.runIf(process.platform === "linux")(
  "F14: looking at a store from the process that owns it leaves the owner's lock in place",
  async () => {
    const path = join(folder, "store.db");
    const owner = await openSqliteStore(path, { fleet: "f" });
    await owner.commit([append("j", 0)]);
    const before = locksOn(path);
    expect(before).toBeGreaterThan(0);
    const reader = await openSqliteReader(path, { fleet: "f" });
    expect(await reader.events("j", 0, 9)).toHaveLength(1);
    expect(locksOn(path)).toBeGreaterThanOrEqual(before);
    await reader.close();
    expect(locksOn(path)).toBe(before);
    const second = await openSqliteStore(path, { fleet: "other" });
    await second.close();
    expect(locksOn(path)).toBe(before);
    await owner.close();
  },
);
