import { describe, expect, test } from "vitest";
import { DEFAULT_RETRY } from "../../src/core/definition.ts";
import type { Json } from "../../src/core/json.ts";
import { FlotillaError } from "../../src/error.ts";
import type { ToolRunner } from "../../src/tool/tool.ts";
import { completed, failed, fleetOf, toolRunner, World } from "./world.ts";

const unavailable = (details: Record<string, unknown> = {}) =>
  new FlotillaError("TOOL_UNAVAILABLE", "no answer", { details });

/** A tool that fails as often as there are errors, then answers. */
function flaky(errors: unknown[], seen: string[] = []): ToolRunner {
  return toolRunner(async (_, { idempotencyKey }) => {
    seen.push(idempotencyKey);
    const error = errors.shift();
    if (error !== undefined) throw error;
    return "ok";
  });
}

const write = { effect: "write" as const };
const callIt = async (ctx: { tool(name: string, input: unknown): Promise<Json> }) => ctx.tool("it", {});
const phases = (world: World) => world.records.map(({ key, phase }) => `${key} ${phase}`);

describe("reads", () => {
  test("F2: a transient failure is tried again with back-off and jitter, and each retry is logged", async () => {
    const world = new World();
    const before = world.clock.now();
    const fleet = fleetOf({ tools: { it: { runner: flaky([unavailable(), unavailable()]) } }, run: callIt });
    expect(completed(await world.run(fleet))).toBe("ok");
    expect(world.clock.now() - before).toBeGreaterThanOrEqual(1_500);
    expect(world.clock.now() - before).toBeLessThanOrEqual(4_500);
    expect(world.logs.map(({ message }) => message.slice(0, 26))).toEqual([
      "it#1 failed, try 2 of 5 in",
      "it#1 failed, try 3 of 5 in",
    ]);
    expect(phases(world)).toEqual(["it#1 completed"]);
  });

  test("F2: a retry-after is obeyed", async () => {
    const world = new World();
    const before = world.clock.now();
    const error = new FlotillaError("TOOL_UNAVAILABLE", "later", { retryAfterMs: 45_000 });
    completed(await world.run(fleetOf({ tools: { it: { runner: flaky([error]) } }, run: callIt })));
    expect(world.clock.now() - before).toBe(45_000);
  });

  test("a retry-after beyond the longest delay is left to the engine, which holds no process meanwhile", async () => {
    const world = new World();
    const error = new FlotillaError("TOOL_UNAVAILABLE", "much later", { retryAfterMs: 3_600_000 });
    const outcome = failed(await world.run(fleetOf({ tools: { it: { runner: flaky([error]) } }, run: callIt })));
    expect(outcome).toMatchObject({ class: "transient", retryAfterMs: 3_600_000 });
    expect(world.records).toEqual([]);
  });

  test("a transient failure that outlasts its retries is not on record, so that another attempt can try again", async () => {
    const world = new World();
    const fleet = fleetOf({
      tools: { it: { runner: flaky(Array.from({ length: 5 }, () => unavailable())) } },
      run: callIt,
    });
    expect(failed(await world.run(fleet))).toMatchObject({ code: "TOOL_UNAVAILABLE", class: "transient" });
    expect(world.records).toEqual([]);
    expect(completed(await world.run(fleet))).toBe("ok");
  });

  test("a failure that the agent survives is on record before its next step", async () => {
    const world = new World();
    const fleet = fleetOf({
      tools: {
        it: { definition: { retry: { ...DEFAULT_RETRY, attemptsMax: 1 } }, runner: flaky([unavailable()]) },
        other: { runner: flaky([]) },
      },
      run: async (ctx) => {
        const via = await ctx.tool("it", {}).then(
          () => "it",
          () => "other",
        );
        await ctx.tool("other", { via });
        if (world.attempt === 1) throw new Error("passes");
        return via;
      },
    });
    failed(await world.run(fleet));
    expect(phases(world)).toEqual(["it#1 failed", "other#1 completed"]);
    expect(completed(await world.run(fleet))).toBe("other");
    expect(phases(world)).toHaveLength(2);
  });

  test("F1: a permanent failure is on record, and thrown again by the record", async () => {
    const world = new World();
    const runner = flaky([new FlotillaError("TOOL_FAILED", "no such page", { hint: "Look elsewhere." })]);
    const fleet = fleetOf({
      tools: { it: { runner } },
      run: async (ctx) => {
        const error = (await ctx.tool("it", {}).catch((thrown: unknown) => thrown)) as FlotillaError;
        if (world.attempt === 1) throw new Error("once more");
        return { code: error.code, class: error.class, message: error.message, hint: error.hint };
      },
    });
    failed(await world.run(fleet));
    const second = completed(await world.run(fleet));
    expect(second).toEqual({
      code: "TOOL_FAILED",
      class: "permanent",
      message: "no such page",
      hint: "Look elsewhere.",
    });
  });

  test("F3: a tool that hangs and ignores its signal is given up at its time-out", async () => {
    const world = new World();
    let aborted = false;
    const runner = toolRunner((_, { signal }) => {
      signal.addEventListener("abort", () => {
        aborted = true;
      });
      return new Promise(() => {});
    });
    const definition = { timeoutMs: 2_000, retry: { ...DEFAULT_RETRY, attemptsMax: 1 } };
    const error = failed(await world.run(fleetOf({ tools: { it: { definition, runner } }, run: callIt })));
    expect(error).toMatchObject({ code: "STEP_TIMEOUT", class: "transient", message: "it#1 took longer than 2000 ms" });
    expect(aborted).toBe(true);
  });

  test("late work is thrown away and said so", async () => {
    const world = new World();
    const runner = toolRunner(() => new Promise((resolve) => void world.clock.after(5_000, () => resolve("late"))));
    const definition = { timeoutMs: 2_000, retry: { ...DEFAULT_RETRY, attemptsMax: 1 } };
    const fleet = fleetOf({
      tools: { it: { definition, runner } },
      run: async (ctx) => {
        const found = await ctx.tool("it", {}).catch((error: FlotillaError) => error.code);
        await ctx.step(
          "wait",
          () => new Promise<null>((resolve) => void world.clock.after(5_000, () => resolve(null))),
        );
        return found;
      },
    });
    expect(completed(await world.run(fleet))).toBe("STEP_TIMEOUT");
    expect(world.logs.map(({ message }) => message)).toContain(
      "it#1 ended after it was given up; its result was thrown away",
    );
  });
});

