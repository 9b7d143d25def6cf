import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { FleetDefinition, ModuleRef, ToolDefinition } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { FlotillaError, isFlotillaError } from "../error.ts";
import { type AgentParts, agentParts, isAgent } from "./agent.ts";
import { isFleet } from "./fleet.ts";
import { importModule, moduleKey } from "./module.ts";
import { type CheckedOptions, checkPatternOptions } from "./pattern-option.ts";
import { type Problem, problem, problemsOf } from "./problem.ts";
import { display, syntaxPlace, userFrame } from "./stack.ts";
import { isTool, toolParts } from "./tool.ts";
import { isPattern } from "./workflow.ts";

/** What an export is, as plain data: it can be found out in one process and used in another. */
export type ExportDescription =
  | { kind: "function" }
  | { kind: "tool"; definition: ToolDefinition }
  | { kind: "agent"; definition: AgentParts["definition"]; tools: number }
  | { kind: "pattern"; name: string }
  | { kind: "fleet"; definition: FleetDefinition }
  | { kind: "other"; what: string }
  | { kind: "missing"; exports: readonly string[] }
  /** The module does not load. */
  | { kind: "failed"; problems: readonly Problem[] };

/** Descriptions by `moduleKey`. */
export type Descriptions = ReadonlyMap<string, ExportDescription>;

/** What a user's own pattern is asked about a workflow. */
export interface OptionsQuestion {
  workflow: string;
  options: Json;
  /** The fleet's agents. */
  agents: readonly string[];
  /** Keys that may stand beside the pattern's own. */
  alsoKnown: readonly string[];
}

/** Learns from users' modules what they declare. */
export interface ModuleReader {
  describe(ref: ModuleRef): Promise<ExportDescription>;
  /** Checks a workflow's options against the pattern that `describe` found at `ref`. */
  checkOptions(ref: ModuleRef, question: OptionsQuestion): Promise<CheckedOptions>;
  close(): Promise<void>;
}

/** Imports the modules into this process. */
export function modulesHere(folder: string): ModuleReader {
  return {
    describe: (ref) => describeExport(folder, ref),
    async checkOptions(ref, { workflow, options, agents, alsoKnown }) {
      const pattern = (await importModule(folder, ref.module))[ref.export];
      if (isPattern(pattern)) return checkPatternOptions(workflow, pattern, options, new Set(agents), { alsoKnown });
      throw new FlotillaError("INVARIANT", `${moduleKey(ref)} was found to be a pattern and is none`);
    },
    close: () => Promise.resolve(),
  };
}

async function describeExport(folder: string, ref: ModuleRef): Promise<ExportDescription> {
  try {
    const exports = await importModule(folder, ref.module);
    if (!Object.hasOwn(exports, ref.export)) return { kind: "missing", exports: Object.keys(exports) };
    return describeValue(exports[ref.export]);
  } catch (error) {
    return { kind: "failed", problems: loadProblems(error, folder, ref.module) };
  }
}

function describeValue(value: unknown): ExportDescription {
  if (isFleet(value)) return { kind: "fleet", definition: value.definition };
  if (isTool(value)) return { kind: "tool", definition: toolParts(value).definition };
  if (isAgent(value))
    return { kind: "agent", definition: agentParts(value).definition, tools: agentParts(value).tools.length };
  if (isPattern(value)) return { kind: "pattern", name: value.name };
  if (typeof value === "function") return { kind: "function" };
  return {
    kind: "other",
    what: value === null ? "null" : Array.isArray(value) ? "a list" : `a value of type ${typeof value}`,
  };
}

/** Why a module does not load: the mistakes that a definition names itself, else the place in the user's own code. */
export function loadProblems(error: unknown, folder: string, module: string): readonly Problem[] {
  const file = display(resolve(folder, module), folder);
  if (!(error instanceof Error)) return [problem("DEFINITION_SYNTAX", `${file} threw ${String(error)}`, { file })];
  const place = syntaxPlace(error, folder) ?? userFrame(error, folder) ?? { file };
  if (isFlotillaError(error)) {
    const own = problemsOf(error);
    if (own.length > 0) return own.map((one) => (one.file === undefined ? { ...one, ...place } : one));
    return [problem(error.code, error.message, { ...place, hint: error.hint })];
  }
  if (!existsSync(resolve(folder, module))) return [];
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  if (code === "ERR_MODULE_NOT_FOUND") {
    const [what = error.message] = error.message.split(" imported from ");
    const hint = what.includes("package") ? "install it: npm install" : "correct the path of the import";
    return [
      problem("DEFINITION_FILE", what.replace(`${folder}/`, ""), { file: importer(error, folder) ?? file, hint }),
    ];
  }
  const what =
    error.name === "SyntaxError"
      ? `does not compile: ${error.message}`
      : `failed while it was loaded: ${error.name}: ${error.message}`;
  const hint =
    code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX"
      ? "write it without syntax that needs a compiler, such as enum or namespace"
      : "correct the code";
  return [problem("DEFINITION_SYNTAX", `${place.file ?? file} ${what}`, { ...place, hint })];
}

function importer(error: Error, folder: string): string | null {
  const [, file] = /imported from (.+?)(?:\?.*)?$/m.exec(error.message) ?? [];
  return file === undefined ? null : display(file, folder);
}
