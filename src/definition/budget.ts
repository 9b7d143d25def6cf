import { type Finding, missingReference } from "./finding.ts";
import { isRecord } from "./zod-problem.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Budgets of agents and workflows that are not there. `budgets` need not be well-formed. */
export function budgetFindings(budgets: Fields, agents: Fields, workflows: Fields): Finding[] {
  return [...unknown(budgets, "agents", "agent", agents), ...unknown(budgets, "workflows", "workflow", workflows)];
}

function unknown(budgets: Fields, section: string, kind: string, defined: Fields): Finding[] {
  const given = budgets[section];
  return Object.keys(isRecord(given) ? given : {})
    .filter((name) => !Object.hasOwn(defined, name))
    .map((name): Finding => {
      const missing = missingReference("budgets", kind, name, Object.keys(defined));
      return { ...missing, path: ["budgets", section, name], part: "key" };
    });
}
