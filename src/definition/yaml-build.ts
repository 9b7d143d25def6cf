import type {
  AgentDefinition,
  FleetDefinition,
  JsonSchema,
  ModuleRef,
  ProviderDefinition,
  ToolDefinition,
  WorkflowDefinition,
} from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { type AgentParts, agentDefinition, capabilitiesOf } from "./agent.ts";
import { callGrants } from "./call-grant.ts";
import {
  completeApproval,
  completeBudgets,
  completeGuards,
  completeLimits,
  givenAgentLimits,
  peopleOf,
  priorityOf,
} from "./default.ts";
import type { Descriptions } from "./module-reader.ts";
import { type Finding, type Path, pathText } from "./finding.ts";
import { moduleKey, moduleRef } from "./module.ts";
import type { CheckedOptions } from "./pattern-option.ts";
import { mcpServerDefinition, providerDefinition } from "./provider.ts";
import { reuseFindings } from "./reuse.ts";
import { routeDefinition } from "./route.ts";
import { scheduleDefinition } from "./schedule.ts";
import { codeToolDefinition, httpToolDefinition, mcpToolDefinition } from "./tool.ts";
import { fileOf } from "./yaml-check.ts";
import { type AgentYaml, callGrant, type FleetYaml, type ToolYaml } from "./yaml-shape.ts";

/** What was read beside the YAML itself. */
export interface ReadParts {
  /** By the path of `{ file }`. */
  contents: ReadonlyMap<string, Json>;
  descriptions: Descriptions;
  options: ReadonlyMap<string, WorkflowOptions>;
}

/** A workflow's options as its pattern took them. */
export interface WorkflowOptions extends CheckedOptions {
  pattern: string;
  /** Where a user's own pattern is. */
  module: ModuleRef | null;
}

/** The definition that well-formed YAML declares. What shows only now, when YAML and modules come together, are findings. */
export function buildFleet(
  yaml: FleetYaml,
  parts: ReadParts,
): { definition: Omit<FleetDefinition, "modules">; findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const definition = {
    name: yaml.name,
    providers: mapValues(yaml.providers ?? {}, ({ script, ...given }, name): ProviderDefinition => {
      return providerDefinition(name, given, content(script, ["providers", name, "script"], parts) ?? null);
    }),
    mcpServers: mapValues(yaml.mcpServers ?? {}, mcpServerDefinition),
    tools: mapValues(yaml.tools ?? {}, (given, name) => buildTool(name, given, parts, findings)),
    agents: mapValues(yaml.agents, (given, name) => buildAgent(name, given, parts, findings)),
    workflows: mapValues(yaml.workflows, (given, name) => buildWorkflow(name, given, parts)),
    ...(yaml.routes === undefined ? {} : { routes: mapValues(yaml.routes, (given) => routeDefinition(given, String)) }),
    ...(yaml.guards === undefined ? {} : { guards: completeGuards(yaml.guards) }),
    ...(yaml.budgets === undefined ? {} : { budgets: completeBudgets(yaml.budgets) }),
    ...(yaml.schedules === undefined ? {} : { schedules: mapValues(yaml.schedules, scheduleDefinition) }),
  };
  for (const [name, agent] of Object.entries(definition.agents))
    findings.push(...reuseFindings(name, agent, definition.tools));
  return { definition, findings };
}

function buildTool(name: string, given: ToolYaml, parts: ReadParts, findings: Finding[]): ToolDefinition {
  const { module, http, mcp, ...common } = given;
  const { input, output } = schemasOf("tools", name, given, parts);
  if (mcp !== undefined) return mcpToolDefinition({ ...common, ...mcp, input, output });
  if (http !== undefined) {
    const description = given.description ?? "";
    return httpToolDefinition({ ...common, ...http, description, input: input ?? NO_INPUT, output });
  }
  const ref = moduleRef(module ?? "");
  const described = parts.descriptions.get(moduleKey(ref));
  if (described?.kind !== "tool") {
    findings.push(...bareFunction(name, given));
    const description = given.description ?? "";
    return codeToolDefinition({
      ...common,
      description,
      input: input ?? NO_INPUT,
      output,
      module: ref,
      hasCheck: false,
    });
  }
  const own = described.definition;
  if (own.kind !== "code") return own;
  if (own.effect !== given.effect) findings.push(otherEffect(name, given.effect, own.effect));
  return {
    ...own,
    ...defined({ description: given.description, timeoutMs: given.timeoutMs, idempotent: given.idempotent }),
    ...(given.retry === undefined ? {} : { retry: { ...own.retry, ...defined(given.retry) } }),
    ...(given.approval === undefined
      ? {}
      : { approval: completeApproval({ ...own.approval, ...defined(given.approval) }) }),
    input: input ?? own.input,
    output: output ?? own.output,
    module: ref,
  };
}

