import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { sampleEvents } from "../../src/conformance/store-sample.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { newFolder } from "./sqlite-place.ts";

const WRITER = fileURLToPath(new URL("./sqlite-writer.ts", import.meta.url));
const all = Number.MAX_SAFE_INTEGER;

/** Runs the writer until it has acknowledged `commits` versions, kills it, and returns the last one that it named. */
async function writeAndKill(path: string, commits: number): Promise<number> {
  const writer = spawn(process.execPath, [WRITER, path], { stdio: ["ignore", "pipe", "inherit"] });
  const exit = once(writer, "exit");
  let acknowledged = 0;
  let lines = 0;
  for await (const line of createInterface({ input: writer.stdout })) {
    acknowledged = Number(line);
    if (++lines === commits) writer.kill("SIGKILL");
  }
  expect(await exit).toEqual([null, "SIGKILL"]);
  return acknowledged;
}

it("F12, F14: after kill -9 of the process that writes, all that was acknowledged is there, and nothing by halves", async () => {
  const path = join(newFolder(), "store.db");
  for (const commits of [1, 7, 40, 200, 3]) {
    const acknowledged = await writeAndKill(path, commits);
    const store = await openSqliteStore(path, { fleet: "f" });
    const { version } = await store.head("run");
    expect(version).toBeGreaterThanOrEqual(acknowledged);
    expect(await store.events("run", 0, all)).toEqual(sampleEvents("run", 0, version));
    expect(await store.events("mirror", 0, all)).toEqual(sampleEvents("mirror", 0, version - 1));
    expect(await store.dueTimers(all, all)).toHaveLength(version - 1);
    expect((await store.peek("q", all, all)).length).toBe(version - 1);
    await store.close();
  }
}, 60_000);
