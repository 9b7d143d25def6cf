import type { CoordinatorFrame } from "../carrier/frame.ts";
import type { Planner } from "../core/planner.ts";
import { type FlotillaError, isFlotillaError } from "../error.ts";
import type { KeyRing } from "../message/keys.ts";
import { Coordinator, type CoordinatorPorts, type Notice, queueName } from "../runtime/coordinator.ts";
import { digestOf } from "../runtime/journal.ts";
import { startLocalWorker } from "../runtime/local-worker.ts";
import { runSimulated, type SimulatedCode } from "./agents.ts";
import { type Disk, FLEET } from "./disk.ts";
import type { Faults } from "./fault.ts";
import { type Carrier, type HostParts, ORPHAN_MS_MAX, SimulatedHosts } from "./host.ts";
import type { PlantedHooks } from "./planted-hook.ts";
import { Prng } from "./prng.ts";
import { Process, type World } from "./world.ts";

export type Mode = "library" | Carrier;

export interface MachineParts {
  world: World;
  faults: Faults;
  disk: Disk;
  keys: KeyRing;
  code: SimulatedCode;
  /** The patterns that the coordinator has as code. */
  planners(pattern: string): Planner | undefined;
  mode: Mode;
  hosts: number;
  slots: number;
  /** What the coordinator tells whoever watches. */
  notify(notice: Notice): void;
  /** A fault that the coordinator met and went on from. */
  failed(error: FlotillaError): void;
  /** The coordinator sends a frame to a host. */
  sent(frame: CoordinatorFrame): void;
  /** Something that must never happen: a defect. */
  defect(error: unknown): void;
  planted: PlantedHooks;
}

/** A process that owns the store. */
export interface Owner {
  readonly process: Process;
  readonly coordinator: Coordinator;
  readonly hosts: SimulatedHosts | null;
}

/** How long a successor takes, in milliseconds: it starts when the hosts of its predecessor are gone. */
const RESTART_MS = [ORPHAN_MS_MAX + 100, 4_000] as const;

const SNAPSHOT_EVERY = 5;

/** One computer on which a fleet is deployed: a process that owns the store, its hosts, and an init system that starts
 *  a successor when it dies. */
export class Machine {
  readonly #parts: MachineParts;
  readonly #random: Prng;
  #generation = 0;
  #owner: Owner | null = null;
  crashes = 0;

  constructor(parts: MachineParts) {
    this.#parts = parts;
    this.#random = new Prng(parts.world.seed, "machine");
  }

  /** Attempts that one worker runs at a time. */
  get slots(): number {
    return this.#parts.slots;
  }

  /** The owner that is up; null while there is none. */
  get owner(): Owner | null {
    return this.#owner;
  }

  /** Starts a process that will own the store. */
  start(): void {
    const { world } = this.#parts;
    const process = new Process(world, `c${this.#generation++}`, "coordinator", null);
    process.onEnd = () => this.#ended();
    world.in(this.#random.next() * 50, process, "boots", () => {
      this.#boot(process).catch((error: unknown) => {
        // What a command would print before it exits.
        if (isFlotillaError(error) && error.class === "transient") this.#parts.failed(error);
        else this.#parts.defect(error);
        process.end("it could not start");
      });
    });
  }

  async #boot(process: Process): Promise<void> {
    const { world, disk, keys, code, mode, planners, planted, faults } = this.#parts;
    const opened = await disk.open(process);
    const store = planted.store?.(opened, world, process) ?? opened;
    let hosts: SimulatedHosts | null = null;
    const queue = queueName(digestOf(code.definition as never));
    const ports: CoordinatorPorts = {
      ...(planted.decide === undefined ? {} : { decide: planted.decide }),
      store,
      clock: world.clockOf(process),
      random: new Prng(world.seed, process.name),
      keys,
      planners: (_definition, pattern) => planners(pattern),
      wanted: (wanted) => hosts?.wantSuspects(wanted),
      failed: (error) => this.#failed(error),
      notify: (notice) => this.#parts.notify(notice),
    };
    // In every other simulation what a successor takes up comes from snapshots.
    const options = world.seed % 2 === 0 ? { snapshotEvery: SNAPSHOT_EVERY } : {};
    const coordinator = planted.coordinator?.(ports) ?? new Coordinator(ports, options);
    const hash = await coordinator.register(code.definition);
    // Nothing is answered before a flush of its own, which covers what a predecessor wrote and did not flush.
    await coordinator.fleet.append("fleet.opened", {
      fleet: FLEET,
      version: "simulated",
      definition: digestOf(code.definition as never),
    });
    if (mode === "library") {
      this.#startLocal(process, coordinator, queue);
      await coordinator.recover();
      await coordinator.keepSchedules(hash, code.definition);
      this.#owner = { process, coordinator, hosts: null };
      return;
    }
    const parts: HostParts = {
      world,
      faults,
      keys,
      code,
      carrier: mode,
      hosts: this.#parts.hosts,
      slots: this.#parts.slots,
      sent: this.#parts.sent,
      planted,
    };
    hosts = new SimulatedHosts(parts, process, coordinator, queue);
    hosts.serve();
    await coordinator.recover();
    await coordinator.keepSchedules(hash, code.definition);
    this.#owner = { process, coordinator, hosts };
  }

  #startLocal(process: Process, coordinator: Coordinator, queue: string): void {
    const { world, keys, code, slots } = this.#parts;
    startLocalWorker({
      coordinator,
      clock: world.clockOf(process),
      random: new Prng(world.seed, `local ${process.name}`),
      keys,
      definition: code.definition,
      queue,
      slots,
      run: (port) => runSimulated(code, { port, process }),
    });
  }

  #failed(error: unknown): void {
    if (isFlotillaError(error) && error.code !== "INVARIANT") this.#parts.failed(error);
    else this.#parts.defect(error);
  }

  #ended(): void {
    const { world, disk, faults } = this.#parts;
    this.#owner = null;
    this.crashes += 1;
    if (faults.take("power.loss") !== null) disk.powerLoss();
    world.in(this.#random.int(...RESTART_MS), null, "init restarts the owner", () => this.start());
  }
}
