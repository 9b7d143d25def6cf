import { writeFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import type { HoldTarget } from "../../src/core/hold.ts";
import type { OpenFleet } from "../../src/runtime/app-contract.ts";
import { openFleet, type OpenFleetOptions } from "../../src/runtime/open-fleet.ts";
import { type Double, startDouble } from "../model/double.ts";
import { fixtureText, type Place, placeWith } from "./place.ts";
import { isAlive, startApp, until } from "./process.ts";

async function opened(options: OpenFleetOptions): Promise<OpenFleet> {
  const app = await openFleet(options);
  onTestFinished(() => app.close({ drain: false }));
  return app;
}

interface Ward {
  place: Place;
  double: Double;
  /** Requests that are open at this moment. */
  open(): number;
  gate: string;
}

/** A fleet in a folder of its own whose model is a double that counts open connections. */
async function ward(): Promise<Ward> {
  process.env.WARD_KEY = "key";
  const double = await startDouble();
  onTestFinished(() => double.close());
  const place = placeWith("ward.ts");
  writeFileSync(
    place.fleet,
    fixtureText("ward.ts").replace("http://127.0.0.1:1/v1", double.baseUrl("openai-compatible")),
  );
  const closed = new Set<object>();
  const open = () => {
    for (const request of double.requests) void request.ended.then(() => closed.add(request));
    return double.requests.length - closed.size;
  };
  return { place, double, open, gate: `${place.diary}.gate` };
}

/** Looks for as long as `withinMs`, and says how long it took. */
async function took(condition: () => boolean, what: string): Promise<number> {
  const since = performance.now();
  await until(condition, what);
  return performance.now() - since;
}

const eventsOf = async (app: OpenFleet, run: string) => {
  const types: string[] = [];
  for await (const { event } of app.events(run, { follow: false })) types.push(event.type);
  return types;
};

const idle = (app: OpenFleet) => async () => (await app.control.info()).queues.every(({ running }) => running === 0);

describe("X5, invariant 6: a pause hangs up on calls in flight within a second, and they are made again after it", () => {
  const cases: [string, string, (run: string) => HoldTarget][] = [
    ["a run", "think", (run) => ({ run })],
    ["an agent", "think", () => ({ agent: "thinker" })],
    ["an agent that waits for another's call", "lead", () => ({ agent: "lead" })],
    ["a workflow, with what its agents asked others for", "lead", () => ({ workflow: "lead" })],
    ["the fleet", "think", () => ({ fleet: true })],
  ];
  test.each(cases)("%s", async (_, workflow, targetOf) => {
    const { place, double, open } = await ward();
    double.script({ hang: "silent" });
    double.always({ answer: { text: "at last" } });
    const app = await opened({ fleet: place.fleet, hosts: 1 });
    const run = await app.control.start({ workflow, input: "why?" });
    await double.request(0);
    expect(open()).toBe(1);
    const target = targetOf(run);
    expect(await app.control.pause(target, "looking", "tester")).toBe(true);
    expect(await took(() => open() === 0, "the call to be hung up")).toBeLessThan(1_000);
    await until(idle(app), "nothing to be with a worker");
    expect(await app.control.pause(target, "again", "tester")).toBe(false);
    // Another run shows that the time was there in which something could have started.
    const other = await app.control.start({ workflow, input: "meanwhile" });
    if ("run" in target) await app.result(other);
    expect(double.requests).toHaveLength("run" in target ? 2 : 1);
    expect(await app.control.resume(target, "seen", "tester")).toBe(true);
    expect(await app.result(run)).toMatchObject({ status: "completed", output: "at last" });
    expect(await app.result(other)).toMatchObject({ status: "completed" });
    const types = await eventsOf(app, run);
    expect(types).toContain("task.released");
    expect(types).not.toContain("task.retried");
    expect(await app.control.resume(target, "", "tester")).toBe(false);
  });
});

test("X5: what is held does not stand in the way of the rest, in the same queue", async () => {
  const { place, gate } = await ward();
  const app = await opened({ fleet: place.fleet, hosts: 1, concurrency: 2 });
  await app.control.pause({ workflow: "work" }, "not these", "tester");
  const input = (n: number) => ({ n, gate, diary: place.diary });
  const held = await Promise.all(
    Array.from({ length: 30 }, (_, n) => app.control.start({ workflow: "work", input: input(n) })),
  );
  await app.control.pause({ agent: "worker" }, "nor these", "tester");
  const free = await app.control.start({ workflow: "stubborn", input: { diary: place.diary } });
  await until(() => place.lines().includes("still here"), "other work to go on");
  await app.control.stop(free, "seen", "tester");
  expect(place.lines().filter((line) => line.endsWith("begins"))).toEqual([]);
  // Lifting one of two holds leaves the other in force.
  await app.control.resume({ workflow: "work" }, "", "tester");
  expect(await app.control.holds()).toMatchObject([{ scope: "agent", name: "worker", why: "nor these", by: "tester" }]);
  writeFileSync(gate, "");
  expect((await app.control.info()).queues.every(({ running }) => running === 0)).toBe(true);
  await app.control.resume({ agent: "worker" }, "", "tester");
  for (const run of held) expect(await app.result(run)).toMatchObject({ status: "completed" });
});

test.each<[string, (run: string) => HoldTarget]>([
  ["a run", (run) => ({ run })],
  ["an agent", () => ({ agent: "worker" })],
  ["a workflow", () => ({ workflow: "work" })],
  ["the fleet", () => ({ fleet: true })],
])("F12, X5: a hold of %s is in force after kill -9 and a restart, until it is lifted", async (_, targetOf) => {
  const { place, gate } = await ward();
  const app = await startApp(place.folder, { hosts: 1 });
  const here = await openFleet({ fleet: place.folder, join: "only" });
  const run = await here.control.start({ workflow: "work", input: { n: 1, gate, diary: place.diary } });
  await until(async () => (await eventsOf(here, run)).includes("step.completed"), "its first step to be on record");
  const target = targetOf(run);
  await here.control.pause(target, "before the crash", "tester");
  await app.kill("SIGKILL");
  await here.close();
  const next = await opened({ fleet: place.folder, hosts: 1 });
  writeFileSync(gate, "");
  const seen = (await next.state(run)).version;
  await until(idle(next), "the start to settle");
  const holds = await next.control.holds();
  if ("run" in target) expect((await next.state(run)).hold).toMatchObject({ why: "before the crash", by: "tester" });
  else expect(holds).toMatchObject([{ why: "before the crash", by: "tester", liftedAt: null }]);
  expect((await eventsOf(next, run)).slice(seen)).not.toContain("tasks.assigned");
  await next.control.resume(target, "after it", "tester");
  expect(await next.result(run)).toMatchObject({ status: "completed", output: 1 });
  // The step that was done before the pause was not done again.
  expect(place.lines()).toEqual(["1 begins"]);
});

test("X5: a kill ends the processes of code that does not heed its signal; it holds until the fleet is resumed", async () => {
  const { place } = await ward();
  const app = await opened({ fleet: place.fleet, hosts: 1 });
  const run = await app.control.start({ workflow: "stubborn", input: { diary: place.diary } });
  await until(() => place.lines().length > 2, "it to work");
  const before = (await app.control.info()).hosts;
  await app.control.pause({ fleet: true }, "it runs amok", "tester", true);
  await until(async () => {
    const { hosts } = await app.control.info();
    return hosts.length > 0 && !hosts.some((pid) => before.includes(pid));
  }, "other hosts to be there");
  await until(() => !before.some(isAlive), "the old ones to be gone");
  const said = place.lines().length;
  expect(await app.control.holds()).toMatchObject([{ scope: "fleet", kill: true, why: "it runs amok" }]);
  const { tasks, status } = await app.state(run);
  expect(status).toBe("running");
  // It is no suspect: it did not kill its host.
  expect([...tasks.values()]).toMatchObject([{ status: "ready", crashes: 0, tries: 0 }]);
  await app.control.resume({ fleet: true }, "looked at", "tester");
  await until(() => place.lines().length > said, "it to go on");
  await app.control.stop(run, "enough", "tester");
});

test("X5: what is mistyped holds nothing, and says so", async () => {
  const { place } = await ward();
  const app = await opened({ fleet: place.fleet, hosts: 0 });
  await expect(app.control.pause({ agent: "thinkr" }, "why", "me")).rejects.toMatchObject({
    code: "TARGET_UNKNOWN",
    hint: expect.stringContaining('Did you mean "thinker"?') as string,
  });
  await expect(app.control.pause({ workflow: "nothing" }, "why", "me")).rejects.toMatchObject({
    code: "TARGET_UNKNOWN",
  });
  await expect(app.control.pause({ run: "r-none" }, "why", "me")).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
  expect(await app.control.holds()).toEqual([]);
});
