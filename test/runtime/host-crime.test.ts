import { afterAll, beforeAll, expect, test } from "vitest";
import type { Json } from "../../src/core/json.ts";
import type { OpenFleet } from "../../src/runtime/app-contract.ts";
import { openFleet } from "../../src/runtime/open-fleet.ts";
import { makePlace, type Place, placeWith } from "./place.ts";
import { isAlive, until } from "./process.ts";

const HEALTHY = 50;

let place: Place;
let app: OpenFleet;
let logged: string[];

beforeAll(async () => {
  place = makePlace("crew.ts");
  logged = [];
  const log = (message: string) => void logged.push(message);
  app = await openFleet({
    fleet: place.fleet,
    // Nobody hangs here; large values take their time on a busy machine.
    hangMs: 60_000,
    log: { debug: log, info: log, warn: log, error: log },
  });
});
afterAll(async () => {
  await app.close({ drain: false });
  place.remove();
});

async function outcomes(workflow: string, inputs: readonly Json[], on = app) {
  const runs = await Promise.all(inputs.map((input) => on.control.start({ workflow, input })));
  return Promise.all(runs.map((run) => on.result(run)));
}

async function endOf(crime: string, on = app): Promise<string> {
  const [end] = await outcomes("crime", [{ crime }], on);
  return `${end?.status} ${end?.error?.code ?? ""}`.trim();
}

const DEADLY = [
  "exit",
  "segfault",
  "abort",
  "timer",
  "rejection",
  "loop",
  "heap",
  "buffers",
  "forge",
  "endless",
  "alter",
  "replay",
  "close",
];

test("F6: agents that crash, loop, bloat or corrupt their pipe are convicted; 50 healthy ones beside them all finish", async () => {
  const here = placeWith("crew.ts");
  const bounds = { hangMs: 2_500, heapMbMax: 96, memoryBytesMax: 400 * 1024 * 1024 };
  await using tried = await openFleet({ fleet: here.fleet, ...bounds });
  const inputs = Array.from({ length: HEALTHY }, (_, n) => ({ n }));
  const healthy = outcomes("work", inputs, tried);
  const ends = await Promise.all(DEADLY.map(async (crime) => [crime, await endOf(crime, tried)]));
  expect(Object.fromEntries(ends)).toEqual(
    Object.fromEntries(DEADLY.map((crime) => [crime, "failed AGENT_CONVICTED"])),
  );
  expect((await healthy).map(({ output }) => output)).toEqual(Array.from({ length: HEALTHY }, (_, n) => n + 3));
}, 120_000);

test("F6, F7: what agents return or throw that is no answer fails their task, and costs no host", async () => {
  const { hosts } = await app.control.info();
  const wrong = {
    throw: "failed AGENT_FAILED",
    bigint: "failed OUTPUT_INVALID",
    cycle: "failed OUTPUT_INVALID",
    deep: "failed OUTPUT_INVALID",
    function: "failed OUTPUT_INVALID",
    symbol: "failed OUTPUT_INVALID",
    nan: "failed OUTPUT_INVALID",
    huge: "failed OUTPUT_INVALID",
    immense: "failed OUTPUT_INVALID",
    message: "failed AGENT_FAILED",
    surrogate: "completed",
    escapes: "completed",
    undefined: "completed",
    print: "completed",
  };
  const ends = await Promise.all(Object.keys(wrong).map(async (crime) => [crime, await endOf(crime)]));
  expect(Object.fromEntries(ends)).toEqual(wrong);
  expect((await app.control.info()).hosts).toEqual(hosts);
  await until(() => logged.includes("a line 19999"), "what was printed to arrive in the log");
}, 60_000);

test("F3: an agent that never ends is timed out; one that goes on after the end of its run is not heard", async () => {
  const [timedOut] = await outcomes("idle", [{}]);
  expect(timedOut?.error?.code).toBe("TASK_TIMEOUT");

  const run = await app.control.start({ workflow: "stubborn", input: { diary: place.diary } });
  await until(async () => (await app.state(run)).usage.steps === 1, "its first step");
  await app.control.stop(run, "no more", "test");
  await until(() => place.lines().includes("gave up"), "the agent to give up");
  expect(place.lines()).toEqual(["gave up"]);
  const { status, usage } = await app.state(run);
  expect({ status, steps: usage.steps }).toEqual({ status: "stopped", steps: 1 });
});

test("F8: an agent whose record is larger than any frame resumes with all of it", async () => {
  const other = placeWith("crew.ts");
  const [end] = await outcomes("bulk", [{ steps: 9, megabytes: 9, diary: other.diary }]);
  expect(other.lines()).toEqual(["died"]);
  expect(end).toMatchObject({ status: "completed", output: "all of it" });
}, 60_000);

test("F6: in library mode a garbage output fails its task alone", async () => {
  const folder = placeWith("crew.ts");
  await using library = await openFleet({ fleet: folder.fleet, mode: "library" });
  for (const [crime, code] of [
    ["huge", "OUTPUT_INVALID"],
    ["cycle", "OUTPUT_INVALID"],
  ]) {
    const run = await library.control.start({ workflow: "crime", input: { crime: crime ?? "" } });
    expect((await library.result(run)).error?.code).toBe(code);
  }
  const run = await library.control.start({ workflow: "work", input: { n: 1 } });
  expect((await library.result(run)).output).toBe(4);
});

test("F6: hosts that are killed are replaced, and everything that is left of them is gone", async () => {
  const { hosts } = await app.control.info();
  for (const pid of hosts) process.kill(pid, "SIGKILL");
  const [end] = await outcomes("work", [{ n: 5 }]);
  expect(end?.output).toBe(8);
  expect(hosts.filter(isAlive)).toEqual([]);
});
