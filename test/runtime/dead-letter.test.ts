import { expect, it } from "vitest";
import { agent, fleet, open, pipeline } from "../../src/index.ts";

const failing = agent({
  retry: { attemptsMax: 2, initialDelayMs: 1 },
  run: async () => {
    throw new Error("no such customer");
  },
});

it("M9: a task that failed for good is a dead letter, with its reason and what was asked of it", async () => {
  const crm = fleet({ name: "crm", agents: { failing }, workflows: { ask: pipeline({ stages: [failing] }) } });
  await using app = await open(crm, { store: "memory:" });
  const run = await app.start("ask", { customer: 7 });
  await expect(run.result()).rejects.toMatchObject({ code: "AGENT_FAILED" });
  const [letter, ...others] = await app.fleet.store.deadLetters({ run: run.id, limit: 9 });
  expect(others).toEqual([]);
  expect(letter).toMatchObject({ kind: "failed", run: run.id, task: "failing" });
  expect(letter?.reason).toContain("no such customer");
  expect(JSON.parse(Buffer.from(letter?.bytes ?? []).toString())).toMatchObject({ input: { customer: 7 }, attempt: 2 });
});
