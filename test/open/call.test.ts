import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { agent, type App, fleet, open, pipeline, tool, type VersionedEvent } from "../../src/index.ts";
import { rejection } from "./place.ts";

const used: string[] = [];
const look = tool({
  description: "Look something up",
  effect: "read",
  input: z.object({ word: z.string() }),
  output: z.object({ means: z.string() }),
  run: ({ word }) => {
    used.push(word);
    return { means: `meaning of ${word}` };
  },
});

const clerk = agent({
  description: "Looks words up.",
  tools: [look],
  input: z.object({ word: z.string() }),
  output: z.object({ means: z.string() }),
  run: (ctx, { word }) => ctx.tool(look, { word }),
});
const poet = agent({ model: "scripted/any", instructions: "Write a poem.", description: "Writes poems." });

/** Has no tools: what it passes on is in its grant. */
const editor = agent({
  calls: [{ agent: clerk, tools: [look] }, poet],
  input: z.string(),
  output: z.object({ means: z.string(), poem: z.string() }),
  run: async (ctx, word) => {
    const [{ means }, poem] = await Promise.all([ctx.call(clerk, { word }), ctx.call(poet, `about ${word}`)]);
    return { means, poem };
  },
});
/** May call the clerk, and passes nothing on. */
const miser = agent({ calls: [clerk], input: z.string(), run: (ctx, word) => ctx.call(clerk, { word }) });
const stranger = agent({ input: z.string(), run: (ctx, word) => ctx.call("clerk", { word }) });
const echoes = agent({
  calls: ["echoes"],
  run: (ctx, n: number): Promise<number> => ctx.call("echoes", n + 1) as never,
});
const chief = agent({
  model: "scripted/any",
  instructions: "Have it done.",
  calls: [poet, { agent: clerk, tools: [look] }],
  tools: [],
});

const agency = fleet({
  name: "agency",
  providers: {
    scripted: {
      script: {
        agents: {
          poet: [{ say: "${ 'a poem ' + string(input) }" }],
          chief: [
            {
              when: "turn == 0",
              calls: [
                { tool: "poet", input: { input: "of rain" } },
                { tool: "clerk", input: { word: "rain" } },
              ],
            },
            { when: "turn == 1", call: { tool: "clerk", input: { words: 1 } } },
            { when: "turn == 2", call: { tool: "editor", input: { input: "x" } } },
            {
              say: "${ results[0].output + ', ' + results[1].output.means + ', ' + results[2].output.error.code + ', ' + results[3].output.error.code }",
            },
          ],
        },
      },
    },
  },
  tools: { look },
  agents: { clerk, poet, editor, miser, stranger, echoes, chief },
  workflows: {
    edit: pipeline({ input: z.string(), stages: [editor] }),
    scrimp: pipeline({ input: z.string(), stages: [miser] }),
    intrude: pipeline({ input: z.string(), stages: [stranger] }),
    echo: pipeline({ input: z.number(), stages: [echoes], limits: { depthMax: 3 } }),
    lead: pipeline({ input: z.string(), stages: [chief] }),
  },
});

async function opened(): Promise<App<typeof agency>> {
  const app = await open(agency, { store: "memory:" });
  onTestFinished(() => app.close({ drain: false }));
  return app;
}

async function told(events: AsyncIterable<VersionedEvent>): Promise<VersionedEvent[]> {
  const list: VersionedEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

const failures = (events: readonly VersionedEvent[]) =>
  events.flatMap((event) => (event.type === "step.failed" ? [`${event.data.name}: ${event.data.error.code}`] : []));

describe("C8: an agent hires others that it was granted", () => {
  test("at the same time, by value; each is a task of the run, and the answers have their types", async () => {
    const app = await opened();
    const run = await app.start("edit", "rain");
    expect(await run.result()).toEqual({ means: "meaning of rain", poem: "a poem about rain" });
    const { tasks } = await run.state();
    expect([...tasks.keys()]).toEqual(["editor", "editor/call clerk#1", "editor/call poet#1"]);
  });

  test("X2: none that it was not, which is on record", async () => {
    const app = await opened();
    const run = await app.start("intrude", "rain");
    expect(await rejection(run.result())).toMatchObject({ code: "AGENT_NOT_GRANTED" });
    expect(failures(await told(run.events()))).toEqual(["call clerk: AGENT_NOT_GRANTED"]);
  });

  test("X3: which have no tool that their caller neither has nor passes on", async () => {
    const app = await opened();
    used.length = 0;
    const run = await app.start("scrimp", "rain");
    expect(await rejection(run.result())).toMatchObject({ code: "TOOL_NOT_GRANTED" });
    expect(failures(await told(run.events()))).toEqual(["look: TOOL_NOT_GRANTED", "call clerk: TOOL_NOT_GRANTED"]);
    expect(used).toEqual([]);
  });

  test("F10: no deeper than the run's limit", async () => {
    const app = await opened();
    const run = await app.start("echo", 0);
    expect(await rejection(run.result())).toMatchObject({ code: "LIMIT_DEPTH" });
    expect((await run.state()).tasks.size).toBe(4);
  });

  test("also a model does, which finds them among its tools; what it asks wrongly it is told", async () => {
    const app = await opened();
    const run = await app.start("lead", "rain");
    expect(await run.result()).toBe("a poem of rain, meaning of rain, TOOL_INPUT_INVALID, TOOL_NOT_GRANTED");
  });
});
