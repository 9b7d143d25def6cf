import { expect, test } from "vitest";
import { agent, fleet, graph, open } from "../../src/index.ts";

let calls = 0;
const looker = agent({
  description: "Looks something up",
  reuse: { windowMs: 60_000 },
  run: async (ctx, word: unknown) => {
    await ctx.step("look", () => ++calls);
    return `${String(word)}!`;
  },
});

const desk = fleet({
  name: "desk",
  agents: { looker },
  workflows: {
    look: graph({
      tasks: {
        a: { agent: looker, input: "rain" },
        b: { agent: looker, input: "rain" },
        other: { agent: looker, input: "sun" },
        c: { agent: looker, input: "rain", needs: ["a", "b"] },
      },
      result: ["${tasks.a.output}", "${tasks.b.output}", "${tasks.other.output}", "${tasks.c.output}"],
    }),
  },
});

test("C11, K3: equal tasks of a run are one piece of work, while it goes on and after it", async () => {
  await using app = await open(desk, { store: "memory:" });
  const run = await app.start("look", null);
  expect(await run.result()).toEqual(["rain!", "rain!", "sun!", "rain!"]);
  expect(calls).toBe(2);
  const taken: string[] = [];
  for await (const { type, data } of run.events())
    if (type === "task.reused") taken.push(`${data.task} from ${data.from.task}`);
  expect(taken).toEqual(["b from a", "c from a"]);
  expect((await run.state()).usage.steps).toBe(2);
});