/** A tool that takes nothing. */
const NO_INPUT: JsonSchema = { type: "object", properties: {}, additionalProperties: false };

/** A bare function tells nothing of itself, so the YAML must. */
function bareFunction(name: string, given: ToolYaml): Finding[] {
  const why = "its module exports a bare function";
  return (["description", "input"] as const)
    .filter((key) => given[key] === undefined)
    .map((key): Finding => {
      return {
        code: "DEFINITION_MISSING_KEY",
        message: `tool "${name}" has no ${key}, and ${why}`,
        path: ["tools", name],
        part: "key",
        missing: [key],
        hint: `add ${key} here, or make the function a tool with tool({ … })`,
      };
    });
}

function otherEffect(name: string, here: string, there: string): Finding {
  const message = `tool "${name}" has effect ${here} here and ${there} in its module`;
  return {
    code: "DEFINITION_INVALID",
    message,
    path: ["tools", name, "effect"],
    part: "value",
    hint: "make them the same",
  };
}

function buildAgent(name: string, given: AgentYaml, parts: ReadParts, findings: Finding[]): AgentDefinition {
  const { module, tools = [], calls = [], instructions, ...common } = given;
  const granted = { tools, ...callGrants(calls.map(callGrant)) };
  const text = content(instructions, ["agents", name, "instructions"], parts);
  const { input, output } = schemasOf("agents", name, given, parts);
  const wanted = { ...common, input, output, ...(typeof text === "string" ? { instructions: text } : {}) };
  if (module === undefined) return { ...agentDefinition({ ...wanted, kind: "model" }), ...granted };
  const ref = moduleRef(module);
  const described = parts.descriptions.get(moduleKey(ref));
  if (described?.kind !== "agent") return { ...agentDefinition({ ...wanted, kind: "code" }), ...granted, module: ref };
  if (described.tools > 0 && given.tools === undefined) findings.push(ungranted(name, described.tools));
  const own = described.definition;
  return { ...merged(own, wanted), ...granted, module: own.kind === "code" ? ref : null };
}

/** What the YAML says of an agent that a module declares goes over what the module says. */
function merged(
  own: AgentParts["definition"],
  {
    input,
    output,
    retry,
    limits,
    context,
    capabilities,
    facts,
    approvals,
    escalation,
    ...given
  }: Omit<Parameters<typeof agentDefinition>[0], "kind">,
): AgentParts["definition"] {
  return {
    ...own,
    ...defined(given),
    ...capabilitiesOf(capabilities),
    input: input ?? own.input,
    output: output ?? own.output,
    retry: { ...own.retry, ...defined(retry ?? {}) },
    limits: { ...own.limits, ...defined(givenAgentLimits(limits)) },
    context: { ...own.context, ...defined(context ?? {}) },
    ...peopleOf({ approvals, escalation }),
    facts: { read: facts?.read ?? own.facts.read, write: facts?.write ?? own.facts.write },
  };
}

function ungranted(name: string, count: number): Finding {
  return {
    code: "DEFINITION_MISSING_KEY",
    message: `agent "${name}" uses ${count === 1 ? "a tool" : `${count} tools`} in its module, and none is granted here`,
    path: ["agents", name],
    part: "key",
    missing: ["tools"],
    hint: "add tools: [names of tools in this file]",
  };
}

function buildWorkflow(name: string, given: FleetYaml["workflows"][string], parts: ReadParts): WorkflowDefinition {
  const checked = parts.options.get(name);
  return {
    pattern: checked?.pattern ?? "",
    module: checked?.module ?? null,
    description: given.description ?? "",
    options: checked?.options ?? null,
    ...schemasOf("workflows", name, given, parts),
    limits: completeLimits(given.limits),
    priority: priorityOf(given.priority),
    facts: { onCorrection: given.facts?.onCorrection ?? "flag" },
    ...peopleOf({ escalation: given.escalation }),
    agents: checked?.agents ?? [],
  };
}

function schemasOf(
  section: string,
  name: string,
  given: { input?: JsonSchema | undefined; output?: JsonSchema | undefined },
  parts: ReadParts,
): { input: JsonSchema | null; output: JsonSchema | null } {
  const schema = (key: "input" | "output") =>
    (content(given[key], [section, name, key], parts) ?? null) as JsonSchema | null;
  return { input: schema("input"), output: schema("output") };
}

/** A value, or what is in the file that it names. */
function content(value: Json | undefined, path: Path, parts: ReadParts): Json | undefined {
  return fileOf(value) === null ? value : parts.contents.get(pathText(path));
}

/** Without what is undefined, so that a spread leaves defaults alone. */
function defined<T extends object>(given: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

function mapValues<T, U>(record: Readonly<Record<string, T>>, map: (value: T, name: string) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value, name)]));
}
