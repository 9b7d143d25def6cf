import { describe, expect, test } from "vitest";
import { open } from "../../src/index.ts";
import { desk, gate } from "./desk.ts";
import { opened, rejection } from "./place.ts";

/** As JavaScript calls it: nothing is checked before it runs. */
type Untyped = (...args: unknown[]) => Promise<unknown>;

describe("what is started must be known and right", () => {
  test("an unknown workflow gets the nearest one, and all there are", async () => {
    const app = await opened();
    const error = await rejection((app.start as Untyped)("shuot", { text: "x" }));
    expect(error).toMatchObject({
      code: "WORKFLOW_UNKNOWN",
      message: 'fleet "desk" has no workflow "shuot"',
      details: { suggestion: "shout" },
    });
    expect(error.hint).toBe(
      'It has: shout, wait, nap, write, ask, speak, fail, stray, lie, twice, both. Did you mean "shout"?',
    );
    expect(await rejection((app.start as Untyped)("toString", {}))).toMatchObject({ code: "WORKFLOW_UNKNOWN" });
  });

  test.each<[string, unknown, string]>([
    ["a key that is missing", {}, "required property 'text'"],
    ["a wrong type", { text: 1 }, "/text must be string"],
    ["no input", undefined, "it must be object"],
    ["what JSON cannot hold", { text: 10n }, "/text is a bigint, which JSON cannot hold"],
    ["a value that would change on the way", { text: "x", seen: new Set() }, "/seen is an instance of Set"],
  ])("%s is refused before anything is on record", async (_, input, problem) => {
    const app = await opened();
    const error = await rejection((app.start as Untyped)("shout", input));
    expect(error.code).toBe("INPUT_INVALID");
    expect(error.message).toContain('the input of workflow "shout"');
    expect(error.message).toContain(problem);
    expect(await app.fleet.runs({ limit: 10 })).toEqual([]);
  });

  test("keys that are undefined are not there", async () => {
    const app = await opened();
    const run = await (app.start as Untyped)("shout", { text: "x", note: undefined });
    expect(run).toBeDefined();
  });

  test.each<[object, string]>([
    [{ priority: "URGENT" }, "CRITICAL"],
    [{ idempotencykey: "k" }, "idempotencyKey"],
    [{ idempotencyKey: "k".repeat(513) }, "idempotencyKey"],
    [{ limits: { stepsMax: 0 } }, "stepsMax"],
    [{ limits: { costUsd: 1 } }, "costUsdMax"],
  ])("options %j: what is wrong is named", async (options, named) => {
    const app = await opened();
    const error = await rejection((app.start as Untyped)("shout", { text: "x" }, options));
    expect(error.code).toBe("OPTION_INVALID");
    expect(`${String(error.message)} ${String(error.hint)}`).toContain(named);
  });

  test("limits are the run's own, one by one, in the words of the definition", async () => {
    const app = await opened();
    const run = await app.start(
      "shout",
      { text: "x" },
      { limits: { costUsdMax: 0.5, stepsMax: undefined }, priority: "HIGH" },
    );
    const { limits, priority } = await run.state();
    expect({ limits, priority }).toMatchObject({
      limits: { costMicroUsdMax: 500_000, stepsMax: 10_000 },
      priority: 1,
    });
  });
});

describe("C11: idempotency keys", () => {
  test("the same key and input is the same run, also at once and after its end; other input is a conflict", async () => {
    const app = await opened();
    const start = (text: string) => app.start("shout", { text }, { idempotencyKey: "k" });
    const runs = await Promise.all(Array.from({ length: 20 }, () => start("once")));
    expect(new Set(runs.map(({ id }) => id)).size).toBe(1);
    await runs[0]?.result();
    expect((await start("once")).id).toBe(runs[0]?.id);
    expect(await rejection(start("other"))).toMatchObject({
      code: "IDEMPOTENCY_CONFLICT",
      details: { run: runs[0]?.id },
    });
    expect(await app.fleet.runs({ limit: 10 })).toHaveLength(1);
  });
});

test("B3: 500 runs started at once all give their own result", async () => {
  const app = await opened();
  const runs = await Promise.all(Array.from({ length: 500 }, (_, n) => app.start("shout", { text: `n${n}` })));
  expect(new Set(runs.map(({ id }) => id)).size).toBe(500);
  const results = await Promise.all(runs.map((run) => run.result()));
  expect(results.map(({ text }) => text)).toEqual(Array.from({ length: 500 }, (_, n) => `N${n}`));
});

test("the workflow is a name", async () => {
  const app = await opened();
  for (const wrong of [undefined, null, "", 7])
    expect(await rejection((app.start as Untyped)(wrong, {}))).toMatchObject({ code: "OPTION_INVALID" });
});

describe("open()", () => {
  test.each<[string, unknown, RegExp]>([
    ["nothing", undefined, /takes a fleet made by fleet\(\)/],
    ["a plain object", { name: "desk" }, /takes a fleet/],
    ["an empty path", "", /takes a fleet/],
  ])("%s is not opened", async (_, fleet, message) => {
    const error = await rejection((open as Untyped)(fleet));
    expect(error.code).toBe("OPTION_INVALID");
    expect(error.message).toMatch(message);
  });

  test("a module in place of its default export is recognised", async () => {
    const error = await rejection((open as Untyped)({ default: desk }));
    expect(error.hint).toBe("This is a module: give its default export.");
  });

  test.each<[object, string]>([
    [{ stroe: "memory:" }, "store"],
    [{ store: "memory:", hosts: -1 }, "hosts"],
    [{ store: "memory:", log: console.log }, "debug, info, warn and error"],
  ])("options %j: what is wrong is named", async (options, named) => {
    const error = await rejection((open as Untyped)(desk, options));
    expect(error.code).toBe("OPTION_INVALID");
    expect(`${String(error.message)} ${String(error.hint)}`).toContain(named);
  });

  test("a store of no known kind is named, with those there are", async () => {
    const error = await rejection(open(desk, { store: "sqlit:x.db" }));
    expect(error).toMatchObject({ code: "USAGE" });
    expect(error.hint).toContain("Did you mean sqlite:?");
  });

  test("a store of no file is told to name one", async () => {
    const error = await rejection(open(desk, { store: "sqlite:" }));
    expect(error).toMatchObject({ code: "USAGE", hint: "Name one: sqlite:.flotilla/store.db" });
  });

  test("a missing definition says where it was looked for", async () => {
    const error = await rejection(open(new URL("./nowhere.ts", import.meta.url)));
    expect(error.code).toBe("DEFINITION_NOT_FOUND");
    expect(error.message).toContain("nowhere.ts");
  });
});

test("what runs is not disturbed by what fails beside it", async () => {
  const app = await opened();
  const healthy = await Promise.all(Array.from({ length: 20 }, () => app.start("wait", { text: "beside" })));
  const failing = await Promise.all(Array.from({ length: 20 }, () => app.start("fail", { text: "x" })));
  const errors = await Promise.all(failing.map((run) => rejection(run.result())));
  expect(errors.every(({ code }) => code === "AGENT_FAILED")).toBe(true);
  gate("beside").resolve();
  const results = await Promise.all(healthy.map((run) => run.result()));
  expect(results.every(({ text }) => text === "beside is open")).toBe(true);
});
