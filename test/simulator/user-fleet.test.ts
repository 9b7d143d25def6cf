import { expect, test } from "vitest";
import { z } from "zod";
import { agent, fleet, graph, pipeline, tool } from "../../src/index.ts";
import { generate } from "../../src/simulator/generate.ts";
import { simulate } from "../../src/simulator/index.ts";

const lookUp = tool({
  description: "Looks a price up",
  effect: "read",
  input: z.object({ item: z.string() }),
  output: z.object({ price: z.number() }),
  run: async ({ item }) => ({ price: item.length }),
});
let bought = 0;
const buy = tool({
  description: "Buys",
  effect: "write",
  input: z.object({ item: z.string() }),
  output: z.object({ order: z.string(), state: z.enum(["placed", "shipped"]) }),
  check: () => ({ outcome: "unknown" }),
  run: async () => {
    bought += 1;
    return { order: "real", state: "placed" as const };
  },
});
const buyer = agent({
  tools: [lookUp, buy],
  run: async (ctx, { item }: { item: string }) => {
    const { price } = await ctx.tool(lookUp, { item });
    const doubled = await ctx.step("double", () => price * 2);
    const { order, state } = await ctx.tool(buy, { item });
    return { doubled, order, state };
  },
});
const shop = fleet({
  name: "shop",
  tools: { lookUp, buy },
  agents: { buyer },
  workflows: { order: pipeline({ stages: [buyer] }) },
});

test("T1: a user's fleet runs in virtual time; reads run, writes are made up and never happen", async () => {
  const { runs, lost, duplicatedEffects } = await simulate(shop, "order", { item: "tea" }, { runs: 3 });
  expect(runs.map(({ outcome, output }) => ({ outcome, output }))).toEqual(
    runs.map(() => ({
      outcome: "completed",
      output: expect.objectContaining({ doubled: 6, state: expect.stringMatching(/placed|shipped/) }),
    })),
  );
  expect({ lost, duplicatedEffects, bought }).toEqual({ lost: 0, duplicatedEffects: 0, bought: 0 });
});

test("T1: the same seeds under the same faults end the same", async () => {
  const options = {
    runs: 10,
    seed: 40,
    faults: ["host.crash=10%", "tool.error=20%", "tool.timeout=10%", "coordinator.crash=5%"],
  };
  const first = await simulate(shop, "order", { item: "tea" }, options);
  expect(await simulate(shop, "order", { item: "tea" }, options)).toEqual(first);
  expect(first.runs.flatMap((run) => run.violations)).toEqual([]);
  expect(Object.keys(first.faults)).toEqual(expect.arrayContaining(["host.crash", "tool.error", "tool.timeout"]));
});

test("tools return what they are scripted to return, with expressions over their input", async () => {
  const tools = { buy: { order: "${'o-' + input.item}", state: "shipped" }, lookUp: { price: 21 } };
  const { groups } = await simulate(shop, "order", { item: "tea" }, { runs: 5, tools });
  expect(groups).toMatchObject([
    { outcome: "completed", output: { doubled: 42, order: "o-tea", state: "shipped" }, seeds: [1, 2, 3, 4, 5] },
  ]);
});

test("a user's own code may take its time: no virtual time passes", async () => {
  const waiting = agent({
    run: async (ctx) => {
      const before = await ctx.now();
      await ctx.step("work", () => new Promise((resolve) => setImmediate(() => setImmediate(resolve))));
      return (await ctx.now()) - before < 1_000;
    },
  });
  const slow = fleet({
    name: "slow",
    agents: { waiting },
    workflows: { wait: graph({ tasks: { only: { agent: waiting } } }) },
  });
  const { groups } = await simulate(slow, "wait", {}, { runs: 3 });
  expect(groups).toMatchObject([{ outcome: "completed", output: true }]);
});

test("a fault that does not exist, a share that is none, and an input that does not fit are refused", async () => {
  await expect(simulate(shop, "order", { item: "tea" }, { faults: ["tool.timout=20%"] })).rejects.toMatchObject({
    code: "USAGE",
    hint: expect.stringContaining("tool.timeout"),
  });
  await expect(simulate(shop, "order", { item: "tea" }, { faults: ["tool.timeout=200%"] })).rejects.toMatchObject({
    code: "USAGE",
  });
  await expect(simulate(shop, "oder", {}, {})).rejects.toMatchObject({ code: "WORKFLOW_UNKNOWN" });
});

test("a live model is refused, saying what to do", async () => {
  const asker = agent({ model: "openai/gpt", instructions: "Answer." });
  const live = fleet({ name: "live", agents: { asker }, workflows: { ask: pipeline({ stages: [asker] }) } });
  const { groups } = await simulate(live, "ask", "why?", { runs: 1 });
  expect(groups).toMatchObject([{ outcome: "failed", error: { code: "UNSUPPORTED" } }]);
  const script = { agents: { asker: [{ say: "because" }] } };
  const scripted = await simulate(live, "ask", "why?", {
    runs: 5,
    script,
    faults: { "model.429": 0.3, "model.500": 0.2 },
  });
  expect(scripted.groups).toMatchObject([{ outcome: "completed", output: "because", seeds: [1, 2, 3, 4, 5] }]);
});

test("what is made up fits its schema", () => {
  const schema = z.object({
    name: z.string().min(20),
    kind: z.enum(["a", "b"]),
    list: z.array(z.object({ n: z.int().min(3).max(5) })).min(2),
    maybe: z.union([z.null(), z.boolean()]),
    when: z.iso.datetime(),
  });
  for (let i = 0; i < 50; i++) {
    const made = generate(z.toJSONSchema(schema) as never, `case ${i}`);
    expect(schema.safeParse(made).error, JSON.stringify(made)).toBeUndefined();
  }
});
