import type { FleetDefinition } from "../../core/definition.ts";
import type { EventFields } from "../history.ts";
import type { CheckerMaker } from "./checker.ts";

interface Known {
  agent: string | null;
  /** The task that asked for it, and the question. */
  asker: { task: string; key: string } | null;
  /** What its asker passes on; null: it was asked for by nobody, and has what its agent has. */
  tools: readonly string[] | null;
  /** What it answered, once it has. */
  output: string | null;
}

/** An agent asks only whom it was granted, and passes on no more than it may use itself or was given to pass on; nobody is
 *  asked who waits for that very answer; and a question has one answer, that of the task which it led to. */
export const asked: CheckerMaker = ({ definition }, fail) => {
  const tasks = new Map<string, Known>();
  /** Whether each question of a task is answered. */
  const questions = new Map<string, Map<string, boolean>>();
  return {
    promise: "C8, C12: agents ask whom they may, in no circle, and hear one answer",
    event({ journal, type, data, payload }) {
      const { task = "", key = "" } = data;
      const name = `${journal}/${task}`;
      if (type === "plan.revised") for (const spec of data.add ?? []) added(journal, spec);
      if (type === "task.routed" || (type === "escalation.decided" && data.choice === "reassign"))
        note(name, { agent: data.agent ?? null });
      if (type === "task.completed") note(name, { output: JSON.stringify(payload?.output ?? null) });
      if (type === "task.reopened" || type === "escalation.decided") questions.delete(name);
      if (type === "step.asked" && data.ask?.ask === "call")
        questions.set(name, (questions.get(name) ?? new Map<string, boolean>()).set(key, false));
      if (type !== "step.completed" && type !== "step.failed") return;
      const isAnswered = questions.get(name)?.get(key);
      if (isAnswered === undefined) return;
      if (isAnswered) fail(`${key} of ${name} was answered twice`);
      questions.get(name)?.set(key, true);
      if (type === "step.completed") heard(name, key, JSON.stringify(payload?.output ?? null));
    },
  };

  function note(name: string, change: Partial<Known>): void {
    const known = tasks.get(name) ?? { agent: null, asker: null, tools: null, output: null };
    tasks.set(name, { ...known, ...change });
  }

  function added(run: string, spec: NonNullable<EventFields["add"]>[number]): void {
    const { task, agent, asker = null, tools = null } = spec;
    note(`${run}/${task}`, { agent, asker, tools, output: null });
    // A route asks its classifier without being an agent.
    if (asker === null || !questions.get(`${run}/${asker.task}`)?.has(asker.key)) return;
    const caller = tasks.get(`${run}/${asker.task}`);
    const grant = grantOf(definition, caller?.agent ?? "", agent ?? "");
    const what = `${caller?.agent} called ${agent} in ${run}/${asker.task}`;
    if (grant === undefined) return fail(`${what}, which it may not`);
    const passed = new Set([...(definition.agents[caller?.agent ?? ""]?.tools ?? []), ...grant.tools]);
    const own = caller?.tools ?? null;
    for (const tool of tools ?? [])
      if (!passed.has(tool) || own?.includes(tool) === false) fail(`${what} and passed on ${tool}`);
    const circle = grant.recursive === true ? null : circleOf(run, asker.task, agent ?? "");
    if (circle !== null) fail(`${what}, who waits for it: ${circle.join(" asked by ")}`);
  }

  /** Those who would wait for each other; an agent that calls itself does not wait for anybody else. */
  function circleOf(run: string, task: string, called: string): string[] | null {
    const line: string[] = [];
    for (let at: string | undefined = task; at !== undefined; at = tasks.get(`${run}/${at}`)?.asker?.task) {
      const agent = tasks.get(`${run}/${at}`)?.agent ?? "";
      line.push(agent);
      if (agent === called) return line.every((one) => one === called) ? null : line;
    }
    return null;
  }

  function heard(name: string, key: string, answer: string): void {
    const [run = "", ...path] = name.split("/");
    for (const [other, { asker, output }] of tasks) {
      if (!other.startsWith(`${run}/`) || asker?.task !== path.join("/") || asker.key !== key) continue;
      if (output === answer) return;
    }
    fail(`${key} of ${name} was answered with what nobody said`);
  }
};

const grantOf = ({ agents }: FleetDefinition, caller: string, called: string) =>
  agents[caller]?.calls?.find(({ agent }) => agent === called);
