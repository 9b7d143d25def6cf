import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { agent, type App, fleet, graph, hierarchy, open, pipeline, type Run, tool } from "../../src/index.ts";
import { rejection } from "./place.ts";

const gates = new Map<string, PromiseWithResolvers<void>>();
const gate = (name: string) => {
  const known = gates.get(name) ?? Promise.withResolvers<void>();
  gates.set(name, known);
  return known;
};

const look = tool({ description: "Look", effect: "read", input: z.object({}), output: z.number(), run: () => 1 });
const double = agent({ input: z.number(), output: z.number(), run: (_, n) => 2 * n });
const fails = agent({
  retry: { attemptsMax: 1 },
  run: () => {
    throw new TypeError("broken");
  },
});
const waits = agent({
  run: async (ctx, name: string) => {
    await ctx.step("arrive", () => gate(`${name} arrived`).resolve());
    await new Promise((resolve, reject) => {
      ctx.signal.addEventListener("abort", () => {
        gate(`${name} aborted`).resolve();
        reject(new Error("aborted"));
      });
      void gate(name).promise.then(resolve);
    });
    return name;
  },
});
const looks = agent({ tools: [look], run: (ctx) => ctx.tool(look, {}) });

const twice = pipeline({ input: z.number(), stages: [double, { agent: double, id: "again" }], output: z.number() });
const thrice = pipeline({ input: z.number(), stages: [twice, double], output: z.number() });
const broken = pipeline({ stages: [fails] });
const slow = pipeline({ stages: [waits] });
const seeing = pipeline({ stages: [looks] });
/** Hires a whole workflow; has no tools to pass on. */
const boss = agent({
  calls: [twice, seeing],
  input: z.number(),
  run: async (ctx, n): Promise<{ n: number; seen: string }> => {
    const times = await ctx.call(twice, n);
    const seen = await ctx.call(seeing, null).then(
      () => "seen",
      (error: { code: string }) => error.code,
    );
    return { n: times, seen };
  },
});
const Order = z.object({ instruction: z.string(), reports: z.record(z.string(), z.json()) });
const counter = agent({ input: Order, output: z.string(), run: (_, { instruction }) => `counted: ${instruction}` });
const census = pipeline({ input: Order, stages: [counter], output: z.string() });
/** Divides the request between a domain that works and one that does not. */
const emperor = agent({
  run: (_, input: { act: string; reports?: { result?: string; error?: { code: string } }[] }) =>
    input.act === "plan"
      ? { assignments: ["counting", "ruins"].map((domain) => ({ domain, instruction: `see to ${domain}`, needs: [] })) }
      : (input.reports ?? []).map(({ result, error }) => result ?? error?.code ?? ""),
});
const deputy = agent({ model: "scripted/any", instructions: "Have it done.", calls: [twice] });

const nested = fleet({
  name: "nested",
  providers: {
    scripted: {
      script: {
        agents: {
          deputy: [{ when: "turn == 0", call: { tool: "twice", input: { input: 4 } } }, { say: "${ string(last) }" }],
        },
      },
    },
  },
  tools: { look },
  agents: { double, fails, waits, looks, boss, deputy, counter, emperor },
  workflows: {
    twice,
    thrice,
    broken,
    slow,
    seeing,
    hire: pipeline({ stages: [boss] }),
    entrust: pipeline({ stages: [deputy] }),
    many: graph({
      tasks: {
        each: { agent: thrice, forEach: "input" },
        sum: { agent: double, input: "${ tasks.each.output[0] + tasks.each.output[1] + tasks.each.output[2] }" },
      },
    }),
    tolerant: graph({
      tasks: { risky: { agent: broken }, after: { agent: double, needs: { task: "risky", on: "failed" }, input: 1 } },
      onFailure: "continue",
      result: "${ tasks.risky.error.code + ': ' + tasks.risky.error.message }",
    }),
    empire: hierarchy({
      orchestrator: emperor,
      domains: { counting: census, ruins: broken },
      output: z.array(z.string()),
    }),
    census,
    deep: pipeline({ stages: [slow], limits: { costUsdMax: 0.5 } }),
    wrong: pipeline({ stages: [{ agent: twice, input: "no number" }] }),
    again: pipeline({ stages: [{ workflow: "again" }], limits: { depthMax: 3 } }),
  },
});

