import type { AgentDefinition, CallGrant } from "../core/definition.ts";
import type { Finding } from "./finding.ts";

/** The part of an agent's definition that grants calls: none when there are none, so that definitions without are hashed
 *  as they were before there were any. */
export function callGrants(calls: readonly CallGrant[]): Pick<AgentDefinition, "calls"> {
  return calls.length === 0 ? {} : { calls };
}

/** What is wrong with an agent's grants beyond names that do not exist. Paths start at the agent. */
export function callFindings(name: string, tools: readonly string[], calls: readonly CallGrant[]): Finding[] {
  return calls.flatMap(({ agent }, index): Finding[] => {
    const path = ["calls", index];
    if (calls.findIndex((one) => one.agent === agent) < index) {
      const message = `agent "${name}" may call agent "${agent}" twice`;
      return [{ code: "DEFINITION_DUPLICATE", message, path, part: "value", hint: "remove one of them" }];
    }
    if (!tools.includes(agent)) return [];
    const message = `agent "${name}" has both a tool and an agent called "${agent}", and a model could not tell them apart`;
    return [{ code: "DEFINITION_DUPLICATE", message, path, part: "value", hint: "rename one of them" }];
  });
}