describe("F13: writes are written ahead", () => {
  test("the intent is durable before the tool runs, the outcome before the agent goes on", async () => {
    const world = new World();
    const order: string[] = [];
    const fleet = fleetOf({
      tools: {
        it: {
          definition: write,
          runner: toolRunner(async () => {
            order.push(`tool after ${phases(world).join()}`);
            return 1;
          }),
        },
      },
      run: async (ctx) => {
        await ctx.tool("it", {});
        order.push(`agent after ${phases(world).join()}`);
        return null;
      },
    });
    completed(await world.run(fleet));
    expect(order).toEqual(["tool after it#1 started", "agent after it#1 started,it#1 completed"]);
    expect(world.records[0]).toMatchObject({ settle: "person", input: {} });
    expect(world.records[0]?.idempotencyKey).toMatch(/^[0-9a-f]{32}$/);
  });

  test("an idempotent write is repeated under the same key, in this attempt and the next", async () => {
    const world = new World();
    const keys: string[] = [];
    const runner = flaky([unavailable(), ...Array.from({ length: 4 }, () => unavailable())], keys);
    const fleet = fleetOf({ tools: { it: { definition: { ...write, idempotent: true }, runner } }, run: callIt });
    expect(failed(await world.run(fleet))).toMatchObject({ code: "TOOL_UNAVAILABLE", class: "transient" });
    expect(world.steps.get("it#1")?.status).toBe("started");
    expect(completed(await world.run(fleet))).toBe("ok");
    expect(keys).toHaveLength(6);
    expect(new Set(keys).size).toBe(1);
  });

  test("a write that may have happened is not repeated: a person is asked, whatever the agent's code catches", async () => {
    const world = new World();
    const keys: string[] = [];
    const fleet = fleetOf({
      tools: { it: { definition: write, runner: flaky([unavailable()], keys) } },
      run: async (ctx) => ctx.tool("it", {}).catch(() => "caught"),
    });
    expect(failed(await world.run(fleet))).toMatchObject({ code: "OUTCOME_UNKNOWN", class: "business" });
    expect(world.steps.get("it#1")?.status).toBe("started");
    // The engine would not assign the task before a person has settled it; if it did, nothing would be repeated.
    expect(failed(await world.run(fleet))).toMatchObject({ code: "OUTCOME_UNKNOWN" });
    expect(keys).toHaveLength(1);
  });

  test.each([
    ["a thrown Error", new Error("500")],
    ["a mistake in the tool's code", new TypeError("x is undefined")],
  ])("%s says nothing of whether the write happened", async (_, error) => {
    const world = new World();
    const fleet = fleetOf({ tools: { it: { definition: write, runner: flaky([error]) } }, run: callIt });
    expect(failed(await world.run(fleet))).toMatchObject({ code: "OUTCOME_UNKNOWN" });
  });

  test("a write that certainly did not happen is tried again, and its last failure is on record", async () => {
    const world = new World();
    const keys: string[] = [];
    const runner = flaky(
      Array.from({ length: 5 }, () => unavailable({ sent: false })),
      keys,
    );
    const fleet = fleetOf({ tools: { it: { definition: write, runner } }, run: callIt });
    const error = failed(await world.run(fleet));
    expect(error).toMatchObject({ code: "TOOL_UNAVAILABLE", class: "permanent" });
    expect(error.message).toBe("no answer (given up after 5 tries; nothing was written)");
    expect(keys).toHaveLength(5);
    expect(phases(world)).toEqual(["it#1 started", "it#1 failed"]);
  });

  test("a refusal by the tool itself is an outcome", async () => {
    const world = new World();
    const fleet = fleetOf({
      tools: { it: { definition: write, runner: flaky([new FlotillaError("TOOL_FAILED", "403")]) } },
      run: callIt,
    });
    expect(failed(await world.run(fleet))).toMatchObject({ code: "TOOL_FAILED" });
    expect(phases(world)).toEqual(["it#1 started", "it#1 failed"]);
  });

  describe("with a check of the tool's own", () => {
    const checking = (answers: Json[], errors: unknown[], seen: string[] = []): ToolRunner => ({
      ...flaky(errors, seen),
      check: async (_, { idempotencyKey }) => {
        seen.push(`check ${idempotencyKey}`);
        return answers.shift();
      },
    });
    const definition = { ...write, hasCheck: true };

    test("done: its output is the step's, nothing is repeated", async () => {
      const world = new World();
      const seen: string[] = [];
      const runner = checking([{ outcome: "done", output: "found" }], [unavailable()], seen);
      expect(completed(await world.run(fleetOf({ tools: { it: { definition, runner } }, run: callIt })))).toBe("found");
      expect(seen).toHaveLength(2);
      expect(seen[1]).toBe(`check ${seen[0]}`);
    });

    test("not done: it is tried again", async () => {
      const world = new World();
      const runner = checking([{ outcome: "not-done" }], [unavailable()]);
      expect(completed(await world.run(fleetOf({ tools: { it: { definition, runner } }, run: callIt })))).toBe("ok");
    });

    test("unknown: a person is asked, and the record says so", async () => {
      const world = new World();
      const runner = checking([{ outcome: "unknown" }], [unavailable()]);
      expect(failed(await world.run(fleetOf({ tools: { it: { definition, runner } }, run: callIt })))).toMatchObject({
        code: "OUTCOME_UNKNOWN",
      });
      expect(world.steps.get("it#1")).toMatchObject({ status: "started", settle: "person" });
    });

    test("after a crash in between, the next attempt asks the check first", async () => {
      const world = new World();
      const seen: string[] = [];
      const hanging: ToolRunner = {
        call: async () => {
          seen.push("call");
          await world.point();
          return "ok";
        },
        check: async () => {
          seen.push("check");
          return { outcome: seen.filter((what) => what === "check").length > 1 ? "done" : "not-done", output: "found" };
        },
      };
      const fleet = fleetOf({ tools: { it: { definition, runner: hanging } }, run: callIt });
      world.crashAt = 3;
      expect(await world.run(fleet)).toBe("crashed");
      // Again in the call: what is repeated is intended again first.
      world.crashAt = 3;
      expect(await world.run(fleet)).toBe("crashed");
      world.crashAt = null;
      expect(completed(await world.run(fleet))).toBe("found");
      expect(seen).toEqual(["call", "check", "call", "check"]);
    });

    test("a check that fails leaves the question for the next attempt", async () => {
      const world = new World();
      const runner: ToolRunner = {
        ...flaky([unavailable()]),
        check: async () => {
          if (world.attempt === 1) throw unavailable();
          return { outcome: "done", output: "found" };
        },
      };
      const fleet = fleetOf({ tools: { it: { definition, runner } }, run: callIt });
      expect(failed(await world.run(fleet))).toMatchObject({ class: "transient" });
      expect(completed(await world.run(fleet))).toBe("found");
    });
  });

  test.each([
    ["done", "their word", 0],
    ["not-done", "ok", 1],
  ] as const)("a person settled it as %s", async (outcome, output, calls) => {
    const world = new World();
    const keys: string[] = [];
    const fleet = fleetOf({ tools: { it: { definition: write, runner: flaky([unavailable()], keys) } }, run: callIt });
    failed(await world.run(fleet));
    const step = world.steps.get("it#1");
    if (step === undefined) throw new Error("no step");
    world.steps.set("it#1", { ...step, status: "settled", outcome, output: "their word" });
    expect(completed(await world.run(fleet))).toBe(output);
    expect(keys).toHaveLength(1 + calls);
    expect(new Set(keys).size).toBe(1);
  });

  test("settled as not done, the repeat is written ahead again", async () => {
    const world = new World();
    const fleet = fleetOf({ tools: { it: { definition: write, runner: flaky([unavailable()]) } }, run: callIt });
    failed(await world.run(fleet));
    const step = world.steps.get("it#1");
    if (step === undefined) throw new Error("no step");
    world.steps.set("it#1", { ...step, status: "settled", outcome: "not-done" });
    completed(await world.run(fleet));
    expect(phases(world)).toEqual(["it#1 started", "it#1 started", "it#1 completed"]);
  });
});

