import { z } from "zod";
import { agent, type Fleet, fleet, pipeline, tool } from "../src/index.ts";

/** Model calls and tool calls of one conversation: the first answer asks for two tools at once, the last for none. */
export const CALLS = 10;

/** What the tool does, also without Flotilla. */
export const countUp = ({ n }: { n: number }): { n: number } => ({ n: n + 1 });

/** W8: an agent that asks the model at `baseUrl`, which has it call a tool ten times before it answers. */
export function loopFleet(baseUrl: string): Fleet {
  const count = tool({
    description: "Counts up",
    effect: "read",
    input: z.object({ n: z.number() }),
    output: z.object({ n: z.number() }),
    run: countUp,
  });
  const counter = agent({ model: "double/bench", instructions: "Count to ten.", tools: [count] });
  return fleet({
    name: "bench-loop",
    providers: { double: { kind: "openai-compatible", baseUrl } },
    tools: { count },
    agents: { counter },
    workflows: { count: pipeline({ stages: [counter] }) },
  });
}
