import { appendFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { readRun } from "../../src/runtime/journal.ts";
import { openFleet } from "../../src/runtime/open-fleet.ts";
import { placeWith } from "./place.ts";
import { startApp, until } from "./process.ts";

test("C8, F8: an agent waits for another through kill -9 of the other's host, then of the coordinator", async () => {
  const place = placeWith("agency.ts");
  const app = await startApp(place.folder, { hosts: 1 });
  const here = await openFleet({ fleet: place.folder, join: "only" });
  const run = await here.control.start({ workflow: "ask", input: { diary: place.diary } });
  const clerks = () => place.lines().flatMap((line) => (line.startsWith("clerk ") ? [Number(line.slice(6))] : []));
  const isWaiting = async () => {
    const { tasks } = await here.state(run);
    return tasks.get("chief")?.status === "suspended" && tasks.get("chief/call clerk#1")?.status === "assigned";
  };
  await until(async () => clerks().length === 1 && (await isWaiting()), "the clerk at work, the chief waiting");
  process.kill(clerks()[0] ?? 0, "SIGKILL");
  await until(async () => {
    const clerk = (await here.state(run)).tasks.get("chief/call clerk#1");
    return clerk?.attempt === 2 && (await isWaiting());
  }, "the clerk at work again");
  await app.kill("SIGKILL");
  await here.close();

  appendFileSync(place.diary, "go on\n");
  const next = await openFleet({ fleet: place.folder, hosts: 1 });
  onTestFinished(() => next.close({ drain: false }));
  expect((await next.result(run)).output).toBe(42);
  // What was on record ran once: each step but the one that was cut off.
  expect(place.lines().filter((line) => !line.startsWith("clerk"))).toEqual([
    "chief asks",
    "go on",
    "chief was told 42",
  ]);
  expect(clerks()).toHaveLength(1);
}, 60_000);

test("C3, F8: a child run and its parent go on after kill -9 of everything, and the parent hears once of its end", async () => {
  const place = placeWith("agency.ts");
  const app = await startApp(place.folder, { hosts: 1 });
  const here = await openFleet({ fleet: place.folder, join: "only" });
  const run = await here.control.start({ workflow: "inside", input: { diary: place.diary } });
  await until(() => place.lines().some((line) => line.startsWith("clerk ")), "the clerk of the child at work");
  const child = (await here.state(run)).tasks.get("ask")?.child?.run ?? "none";
  await app.kill("SIGKILL");
  await here.close();

  appendFileSync(place.diary, "go on\n");
  const next = await openFleet({ fleet: place.folder, hosts: 1 });
  onTestFinished(() => next.close({ drain: false }));
  expect((await next.result(run)).output).toBe(42);
  expect((await next.state(child)).status).toBe("completed");
  const types: string[] = [];
  for await (const { event } of readRun(next.store, run)) types.push(event.type);
  expect(types.filter((type) => type.startsWith("child."))).toEqual(["child.requested", "child.ended"]);
  expect(place.lines().filter((line) => line === "chief asks")).toHaveLength(1);
}, 60_000);
