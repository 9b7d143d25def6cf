import { expect, it } from "vitest";
import { z } from "zod";
import { agent, fleet, open, pipeline } from "../../src/index.ts";

/** A fleet whose first agent fails until it is mended. */
function shop() {
  const state = { broken: true };
  const first = agent({
    retry: { attemptsMax: 1 },
    escalation: { to: ["ann"] },
    output: z.object({ total: z.number() }),
    run: () => {
      if (state.broken) throw new Error("the register is broken");
      return { total: 1 };
    },
  });
  const second = agent({ output: z.object({ total: z.number() }), run: () => ({ total: 2 }) });
  const counted = pipeline({ stages: [first, second] });
  const alone = pipeline({ stages: [first], escalation: {} });
  return { state, shop: fleet({ name: "shop", agents: { first, second }, workflows: { counted, alone } }) };
}

async function failed(workflow: "counted" | "alone" = "counted") {
  const { state, shop: definition } = shop();
  const app = await open(definition, { store: "memory:" });
  const run = await app.start(workflow, null);
  for await (const { type } of run.events()) if (type === "task.escalated") break;
  const [item] = await app.inbox();
  if (item === undefined) throw new Error("nothing waits");
  return { state, app, run, item };
}

it("F9: what failed waits in the inbox with its state, what was tried and the options", async () => {
  const { app, item, run, state } = await failed();
  await using _ = app;
  expect(item).toMatchObject({
    kind: "escalation",
    task: "first",
    agent: "first",
    title: expect.stringContaining("the register is broken") as string,
    tried: { attempts: 1, error: { code: "AGENT_FAILED" } },
    options: ["retry", "reassign", "edit", "skip", "fail", "abort"],
    to: ["ann"],
  });
  state.broken = false;
  await app.decide(item.id, { choice: "retry", by: "ann" });
  expect(await run.result()).toEqual({ total: 2 });
});

it("F9: it is given to another agent, of those that the workflow has", async () => {
  const { app, item, run } = await failed();
  await using _ = app;
  await expect(app.decide(item.id, { choice: "reassign" })).rejects.toMatchObject({ code: "INBOX_CHOICE" });
  await expect(app.decide(item.id, { choice: "reassign", agent: "third" })).rejects.toMatchObject({
    hint: "Name one of: first, second.",
  });
  await app.decide(item.id, { choice: "reassign", agent: "second" });
  expect(await run.result()).toEqual({ total: 2 });
});

it("F9: a person's output is held to the agent's schema", async () => {
  const { app, item, run } = await failed("alone");
  await using _ = app;
  await expect(app.decide(item.id, { choice: "edit", output: { total: "many" } })).rejects.toMatchObject({
    code: "OUTPUT_INVALID",
  });
  await app.decide(item.id, { choice: "edit", output: { total: 9 } });
  expect(await run.result()).toEqual({ total: 9 });
});

it("F9: abort ends the run with what had failed", async () => {
  const { app, item, run } = await failed();
  await using _ = app;
  await app.decide(item.id, { choice: "abort", note: "closed for today" });
  await expect(run.result()).rejects.toMatchObject({ code: "AGENT_FAILED" });
  expect(await app.inbox()).toEqual([]);
});
