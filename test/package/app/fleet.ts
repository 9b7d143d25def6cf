import { agent, fleet, pipeline, tool } from "flotilla";
import { z } from "zod";

const count = tool({
  description: "Count the words of a text",
  effect: "read",
  input: z.object({ text: z.string() }),
  output: z.object({ words: z.number() }),
  run: ({ text }) => ({ words: text.split(/\s+/).length }),
});

const Measured = z.object({ text: z.string(), words: z.number() });

const measurer = agent({
  tools: [count],
  input: z.object({ text: z.string() }),
  output: Measured,
  run: async (ctx, { text }) => ({ text, words: (await ctx.tool(count, { text })).words }),
});

const shouter = agent({
  input: Measured,
  output: z.object({ headline: z.string() }),
  run: (_, { text, words }) => ({ headline: `${text.toUpperCase()} (${words})` }),
});

const headline = pipeline({
  input: z.object({ text: z.string() }),
  output: z.object({ headline: z.string() }),
  stages: [measurer, shouter],
});

export default fleet({
  name: "press",
  tools: { count },
  agents: { measurer, shouter },
  workflows: { headline },
});
