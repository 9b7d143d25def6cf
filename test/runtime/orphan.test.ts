import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ControlClient } from "../../src/runtime/control-socket.ts";
import { openFleet } from "../../src/runtime/open-fleet.ts";
import { readOwner } from "../../src/runtime/owner-lock.ts";
import { type Place, placeWith } from "./place.ts";
import { type AppProcess, isAlive, processesIn, startApp, until } from "./process.ts";

/** "Within a second" of the requirement, on a machine that has much else to do. */
const SOON_MS = 5_000;

async function controlOf(place: Place): Promise<ControlClient> {
  return ControlClient.connect(readOwner(place.state)?.socket ?? "");
}

/** Hosts that are there and have finished loading. */
async function hostsOf(control: ControlClient): Promise<number[]> {
  await until(async () => (await control.info()).queues.some(({ workers }) => workers === 2), "both hosts to be ready");
  return (await control.info()).hosts;
}

async function killed(app: AppProcess): Promise<void> {
  expect(await app.kill("SIGKILL")).toEqual({ code: null, signal: "SIGKILL" });
}

test("line 4: hosts follow a coordinator that was killed, also those in an endless loop, with children that ignore everything", async () => {
  const place = placeWith("crew.ts");
  const app = await startApp(place.folder, { hangMs: 60_000 });
  const control = await controlOf(place);
  const hosts = await hostsOf(control);
  await control.start({ workflow: "crime", input: { crime: "loop" } });
  await control.start({ workflow: "crime", input: { crime: "child" } });
  // The host that loops says nothing any more.
  await until(() => processesIn(place.folder).some((pid) => cpuTicks(pid) > 100), "a host to burn time");
  await until(() => processesIn(place.folder).some((pid) => commandOf(pid).startsWith("sleep")), "the child of a host");
  const all = processesIn(place.folder);
  expect(all).toEqual(expect.arrayContaining(hosts));
  await killed(app);
  await until(
    () => all.filter((pid) => pid !== app.pid && isAlive(pid)).length === 0,
    "every process to be gone",
    SOON_MS,
  );
});

test("line 4: a host that was stopped when its coordinator died ends as soon as it may go on", async () => {
  const place = placeWith("crew.ts");
  const app = await startApp(place.folder, { hangMs: 60_000 });
  const [stopped = 0, ...others] = await hostsOf(await controlOf(place));
  process.kill(stopped, "SIGSTOP");
  await killed(app);
  await until(() => !others.some(isAlive), "the others to be gone", SOON_MS);
  process.kill(stopped, "SIGCONT");
  await until(() => !isAlive(stopped), "the stopped one to be gone", SOON_MS);
});

test("line 4: kill -9 at any moment leaves no lock, and the next start goes on with every run", async () => {
  const place = placeWith("crew.ts");
  const runs: string[] = [];
  for (let life = 0; life < 5; life++) {
    const app = await startApp(place.folder);
    expect(app.owner).toBe(true);
    const control = await controlOf(place);
    // Each life ends at another moment: before its hosts are up, in the middle of steps, between two of them.
    const run = await control.start({ workflow: "work", input: { n: life } });
    runs.push(run);
    const steps = (life * 7) % 4;
    let seen = 0;
    const watching = new AbortController();
    for await (const notice of control.watch(run, steps === 0 ? AbortSignal.abort() : watching.signal)) {
      if (notice.type === "event" && notice.event.type === "step.completed") seen += 1;
      if (seen >= steps || (notice.type === "event" && notice.event.type.startsWith("run."))) break;
    }
    await killed(app);
  }
  await using app = await openFleet({ fleet: place.folder });
  expect(app.owner).toBe(true);
  const ends = await Promise.all(runs.map((run) => app.result(run)));
  expect(ends.map(({ output }) => output)).toEqual(runs.map((_, life) => life + 3));
});

function cpuTicks(pid: number): number {
  const fields = procFile(pid, "stat").split(") ")[1]?.split(" ") ?? [];
  return Number(fields[11] ?? 0);
}

const commandOf = (pid: number): string => procFile(pid, "cmdline").replaceAll("\0", " ");

function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return "";
    throw error;
  }
}
