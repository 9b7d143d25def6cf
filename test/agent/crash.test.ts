import { describe, expect, test } from "vitest";
import type { AgentEnvironment } from "../../src/agent/environment.ts";
import type { Json } from "../../src/core/json.ts";
import { calling, completed, fakeModel, fleetOf, resultsIn, toolRunner, World } from "./world.ts";

/** A counting tool whose calls survive crashes, with a crash possible on either side of its effect. */
function counted(world: World, effects: Map<string, number>, work: (input: Json) => Json) {
  return toolRunner(async (input, { idempotencyKey }) => {
    await world.point();
    effects.set(idempotencyKey, (effects.get(idempotencyKey) ?? 0) + 1);
    await world.point();
    return work(input);
  });
}

interface Scenario {
  fleet: AgentEnvironment;
  effects: Map<string, number>;
}

/** Runs once without a crash, then with a crash at each point there is, then with two. */
async function crashEverywhere(
  build: (world: World) => Scenario,
  input: Json,
  check: (world: World, scenario: Scenario) => void,
) {
  const calm = new World();
  const whole = build(calm);
  const expected = completed(await calm.run(whole.fleet, { input }));
  const points = calm.points;
  expect(points).toBeGreaterThan(10);
  for (let crashAt = 1; crashAt <= points; crashAt++) {
    const world = new World();
    const scenario = build(world);
    world.crashAt = crashAt;
    expect(await world.run(scenario.fleet, { input })).toBe("crashed");
    world.crashAt = Math.max(1, Math.floor(points / 3));
    const second = await world.run(scenario.fleet, { input });
    world.crashAt = null;
    const last = second === "crashed" ? await world.run(scenario.fleet, { input }) : second;
    expect(completed(last)).toEqual(expected);
    expect([...world.steps.keys()].sort()).toEqual([...calm.steps.keys()].sort());
    check(world, scenario);
  }
}

describe("F8: a crash at every possible await", () => {
  test("a code agent: each recorded step is executed once, the result is the same", async () => {
    await crashEverywhere(
      (world) => {
        const effects = new Map<string, number>();
        const fleet = fleetOf({
          tools: {
            look: { runner: counted(world, effects, (input) => ({ seen: input })) },
            write: {
              definition: { effect: "write", idempotent: true },
              runner: counted(world, new Map(), (input) => ({ wrote: input })),
            },
          },
          run: async (ctx, input) => {
            const at = await ctx.now();
            const dice = await ctx.random();
            const first = (await ctx.tool("look", { input })) as { seen: Json };
            const own = await ctx.step("double", { n: 4 }, async ({ n }) => n * 2);
            await ctx.sleep(500);
            const wrote = await ctx.tool("write", { own, first });
            return { first, own, wrote, dice: dice < 1, at: at > 0 };
          },
        });
        return { fleet, effects };
      },
      "tides",
      (world, { effects }) => {
        // A read that was performed but not recorded may be performed again; one on record never.
        for (const times of effects.values()) expect(times).toBeLessThanOrEqual(3);
        const outcomes = world.records.filter(({ phase }) => phase !== "started").map(({ key }) => key);
        expect(new Set(outcomes).size).toBe(outcomes.length);
      },
    );
  });

  test("parallel branches, interleaved by chance, ask for their steps again in the same order", async () => {
    await crashEverywhere(
      (world) => {
        const effects = new Map<string, number>();
        // The first call of each item takes longer the earlier it comes, so the second calls come in reverse order.
        const slow = toolRunner(async (input) => {
          const { n } = input as { n: number };
          await world.point();
          await new Promise<void>((resolve) => void world.clock.after((10 - n) * 50, resolve));
          return { n };
        });
        const fleet = fleetOf({
          tools: { slow: { runner: slow }, next: { runner: counted(world, effects, (input) => input) } },
          run: (ctx) =>
            Promise.all(
              [1, 2, 3, 4].map(async (n) => {
                const first = await ctx.tool("slow", { n });
                return ctx.tool("next", { first });
              }),
            ),
        });
        return { fleet, effects };
      },
      null,
      () => {},
    );
  });

  test("a model agent: no finished model call is paid twice", async () => {
    await crashEverywhere(
      (world) => {
        const effects = new Map<string, number>();
        const paid = new Map<string, number>();
        const model = fakeModel(async (request) => {
          await world.point();
          const turn = request.messages.length;
          const recorded = [...world.steps.values()].filter(({ kind }) => kind === "model").length;
          paid.set(`${turn}`, (paid.get(`${turn}`) ?? 0) + 1);
          expect(recorded).toBe((turn - 1) / 2);
          await world.point();
          if (turn === 1) return calling(["look", { n: 1 }], ["look", { n: 2 }]);
          if (turn === 3) return calling(["write", { text: "x" }]);
          return `done: ${JSON.stringify(resultsIn(request.messages).map(({ output }) => output))}`;
        });
        const fleet = fleetOf({
          models: { "fake/one": model },
          tools: {
            look: { runner: counted(world, effects, (input) => ({ seen: input })) },
            write: { definition: { effect: "write", idempotent: true }, runner: counted(world, effects, () => "ok") },
          },
        });
        return { fleet, effects };
      },
      { topic: "tides" },
      () => {},
    );
  });
});