describe("resuming", () => {
  test("what is on record is handed back and not executed", async () => {
    const world = new World();
    const seen: string[] = [];
    const fleet = fleetOf({
      tools: { it: { runner: flaky([], seen) } },
      run: async (ctx) => {
        const got = [
          await ctx.tool("it", { n: 1 }),
          await ctx.tool("it", { n: 2 }),
          await ctx.random(),
          await ctx.now(),
        ];
        if (world.attempt === 1) throw new Error("passes");
        return got;
      },
    });
    failed(await world.run(fleet));
    const records = world.records.length;
    completed(await world.run(fleet));
    expect(seen).toHaveLength(2);
    expect(world.records).toHaveLength(records);
  });

  test("NONDETERMINISTIC names both sides, executes nothing, and cannot be caught", async () => {
    const world = new World();
    const seen: string[] = [];
    const fleet = fleetOf({
      tools: { it: { runner: flaky([], seen) } },
      run: async (ctx) => {
        const input = { q: world.attempt === 1 ? "pool" : "disk" };
        const got = await ctx.tool("it", input).catch(() => "caught");
        if (world.attempt === 1) throw new Error("passes");
        return got;
      },
    });
    failed(await world.run(fleet));
    const error = failed(await world.run(fleet));
    expect(error).toMatchObject({ code: "NONDETERMINISTIC", class: "permanent" });
    expect(error.message).toContain("does not repeat its record at step it#1");
    expect(error.message).toMatch(
      /recorded: tool it with other input \([0-9a-f]{8}\) {5}code now: tool it \{"q":"disk"\}/,
    );
    expect(seen).toHaveLength(1);
  });

  test("another kind at the same place is named too", async () => {
    const world = new World();
    const fleet = fleetOf({
      tools: { it: { runner: flaky([]) } },
      run: async (ctx) => {
        if (world.attempt > 1) return ctx.step("it", () => 1);
        await ctx.tool("it", {});
        throw new Error("passes");
      },
    });
    failed(await world.run(fleet));
    expect(failed(await world.run(fleet)).message).toContain("recorded: tool it     code now: effect it null");
  });

  test("a first execution sees what a resumed one will see", async () => {
    const world = new World();
    const seen: Json[] = [];
    const fleet = fleetOf({
      run: async (ctx) => {
        const value = await ctx.step("make", () => ({ z: 1, a: undefined, b: { y: "\ud800", x: -0 } }));
        seen.push(JSON.stringify(value), Object.keys(value));
        if (world.attempt === 1) throw new Error("passes");
        return null;
      },
    });
    failed(await world.run(fleet));
    completed(await world.run(fleet));
    expect(seen.slice(0, 2)).toEqual(['{"b":{"x":0,"y":"\ufffd"},"z":1}', ["b", "z"]]);
    expect(seen.slice(2)).toEqual(seen.slice(0, 2));
  });

  test("logs and statuses are not repeated while the agent catches up", async () => {
    const world = new World();
    const fleet = fleetOf({
      run: async (ctx) => {
        ctx.log("one", { n: 1 });
        await ctx.step("a", () => 1);
        ctx.status("between");
        await ctx.step("b", () => 2);
        if (world.attempt === 1) throw new Error("passes");
        ctx.log("three");
        return null;
      },
    });
    failed(await world.run(fleet));
    completed(await world.run(fleet));
    expect(world.logs.map(({ message }) => message)).toEqual(["one", "three"]);
    expect(world.logs[0]?.data).toEqual({ n: 1 });
    expect(world.statuses).toEqual(["between"]);
  });
});

