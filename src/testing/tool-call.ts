import type { RunEvent } from "../core/event.ts";
import type { Json } from "../core/json.ts";

/** One call of a tool, as it is on record. */
export interface FleetToolCall {
  tool: string;
  agent: string;
  task: string;
  input: Json;
  /** Null when it failed. */
  output: Json;
  error: { code: string; message: string } | null;
}

/** The calls of tools in a run, in the order in which they ended. */
export function toolCalls(events: readonly RunEvent[]): FleetToolCall[] {
  const agents = new Map<string, string>();
  const intended = new Map<string, Json>();
  return events.flatMap((event): FleetToolCall[] => {
    if (event.type === "plan.revised") for (const { task, agent } of event.data.add) agents.set(task, agent ?? "");
    if (event.type === "task.routed") agents.set(event.data.task, event.data.agent);
    // A write has its input with its intent.
    if (event.type === "step.started")
      intended.set(`${event.data.task}/${event.data.key}`, event.payload?.input ?? null);
    if ((event.type !== "step.completed" && event.type !== "step.failed") || event.data.kind !== "tool") return [];
    const { task, name, key } = event.data;
    const input = event.payload?.input ?? intended.get(`${task}/${key}`) ?? null;
    const error =
      event.type === "step.failed" ? { code: event.data.error.code, message: event.data.error.message } : null;
    return [{ tool: name, agent: agents.get(task) ?? "", task, input, output: event.payload?.output ?? null, error }];
  });
}
