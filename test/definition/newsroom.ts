import { z } from "zod";
import { agent, fleet, tool, type WorkflowCommon, type Workflow, workflow } from "../../src/definition/build.ts";
import { definePattern } from "../../src/pattern/pattern.ts";
import type { Agent } from "../../src/definition/agent.ts";

/** A pattern as users write one: a lead and workers. */
export const teamPattern = definePattern({
  name: "team",
  options: z.strictObject({ lead: z.string(), workers: z.array(z.string()).min(1) }),
  agents: (options) => [options.lead, ...options.workers],
  plan: () => [],
});

export function team<Input, Parsed, Output>(
  given: WorkflowCommon<Input, Parsed, Output> & { lead: Agent; workers: readonly Agent[] },
): Workflow<Input, Output> {
  const { lead, workers, ...common } = given;
  return workflow({ ...common, pattern: teamPattern, options: { lead, workers } });
}

// The sketch of the public API, to the letter but for the approval, which a later issue brings.
export const search = tool({
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
export const publish = tool({
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

export const Draft = z.object({ markdown: z.string() });
export const lead = agent({
  model: "anthropic/MODEL",
  instructions: "Plan, review, publish.",
  tools: [publish],
  output: Draft,
});
export const researcher = agent({ model: "openai/MODEL", instructions: "Find sources.", tools: [search] });
export const writer = agent({ model: "openai/MODEL", instructions: "Write from notes.", output: Draft });
export const article = team({
  lead,
  workers: [researcher, writer],
  input: z.object({ topic: z.string() }),
  output: Draft,
  limits: { costUsdMax: 0.5 },
});

export default fleet({
  name: "newsroom",
  tools: { search, publish },
  agents: { lead, researcher, writer },
  workflows: { article },
});
