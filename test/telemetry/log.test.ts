import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openLog } from "../../src/telemetry/log.ts";
import { redactor } from "../../src/telemetry/redact.ts";

function newFile(): string {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-log-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, "state", "log");
}

const linesOf = (file: string) =>
  readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

test("O4: a line is JSON with level, time, message and the ids it belongs to, at once in a file of the user's alone", () => {
  const file = newFile();
  const log = openLog({ to: file });
  log.info("a host crashed", { run: "r-1", task: "read/3" });
  expect(linesOf(file)).toEqual([
    {
      level: "info",
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      message: "a host crashed",
      run: "r-1",
      task: "read/3",
    },
  ]);
  expect(statSync(file).mode & 0o077).toBe(0);
  log.close();
});

test("lines below the level are left out", () => {
  const file = newFile();
  const log = openLog({ to: file, level: "warn" });
  log.info("no");
  log.error("yes");
  expect(linesOf(file)).toMatchObject([{ level: "error", message: "yes" }]);
});

test("X8: no secret reaches the log, in words or in data", () => {
  const file = newFile();
  const log = openLog({ to: file });
  log.redactWith(redactor([["KEY", "canary-key"]]));
  log.warn("refused canary-key", { header: { authorization: "Bearer canary-key" } });
  expect(readFileSync(file, "utf8")).not.toContain("canary-key");
  expect(linesOf(file)).toMatchObject([
    { message: "refused [secret KEY]", header: { authorization: "Bearer [secret KEY]" } },
  ]);
});

test("what JSON cannot hold does not fail the log", () => {
  const file = newFile();
  const cycle: Record<string, unknown> = { error: new Error("deep") };
  openLog({ to: file }).error("odd", cycle);
  cycle.self = cycle;
  openLog({ to: file }).error("odder", cycle);
  expect(linesOf(file)).toMatchObject([
    { error: "deep" },
    { message: "odder", unloggable: expect.stringContaining("circular") },
  ]);
});

test.skipIf(process.platform !== "linux")("F14: a full disk is told once, and the work goes on", () => {
  const failures: string[] = [];
  const log = openLog({ to: "/dev/full", failed: (error) => failures.push(error.message) });
  log.info("one");
  log.info("two");
  expect(failures).toEqual([expect.stringContaining("ENOSPC")]);
});