describe("ctx.sleep", () => {
  test("a long sleep suspends: nothing is held, and waking goes on", async () => {
    const world = new World();
    const fleet = fleetOf({
      run: async (ctx) => {
        await ctx.step("before", () => 1);
        await ctx.sleep(3_600_000);
        return ctx.step("after", () => 2);
      },
    });
    const start = world.clock.now();
    expect(await world.run(fleet)).toEqual({ type: "suspended", wakeAt: start + 3_600_000, waits: [] });
    world.clock.after(3_600_000, () => {});
    await world.clock.until(new Promise<void>((resolve) => void world.clock.after(3_600_000, resolve)));
    expect(completed(await world.run(fleet))).toBe(2);
    expect(phases(world)).toEqual(["before#1 completed", "sleep#1 completed", "after#1 completed"]);
  });

  test("woken too early it suspends again until the same time", async () => {
    const world = new World();
    const fleet = fleetOf({ run: (ctx) => ctx.sleep(10_000) });
    const first = await world.run(fleet);
    expect(await world.run(fleet)).toEqual(first);
  });

  test("it does not suspend while another step is under way, and gives the earliest time", async () => {
    const world = new World();
    const runner = toolRunner(() => new Promise((resolve) => void world.clock.after(5_000, () => resolve("slow"))));
    const fleet = fleetOf({
      tools: { it: { runner } },
      run: (ctx) => Promise.all([ctx.sleep(60_000), ctx.sleep(20_000), ctx.tool("it", {})]),
    });
    const start = world.clock.now();
    expect(await world.run(fleet)).toEqual({ type: "suspended", wakeAt: start + 20_000, waits: [] });
    expect(world.steps.get("it#1")?.output).toBe("slow");
  });

  test("a short sleep stays in the process", async () => {
    const world = new World();
    const start = world.clock.now();
    completed(await world.run(fleetOf({ run: (ctx) => ctx.sleep(300) })));
    expect(world.clock.now()).toBe(start + 300);
  });
});

