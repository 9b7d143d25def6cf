// A pattern that Flotilla does not have, written on its public API alone: agents are asked one after the other until one
// has an answer.
import { type Agent, agent, definePattern, type Edit, fleet, type Json, type Workflow, workflow } from "flotilla";
import { z } from "zod";

export const cascadePattern = definePattern({
  name: "cascade",
  options: z.strictObject({ agents: z.array(z.string()).min(1) }),
  agents: ({ agents }) => agents,
  plan(view, change) {
    const ask = (place: number): Edit[] => {
      const next = view.options.agents[place];
      if (next === undefined) return [{ edit: "finish", output: null }];
      return [{ edit: "add", task: { id: `ask/${place}`, agent: next, input: view.input } }];
    };
    if (change.type === "started") return ask(0);
    const { output = null, id } = change.task;
    return output === null ? ask(Number(id.split("/")[1]) + 1) : [{ edit: "finish", output }];
  },
});

export function cascade(...agents: readonly [Agent, ...Agent[]]): Workflow<Json, Json> {
  return workflow({ pattern: cascadePattern, options: { agents } });
}

const cheap = agent({ output: z.null(), run: () => null });
const strong = agent({ output: z.string(), run: (_, question) => `the answer to ${JSON.stringify(question)}` });

export default fleet({ name: "ladder", agents: { cheap, strong }, workflows: { ask: cascade(cheap, strong) } });
