import { userInfo } from "node:os";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { CommandLine, flotilla, newProject } from "./command-line.ts";

test("F8: kill -9 in the middle, and the same command goes on from the last finished step", async () => {
  const folder = newProject();
  const first = new CommandLine(["run", "--resume"], { cwd: folder });
  await first.says("✓ counter");
  first.child.kill("SIGKILL");
  await first.ended;
  const second = await flotilla(folder, ["run", "--resume"]);
  expect(second).toMatchObject({ code: 0, stdout: "agreed: spelled 5 letters\n" });
  expect(second.stderr).toMatch(/^recovered r-\w{6} at event \d+: 3 steps kept$/m);
  expect(second.stderr).toMatch(/^recovered r-\w{6}: 3 steps kept, 0 repeated$/m);
  expect(readFileSync(join(folder, "notes.log"), "utf8")).toBe("hello\n");
  expect(JSON.parse((await flotilla(folder, ["ls", "--json"])).stdout)).toHaveLength(1);
  expect(await flotilla(folder, ["verify"])).toMatchObject({ code: 0 });
});

test("while dev serves the fleet, every command works from a second terminal through it", async () => {
  const folder = newProject();
  const dev = new CommandLine(["dev"], { cwd: folder });
  await dev.says("Ready in");
  const [ran, second, detached] = await Promise.all([
    flotilla(folder, ["run", "--input", "text=one"]),
    flotilla(folder, ["dev"]),
    flotilla(folder, ["run", "--detach", "--input", "text=abc"]),
  ]);
  expect(ran).toMatchObject({
    code: 0,
    stdout: "agreed: spelled 3 letters\n",
    stderr: expect.stringContaining("in the process that serves this fleet"),
  });
  expect(second).toMatchObject({ code: 6, stderr: expect.stringContaining("serves this fleet already") });
  expect(detached).toMatchObject({ code: 0, stdout: expect.stringMatching(/^r-\w+\n$/) });
  const watched = await flotilla(folder, ["watch", detached.stdout.trim(), "--json"]);
  expect(watched.code).toBe(0);
  expect(
    watched.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).type),
  ).toContain("run.completed");
  dev.child.kill("SIGTERM");
  expect(await dev.ended).toMatchObject({ code: 0 });
});

test("dev: a mistake in the definition is shown and the last good version stays live; corrected, it is reloaded", async () => {
  const folder = newProject();
  const file = join(folder, "fleet.yaml");
  const sound = readFileSync(file, "utf8");
  const dev = new CommandLine(["dev"], { cwd: folder });
  await dev.says("Ready in");
  writeFileSync(file, sound.replace("instructions: Spell.", "instrctions: Spell."));
  await dev.says("the last good version of fleet.yaml stays live");
  expect(dev.stderr).toContain('did you mean "instructions"?');
  writeFileSync(file, sound.replace("instructions: Spell.", "instructions: Spell well."));
  await dev.says("fleet.yaml reloaded");
  expect(await flotilla(folder, ["run"])).toMatchObject({ code: 0, stdout: "agreed: spelled 5 letters\n" });
});

test("a run can be stopped from a second terminal, with the reason on record", async () => {
  const folder = newProject();
  const run = new CommandLine(["run", "patience"], { cwd: folder });
  await run.says("started");
  expect(await flotilla(folder, ["stop", "@last", "--reason", "wrong word"])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("stopped"),
  });
  expect(await run.ended).toMatchObject({ code: 5, stdout: "" });
  expect((await flotilla(folder, ["show"])).stdout).toContain(`stopped by ${userInfo().username}: wrong word`);
  expect(await flotilla(folder, ["stop", "--all"])).toMatchObject({ code: 0, stderr: "No run is running.\n" });
});

test("Ctrl-C drains: the run is kept, exit code 130", async () => {
  const folder = newProject();
  const run = new CommandLine(["run"], { cwd: folder });
  await run.says("✓ counter");
  run.child.kill("SIGINT");
  const { code, stdout, stderr } = await run.ended;
  expect([code, stdout]).toEqual([130, ""]);
  expect(stderr).toContain("is kept.  Next: flotilla run letters --resume");
  expect(await flotilla(folder, ["run", "--resume"])).toMatchObject({ code: 0, stdout: "agreed: spelled 5 letters\n" });
});

test("F13: a write that was interrupted waits for a person: exit code 4, settled from the command line, never repeated", async () => {
  const folder = newProject();
  const notes = join(folder, "notes.log");
  const first = new CommandLine(["run", "fix", "--verbose"], { cwd: folder });
  await first.says("intends restart#1");
  await vi.waitFor(() => expect(readFileSync(notes, "utf8")).toBe("restarted\n"), { timeout: 30_000 });
  first.child.kill("SIGKILL");
  await first.ended;
  const second = await flotilla(folder, ["run", "fix", "--resume"]);
  expect(second).toMatchObject({ code: 4, stdout: "" });
  expect(second.stderr).toMatch(/settle it: flotilla settle r-\w+ fixer\/restart#1 --done or --not-done/);
  expect(await flotilla(folder, ["settle", "@last"])).toMatchObject({
    code: 4,
    stdout: expect.stringContaining("fixer/restart#1"),
  });
  expect(await flotilla(folder, ["settle", "@last", "restart#2", "--done"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("Did you mean restart#1?"),
  });
  const settled = await flotilla(folder, [
    "settle",
    "@last",
    "--done",
    "--output",
    '"seen in the log"',
    "--note",
    "looked",
  ]);
  expect(settled).toMatchObject({ code: 0, stdout: "fixer/restart#1 settled as done\n" });
  expect(await flotilla(folder, ["run", "fix", "--resume"])).toMatchObject({
    code: 0,
    stdout: "fixed: seen in the log\n",
  });
  expect(readFileSync(notes, "utf8")).toBe("restarted\n");
});
