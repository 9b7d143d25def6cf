import { userInfo } from "node:os";
import { appendFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CommandLine, newProject } from "./command-line.ts";

async function flotilla(cwd: string, ...args: string[]) {
  return new CommandLine(args, { cwd }).ended;
}

test("X5: pause, ls, run, show and resume tell what is held, why, by whom, and how to go on", async () => {
  const cwd = newProject();
  const paused = await flotilla(cwd, "pause", "--fleet", "--reason", "moving house");
  expect(paused).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("the fleet is paused: moving house") as string,
  });
  expect(paused.stderr).toContain("flotilla resume --fleet");
  expect((await flotilla(cwd, "pause", "--fleet", "--reason", "again")).stdout).toContain("is paused already");

  const ls = await flotilla(cwd, "ls");
  expect(ls.stderr).toMatch(/the fleet is paused by \S+ since .*: moving house/);
  expect(ls.stderr).toContain("let it go on: flotilla resume --fleet");

  const journal = await flotilla(cwd, "show", "fleet");
  expect(journal.stdout).toContain(`the fleet was paused by ${userInfo().username}: moving house`);

  const resumed = await flotilla(cwd, "resume", "--fleet", "--json");
  expect(JSON.parse(resumed.stdout)).toEqual({ fleet: true, resumed: true });
  expect((await flotilla(cwd, "ls")).stderr).not.toContain("paused");
  expect((await flotilla(cwd, "resume", "--fleet")).stdout).toContain("the fleet was not paused");
});

test("X5: a reason is demanded, and one thing is named", async () => {
  const cwd = newProject();
  expect(await flotilla(cwd, "pause", "--fleet")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--reason") as string,
  });
  expect(await flotilla(cwd, "kill", "--yes", "--reason", " ")).toMatchObject({ code: 2 });
  expect((await flotilla(cwd, "pause", "--reason", "x")).stderr).toContain("what?");
  expect((await flotilla(cwd, "pause", "--fleet", "--agent", "a", "--reason", "x")).stderr).toContain("one at a time");
  expect((await flotilla(cwd, "pause", "r-nothing", "--reason", "x")).stderr).toContain("there is no run r-nothing");
  expect(await flotilla(cwd, "pause", "--agent", "nobody", "--reason", "x")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('has no agent "nobody"') as string,
  });
  expect(existsSync(`${cwd}/.flotilla`)).toBe(true);
});

test("X5: kill shows what it would stop, and wants --yes", async () => {
  const cwd = newProject();
  const asked = await flotilla(cwd, "kill", "--reason", "wrong mails");
  expect(asked).toMatchObject({ code: 2, stdout: "" });
  expect(asked.stderr).toMatch(/everything in the fleet \(no run is running\).*\n.*--yes/);
  const killed = await flotilla(cwd, "kill", "--reason", "wrong mails", "--yes");
  expect(killed).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("the fleet is stopped: wrong mails") as string,
  });
  expect((await flotilla(cwd, "ls")).stderr).toContain(`the fleet was killed by ${userInfo().username}`);
});

test("I8: schedules on record are listed, with what holds them", async () => {
  const cwd = newProject();
  expect(JSON.parse((await flotilla(cwd, "schedules", "--json")).stdout)).toEqual([]);
  appendFileSync(
    join(cwd, "fleet.yaml"),
    "schedules:\n  yearly: { workflow: broken, cron: '@yearly', zone: Europe/Berlin }\n",
  );
  const dev = new CommandLine(["dev"], { cwd });
  await dev.says("Ready");
  const [listed] = JSON.parse((await flotilla(cwd, "schedules", "--json")).stdout) as [Record<string, unknown>];
  expect(listed).toMatchObject({ name: "yearly", workflow: "broken", cron: "@yearly", paused: null, last: null });
  expect(listed.next).toHaveLength(3);
  await flotilla(cwd, "pause", "--workflow", "broken", "--reason", "it is broken");
  const shown = await flotilla(cwd, "schedules");
  expect(shown.stdout).toMatch(/yearly +broken +cron @yearly Europe\/Berlin +paused/);
  expect(shown.stderr).toContain(`workflow broken is paused by ${userInfo().username}`);
  dev.child.kill("SIGINT");
  await dev.ended;
});

test("X8: a secret that a person types does not go on record", async () => {
  const cwd = newProject();
  const key = "canary-4f1d9b27c3";
  const env = { OPENAI_API_KEY: key };
  const paused = await new CommandLine(["pause", "--fleet", "--reason", `key is ${key}`], { cwd, env }).ended;
  expect(paused.code).toBe(0);
  const files = readdirSync(join(cwd, ".flotilla")).map((name) => readFileSync(join(cwd, ".flotilla", name)));
  expect(files.some((content) => content.includes("key is [secret OPENAI_API_KEY]"))).toBe(true);
  expect(files.some((content) => content.includes(key))).toBe(false);
});
