import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { agent, type App, fleet, open, pipeline, tool, type VersionedEvent } from "../../src/index.ts";
import { rejection } from "./place.ts";

const looked: string[] = [];
const look = tool({
  description: "Look something up",
  effect: "read",
  input: z.object({ word: z.string() }),
  output: z.string(),
  run: ({ word }) => {
    looked.push(word);
    return `meaning of "${word}"`;
  },
});

let later = 0;
const clerk = agent({
  tools: [look],
  facts: { read: ["customer"], write: ["customer"] },
  calls: [{ agent: "expert", handover: true }],
  input: z.string(),
  run: async (ctx, word) => {
    await ctx.tool(look, { word });
    await ctx.facts.propose("customer", "Ada");
    await ctx.handover("expert", { messages: ['a "quoted" line\nand another'], note: "beyond me" });
    later += 1;
    return "never";
  },
});
const expert = agent({
  model: "scripted/any",
  instructions: "Do it.",
  tools: [look],
  calls: [{ agent: "archivist", handover: true }],
});
const archivist = agent({
  input: z.string(),
  run: (ctx, word) => ({
    word,
    path: ctx.handed?.path.map((one) => `${one.agent}: ${one.why}`),
    messages: ctx.handed?.messages,
    results: ctx.handed?.results.map(({ by, input, output }) => ({ by, input, output })),
    facts: ctx.handed?.facts,
  }),
});
/** Give a task to each other, and would do so for ever. */
const ping = agent({
  calls: [{ agent: "pong", handover: true }],
  run: (ctx) => ctx.handover("pong", { note: "yours" }),
});
const pong = agent({
  calls: [{ agent: "ping", handover: true }],
  run: (ctx) => ctx.handover("ping", { note: `no, yours`, messages: ["something else is said each time"] }),
});
/** Changes what is to be done each time. */
const count = agent({
  calls: [{ agent: "counter", handover: true }],
  input: z.number(),
  run: (ctx, n) => ctx.handover("counter", { input: n + 1 }),
});
const counter = agent({
  calls: [{ agent: "count", handover: true }],
  input: z.number(),
  run: (ctx, n) => ctx.handover("count", { input: n + 1 }),
});
const shy = agent({
  calls: ["archivist"],
  input: z.string(),
  run: async (ctx, word): Promise<string> => {
    const error = await rejection(ctx.handover(archivist));
    return `${word}: ${(error as { code?: string }).code}`;
  },
});
const failing = agent({ run: () => Promise.reject(new Error("broken")), retry: { attemptsMax: 1 } });
const giver = agent({ calls: [{ agent: failing, handover: true }], run: (ctx) => ctx.handover(failing) });

const office = fleet({
  name: "office",
  providers: {
    scripted: {
      script: {
        agents: {
          expert: [
            { when: "turn == 0", say: "I look once more.", call: { tool: "look", input: { word: "tide" } } },
            { when: "turn == 1", call: { tool: "hand_over", input: { agent: "nobody", why: "x" } } },
            { when: "turn == 2", call: { tool: "hand_over", input: { agent: "archivist", why: "for the record" } } },
          ],
        },
      },
    },
  },
  tools: { look },
  agents: { clerk, expert, archivist, ping, pong, count, counter, shy, failing, giver },
  workflows: {
    ask: pipeline({ input: z.string(), stages: [clerk] }),
    bounce: pipeline({ input: z.string(), stages: [ping] }),
    count: pipeline({ input: z.number(), stages: [count] }),
    shy: pipeline({ input: z.string(), stages: [shy] }),
    fail: pipeline({ input: z.string(), stages: [giver] }),
  },
});

async function opened(): Promise<App<typeof office>> {
  const app = await open(office, { store: "memory:" });
  onTestFinished(() => app.close({ drain: false }));
  return app;
}

async function told(events: AsyncIterable<VersionedEvent>): Promise<VersionedEvent[]> {
  const list: VersionedEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

describe("C14: an agent hands its task over", () => {
  test("with messages, results and facts, word for word, along a chain of code and model; its output is the task's", async () => {
    looked.length = 0;
    const app = await opened();
    const run = await app.start("ask", "ebb");
    expect(await run.result()).toEqual({
      word: "ebb",
      path: ["clerk: beyond me", "expert: for the record"],
      messages: ['a "quoted" line\nand another', { role: "assistant", text: "I look once more." }],
      results: [
        { by: "clerk", input: { word: "ebb" }, output: 'meaning of "ebb"' },
        { by: "expert", input: { word: "tide" }, output: 'meaning of "tide"' },
      ],
      facts: { customer: { version: 1, value: "Ada" } },
    });
    expect([looked, later]).toEqual([["ebb", "tide"], 0]);
    const events = await told(run.events());
    const handed = events.flatMap((event) => (event.type === "task.handed" ? [event.data] : []));
    expect(handed).toMatchObject([
      { by: "clerk", agent: "expert", from: "clerk", hop: 1, why: "beyond me" },
      { by: "expert", agent: "archivist", hop: 2, why: "for the record" },
    ]);
    const asked = events.find((event) => event.type === "step.completed" && event.data.kind === "model");
    const first = JSON.stringify(asked?.payload?.input);
    for (const word of ['a "quoted" line\nand another', 'meaning of "ebb"', "Ada", "beyond me"])
      expect(first).toContain(JSON.stringify(word).slice(1, -1));
  });

  test("F10: not back to and fro in the same state, whatever is said on the way; the signature is named", async () => {
    const app = await opened();
    const run = await app.start("bounce", "x");
    const error = await rejection(run.result());
    expect(error).toMatchObject({ code: "HANDOVER_REFUSED", message: expect.stringContaining("ping → pong → ping") });
  });

  test("F10: no more often than the limit, when the state differs each time", async () => {
    const app = await opened();
    const error = await rejection((await app.start("count", 1)).result());
    expect(error).toMatchObject({ message: expect.stringContaining("limits.handoversMax is 5") });
  });

  test("X2: only where it was granted; an agent that is refused may go on", async () => {
    const app = await opened();
    expect(await (await app.start("shy", "w")).result()).toBe("w: HANDOVER_REFUSED");
  });

  test("and the receiver's failure is the task's", async () => {
    const app = await opened();
    const error = await rejection((await app.start("fail", "w")).result());
    expect(error).toMatchObject({ message: expect.stringContaining("broken") });
  });

  test("a tool could not be told from hand_over, and is refused", () => {
    const hand_over = tool({ effect: "read", description: "x", input: z.string(), output: z.string(), run: () => "x" });
    const both = agent({
      model: "scripted/any",
      instructions: "x",
      tools: [hand_over],
      calls: [{ agent: failing, handover: true }],
    });
    const make = () =>
      fleet({
        name: "f",
        tools: { hand_over },
        agents: { both, failing },
        workflows: { w: pipeline({ stages: [both] }) },
      });
    expect(make).toThrow(/hand_over/);
  });
});
