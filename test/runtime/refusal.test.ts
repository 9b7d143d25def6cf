import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test, vi } from "vitest";
import { agent, fleet } from "../../src/definition/build.ts";
import { FlotillaError } from "../../src/error.ts";
import { pipeline } from "../../src/pattern/pipeline.ts";
import { openFleet } from "../../src/runtime/open-fleet.ts";

const waiter = agent({
  retry: { initialDelayMs: 300 },
  run: () => {
    throw new FlotillaError("TOOL_UNAVAILABLE", "not yet");
  },
});
const clerk = agent({ run: () => "done" });
const office = fleet({
  name: "office",
  agents: { waiter, clerk },
  workflows: { wait: pipeline({ stages: [waiter] }), work: pipeline({ stages: [clerk] }) },
});

test("F14: a run whose commits the store refuses for ever is stopped with the reason; it is no busy loop, and others go on", async () => {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-refusal-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "store.db");
  const errors: string[] = [];
  const log = { debug() {}, info() {}, warn() {}, error: (message: string) => void errors.push(message) };
  await using app = await openFleet({ fleet: office, store: `sqlite:${path}`, log });
  const run = await app.control.start({ workflow: "wait", input: {} });
  const db = new DatabaseSync(path);
  // A fence that no attempt passes: as a defect of ours, or somebody with a database tool, would leave it.
  await vi.waitFor(() => {
    const { changes } = db.prepare("UPDATE task SET fence = 99 WHERE run = ? AND worker IS NULL").run(run);
    expect(changes).toBe(1);
  });
  db.close();
  const other = await app.control.start({ workflow: "work", input: {} });
  expect((await app.result(other)).status).toBe("completed");
  const result = await app.result(run);
  expect(result).toMatchObject({ status: "stopped", error: { message: expect.stringContaining("is fenced") } });
  expect(errors.filter((message) => message.includes("times in a row"))).toHaveLength(1);
});
