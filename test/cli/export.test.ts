import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { flotilla, newProject } from "./command-line.ts";

test("F11: export and import tell what they did; ls, show and replay say that the run is a record", async () => {
  const cwd = newProject();
  expect(await flotilla(cwd, ["run"])).toMatchObject({ code: 0 });
  const made = await flotilla(cwd, ["export", "@last", "--redact", "--out", "run.ndjson"]);
  expect(made).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^run.ndjson: r-\w+, \d+ events, \d+ contents left/),
  });
  expect(await flotilla(cwd, ["export", "@last", "--out", "run.ndjson"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("is there already"),
  });
  const whole = await flotilla(cwd, ["export", "@last"]);
  expect(whole.stdout.split("\n").length).toBeGreaterThan(
    readFileSync(join(cwd, "run.ndjson"), "utf8").split("\n").length - 1,
  );

  mkdirSync(join(cwd, "other"));
  const there = ["--store", "sqlite:other/store.db"];
  const taken = await flotilla(cwd, ["import", "run.ndjson", ...there]);
  expect(taken).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/imported from fleet \S+: 1 run, .* left out/),
  });
  const again = await flotilla(cwd, ["import", "run.ndjson", "--json", ...there]);
  expect(JSON.parse(again.stdout)).toMatchObject({ runs: 0 });
  expect((await flotilla(cwd, ["ls", ...there])).stdout).toContain("completed, imported");
  const [listed] = JSON.parse((await flotilla(cwd, ["ls", "--json", ...there])).stdout) as object[];
  expect(listed).toMatchObject({ imported: { fleet: expect.any(String) as string } });
  const shown = await flotilla(cwd, ["show", ...there]);
  expect(shown.stdout).toMatch(/imported from fleet .*: a record, never resumed\n.*contents not here/);
  const replayed = await flotilla(cwd, ["replay", "@last", ...there]);
  expect(replayed).toMatchObject({ code: 0, stderr: expect.stringContaining("a record, never resumed") });
  expect(replayed.stdout).toContain("[content not here: erased or left out]");
  expect((await flotilla(cwd, ["show", "fleet", ...there])).stdout).toContain("imported by cli from fleet");
  expect(await flotilla(cwd, ["verify", ...there])).toMatchObject({ code: 0 });
});

test("F11: what is no exported run is refused with the line", async () => {
  const cwd = newProject();
  writeFileSync(join(cwd, "odd.ndjson"), "no run\n");
  expect(await flotilla(cwd, ["import", "odd.ndjson"])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("FLT508"),
  });
  expect(await flotilla(cwd, ["import", "none.ndjson"])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("there is no file"),
  });
  expect(await flotilla(cwd, ["export", "r-none"])).toMatchObject({ code: 2 });
});
