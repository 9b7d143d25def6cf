import { isFlotillaError } from "../error.ts";
import { sha256 } from "../message/canonical.ts";
import { COORDINATOR } from "../message/envelope.ts";
import { KeyRing } from "../message/keys.ts";
import { digestOf } from "../runtime/journal.ts";
import { FLEET_JOURNAL } from "../store/store.ts";
import { campaignCode } from "./campaign-code.ts";
import type { Checker, CheckerMaker, Scene } from "./checker/checker.ts";
import { TERMINAL } from "./checker/checker.ts";
import { checkers } from "./checker/index.ts";
import { Client, ordersOf } from "./client.ts";
import { Coverage } from "./coverage.ts";
import { type Disk, memoryDisk, sqliteDisk } from "./disk.ts";
import { type FaultPlan, Faults, type FaultTaken, swarm } from "./fault.ts";
import { simulatedFleet, WORKFLOWS } from "./fleet.ts";
import { History } from "./history.ts";
import { Machine, type Mode, type PlantedHooks } from "./machine.ts";
import { Outside } from "./outside.ts";
import { Person } from "./person.ts";
import { Prng } from "./prng.ts";
import { EPOCH_MS, type Process, World } from "./world.ts";

/** A seed's own circumstances; everything else follows from it as well. */
export interface Configuration {
  readonly seed: number;
  readonly store: "memory" | "sqlite";
  readonly mode: Mode;
  readonly hosts: number;
  readonly slots: number;
  readonly queueDepthMax: number;
  readonly workflows: readonly string[];
}

export interface SimulationOptions {
  store?: "memory" | "sqlite";
  /** Default: the seed's own mix. */
  faults?: FaultPlan;
  planted?: PlantedHooks;
  checkers?: readonly CheckerMaker[];
}

export interface Violation {
  readonly promise: string;
  readonly message: string;
  readonly atMs: number;
}

export interface Report {
  readonly configuration: Configuration;
  readonly violations: readonly Violation[];
  readonly faults: readonly FaultTaken[];
  readonly coverage: Coverage;
  readonly simulatedMs: number;
  readonly happenings: number;
  readonly runs: number;
  /** Equal for equal histories: every byte of every journal, and everything that happened, in order. */
  readonly digest: string;
  readonly trace: readonly string[];
}

export function configurationOf(seed: number, store: "memory" | "sqlite" = "memory"): Configuration {
  const random = new Prng(seed, "configuration");
  return {
    seed,
    store,
    mode: random.pick(["channel", "channel", "frames", "library"] as const),
    hosts: random.int(1, 3),
    slots: random.pick([1, 2, 4, 64]),
    queueDepthMax: random.chance(0.1) ? random.int(3, 8) : 1_000_000,
    workflows: random.chance(0.5) ? WORKFLOWS : [random.pick(WORKFLOWS)],
  };
}

/** Virtual time after which a world without faults must have brought everything to an end. */
const LIVENESS_MS = 40 * 60_000;
const HAPPENINGS_MAX = 400_000;
/** Time for the roles to come to rest once every run has ended. */
const REST_MS = 15_000;
const CLOCK_LOOK_MS = 2_000;
const LOOK_MS = 500;

/** Runs one seed: a time with faults, then one without in which everything that was accepted must end. Never throws for
 *  what it finds; whatever goes wrong is a violation. */
