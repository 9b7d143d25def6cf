// The TypeScript spelling of a fleet (I1).
export {
  type Agent,
  type AgentCode,
  type CodeAgentOptions,
  type CodeAgentOptionsWithoutOutput,
  type ModelAgentOptions,
  agent,
} from "./agent.ts";
export type {
  AgentContext,
  FetchInit,
  FetchResponse,
  ModelAnswer,
  ModelPrompt,
  CallOptions,
  HandoverOptions,
  ToolCheck,
  ToolContext,
} from "./context.ts";
export {
  type Fleet,
  type FleetCode,
  type FleetOptions,
  fleet,
  isFleet,
  type ScheduleOptions,
  type WorkflowInput,
  type WorkflowName,
  type WorkflowOutput,
} from "./fleet.ts";
export { type Route, type RouteOptions, route } from "./route.ts";
export type { McpServerOptions, ProviderOptions } from "./provider.ts";
export {
  type HttpToolOptions,
  httpTool,
  type McpToolOptions,
  mcpTool,
  type Tool,
  type ToolCode,
  type ToolOptions,
  type ToolOptionsWithoutOutput,
  tool,
} from "./tool.ts";
export { type Workflow, type WorkflowCommon, type WorkflowOptions, workflow } from "./workflow.ts";
