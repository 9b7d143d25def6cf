import { budgetFindings, guardFindings } from "./budget.ts";
import { workflowSeat } from "../core/seat.ts";
import { callFindings, handoverFindings } from "./call-grant.ts";
import { checkExpressions } from "./expression.ts";
import { type Finding, missingReference, type Path } from "./finding.ts";
import { checkJsonSchema } from "./json-schema.ts";
import { checkMcpServer, checkModel, checkProvider } from "./provider.ts";
import { checkRoute, routeDefinition, RouteShape } from "./route.ts";
import { scheduleFindings } from "./schedule.ts";
import { WORKFLOW_KEYS } from "./yaml-shape.ts";
import { isRecord } from "./zod-problem.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Mistakes in what keys mean together, in YAML that may be wrong in form elsewhere: a value of the wrong type is passed
 *  over, since its form is told of already. Files, modules and pattern options are checked where they are read. */
export function checkMeaning(raw: Fields): Finding[] {
  const section = (name: string): Fields => (isRecord(raw[name]) ? raw[name] : {});
  const [providers, servers, tools] = [section("providers"), section("mcpServers"), section("tools")];
  const agents = section("agents");
  const known = { tools, agents, workflows: section("workflows") };
  return [
    ...each(providers, (name, given) => at(["providers", name], checkProvider(name, given))),
    ...each(servers, (name, given) => at(["mcpServers", name], checkMcpServer(name, given))),
    ...each(tools, (name, given) => at(["tools", name], checkTool(name, given, servers))),
    ...each(agents, (name, given) => at(["agents", name], checkAgent(name, given, tools, providers))),
    ...each(section("routes"), (name, given) => routeFindings(name, given, agents)),
    ...each(agents, (name, given) => at(["agents", name], checkCalls(name, given, known))),
    ...each(section("workflows"), (name, given) => checkWorkflow(given, ["workflows", name])),
    ...budgetFindings(section("budgets"), agents, section("workflows")),
    ...each(section("schedules"), (name, given) =>
      at(["schedules", name], scheduleFindings(name, given, inputSchemas(section("workflows")))),
    ),
    ...guardFindings(section("guards"), agents, tools),
  ];
}

/** A route whose form is wrong is told of elsewhere. */
function routeFindings(name: string, given: Fields, agents: Fields): Finding[] {
  const parsed = RouteShape.safeParse(given);
  return parsed.success ? checkRoute(name, routeDefinition(parsed.data, String), new Set(Object.keys(agents))) : [];
}

/** Inline JSON Schemas; those in files are checked as files. */
export function inlineSchema(value: unknown): value is Fields {
  return isRecord(value) && fileOf(value) === null;
}

/** The path in `{ file: path }`; null for anything else. */
export function fileOf(value: unknown): string | null {
  if (!isRecord(value) || typeof value.file !== "string") return null;
  return Object.keys(value).length === 1 ? value.file : null;
}

/** What workflows take, as far as it stands inline. */
function inputSchemas(workflows: Fields): Fields {
  return Object.fromEntries(
    Object.entries(workflows).map(([name, given]) => [
      name,
      isRecord(given) && inlineSchema(given.input) ? given.input : null,
    ]),
  );
}

function each(section: Fields, check: (name: string, given: Fields) => Finding[]): Finding[] {
  return Object.entries(section).flatMap(([name, given]) => (isRecord(given) ? check(name, given) : []));
}

function at(base: Path, findings: readonly Finding[]): Finding[] {
  return findings.map((finding) => ({ ...finding, path: [...base, ...finding.path] }));
}

function checkTool(name: string, given: Fields, servers: Fields): Finding[] {
  return [
    ...checkToolKind(name, given),
    ...schemas(given, []),
    ...checkHttp(name, given),
    ...checkMcp(name, given, servers),
  ];
}

const TOOL_KINDS = ["module", "http", "mcp"];

