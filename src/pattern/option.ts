import { z } from "zod";
import type { Json } from "../core/json.ts";
import { workflowIn, workflowSeat } from "../core/seat.ts";
import type { Agent } from "../definition/agent.ts";
import type { Route } from "../definition/route.ts";
import type { Workflow } from "../definition/workflow.ts";

// What the options of several patterns are made of.

/** An agent by value, or by its name in the fleet; or a route, which chooses one for each task; or a workflow, whose run
 *  then does the work. */
export type AgentRef<Output = unknown> =
  | Agent<unknown, Output>
  | Route<Output>
  | string
  | Workflow<unknown, Output>
  | { workflow: string };

/** A task's id: what `tasks.ID` and `needs` say, and the start of the ids of its members. */
export const TaskId = z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/, {
  error: "must start with a letter and hold at most 64 letters, digits, _ and -",
});

const WorkflowSeat = z
  .strictObject({ workflow: z.string().min(1).describe("Name of a workflow of this fleet.") })
  .transform(({ workflow }) => workflowSeat(workflow));

export const AgentName = z
  .union([z.string().min(1), WorkflowSeat])
  .describe(
    "Name of an agent, or of a route that chooses one; or { workflow: NAME }, whose run does the work as a child of this one.",
  );

/** JSON in which strings may hold `${ CEL }`. */
export const TemplateJson: z.ZodType<Json> = z.json() as z.ZodType<Json>;

/** An agent at one place of a list, by its name alone or with more to say. */
export interface Seat {
  agent: string;
  id?: string | undefined;
}

/** Ids for places that agents hold: as given, else the agent's name, numbered from its second place on. */
export function seatIds(seats: readonly Seat[]): string[] {
  const seen = new Map<string, number>();
  return seats.map(({ agent, id }) => {
    if (id !== undefined) return id;
    const name = workflowIn(agent) ?? agent;
    const place = (seen.get(name) ?? 0) + 1;
    seen.set(name, place);
    return place === 1 ? name : `${name}-${place}`;
  });
}

/** The first id that stands twice, with its second place; null when there is none. */
export function duplicate(ids: readonly string[]): { id: string; index: number } | null {
  const index = ids.findIndex((id, place) => ids.indexOf(id) < place);
  return index === -1 ? null : { id: ids[index] ?? "", index };
}
