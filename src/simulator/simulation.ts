import type { FleetDefinition } from "../core/definition.ts";
import type { Planner } from "../core/planner.ts";
import { isFlotillaError } from "../error.ts";
import { sha256 } from "../message/canonical.ts";
import { COORDINATOR } from "../message/envelope.ts";
import { KeyRing } from "../message/keys.ts";
import { digestOf } from "../runtime/journal.ts";
import { scheduleKey } from "../schedule/due.ts";
import { FLEET_JOURNAL } from "../store/store.ts";
import type { SimulatedCode } from "./agents.ts";
import { type Checker, type CheckerMaker, TERMINAL } from "./checker/checker.ts";
import { Client, type Order } from "./client.ts";
import { Coverage } from "./coverage.ts";
import { type Disk, memoryDisk, sqliteDisk } from "./disk.ts";
import { type FaultPlan, Faults, type FaultTaken } from "./fault.ts";
import { type DurableEvent, History } from "./history.ts";
import { Intervener, type Intervention } from "./intervention.ts";
import { Machine, type Mode } from "./machine.ts";
import { Outside } from "./outside.ts";
import { Person } from "./person.ts";
import type { PlantedHooks } from "./planted-hook.ts";
import { Prng } from "./prng.ts";
import { EPOCH_MS, type Process, World } from "./world.ts";

/** A simulation's circumstances; everything else follows from the seed. */
export interface Configuration {
  readonly seed: number;
  readonly store: "memory" | "sqlite";
  readonly mode: Mode;
  readonly hosts: number;
  readonly slots: number;
  readonly queueDepthMax: number;
}

/** What the code of a fleet in a simulation is made of. */
export interface CodeParts {
  world: World;
  faults: Faults;
  outside: Outside;
  definition: FleetDefinition;
  /** False where agents run in the coordinator's own process, which they must not take down. */
  mayDie: boolean;
}

export interface Setting {
  readonly configuration: Configuration;
  readonly faults: FaultPlan;
  readonly definition: FleetDefinition;
  code(parts: CodeParts): SimulatedCode;
  /** The patterns that the coordinator has as code. */
  planners(pattern: string): Planner | undefined;
  readonly orders: readonly Order[];
  /** What a person pauses meanwhile. Default: nothing. */
  readonly interventions?: readonly Intervention[];
  readonly checkers: readonly CheckerMaker[];
  readonly planted?: PlantedHooks;
  /** How long things may go wrong, in virtual milliseconds. */
  readonly safetyMs: number;
  /** Virtual time after which a world without faults must have brought everything to an end. */
  readonly livenessMs: number;
  /** Happenings after which a world counts as going round in circles. */
  readonly happeningsMax: number;
}

export interface Violation {
  readonly promise: string;
  readonly message: string;
  readonly atMs: number;
}

/** How one run of a simulation ended, as its journal says. */
export interface SimulatedRun {
  readonly run: string;
  readonly order: string | null;
  readonly outcome: "completed" | "failed" | "stopped" | "lost";
  readonly output: unknown;
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface Report {
  readonly configuration: Configuration;
  readonly violations: readonly Violation[];
  readonly faults: readonly FaultTaken[];
  readonly coverage: Coverage;
  readonly runs: readonly SimulatedRun[];
  /** Writes that took effect more than once. */
  readonly duplicatedEffects: number;
  readonly simulatedMs: number;
  readonly happenings: number;
  /** Equal for equal histories: every byte of every journal, and everything that happened, in order. */
  readonly digest: string;
  readonly trace: readonly string[];
}

/** Time for the roles to come to rest once every run has ended. */
const REST_MS = 8_000;
const CLOCK_LOOK_MS = 2_000;
const LOOK_MS = 500;

/** Runs a world: a time with faults, then one without in which everything that was accepted must end. Never throws for
 *  what it finds; whatever goes wrong is a violation. */
export async function runSimulation(setting: Setting): Promise<Report> {
  const simulation = await Simulation.open(setting);
  const stray = (reason: unknown) => simulation.fail("defect", `unhandled rejection: ${describe(reason)}`);
  process.on("unhandledRejection", stray);
  try {
    await simulation.run();
  } finally {
    process.off("unhandledRejection", stray);
    await simulation.disk.close();
  }
  return simulation.report();
}

interface Parts {
  world: World;
  faults: Faults;
  history: History;
  queueDepthMax: number;
}

class Simulation {
  readonly disk: Disk;
  readonly #setting: Setting;
  readonly #world: World;
  readonly #faults: Faults;
  readonly #history: History;
  readonly #outside: Outside;
  readonly #machine: Machine;
  readonly #checkers: Checker[];
  readonly #clients: Client[];
  readonly #intervener: Intervener;
  readonly #coverage = new Coverage();
  readonly #violations: Violation[] = [];
  readonly #open = new Set<string>();
  readonly #runs = new Map<string, SimulatedRun>();
  readonly #orderOf = new Map<string, string>();