async function opened(): Promise<App<typeof nested>> {
  const app = await open(nested, { store: "memory:" });
  onTestFinished(() => app.close({ drain: false }));
  return app;
}

const childOf = async (app: App<typeof nested>, run: Run<unknown>, task: string) => {
  const child = (await run.state()).tasks.get(task)?.child;
  return app.run(child?.run ?? "none");
};

describe("C3: a task of a pattern is itself a workflow", () => {
  test("whose run has a journal of its own, linked both ways", async () => {
    const app = await opened();
    const run = await app.start("thrice", 3);
    expect(await run.result()).toBe(24);
    const child = await childOf(app, run, "twice");
    const state = await child.state();
    expect(state).toMatchObject({ status: "completed", output: 12, parent: { run: run.id, task: "twice" } });
    expect(child.id.startsWith(`${run.id}.`)).toBe(true);
  });

  test("any number of them at a time, one inside the other", async () => {
    const app = await opened();
    const run = await app.start("many", [1, 2, 3]);
    expect(await run.result()).toBe(2 * (8 + 16 + 24));
    expect(await app.fleet.runs({ limit: 100 })).toHaveLength(1 + 3 * 2);
    const { allotted, money } = await run.state();
    expect({ ...allotted, ...money.reserved }).toEqual({ steps: 0, tasks: 0, tokens: 0, costMicroUsd: 0 });
  });

  test("whose failure is contained, and told upwards", async () => {
    const app = await opened();
    const run = await app.start("tolerant", null);
    expect(await run.result()).toMatch(/^AGENT_FAILED: run r-\w+\.1: .*broken/);
  });

  test("X5: which is stopped with its parent, whatever it is doing", async () => {
    const app = await opened();
    const run = await app.start("deep", "stopped");
    await gate("stopped arrived").promise;
    const child = await childOf(app, run, "slow");
    expect((await child.state()).limits.costMicroUsdMax).toBe(500_000);
    await run.stop("enough");
    await gate("stopped aborted").promise;
    expect(await rejection(child.result())).toMatchObject({ code: "CANCELLED" });
    expect((await child.state()).status).toBe("stopped");
  });

  test("X5: which is paused and resumed with its parent", async () => {
    const app = await opened();
    const run = await app.start("deep", "paused");
    await gate("paused arrived").promise;
    const child = await childOf(app, run, "slow");
    expect(await run.pause("a moment")).toBe(true);
    for await (const { type } of child.events()) if (type === "run.paused") break;
    await gate("paused aborted").promise;
    gate("paused").resolve();
    await run.resume();
    expect(await run.result()).toBe("paused");
  });

  test("and when it is stopped itself, its parent hears of that", async () => {
    const app = await opened();
    const run = await app.start("deep", "halted");
    await gate("halted arrived").promise;
    const child = await childOf(app, run, "slow");
    await child.stop("enough");
    expect(await rejection(run.result())).toMatchObject({ code: "CANCELLED" });
  });

  test("I1: with input that it does not take it is not started", async () => {
    const app = await opened();
    expect(await rejection((await app.start("wrong", null)).result())).toMatchObject({ code: "INPUT_INVALID" });
    expect(await app.fleet.runs({ limit: 9 })).toHaveLength(1);
  });

  test("F10: one that starts itself ends at its limit of depth, across runs", async () => {
    const app = await opened();
    const run = await app.start("again", null);
    expect(await rejection(run.result())).toMatchObject({ code: "LIMIT_DEPTH" });
    expect(await app.fleet.runs({ limit: 9 })).toHaveLength(4);
  });
});

test("C3: hierarchy: domains are runs with a scope of their own; a failure is reported upwards", async () => {
  const app = await opened();
  const run = await app.start("empire", { secret: "the whole request" });
  expect(await run.result()).toEqual(["counted: see to counting", "AGENT_FAILED"]);
  const child = await childOf(app, run, "domain/counting");
  for await (const event of child.events()) expect(JSON.stringify(event)).not.toContain("the whole request");
});

describe("C8: an agent starts a child run", () => {
  test("by value with its types; X3: its agents have no tool that the agent does not pass on", async () => {
    const app = await opened();
    expect(await (await app.start("hire", 5)).result()).toEqual({ n: 20, seen: "TOOL_NOT_GRANTED" });
  });

  test("also a model, which finds it among its tools", async () => {
    const app = await opened();
    expect(await (await app.start("entrust", "go")).result()).toBe("16");
  });
});
