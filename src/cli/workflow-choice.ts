import type { FleetDefinition, WorkflowDefinition } from "../core/definition.ts";
import { nearest } from "../definition/nearest.ts";
import { FlotillaError } from "../error.ts";

/** The workflow of this name, or the fleet's first one when none is named.
 *  @throws {FlotillaError} WORKFLOW_UNKNOWN with the nearest name */
export function chooseWorkflow(definition: FleetDefinition, name: string | undefined): { name: string; workflow: WorkflowDefinition } {
  const names = Object.keys(definition.workflows);
  const chosen = name ?? names[0] ?? "";
  const workflow = Object.hasOwn(definition.workflows, chosen) ? definition.workflows[chosen] : undefined;
  if (workflow !== undefined) return { name: chosen, workflow };
  if (names.length === 0) throw new FlotillaError("WORKFLOW_UNKNOWN", `fleet ${definition.name} has no workflow`, { hint: "Declare one under `workflows`." });
  const near = nearest(chosen, names);
  throw new FlotillaError("WORKFLOW_UNKNOWN", `fleet ${definition.name} has no workflow "${chosen}"`, {
    hint: `${near === null ? "" : `Did you mean "${near}"? `}It has: ${names.join(", ")}.`,
    details: { workflow: chosen, names },
  });
}

/** Models that a fleet asks for real, by `provider/name`: neither scripted nor code alone. `override` is `--model`. */
export function liveModels(definition: FleetDefinition, override: string | null): string[] {
  const models = Object.values(definition.agents).flatMap(({ model, fallbackModels }) =>
    model === null ? [] : override === null ? [model, ...fallbackModels] : [override],
  );
  return [...new Set(models)].filter((model) => kindOf(definition, model) !== "scripted");
}

function kindOf({ providers }: FleetDefinition, model: string): string {
  const [provider = ""] = model.split("/");
  return providers[provider]?.kind ?? provider;
}