export async function simulateSeed(seed: number, options: SimulationOptions = {}): Promise<Report> {
  const configuration = configurationOf(seed, options.store);
  const world = new World(seed);
  const faults = new Faults(seed, options.faults ?? swarm(seed), () => world.elapsedMs);
  const history = new History(() => world.elapsedMs);
  const outside = new Outside(world, faults);
  const coverage = new Coverage();
  const violations: Violation[] = [];
  const fail = (promise: string, message: string) => violations.push({ promise, message, atMs: world.elapsedMs });
  const parts = { world, faults, history, queueDepthMax: configuration.queueDepthMax };
  const disk: Disk = configuration.store === "sqlite" ? await sqliteDisk(parts) : memoryDisk(parts);
  const definition = simulatedFleet(seed);
  const code = campaignCode({ world, faults, outside, definition, mayDie: configuration.mode !== "library" });
  const watching: Checker[] = [];
  const machine = new Machine({
    world,
    faults,
    disk,
    keys: keyRing(definition.agents),
    code,
    mode: configuration.mode,
    hosts: configuration.hosts,
    slots: configuration.slots,
    notify: (notice) => {
      if (notice.type === "event") for (const checker of watching) checker.notice?.(notice.run, notice.version);
    },
    failed: (error) => coverage.failure(error),
    sent: (frame) => {
      for (const checker of watching) checker.frame?.(frame);
    },
    defect: (error) => fail("defect", describe(error)),
    planted: options.planted ?? {},
  });
  const scene: Scene = { world, history, outside, machine, disk: disk.reader, definition };
  for (const make of options.checkers ?? checkers) {
    const checker = make(scene, (message) => fail(checker.promise, message));
    watching.push(checker);
  }
  const open = new Set<string>();
  history.onEvent((event) => {
    coverage.event(event);
    for (const checker of watching) checker.event?.(event);
    if (event.journal === FLEET_JOURNAL) return;
    if (event.type === "run.started") open.add(event.journal);
    if (TERMINAL.has(event.type)) open.delete(event.journal);
  });
  outside.onCall((call) => {
    for (const checker of watching) checker.call?.(call);
  });
  world.before = (process, label) => crashes(process, label, faults);
  const clients = ordersOf(seed, configuration.workflows).map(
    (order) =>
      new Client(order, {
        world,
        machine,
        definition: digestOf(definition as never),
        accepted: (by, run) => {
          coverage.count("client.accepted");
          for (const checker of watching) checker.accepted?.(by, run);
        },
        stopped: (by, run) => {
          coverage.count("client.stopped");
          for (const checker of watching) checker.stopped?.(by, run);
        },
        repeated: () => coverage.count("client.repeated"),
        refused: (_by, reason) => coverage.count(`client.refused ${reason}`),
      }),
  );
  new Person({ world, machine, outside, history });
  disturbClock(world, faults);
  every(world, LOOK_MS, "checkers look", () => {
    for (const checker of watching) checker.look?.();
  });
  machine.start();

  const stray = (reason: unknown) => fail("defect", `unhandled rejection: ${describe(reason)}`);
  process.on("unhandledRejection", stray);
  try {
    const random = new Prng(seed, "phases");
    const ended = () => violations.length > 0 || (clients.every((client) => client.done) && open.size === 0 && machine.owner !== null);
    await world.run(ended, { untilMs: random.int(4_000, 40_000), happeningsMax: HAPPENINGS_MAX });
    faults.stop();
    const until = world.elapsedMs + LIVENESS_MS;
    await world.run(ended, { untilMs: until, happeningsMax: HAPPENINGS_MAX });
    const rest = world.elapsedMs + REST_MS;
    await world.run(() => violations.length > 0, { untilMs: rest, happeningsMax: HAPPENINGS_MAX });
    if (violations.length === 0) for (const checker of watching) await checker.end?.();
  } finally {
    process.off("unhandledRejection", stray);
    await disk.close();
  }
  coverage.faults(faults.taken);
  return {
    configuration,
    violations,
    faults: faults.taken,
    coverage,
    simulatedMs: world.elapsedMs,
    happenings: world.happenings,
    runs: history.journals.size - 1,
    digest: `${history.digest} ${sha256(world.trace.join("\n")).toString("hex")}`,
    trace: world.trace,
  };
}

/** Whether a process dies before something happens to it. */
function crashes(process: Process, label: string, faults: Faults): boolean {
  if (faults.take(process.kind === "coordinator" ? "coordinator.crash" : "host.crash") === null) return false;
  process.end(`crashed before ${label}`);
  return true;
}

function disturbClock(world: World, faults: Faults): void {
  every(world, CLOCK_LOOK_MS, "clock", () => {
    const forward = faults.take("clock.forward");
    if (forward !== null) world.clockOffsetMs += forward.int(1_000, 120_000);
    const backward = faults.take("clock.backward");
    if (backward !== null) world.clockOffsetMs -= backward.int(1_000, 120_000);
    if (forward !== null || backward !== null) world.note(`clock is off by ${world.clockOffsetMs} ms`);
  });
}

function every(world: World, everyMs: number, label: string, what: () => void): void {
  world.in(everyMs, null, label, () => {
    what();
    every(world, everyMs, label, what);
  });
}

const KEYS_SEED = 1;

/** Keys of the fleet. Making them costs more than a simulation, so all seeds share them; what is signed differs. */
function keyRing(agents: Readonly<Record<string, unknown>>): KeyRing {
  const names = [COORDINATOR, "$plan", ...Object.keys(agents)];
  const known = rings.get(names.join());
  if (known !== undefined) return known;
  const ring = new KeyRing();
  const random = new Prng(KEYS_SEED, "keys");
  ring.ensure(names, (count) => random.bytes(count), EPOCH_MS);
  rings.set(names.join(), ring);
  return ring;
}

const rings = new Map<string, KeyRing>();

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = isFlotillaError(error) ? `${error.code}: ` : "";
  return `${code}${error.stack ?? error.message}`;
}
