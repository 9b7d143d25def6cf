import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { OpenFleet } from "../../src/runtime/app-contract.ts";
import { openFleet, type OpenFleetOptions } from "../../src/runtime/open-fleet.ts";
import { readRun } from "../../src/runtime/journal.ts";
import { startDouble } from "../model/double.ts";
import { fixtureText, type Place, placeWith } from "./place.ts";
import { startApp, until } from "./process.ts";

async function opened(options: OpenFleetOptions): Promise<OpenFleet> {
  const app = await openFleet({ hosts: 1, ...options });
  onTestFinished(() => app.close({ drain: false }));
  return app;
}

/** Starts a run in a process of its own and kills that when the run's diary, or journal, is where `when` says. */
async function killedWhen(
  place: Place,
  input: object,
  when: (app: OpenFleet, run: string) => boolean | Promise<boolean>,
  workflow = "travel",
) {
  const app = await startApp(place.folder, { hosts: 1 });
  const here = await openFleet({ fleet: place.folder, join: "only" });
  const run = await here.control.start({ workflow, input: { diary: place.diary, ...input } });
  await until(() => when(here, run), "the moment to kill", 60_000);
  await app.kill("SIGKILL");
  await here.close();
  return run;
}

async function eventTypes(app: OpenFleet, run: string): Promise<string[]> {
  const types: string[] = [];
  for await (const { event } of readRun(app.store, run)) types.push(event.type);
  return types;
}

test("F8: kill -9 in the middle of several steps: those on record are not executed again", async () => {
  const place = placeWith("journey.ts");
  const run = await killedWhen(place, { steps: 5, waitAt: 3 }, () => place.lines().includes("step 3 waits"));
  expect(place.lines()).toEqual(["step 0", "step 1", "step 2", "step 3 waits"]);
  appendFileSync(place.diary, "go on\n");
  const app = await opened({ fleet: place.folder });
  expect((await app.result(run)).output).toEqual([0, 1, 4, 9, 16]);
  expect(place.lines()).toEqual(["step 0", "step 1", "step 2", "step 3 waits", "go on", "step 3", "step 4"]);
});

test("F8: a model call that was paid before kill -9 is not paid again", async () => {
  const double = await startDouble();
  onTestFinished(() => double.close());
  double.always({ answer: { text: "paid", usage: { input: 11, output: 7 } } });
  const place = placeWith("journey.ts");
  writeFileSync(
    place.fleet,
    fixtureText("journey.ts").replace("http://127.0.0.1:1/v1", double.baseUrl("openai-compatible")),
  );
  const run = await killedWhen(place, { waitAt: 0 }, () => place.lines().includes("asked, waits"), "ask");
  expect(double.requests).toHaveLength(1);
  appendFileSync(place.diary, "go on\n");
  const app = await opened({ fleet: place.folder });
  expect((await app.result(run)).output).toBe("paid and paid");
  expect(double.requests).toHaveLength(2);
  const { usage } = await app.state(run);
  expect({ in: usage.inputTokens, out: usage.outputTokens }).toEqual({ in: 22, out: 14 });
});

test("F12: a durable sleep and a delayed retry that came due while everything was down go on at the next start", async () => {
  const place = placeWith("journey.ts");
  const asleep = await killedWhen(
    place,
    { sleepMs: 3_000 },
    async (app, id) => (await app.state(id)).tasks.get("sleeper")?.status === "suspended",
    "nap",
  );
  const delayed = await killedWhen(
    place,
    { delayMs: 3_000 },
    async (app, id) => (await app.state(id)).tasks.get("stumbler")?.status === "delayed",
    "stumble",
  );
  const due = Date.now() + 3_000;
  await until(() => Date.now() > due, "both to be due");
  const app = await opened({ fleet: place.folder });
  const ends = await Promise.all([app.result(asleep), app.result(delayed)]);
  expect(ends.map(({ output }) => output)).toEqual(["slept", "stood up"]);
  expect(place.lines().toSorted()).toEqual(["falls asleep", "stands up", "stumbles", "wakes"]);
  // Waking is no new attempt of the retry policy, and both ran in two lives.
  expect(await eventTypes(app, asleep)).toEqual(expect.arrayContaining(["task.suspended", "task.woken"]));
  expect(await eventTypes(app, delayed)).toEqual(expect.arrayContaining(["task.retried"]));
}, 60_000);

test("C2: a run whose code changed while it was down waits and says so; when the code is back it goes on", async () => {
  const place = placeWith("journey.ts");
  const run = await killedWhen(place, { steps: 4, waitAt: 2 }, () => place.lines().includes("step 2 waits"));
  appendFileSync(place.diary, "go on\n");
  writeFileSync(place.fleet, `${fixtureText("journey.ts")}\n// edited\n`);
  const warnings: string[] = [];
  const nothing = () => {};
  const log = { debug: nothing, info: nothing, error: nothing, warn: (message: string) => void warnings.push(message) };
  const app = await opened({ fleet: place.folder, log });
  await until(() => warnings.some((text) => text.includes("DEFINITION_MISSING") && text.includes(run)), "the warning");
  expect((await app.state(run)).status).toBe("running");
  // What is new runs on the new code beside it.
  const fresh = await app.control.start({ workflow: "travel", input: { diary: place.diary, steps: 1, waitAt: -1 } });
  expect((await app.result(fresh)).status).toBe("completed");
  expect((await app.state(run)).status).toBe("running");

  writeFileSync(place.fleet, fixtureText("journey.ts"));
  await app.reload();
  expect((await app.result(run)).output).toEqual([0, 1, 4, 9]);
  expect(place.lines().filter((line) => line === "step 0")).toHaveLength(2);
}, 60_000);

test("D9: a fleet of declared agents resumes from the stored definition, although its YAML is another one now", async () => {
  const double = await startDouble();
  onTestFinished(() => double.close());
  double.script({ answer: { text: "first" } }, { hang: "silent" });
  double.always({ answer: { text: "second" } });
  const place = placeWith("journey.ts");
  const yaml = (instructions: string) => `name: declared
providers: { here: { kind: openai-compatible, baseUrl: "${double.baseUrl("openai-compatible")}" } }
agents:
  one: { model: here/m, instructions: "${instructions}" }
  two: { model: here/m, instructions: "${instructions}" }
workflows:
  relay: { pattern: pipeline, stages: [one, two] }
`;
  const file = join(place.folder, "fleet.yaml");
  writeFileSync(file, yaml("As it was."));
  const app = await startApp(file, { hosts: 1 });
  const here = await openFleet({ fleet: file, join: "only" });
  const run = await here.control.start({ workflow: "relay", input: "go" });
  await double.request(1);
  await app.kill("SIGKILL");
  await here.close();
  writeFileSync(file, yaml("As it is now."));
  const next = await opened({ fleet: file });
  expect((await next.result(run)).output).toBe("second");
  expect(double.requests).toHaveLength(3);
  expect(JSON.stringify(double.requests[2]?.body)).toContain("As it was.");
  const fresh = await next.control.start({ workflow: "relay", input: "go" });
  await next.result(fresh);
  expect(JSON.stringify(double.requests.at(-1)?.body)).toContain("As it is now.");
});
