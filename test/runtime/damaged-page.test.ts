import { closeSync, openSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isFlotillaError } from "../../src/error.ts";
import { openFleet } from "../../src/runtime/open-fleet.ts";
import { CommandLine, flotilla, newProject } from "../cli/command-line.ts";
import { recordedStore, sums } from "./altered-store.ts";

const PAGE_BYTES = 4_096;

function overwrite(path: string, at: number, bytes: number): void {
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(bytes, 0xff), 0, bytes, at);
  closeSync(file);
}

/** What becomes of a start and a run on a store: how it ended, or the code of what was said. */
async function tried(path: string): Promise<string> {
  try {
    await using app = await openFleet({ fleet: sums, store: `sqlite:${path}` });
    const run = await app.control.start({ workflow: "sum", input: { n: 9 } });
    return (await app.result(run)).status;
  } catch (error) {
    if (!isFlotillaError(error)) throw error;
    return error.code;
  }
}

test("F14: whichever page of a store is overwritten, a run ends or is refused with what is damaged; nothing hangs", async () => {
  const store = await recordedStore();
  const pages = statSync(store.path).size / PAGE_BYTES;
  const outcomes = new Map<number, string>();
  for (let page = 1; page < pages; page++) {
    const path = join(store.copy(), "store.db");
    overwrite(path, page * PAGE_BYTES, 3_000);
    outcomes.set(page, await tried(path));
  }
  const allowed = ["completed", "STORE_DAMAGED", "JOURNAL_DAMAGED", "EVENT_INVALID"];
  expect([...outcomes].filter(([, outcome]) => !allowed.includes(outcome))).toEqual([]);
  expect([...outcomes.values()]).toContain("STORE_DAMAGED");
}, 120_000);

test("F14: the command says what is damaged, with exit code 6, and can be ended before it does", async () => {
  const folder = newProject();
  expect(await flotilla(folder, ["run"])).toMatchObject({ code: 0 });
  const path = join(folder, ".flotilla", "store.db");
  overwrite(path, 2 * PAGE_BYTES, statSync(path).size - 2 * PAGE_BYTES);
  expect(await flotilla(folder, ["run"])).toMatchObject({ code: 6, stderr: expect.stringContaining("FLT604") });
  const run = new CommandLine(["run"], { cwd: folder });
  run.child.kill("SIGTERM");
  await run.ended;
});
