import { expect, test } from "vitest";
import { agent, fleet, graph, open } from "../../src/index.ts";

const gate = agent({
  description: "Waits for the fact `go`",
  facts: { read: ["*"], write: ["count"] },
  run: async (ctx) => {
    await ctx.facts.update("count", (count) => Number(count ?? 0) + 1, { why: "one more" });
    return (await ctx.facts.get("city"))?.value ?? null;
  },
});
const shout = agent({ description: "Shouts", run: (_, { text }: { text: unknown }) => `${String(text)}!` });
const waiter = agent({
  description: "Keeps the run open",
  run: async (ctx) => ctx.call("keeper", null, { timeoutMs: 1 }).catch(() => "late"),
});
const keeper = agent({ description: "Never answers", run: async (ctx) => ctx.sleep(1_000_000) });
const stranger = agent({
  description: "Was granted nothing",
  retry: { attemptsMax: 1 },
  run: async (ctx) => ctx.facts.get("city").then(String, (error: { code: string }) => error.code),
});

const places = fleet({
  name: "places",
  agents: { gate, shout, waiter, keeper, stranger },
  workflows: {
    look: graph({
      facts: { onCorrection: "rerun" },
      tasks: {
        a: { agent: gate },
        b: { agent: gate },
        loud: { agent: shout, needs: ["a"], input: { text: "${tasks.a.output}" } },
        hold: { agent: keeper, needs: ["loud", "b"] },
      },
    }),
    denied: graph({ tasks: { s: { agent: stranger } } }),
  },
});

test("S1, S4, C10: agents share facts, and a correction reaches all that rests on the old version", async () => {
  await using app = await open(places, { store: "memory:" });
  const run = await app.start("look", null);
  const seen = new Set<string>();
  for await (const event of run.events()) {
    if (event.type === "task.suspended" && event.data.task === "hold") {
      if (seen.size > 0) break;
      seen.add("first");
      expect((await run.state()).tasks.get("loud")?.output).toBe("null!");
      expect(await run.setFact("city", "Oslo", { why: "they moved", by: "me" })).toBe(1);
      // Nothing changes the second time.
      expect(await run.setFact("city", "Oslo", { why: "again" })).toBe(1);
    }
    if (event.type === "task.completed" && event.data.task === "loud" && seen.size > 0) seen.add("again");
    if (seen.has("again")) break;
  }
  const { tasks, facts } = await run.state();
  expect(tasks.get("loud")?.output).toBe("Oslo!");
  expect(facts.get("city")).toMatchObject([{ version: 1, by: "me", why: "they moved" }]);
  // Both counted, and neither count was lost, however they met.
  expect(Number((await run.facts()).count?.value)).toBeGreaterThanOrEqual(2);
  await expect(run.setFact("city", "Rome", { why: "no", base: 7 })).rejects.toMatchObject({
    code: "FACT_CONFLICT",
    details: { base: 7, version: 1, yours: "Rome" },
  });
  await expect(run.setFact("not a key", 1, { why: "no" })).rejects.toMatchObject({ code: "FACT_KEY_INVALID" });
  await run.stop();
  await expect(run.setFact("city", "Rome", { why: "late" })).rejects.toMatchObject({ code: "RUN_ENDED" });
});

test("X3: what was not granted is refused, on the record", async () => {
  await using app = await open(places, { store: "memory:" });
  expect(await (await app.start("denied", null)).result()).toBe("FACT_NOT_GRANTED");
});
