// A fleet as a value, with agents of every kind, for tests of the library.
import { z } from "zod";
import { agent, fleet, graph, pipeline, tool } from "../../src/index.ts";

const Text = z.object({ text: z.string().min(1) });

/** Gates that agents wait at, by name: a test opens them when it has seen what it wanted to see. */
export const gates = new Map<string, PromiseWithResolvers<void>>();

export function gate(name: string): PromiseWithResolvers<void> {
  const known = gates.get(name) ?? Promise.withResolvers<void>();
  gates.set(name, known);
  return known;
}

/** What the writing tool wrote, by idempotency key. */
export const written = new Map<string, string[]>();

export const save = tool({
  description: "Write a line",
  effect: "write",
  idempotent: true,
  input: Text,
  output: z.object({ lines: z.number() }),
  run({ text }, { idempotencyKey }) {
    const lines = [...(written.get(idempotencyKey) ?? []), text];
    written.set(idempotencyKey, lines);
    return { lines: lines.length };
  },
});

const shout = agent({
  input: Text,
  output: Text,
  run: (_, { text }) => ({ text: text.toUpperCase() }),
});

/** Notes each step that it really does, then waits at the gate that the text names. */
const wait = agent({
  input: Text,
  output: Text,
  run: async (ctx, { text }) => {
    await ctx.step("arrive", () => gate(`${text} arrived`).resolve());
    await gate(text).promise;
    return { text: `${text} is open` };
  },
});

const nap = agent({
  input: Text,
  output: z.object({ text: z.string(), steps: z.number() }),
  run: async (ctx, { text }) => {
    const before = await ctx.step("before", () => 1);
    await ctx.sleep(1_100);
    const after = await ctx.step("after", () => 1);
    return { text, steps: before + after };
  },
});

const writer = agent({
  tools: [save],
  input: Text,
  output: z.object({ lines: z.number() }),
  run: (ctx, { text }) => ctx.tool(save, { text }),
});

const asker = agent({
  model: "scripted/words",
  instructions: "Answer.",
  input: Text,
  output: z.object({ said: z.string(), simulated: z.boolean() }),
  run: async (ctx, { text }) => {
    const { output, simulated } = await ctx.model(text);
    return { said: output, simulated };
  },
});

const speaker = agent({ model: "scripted/words", instructions: "Speak.", input: Text });

const broken = agent({
  input: Text,
  retry: { attemptsMax: 1 },
  run: (_, { text }) => {
    throw new TypeError(`cannot read ${text}`);
  },
});

/** What it returns is not what its type says. */
const liar = agent({ input: Text, run: (): z.output<typeof Text> => JSON.parse('{ "text": 42 }') });

const stray = agent({ input: Text, output: Text, run: () => JSON.parse('{ "text": 42 }') as z.output<typeof Text> });

const stage = (one: typeof shout) => pipeline({ input: Text, stages: [one], output: Text });

export const desk = fleet({
  name: "desk",
  providers: {
    scripted: {
      script: {
        agents: {
          asker: [{ say: "you said ${ input }" }],
          speaker: [{ say: "one two three four five" }],
        },
      },
    },
  },
  tools: { save },
  agents: { shout, wait, nap, writer, asker, speaker, broken, liar, stray },
  workflows: {
    shout: stage(shout),
    wait: stage(wait),
    nap: pipeline({ input: Text, stages: [nap] }),
    write: pipeline({ input: Text, stages: [writer] }),
    ask: pipeline({ input: Text, stages: [asker] }),
    speak: pipeline({ input: Text, stages: [speaker] }),
    fail: pipeline({ input: Text, stages: [broken] }),
    stray: stage(stray),
    lie: pipeline({ input: Text, output: Text, stages: [liar] }),
    twice: pipeline({ input: Text, stages: [shout, { agent: shout, id: "again" }], output: Text }),
    both: graph({
      input: Text,
      tasks: {
        left: { agent: shout, input: "${ input }" },
        right: { agent: shout, input: { text: "right" } },
      },
      result: { text: "${ tasks.left.output.text + ' ' + tasks.right.output.text }" },
      output: Text,
    }),
  },
});