function missing(message: string, keys: readonly string[], hint: string): Finding {
  return { code: "DEFINITION_MISSING_KEY", message, path: [], part: "key", missing: keys, hint };
}

function checkToolKind(name: string, given: Fields): Finding[] {
  const [first, ...more] = TOOL_KINDS.filter((kind) => given[kind] !== undefined);
  if (first === undefined) {
    const message = `tool "${name}" does not say what it is`;
    return [
      missing(message, TOOL_KINDS, "add module: ./tools.ts#NAME, http: { url: … } or mcp: { server: …, tool: … }"),
    ];
  }
  const excess = more.map((kind): Finding => {
    return {
      code: "DEFINITION_INVALID",
      message: `tool "${name}" has both ${first} and ${kind}`,
      path: [kind],
      part: "key",
      hint: "keep one of them",
    };
  });
  if (first !== "http" || given.description !== undefined) return excess;
  const message = `tool "${name}" has no description, by which models choose it`;
  return [...excess, missing(message, ["description"], "add description: text")];
}

function checkHttp(name: string, given: Fields): Finding[] {
  if (!isRecord(given.http) || (given.input !== undefined && !inlineSchema(given.input))) return [];
  const { url, body } = given.http;
  const properties =
    isRecord(given.input) && isRecord(given.input.properties) ? Object.keys(given.input.properties) : [];
  return [...texts(url, ["http", "url"]), ...texts(body, ["http", "body"])].flatMap(({ text, path }) =>
    placeholders(text)
      .filter((parameter) => !properties.includes(parameter))
      .map((parameter): Finding => {
        const reference = missingReference(`the ${String(path[1])} of tool "${name}"`, "input", parameter, properties);
        return { ...reference, path, part: "value", within: { text: `{${parameter}}`, offset: 0 } };
      }),
  );
}

/** The texts in a value. */
function texts(value: unknown, path: Path): { text: string; path: Path }[] {
  if (typeof value === "string") return [{ text: value, path }];
  if (Array.isArray(value)) return value.flatMap((item, index) => texts(item, [...path, index]));
  return isRecord(value) ? Object.entries(value).flatMap(([key, item]) => texts(item, [...path, key])) : [];
}

/** The names in `{name}`, once each. */
function placeholders(text: string): string[] {
  return [...new Set([...text.matchAll(/\{([A-Za-z_][\w-]*)\}/g)].map(([, name = ""]) => name))];
}

function checkMcp(name: string, given: Fields, servers: Fields): Finding[] {
  if (!isRecord(given.mcp) || typeof given.mcp.server !== "string" || Object.hasOwn(servers, given.mcp.server))
    return [];
  const reference = missingReference(`tool "${name}"`, "MCP server", given.mcp.server, Object.keys(servers));
  return [{ ...reference, path: ["mcp", "server"], part: "value" }];
}

function checkAgent(name: string, given: Fields, tools: Fields, providers: Fields): Finding[] {
  return [
    ...checkAgentKind(name, given),
    ...schemas(given, []),
    ...checkGrants(name, given.tools, tools),
    ...checkApprovals(name, given.approvals, given.tools),
    ...modelsOf(given).flatMap(({ model, path }): Finding[] => {
      const wrong = checkModel(model, providers, `agent "${name}"`);
      return wrong === null ? [] : [{ ...wrong, path, part: "value" }];
    }),
  ];
}

function checkAgentKind(name: string, given: Fields): Finding[] {
  if (given.module !== undefined) return [];
  const without = (key: string, hint: string) =>
    given[key] === undefined ? [missing(`agent "${name}" has no ${key}`, [key], hint)] : [];
  return [
    ...without("model", "add model: provider/name, or module: ./agents.ts#NAME for an agent of code"),
    ...without("instructions", "add instructions: text, or { file: prompt.md }"),
  ];
}

