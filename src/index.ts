/** The public names of Flotilla. */
export * from "./definition/build.ts";
export { type ErrorClass, type ErrorCode, type ErrorRecord, FlotillaError, isFlotillaError } from "./error.ts";
export type { Json } from "./core/json.ts";
export type {
  AgentProfile,
  Binding,
  Change,
  Edit,
  Planner,
  RunLeft,
  RunView,
  TaskSpec,
  TaskView,
} from "./core/planner.ts";
export { definePattern, type Pattern, type PatternDefinition, type PatternView } from "./pattern/pattern.ts";
export { VERSION } from "./version.ts";
export {
  type App,
  type Exported,
  type Hold,
  type Imported,
  open,
  type OpenOptions,
  type PauseTarget,
  type Run,
  type RunStartOptions,
  type ScheduleView,
  type VersionedEvent,
} from "./open.ts";
export { graph } from "./pattern/graph.ts";
export { pipeline } from "./pattern/pipeline.ts";
export { supervisor } from "./pattern/supervisor.ts";
export { choreography } from "./pattern/choreography.ts";
export { debate } from "./pattern/debate.ts";
export { hierarchy } from "./pattern/hierarchy.ts";
export { planner } from "./pattern/planner.ts";
export { swarm } from "./pattern/swarm.ts";
