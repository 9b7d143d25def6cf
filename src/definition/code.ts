import type { FleetDefinition, ModuleRef } from "../core/definition.ts";
import type { Pattern } from "../pattern/pattern.ts";
import { FlotillaError } from "../error.ts";
import { type AgentCode, agentCode, agentParts, isAgent } from "./agent.ts";
import type { AgentContext, ToolContext } from "./context.ts";
import { loadProblems } from "./module-reader.ts";
import { type FleetCode, isFleet } from "./fleet.ts";
import { importModule, verifyModules } from "./module.ts";
import { list } from "./name-list.ts";
import { nearest } from "./nearest.ts";
import { definitionError } from "./problem.ts";
import { isTool, TOOL_OUTPUT, type ToolCode, toolParts } from "./tool.ts";
import { isPattern } from "./workflow.ts";
import { parseResult } from "./zod-schema.ts";

/** Imports the code that a definition names, for the process that runs it: a worker host. Local modules must be those
 *  that the definition was made with.
 *  @throws {FlotillaError} DEFINITION_MISSING when modules changed, DEFINITION_FILE, DEFINITION_REFERENCE and
 *  DEFINITION_SYNTAX when they do not load or export what is named */
export async function loadCode(definition: FleetDefinition, folder: string): Promise<FleetCode> {
  await verifyModules(definition, folder);
  const tools = new Map<string, ToolCode>();
  for (const [name, tool] of Object.entries(definition.tools)) {
    if (tool.kind === "code" && tool.module !== null)
      tools.set(name, toolCode(name, tool.module, await load(folder, tool.module)));
  }
  const agents = new Map<string, AgentCode>();
  for (const [name, agent] of Object.entries(definition.agents)) {
    if (agent.module !== null) agents.set(name, codeOfAgent(name, agent.module, await load(folder, agent.module)));
  }
  return { tools, agents, patterns: await loadPatterns(definition, folder) };
}

/** Users' own patterns, by name; the built-in ones are no code of a definition. */
async function loadPatterns(definition: FleetDefinition, folder: string): Promise<ReadonlyMap<string, Pattern>> {
  const patterns = new Map<string, Pattern>();
  for (const { pattern, module } of Object.values(definition.workflows)) {
    if (module === null || patterns.has(pattern)) continue;
    const value = await load(folder, module);
    const found = isFleet(value) ? value.code.patterns.get(pattern) : value;
    patterns.set(pattern, isPattern(found) ? found : wrong(module, `pattern "${pattern}"`));
  }
  return patterns;
}

async function load(folder: string, ref: ModuleRef): Promise<unknown> {
  const exports = await importLocal(folder, ref.module);
  if (Object.hasOwn(exports, ref.export)) return exports[ref.export];
  const names = Object.keys(exports);
  const suggestion = nearest(ref.export, names);
  const meant = suggestion === null ? "" : ` Did you mean "${suggestion}"?`;
  throw new FlotillaError("DEFINITION_REFERENCE", `module "${ref.module}" does not export "${ref.export}"`, {
    hint: `It exports: ${list(names)}.${meant}`,
    details: { module: ref.module, export: ref.export, exports: names },
  });
}

async function importLocal(folder: string, module: string): Promise<Record<string, unknown>> {
  try {
    return await importModule(folder, module);
  } catch (cause) {
    const [first, ...rest] = loadProblems(cause, folder, module);
    if (first !== undefined) throw definitionError([first, ...rest], cause);
    throw new FlotillaError("DEFINITION_FILE", `module "${module}" cannot be read: there is no such file`, { cause });
  }
}

function toolCode(name: string, ref: ModuleRef, value: unknown): ToolCode {
  if (isFleet(value)) return value.code.tools.get(name) ?? wrong(ref, `tool "${name}"`);
  if (isTool(value)) return toolParts(value).code ?? wrong(ref, `code of tool "${name}"`);
  if (typeof value !== "function") return wrong(ref, `tool "${name}"`);
  const run = value as (input: unknown, context: ToolContext) => unknown;
  return {
    run: async (input, context) => parseResult(undefined, await run(input, context), TOOL_OUTPUT),
    check: null,
    origin: null,
  };
}

function codeOfAgent(name: string, ref: ModuleRef, value: unknown): AgentCode {
  if (isFleet(value)) return value.code.agents.get(name) ?? wrong(ref, `agent "${name}"`);
  if (isAgent(value)) return agentParts(value).code ?? wrong(ref, `code of agent "${name}"`);
  if (typeof value !== "function") return wrong(ref, `agent "${name}"`);
  return agentCode(value as (context: AgentContext, input: unknown) => unknown);
}

function wrong(ref: ModuleRef, what: string): never {
  throw new FlotillaError(
    "DEFINITION_REFERENCE",
    `export "${ref.export}" of module "${ref.module}" is not the ${what}`,
  );
}
