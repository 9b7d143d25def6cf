import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { agent, debate, fleet, graph, pipeline, tool } from "../../src/index.ts";
import { readScenario, type SimulateOptions, simulate, unmet } from "../../src/simulator/index.ts";

const transfer = tool({
  description: "Moves money; cannot tell afterwards whether it did",
  effect: "write",
  input: z.object({ amount: z.number() }),
  output: z.object({ id: z.string() }),
  run: () => Promise.reject(new Error("a simulation never calls it")),
});
const rate = tool({
  description: "Reads a rate",
  effect: "read",
  input: z.object({}),
  output: z.object({ rate: z.number() }),
  run: () => ({ rate: 2 }),
});

const clerk = agent({
  tools: [rate, transfer],
  run: async (ctx, amount: number) => {
    const { rate: factor } = await ctx.tool(rate, {});
    const { id } = await ctx.tool(transfer, { amount: amount * factor });
    return id.length > 0;
  },
});
const sleeper = agent({
  run: async (ctx) => {
    await ctx.sleep(3_600_000);
    return "awake";
  },
});
const thinker = agent({ model: "scripted", instructions: "Think.", tools: [rate] });
const script = { agents: { thinker: [{ when: "turn == 0", call: { tool: "rate" } }, { say: "rate ${last.rate}" }] } };

const bank = fleet({
  name: "bank",
  providers: { scripted: { kind: "scripted", script } },
  tools: { rate, transfer },
  agents: { clerk, sleeper, thinker },
  workflows: {
    pay: graph({
      tasks: { first: { agent: clerk, input: 1 }, second: { agent: clerk, input: 2, needs: "first" } },
      result: "paid",
    }),
    nap: pipeline({ stages: [sleeper] }),
    think: debate({ debaters: [thinker, { agent: thinker, id: "other" }], judge: thinker }),
  },
});

/** Seeds under faults: none is lost, no write doubled, no promise broken. */
async function survives(workflow: string, options: SimulateOptions) {
  const summary = await simulate(bank, workflow, null, { runs: 40, ...options });
  expect(
    summary.runs.flatMap(({ seed, violations }) => violations.map((violation) => ({ seed, ...violation }))),
  ).toEqual([]);
  expect(summary).toMatchObject({ lost: 0, duplicatedEffects: 0 });
  return summary;
}

test("F8, F13: processes die between every two steps; money moves once, and every run ends", async () => {
  const { groups, faults } = await survives("pay", {
    faults: { "coordinator.crash": 0.3, "host.crash": 0.3, "power.loss": 0.5 },
  });
  expect(groups).toMatchObject([{ outcome: "completed", output: "paid" }]);
  expect(faults["coordinator.crash"]).toBeGreaterThan(10);
  expect(faults["host.crash"]).toBeGreaterThan(5);
});

test("F8: processes die around paid model calls; none is paid again, and every run ends", async () => {
  const { groups } = await survives("think", {
    faults: { "coordinator.crash": 0.15, "host.crash": 0.15, "model.429": 0.2, "model.500": 0.1 },
  });
  expect(groups).toMatchObject([{ outcome: "completed", output: "rate 2" }]);
});

test("F12: what sleeps for an hour wakes after crashes and jumps of the clock", async () => {
  const { groups, runs } = await survives("nap", {
    runs: 8,
    faults: { "coordinator.crash": 0.02, "clock.forward": 0.01, "clock.backward": 0.01 },
  });
  expect(groups).toMatchObject([{ outcome: "completed", output: "awake" }]);
  expect(Math.max(...runs.map(({ simulatedMs }) => simulatedMs))).toBeGreaterThan(3_000_000);
});

test("F14: a full disk, failing flushes and answers that get lost delay work and lose none", async () => {
  const { groups } = await survives("pay", {
    faults: { "store.full": 0.02, "store.torn": 0.05, "store.unknown": 0.05, "store.unreadable": 0.05 },
  });
  expect(groups).toMatchObject([{ outcome: "completed" }]);
});

test("M7, X1: lost, doubled, reordered and altered records never change an outcome", async () => {
  const { groups } = await survives("pay", {
    faults: {
      "frame.lost": 0.02,
      "frame.doubled": 0.02,
      "frame.reordered": 0.02,
      "frame.altered": 0.02,
      "frame.delayed": 0.1,
    },
  });
  expect(groups.map(({ outcome }) => outcome)).toEqual(["completed"]);
});

test("T2: a scenario in YAML says what goes wrong and what must come out", async () => {
  const path = join(await mkdtemp(join(tmpdir(), "flotilla-scenario-")), "pay.simulation.yaml");
  await writeFile(
    path,
    "workflow: pay\ninput: null\nruns: 10\nfaults: { host.crash: 10%, tool.timeout: 0.1 }\ntools: { transfer: { id: t-1 } }\nexpect: { output: paid, atLeast: 90% }\n",
  );
  const { workflow, input, options, expect: expected } = await readScenario(path);
  const summary = await simulate(bank, workflow, input, options);
  expect(unmet(expected, summary)).toEqual([]);
  expect(unmet({ output: "unpaid" }, summary)).toEqual([expect.stringContaining("0 of 10 seeds end as expected")]);
});

test("T2: a scenario's mistakes are named with their places", async () => {
  const path = join(await mkdtemp(join(tmpdir(), "flotilla-scenario-")), "pay.simulation.yaml");
  await writeFile(path, "workflow: pay\nfaults: { tool.timout: 10% }\nrun: 10\n");
  await expect(readScenario(path)).rejects.toMatchObject({
    details: { problems: expect.arrayContaining([expect.objectContaining({ line: 3 })]) },
  });
});
