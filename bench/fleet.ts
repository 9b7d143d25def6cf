import { agent, fleet, graph, type Json, pipeline } from "../src/index.ts";

/** Returns what it is given: what is measured is the runtime, not the agent. */
const noop = agent({ description: "Returns its input", run: (_context, input: Json) => input });

const middles = Array.from({ length: 8 }, (_, index) => `middle-${index + 1}`);

/** The fleet of the benchmark: one agent that does nothing, in every shape that is measured. */
export default fleet({
  name: "bench",
  agents: { noop },
  workflows: {
    one: pipeline({ stages: [noop] }),
    ten: pipeline({ stages: Array.from({ length: 10 }, (_, index) => ({ agent: noop, id: `stage-${index + 1}` })) }),
    diamond: graph({
      tasks: {
        first: { agent: noop },
        ...Object.fromEntries(middles.map((id) => [id, { agent: noop, needs: "first" }])),
        last: { agent: noop, needs: middles },
      },
    }),
    fan: graph({ tasks: { item: { agent: noop, forEach: "input" } } }),
  },
});
