// The public API as its sketch has it. Only compiled: its models and its sites are not there.
import { agent, fleet, open, supervisor, tool } from "flotilla";
import { z } from "zod";

const search = tool({
  description: "Search the web",
  effect: "read",
  input: z.object({ query: z.string() }),
  output: z.array(z.object({ url: z.string(), text: z.string() })),
  run: async ({ query }, ctx) =>
    (
      await ctx.fetch(`https://api.example.com/?q=${encodeURIComponent(query)}`, {
        headers: { authorization: `Bearer ${ctx.secret("SEARCH_KEY")}` },
      })
    ).json(),
});
const publish = tool({
  description: "Publish",
  effect: "write",
  input: z.object({ markdown: z.string() }),
  output: z.object({ url: z.string() }),
  run: async ({ markdown }, ctx) =>
    (
      await ctx.fetch("https://cms.example.com/posts", {
        method: "POST",
        body: markdown,
        headers: { "idempotency-key": ctx.idempotencyKey },
      })
    ).json(),
});

const Draft = z.object({ markdown: z.string() });
const lead = agent({
  model: "anthropic/MODEL",
  instructions: "Plan, review, publish.",
  tools: [publish],
  output: Draft,
});
const researcher = agent({ model: "openai/MODEL", instructions: "Find sources.", tools: [search] });
const writer = agent({ model: "openai/MODEL", instructions: "Write from notes.", output: Draft });
const article = supervisor({
  lead,
  workers: [researcher, writer],
  input: z.object({ topic: z.string() }),
  output: Draft,
  limits: { costUsdMax: 0.5 },
});

const newsroom = fleet({
  name: "newsroom",
  tools: { search, publish },
  agents: { lead, researcher, writer },
  workflows: { article },
});

export async function write(topic: string): Promise<string> {
  await using app = await open(newsroom, { store: "sqlite:.flotilla/store.db" });
  const run = await app.start("article", { topic }, { idempotencyKey: `${topic}-1` });
  for await (const event of run.events()) console.log(event.type);
  const { markdown } = await run.result();
  return markdown;
}

export async function mistakes(): Promise<void> {
  await using app = await open(newsroom);
  // @ts-expect-error the topic is a string
  await app.start("article", { topic: 1 });
  // @ts-expect-error there is no such workflow
  await app.start("artikel", { topic: "tides" });
  const { markdown } = await (await app.start("article", { topic: "tides" })).result();
  // @ts-expect-error the result is typed
  const length: string = markdown.length;
  console.log(length);
}
