import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openFleet } from "../../src/runtime/open-fleet.ts";
import { type Place, placeWith } from "../runtime/place.ts";
import { exitOf, isAlive, processesIn, until } from "../runtime/process.ts";
import { startServer } from "./server.ts";

const COMMAND = join(import.meta.dirname, "../../src/cli/bin.ts");
/** Exit code of a command that was interrupted. */
const INTERRUPTED = 130;

function command(place: Place, args: readonly string[]): { child: ChildProcess; output(): string } {
  const child = spawn(process.execPath, [COMMAND, ...args], {
    cwd: place.folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1" },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => (output += text));
  return { child, output: () => output };
}

async function inTheMiddle(place: Place): Promise<void> {
  await until(() => place.lines().some((line) => line.startsWith("look begin")), "the run to be at work", 60_000);
}

test("line 4: SIGTERM drains what dev serves: the step under way is recorded, the run goes on at the next start", async () => {
  const place = placeWith("works.ts");
  const server = await startServer(place, "works");
  const run = await server.control.start({ workflow: "job", input: { n: 1, diary: place.diary, pauseMs: 300 } });
  await inTheMiddle(place);
  await server.end("SIGTERM");
  expect(processesIn(place.folder)).toEqual([]);
  const next = await openFleet({ fleet: place.folder, hosts: 1 });
  onTestFinished(() => next.close({ drain: false }));
  expect((await next.result(run)).output).toMatchObject({ n: 1, sum: 8_002 });
  // Nothing was under way when it ended, so nothing was repeated.
  const begins = place.lines().filter((line) => line.includes(" begin "));
  expect(begins).toHaveLength(5);
});

test("line 4: the second SIGINT does not wait, and the run goes on with the next command", async () => {
  const place = placeWith("works.ts");
  const input = { n: 2, diary: place.diary, pauseMs: 20_000 };
  const { child, output } = command(place, ["run", "job", "--input", JSON.stringify(input)]);
  await inTheMiddle(place);
  child.kill("SIGINT");
  await until(() => /again|once more|second/i.test(output()), "the command to say that it waits");
  expect(isAlive(child.pid ?? 0)).toBe(true);
  child.kill("SIGINT");
  expect(await exitOf(child)).toEqual({ code: INTERRUPTED, signal: null });
  expect(processesIn(place.folder)).toEqual([]);
  await using next = await openFleet({ fleet: place.folder, hosts: 1 });
  const [row] = await next.runs({ limit: 1 });
  expect(row?.status).toBe("running");
});

test("line 4: as PID 1 of a container, SIGTERM drains too", async (context) => {
  const allowed =
    process.platform === "linux" && spawnSync("unshare", ["--pid", "--fork", "--mount-proc", "true"]).status === 0;
  if (!allowed) {
    console.warn("SKIPPED: PID 1 needs the right to make a PID namespace; nothing was proven about it here");
    context.skip();
    return;
  }
  const place = placeWith("works.ts");
  const child = spawn(
    "unshare",
    ["--pid", "--fork", "--mount-proc", "--kill-child", process.execPath, COMMAND, "dev"],
    {
      cwd: place.folder,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1" },
    },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => (output += text));
  await until(() => output.includes("Ready in"), "dev to be ready", 60_000);
  const here = await openFleet({ fleet: place.folder, join: "only" });
  expect((await here.control.info()).pid).toBe(1);
  const run = await here.control.start({ workflow: "job", input: { n: 3, diary: place.diary, pauseMs: 300 } });
  await inTheMiddle(place);
  const [inside = 0] = childrenOf(child.pid ?? 0);
  process.kill(inside, "SIGTERM");
  expect(await exitOf(child)).toEqual({ code: 0, signal: null });
  expect(output).toMatch(/ending/);
  await here.close();
  await using next = await openFleet({ fleet: place.folder, hosts: 1 });
  expect((await next.result(run)).output).toMatchObject({ n: 3 });
  expect(place.lines().filter((line) => line.includes(" begin "))).toHaveLength(5);
});

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number);
}
