import type { CoordinatorFrame, WorkerFrame } from "../carrier/frame.ts";
import type { Json } from "../core/json.ts";
import { Channel } from "../message/channel.ts";
import { COORDINATOR } from "../message/envelope.ts";
import { answerWelcome, CoordinatorHandshake } from "../message/handshake.ts";
import type { KeyRing } from "../message/keys.ts";
import type { Timer } from "../platform/clock.ts";
import type { Coordinator } from "../runtime/coordinator.ts";
import { parseQueue } from "../runtime/ledger.ts";
import { Worker } from "../runtime/worker.ts";
import { runSimulated, type SimulatedCode } from "./agents.ts";
import type { Faults } from "./fault.ts";
import { type End, Link } from "./link.ts";
import type { PlantedHooks } from "./planted-hook.ts";
import { Prng } from "./prng.ts";
import { Process, type World } from "./world.ts";

/** How frames travel between coordinator and hosts. */
export type Carrier = "channel" | "frames";

export interface HostParts {
  world: World;
  faults: Faults;
  keys: KeyRing;
  code: SimulatedCode;
  carrier: Carrier;
  hosts: number;
  slots: number;
  sent(frame: CoordinatorFrame): void;
  planted: PlantedHooks;
}

interface Host {
  readonly process: Process;
  /** The queue that it serves: the definition's own, or one of suspects. */
  readonly queue: string;
  readonly slots: number;
  attached: boolean;
  heardMs: number;
  idleSinceMs: number;
  ending: { why: string; crashed: boolean } | null;
}

const HANDSHAKE_EVERY = 3;
const HANG_MS = 5_000;
const LOOK_EVERY_MS = 500;
const SUSPECT_HOSTS_MAX = 4;
const SUSPECT_IDLE_MS = 1_000;
/** Hosts are gone within a second of losing their coordinator (issue 2 line 4). */
export const ORPHAN_MS_MAX = 900;

/** Starts, watches and replaces simulated worker hosts: what `runtime/host-pool.ts` does with child processes, around
 *  the production worker, handshake and channel. It is part of the coordinator's process and dies with it. */
export class SimulatedHosts {
  readonly #parts: HostParts;
  readonly #owner: Process;
  readonly #coordinator: Coordinator;
  readonly #queue: string;
  readonly #random: Prng;
  readonly #hosts = new Set<Host>();
  #started = 0;
  #restarting: Timer | null = null;

  constructor(parts: HostParts, owner: Process, coordinator: Coordinator, queue: string) {
    this.#parts = parts;
    this.#owner = owner;
    this.#coordinator = coordinator;
    this.#queue = queue;
    this.#random = new Prng(parts.world.seed, `hosts of ${owner.name}`);
  }

  serve(): void {
    this.#replenish();
    this.#look();
  }

