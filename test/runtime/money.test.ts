import { writeFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { chargedOf } from "../../src/core/money.ts";
import type { OpenFleet } from "../../src/runtime/app-contract.ts";
import { readRun } from "../../src/runtime/journal.ts";
import { openFleet } from "../../src/runtime/open-fleet.ts";
import { type Double, startDouble } from "../model/double.ts";
import { fixtureText, type Place, placeWith } from "./place.ts";
import { startApp, until } from "./process.ts";

// K2, invariant 5: a double counts what it charges for, whoever lives to hear its answers.

const BUDGET_MICRO_USD = 50_000;
/** What the double charges for each answer: all the output that it was allowed, and a little input. */
const USAGE = { input: 20, output: 100 };
const PRICE_MICRO_USD = 20 * 1 + 100 * 10;
const CALLS = 100;

async function counting(): Promise<{ double: Double; place: Place; billed(): number }> {
  const double = await startDouble();
  onTestFinished(() => double.close());
  double.always({ answer: { text: "done", usage: USAGE } });
  const place = placeWith("spenders.ts");
  const url = double.baseUrl("openai-compatible");
  writeFileSync(place.fleet, fixtureText("spenders.ts").replace("http://127.0.0.1:1/v1", url));
  return { double, place, billed: () => double.requests.length * PRICE_MICRO_USD };
}

async function opened(place: Place, hosts: number): Promise<OpenFleet> {
  const app = await openFleet({ fleet: place.folder, hosts });
  onTestFinished(() => app.close({ drain: false }));
  return app;
}

const items = Array.from({ length: CALLS }, (_, i) => i);

test("K2: 100 calls at once from four processes never pass one budget, and use it up", async () => {
  const { place, billed } = await counting();
  const app = await opened(place, 4);
  const run = await app.control.start({ workflow: "spend", input: { items } });
  const { error } = await app.result(run);
  expect(error?.code).toBe("LIMIT_COST");
  expect(billed()).toBeLessThanOrEqual(BUDGET_MICRO_USD);
  // Those that were refused first waited for what others left over.
  expect(billed()).toBeGreaterThan(BUDGET_MICRO_USD - 2 * PRICE_MICRO_USD);
  const state = await app.state(run);
  expect(state.usage.costMicroUsd).toBe(billed());
  expect(state.money).toMatchObject({ reserved: { costMicroUsd: 0 }, unsettled: { costMicroUsd: 0 } });
});

test("K2: what was under way when everything was killed stays charged, and the budget holds", async () => {
  const { double, place, billed } = await counting();
  // These were charged for, and nobody will ever hear their answers.
  const silent = 10;
  double.script(...Array.from({ length: silent }, () => ({ hang: "silent" }) as const));
  const first = await startApp(place.folder, { hosts: 3 });
  const here = await openFleet({ fleet: place.folder, join: "only" });
  const run = await here.control.start({ workflow: "spend", input: { items } });
  await until(() => double.requests.length > silent + 5, "calls in the middle of which to kill");
  await first.kill("SIGKILL");
  await here.close();
  const app = await opened(place, 3);
  expect((await app.result(run)).error?.code).toBe("LIMIT_COST");
  expect(billed()).toBeLessThanOrEqual(BUDGET_MICRO_USD);
  const state = await app.state(run);
  expect(state.money.unsettled.costMicroUsd).toBeGreaterThan(0);
  expect(chargedOf(state).costMicroUsd).toBeGreaterThanOrEqual(billed());
  expect(chargedOf(state).costMicroUsd).toBeLessThanOrEqual(BUDGET_MICRO_USD);
});

test("K2: 100 runs at once share the budget of one agent, and a restart knows what was used", async () => {
  const { place, billed } = await counting();
  const app = await opened(place, 2);
  const runs = await Promise.all(items.map((n) => app.control.start({ workflow: "save", input: n })));
  const ends = await Promise.all(runs.map((run) => app.result(run)));
  const refused = ends.filter(({ error }) => error?.code === "LIMIT_COST").length;
  const paid = ends.filter(({ status }) => status === "completed").length;
  expect(refused + paid).toBe(CALLS);
  expect(paid * PRICE_MICRO_USD).toBe(billed());
  expect(billed()).toBeLessThanOrEqual(BUDGET_MICRO_USD);
  expect(billed()).toBeGreaterThan(BUDGET_MICRO_USD - 2 * PRICE_MICRO_USD);
  expect(await app.store.account("agent/saver", "total")).toMatchObject({ costMicroUsd: billed() });
  const alerts = await eventsOf(app, runs, "budget.alerted");
  expect(alerts).toMatchObject([{ data: { scope: "agent/saver", window: "total", max: BUDGET_MICRO_USD } }]);
  await app.close();

  const later = await opened(place, 1);
  const run = await later.control.start({ workflow: "save", input: null });
  expect((await later.result(run)).error?.code).toBe("LIMIT_COST");
  expect(billed()).toBe(paid * PRICE_MICRO_USD);
});

async function eventsOf(app: OpenFleet, runs: readonly string[], type: string): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const run of runs)
    for await (const { event } of readRun(app.store, run)) if (event.type === type) found.push(event);
  return found;
}
