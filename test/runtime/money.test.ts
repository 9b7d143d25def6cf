import { writeFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { chargedOf } from "../../src/core/money.ts";
import type { OpenFleet } from "../../src/runtime/app-contract.ts";
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
