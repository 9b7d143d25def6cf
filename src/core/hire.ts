import { catalogue, type ErrorCode, type ErrorRecord } from "../error.ts";
import type { CallGrant } from "./definition.ts";
import { lineOf } from "./hold.ts";
import { workflowIn } from "./seat.ts";
import type { RunState, TaskState } from "./state.ts";

/** What an agent's grant says of another that it may call, with its own tools among those that are passed on; null: it
 *  may not call it. */
export type Grant = (caller: string, agent: string) => GrantedCall | null;

/** `handoversMax`: how often a task may have been handed over, a hand-over by the caller included; absent: 5 (F10). */
export type GrantedCall = Pick<CallGrant, "tools" | "recursive" | "handover"> & { handoversMax?: number };

/** The tools that a hired agent may use at most: those that its caller passes on, and of these no more than the caller's
 *  own task may use, however long the chain of those who hired (X3: authority only shrinks). An error when the caller may
 *  not call it at all, or when it waits for the caller itself (C12). */
export function hiring(
  state: RunState,
  { agent: caller, tools, ...rest }: TaskState,
  agent: string,
  grant: Grant | undefined,
): { tools: readonly string[] } | { error: ErrorRecord } {
  const passed = grant?.(caller ?? "", agent) ?? null;
  if (passed === null) return refusal("AGENT_NOT_GRANTED", `${caller} called agent "${agent}", which it may not call`);
  const cycle = passed.recursive === true ? null : waitingCycle(state, { agent: caller, tools, ...rest }, agent);
  if (cycle !== null) return refusal("DEADLOCK", `${cycle.join(" waits for ")}: the last of these was refused`);
  return { tools: tools === null ? passed.tools : passed.tools.filter((tool) => tools.includes(tool)) };
}

/** C12: who would wait for whom if the call were made, from the called one around to itself; null when nobody waits in a
 *  circle. Calls and child runs are followed upwards, through all runs above this one. An agent that calls itself is not
 *  in a circle with anybody: the limit of depth bounds it. */
function waitingCycle(state: RunState, task: TaskState, called: string): string[] | null {
  const line = lineOf(state, task).filter((one) => one === called || workflowIn(one) === null);
  const at = line.indexOf(called);
  const between = line.slice(0, at + 1).filter((one, index, all) => one !== all[index + 1]);
  if (at === -1 || between.every((one) => one === called)) return null;
  return [...between.reverse(), called].map((one) => workflowIn(one) ?? one);
}

function refusal(code: ErrorCode, message: string): { error: ErrorRecord } {
  const { class: cls, fix } = catalogue[code];
  return { error: { code, class: cls, message, hint: fix } };
}
