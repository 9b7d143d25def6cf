import { catalogue, type ErrorRecord } from "../error.ts";
import type { TaskState } from "./state.ts";

/** What an agent passes on to another that it calls: tools by name; null: it may not call it. */
export type Grant = (caller: string, agent: string) => readonly string[] | null;

/** The tools that a hired agent may use at most: those that its caller passes on, and of these no more than the caller's
 *  own task may use, however long the chain of those who hired (X3: authority only shrinks). An error when the caller may
 *  not call it at all. */
export function hiring(
  { agent: caller, tools }: Pick<TaskState, "agent" | "tools">,
  agent: string,
  grant: Grant | undefined,
): { tools: readonly string[] } | { error: ErrorRecord } {
  const passed = grant?.(caller ?? "", agent) ?? null;
  if (passed !== null) return { tools: tools === null ? passed : passed.filter((tool) => tools.includes(tool)) };
  const { class: cls, fix } = catalogue.AGENT_NOT_GRANTED;
  const message = `${caller} called agent "${agent}", which it may not call`;
  return { error: { code: "AGENT_NOT_GRANTED", class: cls, message, hint: fix } };
}
