import { type Finding, missingReference } from "./finding.ts";
import { isRecord } from "./zod-problem.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Budgets of agents and workflows that are not there. `budgets` need not be well-formed. */
export function budgetFindings(budgets: Fields, agents: Fields, workflows: Fields): Finding[] {
  return [...unknown(budgets, "agents", "agent", agents), ...unknown(budgets, "workflows", "workflow", workflows)];
}

/** Guards of agents and tools that are not there. */
export function guardFindings(guards: Fields, agents: Fields, tools: Fields): Finding[] {
  return [
    ...unknown(guards, "agents", "agent", agents, "guards"),
    ...unknown(guards, "tools", "tool", tools, "guards"),
  ];
}

function unknown(given: Fields, section: string, kind: string, defined: Fields, part = "budgets"): Finding[] {
  const named = given[section];
  return Object.keys(isRecord(named) ? named : {})
    .filter((name) => !Object.hasOwn(defined, name))
    .map((name): Finding => {
      const missing = missingReference(part, kind, name, Object.keys(defined));
      return { ...missing, path: [part, section, name], part: "key" };
    });
}
