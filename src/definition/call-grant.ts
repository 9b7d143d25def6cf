import { workflowIn } from "../core/seat.ts";
import type { AgentDefinition, CallGrant } from "../core/definition.ts";
import type { Finding } from "./finding.ts";

/** One grant, with no more in it than it says. */
export function callGrant(
  agent: string,
  tools: readonly string[],
  { recursive = false, handover = false }: Partial<Pick<CallGrant, "recursive" | "handover">> = {},
): CallGrant {
  return { agent, tools, ...(recursive ? { recursive } : {}), ...(handover ? { handover } : {}) };
}

/** The part of an agent's definition that grants calls: none when there are none, so that definitions without are hashed
 *  as they were before there were any. */
export function callGrants(calls: readonly CallGrant[]): Pick<AgentDefinition, "calls"> {
  return calls.length === 0 ? {} : { calls };
}

/** What is wrong with an agent's grants beyond names that do not exist: a model finds tools, agents and workflows by one
 *  name each. Paths start at the agent. */
export function callFindings(name: string, tools: readonly string[], called: readonly string[]): Finding[] {
  const names = called.map((seat) => workflowIn(seat) ?? seat);
  return names.flatMap((one, index): Finding[] => {
    const path = ["calls", index];
    const kind = workflowIn(called[index]) === null ? "agent" : "workflow";
    if (names.indexOf(one) < index) {
      const message = `agent "${name}" may call ${kind} "${one}" twice`;
      return [{ code: "DEFINITION_DUPLICATE", message, path, part: "value", hint: "remove one of them" }];
    }
    if (!tools.includes(one)) return [];
    const message = `agent "${name}" has both a tool and ${kind === "agent" ? "an" : "a"} ${kind} called "${one}", and a model could not tell them apart`;
    return [{ code: "DEFINITION_DUPLICATE", message, path, part: "value", hint: "rename one of them" }];
  });
}

/** The tool by which a model hands its task over. */
export const HAND_OVER = "hand_over";

/** A tool of that name could not be told from it. Paths start at the agent. */
export function handoverFindings(name: string, tools: readonly string[], mayHandOver: boolean): Finding[] {
  if (!mayHandOver || !tools.includes(HAND_OVER)) return [];
  const message = `agent "${name}" has a tool called "${HAND_OVER}", and may hand tasks over by a tool of that name`;
  return [
    {
      code: "DEFINITION_DUPLICATE",
      message,
      path: ["tools", tools.indexOf(HAND_OVER)],
      part: "value",
      hint: "rename it",
    },
  ];
}