  /** Suspects wait: they get hosts of their own, up to the bound. */
  wantSuspects(queue: string): void {
    const { slots } = parseQueue(queue);
    const running = [...this.#hosts].filter((host) => host.queue !== this.#queue && host.ending === null).length;
    if (slots !== null && running < SUSPECT_HOSTS_MAX) this.#start(queue, slots);
  }

  /** Names of the hosts that live, for checkers. */
  attached(): string[] {
    return [...this.#hosts].filter((host) => host.attached && host.process.alive).map((host) => host.process.name);
  }

  #replenish(): void {
    let alive = 0;
    for (const host of this.#hosts) if (host.queue === this.#queue) alive += 1;
    for (; alive < this.#parts.hosts; alive++) this.#start(this.#queue, this.#parts.slots);
  }

  #start(queue: string, slots: number): void {
    const { world } = this.#parts;
    const id = `${this.#owner.name}-h${this.#started++}${queue.slice(this.#queue.length)}`;
    const process = new Process(world, id, "host", this.#owner);
    const now = world.elapsedMs;
    const host: Host = { process, queue, slots, attached: false, heardMs: now, idleSinceMs: now, ending: null };
    this.#hosts.add(host);
    process.onEnd = (why) => this.#ended(host, why);
    // A thread of its own sees to that, also while the host's code blocks the loop.
    this.#owner.onGone(() => {
      if (this.#parts.planted.orphans === true) return;
      world.in(this.#random.next() * ORPHAN_MS_MAX, null, `${id} is an orphan`, () =>
        process.end("its coordinator is gone"),
      );
    });
    world.in(20 + this.#random.next() * 200, process, "boots", () => this.#connect(host));
  }

  /** Both sides of the handshake; the production one exchanges them as plain records before anything else. */
  #connect(host: Host): void {
    const { world, faults, keys, carrier, code, planted } = this.#parts;
    const { process } = host;
    const down: End = {
      process: this.#owner,
      channel: null,
      onFrame: () => {},
      onRefused: () => {},
      onClose: () => {},
    };
    const up: End = { process, channel: null, onFrame: () => {}, onRefused: () => {}, onClose: () => {} };
    const link = new Link(world, faults, down, up);
    const session = carrier === "channel" ? this.#handshake(down, up) : { id: process.name, agents: everyAgent(keys) };
    const worker = new Worker({
      clock: world.clockOf(process),
      random: new Prng(world.seed, process.name),
      session: session.id,
      slots: host.slots,
      definition: code.definition,
      identityOf: (agent) => keys.identity(agent),
      send: (frame) => link.toCoordinator(frame as unknown as Json),
      run: (port) => runSimulated(code, { port, process }),
      drained: () => process.end("it drained"),
    });
    up.onFrame = (frame) => worker.receive(frame as unknown as CoordinatorFrame);
    up.onRefused = () => process.end("it refused a record");
    up.onClose = () => {
      if (planted.orphans !== true) process.end("its coordinator is gone");
    };
    process.onExit = () => link.close();
    world.in(this.#random.next() * 2, this.#owner, `attaches ${process.name}`, () =>
      this.#attach(host, link, down, session),
    );
  }

  /** The real handshake costs more than all else of a small seed; some seeds begin where it has ended. */
  #handshake(down: End, up: End): { id: string; agents: ReadonlySet<string> } {
    const { keys, world } = this.#parts;
    if (world.seed % HANDSHAKE_EVERY !== 0) {
      const [here, there, id] = [
        this.#random.bytes(32),
        this.#random.bytes(32),
        Buffer.from(this.#random.bytes(32)).toString("hex"),
      ];
      down.channel = new Channel(id, { send: here, receive: there });
      up.channel = new Channel(id, { send: there, receive: here });
      return { id, agents: everyAgent(keys) };
    }
    const handshake = new CoordinatorHandshake(keys.identity(COORDINATOR), this.#random.bytes(32));
    const identities = keys
      .names()
      .filter((name) => name !== COORDINATOR)
      .map((name) => keys.identity(name));
    const answer = answerWelcome(
      handshake.welcome,
      keys.publicKey(COORDINATOR) ?? "",
      identities,
      this.#random.bytes(32),
    );
    const session = handshake.finish(answer.hello, (agent) => keys.publicKey(agent));
    down.channel = session.channel;
    up.channel = answer.channel;
    return { id: session.channel.session, agents: session.agents };
  }

  #attach(host: Host, link: Link, end: End, session: { id: string; agents: ReadonlySet<string> }): void {
    const { process, queue, slots } = host;
    if (!process.alive) return;
    end.onFrame = (frame) => {
      host.heardMs = this.#parts.world.elapsedMs;
      if (process.alive || host.attached) this.#coordinator.receive(process.name, frame as unknown as WorkerFrame);
    };
    end.onRefused = (reason) => {
      void this.#coordinator.fleet.append("message.refused", {
        worker: process.name,
        sender: "?",
        what: "record",
        why: reason,
      });
      this.#kill(host, `refused: ${reason}`, true);
    };
    end.onClose = () => this.#kill(host, "its link is gone", true);
    host.attached = true;
    host.heardMs = this.#parts.world.elapsedMs;
    this.#coordinator.attach(
      {
        id: process.name,
        queue,
        slots,
        send: (frame) => {
          this.#parts.sent(frame);
          for (const one of this.#parts.planted.frames?.(frame) ?? [frame]) link.toHost(one as unknown as Json);
        },
        kill: (why) => this.#kill(host, why, true),
      },
      session.id,
      session.agents,
    );
  }

  #kill(host: Host, why: string, crashed: boolean): void {
    if (!host.process.alive) return;
    host.ending = { why, crashed };
    host.process.end(why);
  }

  /** The operating system tells the parent. */
  #ended(host: Host, why: string): void {
    const { world } = this.#parts;
    world.in(this.#random.next() * 3, this.#owner, `sees the end of ${host.process.name}`, () => {
      this.#hosts.delete(host);
      const crashed = host.ending?.crashed ?? true;
      if (host.attached) this.#coordinator.detach(host.process.name, why, crashed);
      host.attached = false;
      if (host.queue !== this.#queue || this.#restarting !== null) return;
      this.#restarting = world.in(50, this.#owner, "restarts hosts", () => {
        this.#restarting = null;
        this.#replenish();
      });
    });
  }

  /** Hosts that hang, by elapsed time. */
  #look(): void {
    const { world } = this.#parts;
    world.in(LOOK_EVERY_MS, this.#owner, "looks after hosts", () => {
      for (const host of this.#hosts) this.#lookAt(host);
      for (const { queue, waiting, workers } of this.#coordinator.depth()) {
        if (waiting > 0 && workers === 0) this.wantSuspects(queue);
      }
      this.#look();
    });
  }

  #lookAt(host: Host): void {
    const now = this.#parts.world.elapsedMs;
    if (!host.attached) return;
    if (this.#coordinator.held(host.process.name) > 0) host.idleSinceMs = now;
    else if (host.queue !== this.#queue && now - host.idleSinceMs > SUSPECT_IDLE_MS && host.ending === null) {
      host.ending = { why: "drained", crashed: false };
      this.#coordinator.drain(host.process.name);
    }
    if (now - host.heardMs > HANG_MS) this.#kill(host, "its code blocks the loop", true);
  }
}

const everyAgent = (keys: KeyRing): ReadonlySet<string> => new Set(keys.names());
