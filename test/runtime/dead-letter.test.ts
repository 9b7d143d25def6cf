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

it("M9: a task that waits for a worker beyond its time to live fails and is a dead letter", async () => {
  const { promise: freed, resolve: free } = Promise.withResolvers<void>();
  const busy = agent({
    run: async () => {
      await freed;
      return "done";
    },
  });
  const patient = pipeline({ stages: [busy] });
  const hurried = pipeline({ stages: [busy], limits: { queueMs: 20 } });
  const desk = fleet({ name: "desk", agents: { busy }, workflows: { patient, hurried } });
  await using app = await open(desk, { store: "memory:", concurrency: 1 });
  const first = await app.start("patient", null);
  const second = await app.start("hurried", null);
  await expect(second.result()).rejects.toMatchObject({ code: "TASK_EXPIRED" });
  expect(await app.fleet.store.deadLetters({ kind: "expired", limit: 9 })).toMatchObject([
    { run: second.id, task: "busy" },
  ]);
  free();
  expect(await first.result()).toBe("done");
});
