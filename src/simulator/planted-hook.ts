import type { CoordinatorFrame } from "../carrier/frame.ts";
import type { decide } from "../core/decide.ts";
import type { Coordinator, CoordinatorPorts } from "../runtime/coordinator.ts";
import type { Store } from "../store/store.ts";
import type { Process, World } from "./world.ts";

/** Where planted bugs reach into a machine; none of them is in production code. */
export interface PlantedHooks {
  store?(store: Store, world: World, process: Process): Store;
  /** Stands in for the coordinator's decisions. */
  decide?: typeof decide;
  /** Stands in for the coordinator. */
  coordinator?(ports: CoordinatorPorts): Coordinator;
  /** What reaches a host when this is sent to it. */
  frames?(frame: CoordinatorFrame): readonly CoordinatorFrame[];
  orphans?: boolean;
}
