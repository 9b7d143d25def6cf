import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { agent, type App, type Fleet, fleet, open, pipeline, tool } from "../../src/index.ts";
import { startDouble } from "../model/double.ts";

// F4, F5, K5 through the whole of the engine, by counting and never by time.

async function opened<F extends Fleet>(declared: F, options: { concurrency?: number } = {}): Promise<App<F>> {
  const app = await open(declared, { store: "memory:", ...options });
  onTestFinished(() => app.close({ drain: false }));
  return app;
}

/** Counts who is inside at a time, and lets them go when it is told to. */
function turnstile() {
  const inside = new Set<() => void>();
  let most = 0;
  const arrivals: (() => void)[] = [];
  return {
    get most() {
      return most;
    },
    pass: () =>
      new Promise<void>((resolve) => {
        inside.add(resolve);
        most = Math.max(most, inside.size);
        for (const arrived of arrivals.splice(0)) arrived();
      }),
    /** Resolves when so many are inside. */
    async holds(count: number): Promise<void> {
      while (inside.size < count) await new Promise<void>((resolve) => arrivals.push(resolve));
    },
    letGo() {
      for (const go of inside) go();
      inside.clear();
    },
  };
}

test("F4: a slow agent of which all slots are wanted leaves the others theirs", async () => {
  const slow = turnstile();
  const sloth = agent({
    run: async () => {
      await slow.pass();
      return null;
    },
  });
  const hare = agent({ run: () => "quick" });
  const app = await opened(
    fleet({
      name: "animals",
      agents: { sloth, hare },
      workflows: { slow: pipeline({ stages: [sloth] }), quick: pipeline({ stages: [hare] }) },
      guards: { agents: { sloth: { concurrencyMax: 3 } } },
    }),
    { concurrency: 4 },
  );
  const waiting = await Promise.all(Array.from({ length: 20 }, () => app.start("slow", null)));
  await slow.holds(3);
  // Seventeen slow ones wait, and one slot is left for whoever is quick.
  for (let i = 0; i < 20; i++) expect(await (await app.start("quick", null)).result()).toBe("quick");
  for (let left = 20; left > 0; left -= 3) {
    await slow.holds(Math.min(3, left));
    slow.letGo();
  }
  await Promise.all(waiting.map((run) => run.result()));
  expect(slow.most).toBe(3);
});

test("F4: so many calls of a tool at a time, of all runs", async () => {
  const narrow = turnstile();
  const door = tool({
    description: "Lets two in",
    effect: "read",
    input: z.object({}),
    run: async () => {
      await narrow.pass();
      return null;
    },
  });
  const guest = agent({ tools: [door], run: (ctx) => ctx.tool(door, {}) });
  const app = await opened(
    fleet({
      name: "house",
      tools: { door },
      agents: { guest },
      workflows: { visit: pipeline({ stages: [guest] }) },
      guards: { tools: { door: { concurrencyMax: 2 } } },
    }),
  );
  const runs = await Promise.all(Array.from({ length: 11 }, () => app.start("visit", null)));
  for (let left = 11; left > 0; left -= 2) {
    await narrow.holds(Math.min(2, left));
    narrow.letGo();
  }
  await Promise.all(runs.map((run) => run.result()));
  expect(narrow.most).toBe(2);
});

test("F4, F5: a model that keeps failing is left alone by all runs, and its fallback answers", async () => {
  const double = await startDouble();
  onTestFinished(() => double.close());
  double.always((seen) =>
    seen.body.model === "bad" ? { status: 503, message: "down" } : { answer: { text: "from the good one" } },
  );
  const asker = agent({
    model: "double/bad",
    fallbackModels: ["double/good"],
    instructions: "Ask.",
    retry: { attemptsMax: 1 },
  });
  const app = await opened(
    fleet({
      name: "askers",
      providers: { double: { kind: "openai-compatible", baseUrl: double.baseUrl("openai-compatible") } },
      agents: { asker },
      workflows: { ask: pipeline({ stages: [asker] }) },
      guards: { models: { "double/bad": { breaker: { failures: 3, openMs: 3_600_000 } } } },
    }),
  );
  for (let i = 0; i < 10; i++) expect(await (await app.start("ask", i)).result()).toBe("from the good one");
  expect(double.requests.filter(({ body }) => body.model === "bad")).toHaveLength(3);
  expect(double.requests.filter(({ body }) => body.model === "good")).toHaveLength(10);
});
