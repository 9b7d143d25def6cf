import { expect, test } from "vitest";
import { z } from "zod";
import { agent, fleet, graph, open, tool } from "../../src/index.ts";

const sent: string[] = [];
const mail = tool({
  description: "Sends a mail",
  effect: "write",
  input: z.object({ text: z.string() }),
  output: z.object({ id: z.number() }),
  run: ({ text }) => ({ id: sent.push(text) }),
});
let looks = 0;
const reader = agent({ description: "Reads", run: (_, { word }: { word: string }) => `${word} ${++looks}` });
const sender = agent({
  description: "Sends",
  tools: [mail],
  run: async (ctx, text: string) => (await ctx.tool(mail, { text })).id,
});
let broken = true;
const checker = agent({
  description: "Checks",
  retry: { attemptsMax: 1 },
  run: (_, id: number) => {
    if (broken) throw new Error("not today");
    return `checked ${id}`;
  },
});

const office = fleet({
  name: "office",
  tools: { mail },
  agents: { reader, sender, checker },
  workflows: {
    tell: graph({
      input: z.object({ word: z.string() }),
      tasks: {
        read: { agent: reader },
        send: { agent: sender, needs: ["read"], input: "${tasks.read.output}" },
        check: { agent: checker, needs: ["send"], input: "${tasks.send.output}" },
      },
    }),
  },
});

async function failed(app: Awaited<ReturnType<typeof open<typeof office>>>) {
  broken = true;
  const run = await app.start("tell", { word: "hello" });
  await expect(run.result()).rejects.toMatchObject({ code: "AGENT_FAILED" });
  broken = false;
  return run;
}

test("F11: a failed run is forked before the task that failed it; what was finished is kept", async () => {
  await using app = await open(office, { store: "memory:" });
  const run = await failed(app);
  const before = { looks, sent: sent.length };
  expect(await app.previewFork(run.id)).toMatchObject({ run: run.id, kept: 2, redone: [], effects: [], changes: [] });
  const fork = await app.fork(run.id);
  expect(await fork.result()).toBe(`checked ${before.sent}`);
  expect({ looks, sent: sent.length }).toEqual(before);
  expect((await fork.state()).fork).toMatchObject({ from: run.id });
  expect((await run.state()).status).toBe("failed");
});

test("F11, I7: writes after the moment are listed, and answered from the record, left out or allowed", async () => {
  await using app = await open(office, { store: "memory:" });
  const run = await failed(app);
  const times = sent.length;
  const preview = await app.previewFork(run.id, { task: "send" });
  expect(preview.effects).toMatchObject([{ task: "send", tool: "mail", output: { id: times } }]);
  expect(await (await app.fork(run.id, { task: "send" })).result()).toBe(`checked ${times}`);
  const skipped = await app.fork(run.id, { task: "send", effects: { default: "skip" } });
  await expect(skipped.result()).rejects.toMatchObject({ code: "AGENT_FAILED" });
  expect(sent.length).toBe(times);
  const effects = { default: "skip", tools: { mail: "allow" } } as const;
  expect(await (await app.fork(run.id, { task: "send", effects })).result()).toBe(`checked ${times + 1}`);
  expect(sent.length).toBe(times + 1);
});

test("F11: another input begins from the start, where the record has no answer to another call", async () => {
  await using app = await open(office, { store: "memory:" });
  const run = await failed(app);
  const times = sent.length;
  const other = await app.fork(run.id, { at: 1, input: { word: "bye" } });
  await expect(other.result()).rejects.toMatchObject({ code: "EFFECT_UNKNOWN" });
  const effects = { default: "allow" } as const;
  expect(await (await app.fork(run.id, { at: 1, input: { word: "bye" }, effects })).result()).toBe(
    `checked ${times + 1}`,
  );
  expect(sent.at(-1)).toMatch(/^bye/);
  await expect(app.fork(run.id, { at: 5, input: { word: "x" } })).rejects.toMatchObject({ code: "FORK_INVALID" });
});

test("what cannot be forked is said", async () => {
  await using app = await open(office, { store: "memory:" });
  const run = await failed(app);
  const wrong = [
    [{ at: 100_000 }, "FORK_INVALID"],
    [{ task: "sned" }, "FORK_INVALID"],
    [{ agents: { nobody: { model: "x/y" } } }, "FORK_INVALID"],
    [{ at: 3, task: "send" }, "FORK_INVALID"],
    [{ at: 0 }, "OPTION_INVALID"],
    [{ effects: { default: "perhaps" } }, "OPTION_INVALID"],
  ] as const;
  for (const [options, code] of wrong)
    await expect(app.fork(run.id, options as Parameters<typeof app.fork>[1])).rejects.toMatchObject({ code });
  const { version } = await run.state();
  await expect(app.fork(run.id, { at: version })).rejects.toMatchObject({ code: "FORK_INVALID" });
  await expect(app.fork("r-nothing")).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
  const ok = await app.fork(run.id);
  await ok.result();
  await expect(app.fork(ok.id)).rejects.toMatchObject({ code: "FORK_INVALID" });
});
