import { agent, fleet, graph, type Json, pipeline } from "../src/index.ts";

/** Returns what it is given: what is measured is the runtime, not the agent. */
const noop = agent({ description: "Returns its input", run: (_context, input: Json) => input });

/** Hangs in the process that runs it first, and returns in any later one: what a killed worker leaves behind. */
const held = agent({
  description: "Hangs until its process is killed",
  run: async (context) => {
    const first = await context.step("first", () => process.pid);
    if (first === process.pid) await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
    return process.pid;
  },
});

const stage = (number: number) => ({ agent: noop, id: `stage-${number}` });
const middles = Array.from({ length: 8 }, (_, index) => `middle-${index + 1}`);

/** The fleet of the benchmark: one agent that does nothing, in every shape that is measured. */
export default fleet({
  name: "bench",
  agents: { noop, held },
  workflows: {
    one: pipeline({ stages: [noop] }),
    ten: pipeline({ stages: [...Array.from({ length: 9 }, (_, index) => stage(index + 1)), stage(10)] }),
    diamond: graph({
      tasks: {
        first: { agent: noop },
        ...Object.fromEntries(middles.map((id) => [id, { agent: noop, needs: "first" }])),
        last: { agent: noop, needs: middles },
      },
    }),
    hold: pipeline({ stages: [held] }),
    fan: graph({ tasks: { item: { agent: noop, forEach: "input" } } }),
  },
});
