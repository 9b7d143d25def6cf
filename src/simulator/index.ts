// What `flotilla/simulator` offers: a user's own fleet in virtual time (T1, T2).
export { FAULT_KINDS, type FaultKind, parseFault } from "./fault.ts";
export { readScenario, type Scenario, unmet } from "./scenario.ts";
export {
  type SimulatedGroup,
  type SimulatedRunReport,
  type SimulateOptions,
  type SimulationSummary,
  simulate,
} from "./simulate.ts";
export type { Violation } from "./simulation.ts";
