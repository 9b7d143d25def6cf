import { expect, it } from "vitest";
import { z } from "zod";
import { agent, fleet, open, pipeline, tool } from "../../src/index.ts";
import type { InboxItem } from "../../src/runtime/inbox-item.ts";

/** A desk whose clerk pays when somebody allows it. */
function desk(approval: { deadlineMs?: number; onDeadline?: "approve" | "reject"; to?: string[] } = {}) {
  const paid: unknown[] = [];
  const pay = tool({
    description: "Pay a bill",
    effect: "write",
    approval,
    input: z.object({ to: z.string(), eur: z.number().max(1_000) }),
    output: z.string(),
    run: (input) => {
      paid.push(input);
      return `paid ${input.eur} to ${input.to}`;
    },
  });
  const clerk = agent({
    tools: [pay],
    run: async (ctx, input) => {
      const { to, eur } = input as { to: string; eur: number };
      try {
        return await ctx.tool(pay, { to, eur });
      } catch (error) {
        return `not paid: ${(error as { code: string }).code}`;
      }
    },
  });
  const office = fleet({
    name: "office",
    tools: { pay },
    agents: { clerk },
    workflows: { pay: pipeline({ stages: [clerk] }) },
  });
  return { office, paid };
}

type App = Awaited<ReturnType<typeof open>>;

/** The only item that waits, once it does. */
async function waiting(app: App, run: { id: string; events(): AsyncIterable<{ type: string }> }): Promise<InboxItem> {
  for await (const { type } of run.events()) if (type === "task.suspended") break;
  const [item, ...others] = await app.inbox({ run: run.id });
  expect(others).toEqual([]);
  if (item === undefined) throw new Error("nothing waits");
  return item;
}

it("F9: a tool with approval is called when a person allows it, and not before", async () => {
  const { office, paid } = desk({ to: ["ann"] });
  await using app = await open(office, { store: "memory:" });
  const run = await app.start("pay", { to: "bob", eur: 7 });
  const item = await waiting(app, run);
  expect(item).toMatchObject({
    kind: "approval",
    run: run.id,
    workflow: "pay",
    agent: "clerk",
    tool: "pay",
    arguments: { to: "bob", eur: 7 },
    options: ["approve", "reject"],
    deadline: null,
    to: ["ann"],
    decided: null,
  });
  expect(paid).toEqual([]);
  const decided = await app.decide(item.id, { choice: "approve", by: "ann", note: "fine" });
  expect(decided.decided).toMatchObject({ choice: "approve", by: "ann", note: "fine", edited: false });
  expect(await run.result()).toBe("paid 7 to bob");
  expect(paid).toEqual([{ to: "bob", eur: 7 }]);
  expect(await app.inbox()).toEqual([]);
  expect(await app.inbox({ state: "decided" })).toMatchObject([{ id: item.id, decided: { by: "ann" } }]);
});

it("F9: what is rejected is an error that the agent can meet", async () => {
  const { office, paid } = desk();
  await using app = await open(office, { store: "memory:" });
  const run = await app.start("pay", { to: "bob", eur: 7 });
  await app.decide((await waiting(app, run)).id, { choice: "reject" });
  expect(await run.result()).toBe("not paid: APPROVAL_REJECTED");
  expect(paid).toEqual([]);
});

it("F9: edited arguments are held to the tool's schema, and are what runs", async () => {
  const { office, paid } = desk();
  await using app = await open(office, { store: "memory:" });
  const run = await app.start("pay", { to: "bob", eur: 7 });
  const { id } = await waiting(app, run);
  await expect(app.decide(id, { choice: "approve", arguments: { to: "bob", eur: 5_000 } })).rejects.toMatchObject({
    code: "TOOL_INPUT_INVALID",
  });
  await app.decide(id, { choice: "approve", arguments: { to: "bob", eur: 5 } });
  expect(await run.result()).toBe("paid 5 to bob");
  expect(paid).toEqual([{ to: "bob", eur: 5 }]);
});

it("F9: an approval works once; what is decided, unknown or no choice is refused in words", async () => {
  const { office, paid } = desk();
  await using app = await open(office, { store: "memory:" });
  const run = await app.start("pay", { to: "bob", eur: 7 });
  const { id } = await waiting(app, run);
  await expect(app.decide(id, { choice: "done" })).rejects.toMatchObject({
    code: "INBOX_CHOICE",
    hint: "Choose one of: approve, reject.",
  });
  await expect(app.decide("a-0", { choice: "approve" })).rejects.toMatchObject({ code: "INBOX_UNKNOWN" });
  const both = await Promise.allSettled([
    app.decide(id, { choice: "approve", by: "ann" }),
    app.decide(id, { choice: "reject", by: "bob" }),
  ]);
  expect(both.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
  await expect(app.decide(id, { choice: "approve" })).rejects.toMatchObject({
    code: "INBOX_DECIDED",
    message: expect.stringContaining("ann chose approve") as string,
  });
  await run.result();
  expect(paid).toHaveLength(1);
});

it.each([
  ["reject", "not paid: APPROVAL_EXPIRED", 0],
  ["approve", "paid 7 to bob", 1],
] as const)("F9: nobody decides in time: the default is to %s", async (onDeadline, output, calls) => {
  const { office, paid } = desk({ deadlineMs: 30, onDeadline });
  await using app = await open(office, { store: "memory:" });
  const run = await app.start("pay", { to: "bob", eur: 7 });
  expect(await run.result()).toBe(output);
  expect(paid).toHaveLength(calls);
  expect(await app.inbox({ state: "decided" })).toMatchObject([{ decided: { by: "deadline" } }]);
});

it("F9: what a stopped run asked for is withdrawn", async () => {
  const { office } = desk();
  await using app = await open(office, { store: "memory:" });
  const run = await app.start("pay", { to: "bob", eur: 7 });
  const { id } = await waiting(app, run);
  await run.stop();
  expect(await app.inbox()).toEqual([]);
  await expect(app.decide(id, { choice: "approve" })).rejects.toMatchObject({
    code: "INBOX_DECIDED",
    message: expect.stringContaining("what it asks about is over") as string,
  });
});
