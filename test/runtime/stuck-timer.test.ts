import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { agent, fleet } from "../../src/definition/build.ts";
import { pipeline } from "../../src/pattern/pipeline.ts";
import { openFleet } from "../../src/runtime/open-fleet.ts";

const sleeper = agent({
  run: async (ctx) => {
    await ctx.sleep(1_500);
    return "awake";
  },
});
const house = fleet({ name: "house", agents: { sleeper }, workflows: { sleep: pipeline({ stages: [sleeper] }) } });

test("F14: more timers than one look takes, of runs that cannot be read, keep nobody else's from firing", async () => {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-timer-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "store.db");
  await using app = await openFleet({ fleet: house, store: `sqlite:${path}` });
  const db = new DatabaseSync(path);
  db.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
    INSERT INTO timer (fleet, run, name, due_at) SELECT 1, 'r-lost-' || i, 'deadline', i FROM n`);
  db.close();
  const run = await app.control.start({ workflow: "sleep", input: {} });
  expect(await app.result(run)).toMatchObject({ status: "completed", output: "awake" });
});
