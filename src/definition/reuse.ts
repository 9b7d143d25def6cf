import type { AgentDefinition, ToolDefinition } from "../core/definition.ts";
import type { Finding } from "./finding.ts";

/** What keeps an agent's results from being taken over: whatever it changes, or lets others change, would be left out
 *  when its work is not done again (C11). */
export function reuseFindings(
  name: string,
  { calls = [], facts, reuse, tools }: AgentDefinition,
  known: Readonly<Record<string, ToolDefinition>>,
): Finding[] {
  if (reuse === undefined) return [];
  const writing = tools.filter((tool) => Object.hasOwn(known, tool) && known[tool]?.effect === "write");
  const obstacles = [
    ...writing.map((tool) => `tool "${tool}" writes`),
    ...(facts.write.length > 0 ? ["it may propose facts"] : []),
    ...(calls.length > 0 ? ["it may call others, which may write"] : []),
  ];
  if (obstacles.length === 0) return [];
  return [
    {
      code: "DEFINITION_INVALID",
      message: `results of agent "${name}" cannot be reused: ${obstacles.join("; ")}`,
      path: ["agents", name, "reuse"],
      part: "key",
      hint: "remove reuse, or let another agent write",
    },
  ];
}
