import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import type { FleetDefinition, WorkflowDefinition } from "../core/definition.ts";
import { loadFleet } from "../definition/load.ts";
import { nearest } from "../definition/nearest.ts";
import { FlotillaError } from "../error.ts";

/** The workflow that is meant when none is named: the first that the definition's file declares. (What the store holds
 *  is canonical, and so has lost the order in which it was written.) */
export async function firstWorkflow(definition: FleetDefinition, file: string): Promise<string> {
  const names = Object.keys(definition.workflows);
  if (names.length < 2) return names[0] ?? "";
  const written = [".yaml", ".yml"].includes(extname(file))
    ? await namesInYaml(file)
    : Object.keys((await loadFleet(file)).definition.workflows);
  return written.find((name) => names.includes(name)) ?? names[0] ?? "";
}

async function namesInYaml(file: string): Promise<string[]> {
  const { isMap, isScalar, parseDocument } = await import("yaml");
  const workflows: unknown = parseDocument(await readFile(file, "utf8")).get("workflows");
  return isMap(workflows) ? workflows.items.flatMap(({ key }) => (isScalar(key) ? [String(key.value)] : [])) : [];
}

/** The workflow of this name. @throws {FlotillaError} WORKFLOW_UNKNOWN with the nearest name */
export function chooseWorkflow(definition: FleetDefinition, name: string): WorkflowDefinition {
  const names = Object.keys(definition.workflows);
  const workflow = Object.hasOwn(definition.workflows, name) ? definition.workflows[name] : undefined;
  if (workflow !== undefined) return workflow;
  if (names.length === 0)
    throw new FlotillaError("WORKFLOW_UNKNOWN", `fleet ${definition.name} has no workflow`, {
      hint: "Declare one under `workflows`.",
    });
  const near = nearest(name, names);
  throw new FlotillaError("WORKFLOW_UNKNOWN", `fleet ${definition.name} has no workflow "${name}"`, {
    hint: `${near === null ? "" : `Did you mean "${near}"? `}It has: ${names.join(", ")}.`,
    details: { workflow: name, names },
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