function checkGrants(name: string, granted: unknown, tools: Fields): Finding[] {
  if (!Array.isArray(granted)) return [];
  return granted.flatMap((tool: unknown, index): Finding[] => {
    if (typeof tool !== "string") return [];
    const path = ["tools", index];
    if (granted.indexOf(tool) < index) {
      const message = `agent "${name}" is granted tool "${tool}" twice`;
      return [{ code: "DEFINITION_DUPLICATE", message, path, part: "value", hint: "remove one of them" }];
    }
    if (Object.hasOwn(tools, tool)) return [];
    return [{ ...missingReference(`agent "${name}"`, "tool", tool, Object.keys(tools)), path, part: "value" }];
  });
}

function checkCalls(name: string, given: Fields, known: Record<"tools" | "agents" | "workflows", Fields>): Finding[] {
  if (!Array.isArray(given.calls)) return [];
  const unknown = (kind: "agent" | "workflow" | "tool", missing: unknown, path: Path): Finding[] => {
    const those = known[`${kind}s`];
    if (typeof missing !== "string" || Object.hasOwn(those, missing)) return [];
    return [{ ...missingReference(`agent "${name}"`, kind, missing, Object.keys(those)), path, part: "value" }];
  };
  const names = given.calls.flatMap((one: unknown, index) => {
    const path = ["calls", index];
    if (!isRecord(one)) return unknown("agent", one, path);
    const passed: unknown[] = Array.isArray(one.tools) ? one.tools : [];
    return [
      ...unknown("agent", one.agent, [...path, "agent"]),
      ...unknown("workflow", one.workflow, [...path, "workflow"]),
      ...passed.flatMap((tool, at) => unknown("tool", tool, [...path, "tools", at])),
    ];
  });
  const tools: unknown[] = Array.isArray(given.tools) ? given.tools : [];
  const seats = given.calls.map((one: unknown) => {
    const { agent, workflow } = isRecord(one) ? one : { agent: one };
    return typeof workflow === "string" ? workflowSeat(workflow) : String(agent);
  });
  const granted = tools.filter((tool) => typeof tool === "string");
  const mayHandOver = given.calls.some((one: unknown) => isRecord(one) && one.handover === true);
  return [...names, ...callFindings(name, granted, seats), ...handoverFindings(name, granted, mayHandOver)];
}

function checkApprovals(name: string, approvals: unknown, granted: unknown): Finding[] {
  const tools = Array.isArray(granted) ? granted.filter((tool) => typeof tool === "string") : [];
  return isRecord(approvals) ? approvalFindings(name, Object.keys(approvals), tools) : [];
}

/** An approval of a tool that the agent is not granted would never be asked for. Paths start at the agent. */
export function approvalFindings(name: string, approvals: readonly string[], granted: readonly string[]): Finding[] {
  return approvals
    .filter((tool) => !granted.includes(tool))
    .map((tool): Finding => {
      const path = ["approvals", tool];
      return { ...missingReference(`approvals of agent "${name}"`, "granted tool", tool, granted), path, part: "key" };
    });
}

function modelsOf(given: Fields): { model: string; path: Path }[] {
  const fallbacks: unknown[] = Array.isArray(given.fallbackModels) ? given.fallbackModels : [];
  const all: { model: unknown; path: Path }[] = [
    { model: given.model, path: ["model"] },
    ...fallbacks.map((model, index) => ({ model, path: ["fallbackModels", index] })),
  ];
  return all.flatMap(({ model, path }) => (typeof model === "string" && model !== "" ? [{ model, path }] : []));
}

function checkWorkflow(given: Fields, base: Path): Finding[] {
  const own = Object.entries(given).filter(([key]) => !WORKFLOW_KEYS.includes(key));
  return [...schemas(given, base), ...own.flatMap(([key, value]) => checkExpressions(value, [...base, key]))];
}

function schemas(given: Fields, base: Path): Finding[] {
  return ["input", "output"]
    .filter((key) => inlineSchema(given[key]))
    .flatMap((key) => checkJsonSchema(given[key], [...base, key]));
}
