/** Where an agent's name stands, `workflow:NAME` stands for a run of that workflow: a child run with a journal, a scope
 *  and limits of its own, whose outcome is the task's (C3, C8). */
const PREFIX = "workflow:";

export const workflowSeat = (workflow: string): string => `${PREFIX}${workflow}`;

/** The workflow that a seat stands for; null when it is an agent's. */
export function workflowIn(seat: string | null | undefined): string | null {
  return seat?.startsWith(PREFIX) ? seat.slice(PREFIX.length) : null;
}

/** The id of a run's nth child: it shows whose it is, and is the same however often it is asked for. */
export const childId = (parent: string, n: number): string => `${parent}.${n}`;

/** Whether a run is the child of another. */
export const isChild = (run: string): boolean => run.includes(".");
