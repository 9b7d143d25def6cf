import type { CoordinatorFrame } from "../../carrier/frame.ts";
import type { FleetDefinition } from "../../core/definition.ts";
import type { Store } from "../../store/store.ts";
import type { Order } from "../client.ts";
import type { DurableEvent, History } from "../history.ts";
import type { Machine } from "../machine.ts";
import type { Bill, Call, Outside } from "../outside.ts";
import type { World } from "../world.ts";

/** What a checker can look at: the disk, the outside and the clock, never what a role believes of itself. */
export interface Scene {
  readonly world: World;
  readonly history: History;
  readonly outside: Outside;
  readonly machine: Machine;
  readonly disk: Store;
  readonly definition: FleetDefinition;
}

/** Watches over one promise. Each member is called when its thing happens; what a checker finds goes to `fail`. */
export interface Checker {
  /** The invariant of the design, by its number, and what it says in a few words. */
  readonly promise: string;
  event?(event: DurableEvent): void;
  /** Something outside is executed now. */
  call?(call: Call): void;
  /** A provider answers and charges for it, or refuses. */
  bill?(bill: Bill): void;
  /** The coordinator tells watchers of an event. */
  notice?(run: string, version: number): void;
  /** The coordinator sends a frame to a worker. */
  frame?(frame: CoordinatorFrame): void;
  accepted?(order: Order, run: string): void;
  stopped?(order: Order, run: string): void;
  /** Now and then during a simulation, and at its end. */
  look?(): void;
  /** Faults have stopped, everything has ended, and the roles have come to rest. */
  end?(): void | Promise<void>;
}

export type CheckerMaker = (scene: Scene, fail: (message: string) => void) => Checker;

export const TERMINAL: ReadonlySet<string> = new Set(["run.completed", "run.failed", "run.stopped"]);