describe("how an execution ends", () => {
  test.each([
    ["TypeError", new TypeError("x is not a function"), "permanent"],
    ["RangeError", new RangeError("too long"), "permanent"],
    ["a file that is not there", Object.assign(new Error("ENOENT: no such file"), { code: "ENOENT" }), "permanent"],
    ["Error", new Error("who knows"), "transient"],
    ["a string", "just words", "transient"],
    [
      "a failed fetch",
      new TypeError("fetch failed", { cause: Object.assign(new Error("connect"), { code: "ECONNREFUSED" }) }),
      "transient",
    ],
    [
      "a time-out of undici",
      Object.assign(new Error("Headers Timeout"), { code: "UND_ERR_HEADERS_TIMEOUT" }),
      "transient",
    ],
  ] as const)("F1: %s is %s", async (_, thrown, expected) => {
    const world = new World();
    const error = failed(await world.run(fleetOf({ run: () => Promise.reject(thrown) })));
    expect(error).toMatchObject({ code: "AGENT_FAILED", class: expected });
    expect(error.message).toContain(thrown instanceof Error ? thrown.message : thrown);
  });

  test("an error is JSON, whatever users' code put into it", async () => {
    const thrown = new FlotillaError("TOOL_FAILED", "half \ud800", { details: { when: new Map(), n: 1 } });
    const fleet = fleetOf({ run: async (ctx) => ctx.step("a", () => Promise.reject(thrown)) });
    const world = new World();
    const error = failed(await world.run(fleet));
    expect(error).toMatchObject({ message: "half \ufffd", details: { shown: "{ when: Map(0) {}, n: 1 }" } });
    expect(world.records[0]?.error).toEqual(error);
  });

  test("recorded steps that are not asked for again are named", async () => {
    const world = new World();
    const fleet = fleetOf({
      run: async (ctx) => {
        if (world.attempt === 2) return null;
        await ctx.step("a", () => 1);
        throw new Error("passes");
      },
    });
    failed(await world.run(fleet));
    completed(await world.run(fleet));
    expect(world.logs.at(-1)?.message).toBe("worker completed without repeating a#1, which earlier attempts recorded");
  });

  test("abort settles at once, also when the agent ignores it", async () => {
    const world = new World();
    const fleet = fleetOf({
      run: async () => {
        world.clock.after(1_000, () => world.abort.abort(new FlotillaError("CANCELLED", "stopped by ada")));
        await new Promise(() => {});
      },
    });
    const start = world.clock.now();
    expect(failed(await world.run(fleet))).toMatchObject({ code: "CANCELLED", message: "stopped by ada" });
    expect(world.clock.now()).toBe(start + 1_000);
  });

  test("abort aborts the step in flight and records nothing more", async () => {
    const world = new World();
    let reason: unknown;
    const runner = toolRunner((_, { signal }) => {
      signal.addEventListener("abort", () => {
        reason = signal.reason;
      });
      world.clock.after(10, () => world.abort.abort(new FlotillaError("TASK_TIMEOUT", "too slow")));
      return new Promise(() => {});
    });
    const fleet = fleetOf({ tools: { it: { definition: write, runner } }, run: callIt });
    expect(failed(await world.run(fleet))).toMatchObject({ code: "TASK_TIMEOUT" });
    expect(reason).toMatchObject({ code: "TASK_TIMEOUT" });
    expect(phases(world)).toEqual(["it#1 started"]);
  });

  test("a record that is refused ends the attempt", async () => {
    const world = new World();
    world.refuse = () => new FlotillaError("CANCELLED", "not current any more");
    const fleet = fleetOf({ run: async (ctx) => ctx.step("a", () => 1).catch(() => "caught") });
    expect(failed(await world.run(fleet))).toMatchObject({ code: "CANCELLED" });
  });

  test("a step that nobody awaited is waited for, and said so", async () => {
    const world = new World();
    const fleet = fleetOf({
      run: async (ctx) => {
        void ctx.step(
          "forgotten",
          () => new Promise<number>((resolve) => void world.clock.after(100, () => resolve(1))),
        );
        return "done";
      },
    });
    expect(completed(await world.run(fleet))).toBe("done");
    expect(phases(world)).toEqual(["forgotten#1 completed"]);
    expect(world.logs[0]?.message).toBe("worker returned without awaiting forgotten#1; the task ends when they have");
  });

  test("a forgotten write without an outcome fails the task all the same", async () => {
    const world = new World();
    const fleet = fleetOf({
      tools: { it: { definition: write, runner: flaky([unavailable()]) } },
      run: async (ctx) => {
        void ctx.tool("it", {});
        return "done";
      },
    });
    expect(failed(await world.run(fleet))).toMatchObject({ code: "OUTCOME_UNKNOWN" });
  });

  test("after run() has ended the context refuses", async () => {
    const world = new World();
    let late: unknown;
    const fleet = fleetOf({
      run: async (ctx) => {
        world.clock.after(100, () => {
          ctx
            .step("late", () => 1)
            .catch((error: unknown) => {
              late = error;
            });
        });
        return "done";
      },
    });
    completed(await world.run(fleet));
    await world.clock.until(new Promise<void>((resolve) => void world.clock.after(200, resolve)));
    expect(late).toMatchObject({ code: "AGENT_FAILED", message: "worker called late#1 after its run() had ended" });
    expect(world.records).toEqual([]);
  });

  test("F10: the limit of steps cannot be caught", async () => {
    const world = new World();
    const fleet = fleetOf({
      agent: { limits: { stepsMax: 3, tokensMax: 1_000, repairsMax: 1, outputTokensMax: 100 } },
      run: async (ctx) => {
        for (;;) await ctx.step("again", () => 1).catch(() => ctx.now());
      },
    });
    const error = failed(await world.run(fleet));
    expect(error).toMatchObject({
      code: "LIMIT_STEPS",
      message: "worker reached its limit of 3 steps in one task, at again#4",
    });
  });

  test("input and output are checked against their schemas", async () => {
    const world = new World();
    const schema = { type: "object", required: ["a"] };
    const fleet = fleetOf({ agent: { input: schema, output: schema }, run: async () => ({ b: 1 }) });
    expect(failed(await world.run(fleet, { input: {} }))).toMatchObject({ code: "INPUT_INVALID" });
    expect(failed(await world.run(fleet, { input: { a: 1 } }))).toMatchObject({
      code: "OUTPUT_INVALID",
      message: "the output of worker does not match its schema: it must have required property 'a'",
    });
    const other = { output: { type: "object", required: ["b"] } };
    expect(completed(await world.run(fleet, { input: { a: 1 }, ...other }))).toEqual({ b: 1 });
  });

  test("an agent without code or definition is DEFINITION_MISSING", async () => {
    const fleet = fleetOf({ agent: { kind: "code" } });
    expect(failed(await new World().run(fleet))).toMatchObject({ code: "DEFINITION_MISSING" });
    expect(failed(await new World().run(fleet, { agent: "nobody" }))).toMatchObject({ code: "DEFINITION_MISSING" });
  });
});

describe("X8: secrets", () => {
  test("what was handed out is in no record, error or log", async () => {
    const world = new World();
    const redact = (text: string) => text.replaceAll("hunter2", "[secret KEY]");
    const fleet = fleetOf({
      redact,
      tools: { it: { runner: toolRunner(async () => ({ echoed: "key=hunter2" })) } },
      run: async (ctx) => {
        const got = await ctx.tool("it", { q: "hunter2" });
        ctx.log("saw hunter2", { got: "hunter2" });
        await ctx.step("fails", () => Promise.reject(new TypeError("bad hunter2"))).catch(() => null);
        if (JSON.stringify(got).includes("hunter2")) throw new Error("the agent saw it");
        throw new Error("at last: hunter2");
      },
    });
    const error = failed(await world.run(fleet));
    expect(JSON.stringify([world.records, world.logs, error])).not.toContain("hunter2");
    expect(error.message).toContain("[secret KEY]");
  });
});