  static async open(setting: Setting): Promise<Simulation> {
    const { seed, store, queueDepthMax } = setting.configuration;
    const world = new World(seed);
    const faults = new Faults(seed, setting.faults, () => world.elapsedMs);
    const parts = { world, faults, history: new History(() => world.elapsedMs), queueDepthMax };
    return new Simulation(setting, parts, store === "sqlite" ? await sqliteDisk(parts) : memoryDisk(parts));
  }

  constructor(setting: Setting, parts: Parts, disk: Disk) {
    const { world, faults, history } = parts;
    this.#setting = setting;
    this.#world = world;
    this.#faults = faults;
    this.#history = history;
    this.disk = disk;
    this.#outside = new Outside(world, faults);
    this.#machine = this.#assemble();
    const scene = {
      world,
      history,
      outside: this.#outside,
      machine: this.#machine,
      disk: disk.reader,
      definition: setting.definition,
    };
    this.#checkers = setting.checkers.map((make) => {
      const checker: Checker = make(scene, (message) => this.fail(checker.promise, message));
      return checker;
    });
    history.onEvent((event) => this.#observe(event));
    this.#outside.onCall((call) => this.#each((checker) => checker.call?.(call)));
    this.#outside.onBill((bill) => this.#each((checker) => checker.bill?.(bill)));
    this.#clients = setting.orders.map((order) => this.#client(order));
    new Person({ world, machine: this.#machine, outside: this.#outside, history, disk: disk.reader });
    const { interventions = [] } = setting;
    const count = (name: string) => this.#coverage.count(name);
    this.#intervener = new Intervener({ world, machine: this.#machine, history, interventions, count });
  }

  fail(promise: string, message: string): void {
    this.#violations.push({ promise, message, atMs: this.#world.elapsedMs });
  }

  async run(): Promise<void> {
    const world = this.#world;
    world.before = (process, label) => crashes(process, label, this.#faults);
    every(world, CLOCK_LOOK_MS, "clock", () => disturbClock(world, this.#faults));
    every(world, LOOK_MS, "checkers look", () => this.#each((checker) => checker.look?.()));
    this.#machine.start();
    const failed = () => this.#violations.length > 0;
    const ended = () => failed() || this.#allEnded();
    const { safetyMs, livenessMs, happeningsMax } = this.#setting;
    await world.run(ended, { untilMs: safetyMs, happeningsMax });
    this.#faults.stop();
    await world.run(ended, { untilMs: world.elapsedMs + livenessMs, happeningsMax });
    // What is scheduled may begin in the time of rest.
    do await world.run(failed, { untilMs: world.elapsedMs + REST_MS, happeningsMax });
    while (!ended() && world.elapsedMs < livenessMs);
    if (failed()) return;
    for (const checker of this.#checkers) await checker.end?.();
  }

  #allEnded(): boolean {
    if (!this.#clients.every((client) => client.done) || !this.#intervener.done) return false;
    return this.#open.size === 0 && this.#machine.owner !== null;
  }

  report(): Report {
    const world = this.#world;
    this.#coverage.faults(this.#faults.taken);
    return {
      configuration: this.#setting.configuration,
      violations: this.#violations,
      faults: this.#faults.taken,
      coverage: this.#coverage,
      runs: [...this.#runs.values()].map((run) => ({ ...run, order: this.#orderOf.get(run.run) ?? null })),
      duplicatedEffects: this.#outside.duplicates(),
      simulatedMs: world.elapsedMs,
      happenings: world.happenings,
      digest: `${this.#history.digest} ${sha256(world.trace.join("\n")).toString("hex")}`,
      trace: world.trace,
    };
  }

  #assemble(): Machine {
    const { configuration, definition, planted = {}, planners } = this.#setting;
    const { mode, hosts, slots } = configuration;
    const [world, faults, outside] = [this.#world, this.#faults, this.#outside];
    return new Machine({
      world,
      faults,
      disk: this.disk,
      keys: keyRing(Object.keys(definition.agents)),
      code: this.#setting.code({ world, faults, outside, definition, mayDie: mode !== "library" }),
      planners,
      mode,
      hosts,
      slots,
      notify: (notice) => {
        if (notice.type === "event") this.#each((checker) => checker.notice?.(notice.run, notice.version));
      },
      failed: (error) => this.#coverage.failure(error),
      sent: (frame) => this.#each((checker) => checker.frame?.(frame)),
      defect: (error) => this.fail("defect", describe(error)),
      planted,
    });
  }

  #client(order: Order): Client {
    return new Client(order, {
      world: this.#world,
      machine: this.#machine,
      definition: digestOf(this.#setting.definition as never),
      accepted: (by, run) => {
        this.#coverage.count("client.accepted");
        this.#orderOf.set(run, by.id);
        this.#each((checker) => checker.accepted?.(by, run));
      },
      stopped: (by, run) => {
        this.#coverage.count("client.stopped");
        this.#each((checker) => checker.stopped?.(by, run));
      },
      same: () => this.#coverage.count("client.answered with its earlier run"),
      refused: (_by, reason) => this.#coverage.count(`client.refused ${reason}`),
    });
  }

  #observe(event: DurableEvent): void {
    const { task, key, attempt } = event.data;
    this.#world.note(
      `disk ${event.journal} ${event.row.version} ${event.type} ${task ?? ""} ${key ?? ""} ${attempt ?? ""}`,
    );
    this.#coverage.event(event);
    this.#each((checker) => checker.event?.(event));
    const { journal, type } = event;
    if (journal === FLEET_JOURNAL) return this.#observeFleet(event);
    if (type === "run.started") {
      this.#open.add(journal);
      this.#runs.set(journal, { run: journal, order: null, outcome: "lost", output: null, error: null });
    }
    if (!TERMINAL.has(type)) return;
    this.#open.delete(journal);
    this.#runs.set(journal, ending(event));
  }

  /** Times of schedules that have come and not led to anything are open too. */
  #observeFleet({ type, data: { schedule = "", start = [], time = 0 } }: DurableEvent): void {
    if (type === "schedule.due") for (const due of start) this.#open.add(scheduleKey(schedule, due));
    if (type === "schedule.ran") this.#open.delete(scheduleKey(schedule, time));
  }

  #each(tell: (checker: Checker) => void): void {
    for (const checker of this.#checkers) tell(checker);
  }
}

function ending({ journal, type, data, payload }: DurableEvent): SimulatedRun {
  const outcome = type.slice("run.".length) as "completed" | "failed" | "stopped";
  const error = outcome === "failed" ? (data.error ?? null) : null;
  return {
    run: journal,
    order: null,
    outcome,
    output: payload?.output ?? null,
    error: error && { code: error.code, message: error.message },
  };
}

/** Whether a process dies before something happens to it. */
function crashes(process: Process, label: string, faults: Faults): boolean {
  if (faults.take(process.kind === "coordinator" ? "coordinator.crash" : "host.crash") === null) return false;
  process.end(`it crashed before: ${label}`);
  return true;
}

function disturbClock(world: World, faults: Faults): void {
  const forward = faults.take("clock.forward");
  if (forward !== null) world.clockOffsetMs += forward.int(1_000, 120_000);
  const backward = faults.take("clock.backward");
  if (backward !== null) world.clockOffsetMs -= backward.int(1_000, 120_000);
  if (forward !== null || backward !== null) world.note(`the clock is off by ${world.clockOffsetMs} ms`);
}

function every(world: World, everyMs: number, label: string, what: () => void): void {
  world.in(everyMs, null, label, () => {
    what();
    every(world, everyMs, label, what);
  });
}

const rings = new Map<string, KeyRing>();

/** Keys of a fleet. Making them costs more than a simulation does, so all seeds share them; what is signed differs. */
function keyRing(agents: readonly string[]): KeyRing {
  const names = [COORDINATOR, "$plan", ...agents];
  const known = rings.get(names.join());
  if (known !== undefined) return known;
  const ring = new KeyRing();
  const random = new Prng("keys");
  ring.ensure(names, (count) => random.bytes(count), EPOCH_MS);
  rings.set(names.join(), ring);
  return ring;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = isFlotillaError(error) ? `${error.code}: ` : "";
  return `${code}${error.stack ?? error.message}`;
}
