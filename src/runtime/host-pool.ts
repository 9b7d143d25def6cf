import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import type { CoordinatorFrame, WorkerFrame } from "../carrier/frame.ts";
import { Pipe } from "../carrier/pipe.ts";
import type { FleetDefinition } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { type ErrorRecord, FlotillaError, fromErrorRecord } from "../error.ts";
import { COORDINATOR } from "../message/envelope.ts";
import { CoordinatorHandshake } from "../message/handshake.ts";
import type { KeyRing } from "../message/keys.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import { ownModule } from "../platform/own-package.ts";
import type { Random } from "../platform/random.ts";
import type { Coordinator } from "./coordinator.ts";
import type { HostBoot } from "./host-main.ts";
import { parseQueue } from "./ledger.ts";

export interface HostOptions {
  /** Worker processes for each definition. Default 1 on one core, else 2. */
  hosts: number;
  /** Attempts that one host runs at a time. Default 1,024. */
  concurrency: number;
  /** Silence after which a host counts as hanging: its loop is blocked. Default 5 s. */
  hangMs: number;
  /** Memory that a host may take before it is killed. Default 1 GiB. */
  memoryBytesMax: number;
  /** Old-space of V8 in a host, in MiB. Default 512. */
  heapMbMax: number;
  /** Hosts for suspects at a time. Default 4. */
  suspectHostsMax: number;
}

export const DEFAULT_HOST_OPTIONS: HostOptions = {
  hosts: 2,
  concurrency: 1_024,
  hangMs: 5_000,
  memoryBytesMax: 1024 * 1024 * 1024,
  heapMbMax: 512,
  suspectHostsMax: 4,
};

/** What a pool runs: one definition. */
export interface HostedDefinition {
  queue: string;
  definition: FleetDefinition;
  folder: string | null;
}

interface Host {
  readonly id: string;
  readonly hosted: HostedDefinition;
  /** The queue that it serves: the definition's own, or one of suspects. */
  readonly queue: string;
  readonly slots: number;
  idleSince: number;
  readonly child: ChildProcess;
  pipe: Pipe | null;
  attached: boolean;
  startedAt: number;
  /** Its pipe is closed: it should be gone soon. */
  leaving: Timer | null;
  /** Why it is being ended, when that is our doing. */
  ending: { why: string; crashed: boolean } | null;
  heardAt: number;
}

/** How long a host for suspects waits for more of them. */
const SUSPECT_IDLE_MS = 1_000;
const LOOK_EVERY_MS = 250;
/** A look that is further off than this was not just late. */
const CLOCK_STEP_MS = 1_000;
const RESTART_MS_MIN = 50;
const RESTART_MS_MAX = 5_000;
/** A host that lived this long was sound: the next restart does not wait. */
const SOUND_AFTER_MS = 5_000;
/** Loading the definition's code takes no longer, or it never ends. */
const BOOT_MS_MAX = 60_000;
/** How long a process whose pipe is closed may take to end by itself, and tell why. */
const END_MS_MAX = 1_000;
/** All that users' code sees of the environment: no secrets (X8). */
const ENVIRONMENT = [
  "PATH",
  "HOME",
  "USER",
  "LANG",
  "LC_ALL",
  "TZ",
  "TMPDIR",
  "TEMP",
  "TMP",
  "SystemRoot",
  "NODE_ENV",
  "NODE_COMPILE_CACHE",
  "NODE_EXTRA_CA_CERTS",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
];

/** Starts, watches and replaces the worker processes of this machine (F6): a host that crashes, hangs or bloats is
 *  killed and replaced; suspects get hosts of their own. */
export class HostPool {
  readonly #coordinator: Coordinator;
  readonly #keys: KeyRing;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #options: HostOptions;
  readonly #env: Record<string, string>;
  readonly #model: string | null;
  readonly #output: (host: string, stream: "stdout" | "stderr", line: string) => void;
  readonly #failed: (error: unknown) => void;
  readonly #hosts = new Map<string, Host>();
  readonly #served = new Map<string, { hosted: HostedDefinition; restartMs: number; restarting: Timer | null }>();
  #looking: Timer | null = null;
  #closing = false;

  constructor(ports: {
    coordinator: Coordinator;
    keys: KeyRing;
    clock: Clock;
    random: Random;
    env: Record<string, string>;
    model: string | null;
    output(host: string, stream: "stdout" | "stderr", line: string): void;
    failed(error: unknown): void;
    options?: Partial<HostOptions>;
  }) {
    this.#coordinator = ports.coordinator;
    this.#keys = ports.keys;
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#env = ports.env;
    this.#model = ports.model;
    this.#output = ports.output;
    this.#failed = ports.failed;
    this.#options = { ...DEFAULT_HOST_OPTIONS, ...ports.options };
  }

  get pids(): number[] {
    return [...this.#hosts.values()].flatMap((host) => host.child.pid ?? []);
  }

  /** Serves a definition from now on, with all its hosts. */
  serve(hosted: HostedDefinition): void {
    if (this.#served.has(hosted.queue)) return;
    this.#served.set(hosted.queue, { hosted, restartMs: RESTART_MS_MIN, restarting: null });
    for (let i = 0; i < this.#options.hosts; i++) this.#start(hosted, hosted.queue, this.#options.concurrency);
    this.#look();
  }

  serves(queue: string): boolean {
    return this.#served.has(queue);
  }

  /** Ends a definition's hosts when what they run has ended. */
  retire(queue: string): void {
    this.#served.delete(queue);
    for (const host of this.#hosts.values()) if (host.hosted.queue === queue) this.#drain(host);
  }

  /** Suspects wait: they get hosts of their own, as many as they can use, up to the bound for all of them. */
  wantSuspects(queue: string, waiting = 1): void {
    const { base, slots } = parseQueue(queue);
    const served = this.#served.get(base);
    if (served === undefined || slots === null || this.#closing) return;
    let all = 0;
    let here = 0;
    for (const host of this.#hosts.values()) {
      if (host.queue === host.hosted.queue || host.ending !== null) continue;
      all += 1;
      if (host.queue === queue) here += 1;
    }
    const wanted = Math.ceil(waiting / slots);
    for (; here < wanted && all < this.#options.suspectHostsMax; here++, all++)
      this.#start(served.hosted, queue, slots);
  }

  /** Ends all hosts: those that run something first get `drainMs` to end it. */
  async close(drainMs: number): Promise<void> {
    this.#closing = true;
    for (const { restarting } of this.#served.values()) restarting?.cancel();
    const gone = [...this.#hosts.values()].map((host) => exited(host.child));
    for (const host of this.#hosts.values()) this.#drain(host);
    const timer = this.#clock.after(drainMs, () => {
      for (const host of this.#hosts.values()) this.#kill(host, "the app was closed", false);
    });
    await Promise.all(gone);
    timer.cancel();
    this.#looking?.cancel();
  }

  /** Ends the processes of all hosts at once, and starts others in their place: what ran in them is not suspect. */
  replaceAll(why: string): void {
    for (const host of this.#hosts.values()) this.#kill(host, why, false);
  }

  /** Ends all hosts at once. */
  killAll(why: string): void {
    this.#closing = true;
    for (const host of this.#hosts.values()) this.#kill(host, why, false);
  }

  #start(hosted: HostedDefinition, queue: string, slots: number): void {
    if (this.#closing) return;
    const id = `w-${Buffer.from(this.#random.bytes(6)).toString("hex")}`;
    // Loaded with the first host: library mode starts none.
    const { spawn } = process.getBuiltinModule("node:child_process");
    const child = spawn(
      process.execPath,
      [
        `--max-old-space-size=${this.#options.heapMbMax}`,
        "--max-semi-space-size=4",
        // Each thread of V8's pool has an arena of malloc; a machine's cores are shared with the other hosts.
        "--v8-pool-size=1",
        "--disable-warning=ExperimentalWarning",
        fileURLToPath(ownModule("runtime/host-main")),
        String(process.pid),
      ],
      // A group of its own: the terminal's Ctrl-C does not reach it, and what users' code starts ends with it.
      {
        cwd: hosted.folder ?? process.cwd(),
        env: environment(),
        stdio: ["ignore", "pipe", "pipe", "pipe"],
        detached: GROUPS,
      },
    );
    const now = this.#clock.now();
    const host: Host = {
      id,
      hosted,
      queue,
      slots,
      child,
      pipe: null,
      attached: false,
      ending: null,
      leaving: null,
      startedAt: now,
      heardAt: now,
      idleSince: now,
    };
    this.#hosts.set(id, host);
    this.#capture(host, "stdout");
    this.#capture(host, "stderr");
    child.once("error", (error) => {
      this.#failed(error);
      // One that could not be started tells nothing else.
      if (child.pid === undefined) this.#exited(host, null, null);
    });
    if (child.pid === undefined) return;
    child.once("exit", (code, signal) => this.#exited(host, code, signal));
    this.#boot(host).catch((error: unknown) => {
      this.#failed(error);
      this.#kill(host, "it did not start", false);
    });
  }

  async #boot(host: Host): Promise<void> {
    const pipe = new Pipe(host.child.stdio[3] as Duplex);
    host.pipe = pipe;
    const { definition, folder } = host.hosted;
    const names = this.#keys
      .names()
      .filter((name) => name !== COORDINATOR && (name.startsWith("$") || Object.hasOwn(definition.agents, name)));
    const handshake = new CoordinatorHandshake(this.#keys.identity(COORDINATOR), this.#random.bytes(32));
    const boot: HostBoot = {
      worker: host.id,
      definition,
      folder,
      seeds: this.#keys.seeds(names),
      coordinatorKey: this.#keys.publicKey(COORDINATOR) ?? "",
      welcome: handshake.welcome,
      slots: host.slots,
      env: this.#env,
      model: this.#model,
    };
    pipe.onClose = () => {
      if (this.#hosts.has(host.id))
        host.leaving = this.#clock.after(END_MS_MAX, () => this.#kill(host, "it closed its pipe", true));
    };
    pipe.sendPlain(boot);
    const answer = (await pipe.nextPlain()) as { hello?: unknown; failed?: ErrorRecord } | null;
    if (answer?.failed !== undefined) throw fromErrorRecord(answer.failed);
    const session = handshake.finish(answer?.hello, (agent) => this.#keys.publicKey(agent));
    if (session.refused.length > 0)
      throw new FlotillaError("MESSAGE_REFUSED", `a host could not prove that it runs ${session.refused[0]?.agent}`);
    pipe.onFrame = (frame) => {
      host.heardAt = this.#clock.now();
      this.#coordinator.receive(host.id, frame as unknown as WorkerFrame);
    };
    pipe.onRefused = ({ reason }) => {
      void this.#coordinator.fleet.append("message.refused", {
        worker: host.id,
        sender: "?",
        what: "record",
        why: reason,
      });
      this.#failed(new FlotillaError("MESSAGE_REFUSED", `a record on the pipe of ${host.id} was refused: ${reason}`));
      this.#kill(host, `refused: ${reason}`, true);
    };
    pipe.onUnsendable = (frame, error) => {
      this.#coordinator.unsendable(
        frame as unknown as CoordinatorFrame,
        error instanceof Error ? error.message : String(error),
      );
    };
    host.attached = true;
    host.heardAt = this.#clock.now();
    this.#coordinator.attach(
      {
        id: host.id,
        queue: host.queue,
        slots: host.slots,
        send: (frame) => pipe.send(frame as unknown as Json),
        kill: (why) => this.#kill(host, why, true),
      },
      session.channel.session,
      session.agents,
    );
    pipe.secure(session.channel);
  }

  #capture(host: Host, name: "stdout" | "stderr"): void {
    let rest = "";
    host.child[name]?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      // A line without end must not fill the memory (invariant 11).
      rest = (lines.pop() ?? "").slice(-LINE_MAX);
      for (const line of lines) this.#output(host.id, name, line.slice(0, LINE_MAX));
    });
    host.child[name]?.once("end", () => {
      if (rest !== "") this.#output(host.id, name, rest);
    });
  }

  #drain(host: Host): void {
    if (host.ending !== null) return;
    host.ending = { why: DRAINED, crashed: false };
    if (host.attached) this.#coordinator.drain(host.id);
    else this.#kill(host, DRAINED, false);
  }

  #kill(host: Host, why: string, crashed: boolean): void {
    // The first reason is the one; being drained is none.
    if (host.ending === null || host.ending.why === DRAINED) host.ending = { why, crashed };
    endGroup(host.child);
  }

  #exited(host: Host, code: number | null, signal: NodeJS.Signals | null): void {
    if (!this.#hosts.delete(host.id)) return;
    host.leaving?.cancel();
    endGroup(host.child);
    const why = host.ending?.why ?? `it ended with ${signal ?? `exit code ${code}`}`;
    const crashed = host.ending?.crashed ?? true;
    // One that dies of its work is replaced at once, since the work is what gets convicted.
    const sound = this.#coordinator.held(host.id) > 0 || this.#clock.now() - host.startedAt > SOUND_AFTER_MS;
    if (host.attached) this.#coordinator.detach(host.id, why, crashed);
    if (host.queue === host.hosted.queue) this.#replace(host, sound);
  }

  #replace(host: Host, sound: boolean): void {
    const served = this.#served.get(host.hosted.queue);
    if (served === undefined || this.#closing || served.restarting !== null) return;
    if (sound) served.restartMs = RESTART_MS_MIN;
    else served.restartMs = Math.min(served.restartMs * 2, RESTART_MS_MAX);
    served.restarting = this.#clock.after(served.restartMs, () => {
      served.restarting = null;
      let alive = 0;
      for (const other of this.#hosts.values()) if (other.queue === host.queue) alive += 1;
      for (; alive < this.#options.hosts; alive++)
        this.#start(served.hosted, served.hosted.queue, this.#options.concurrency);
    });
  }

  /** Hosts that hang or bloat. */
  #look(): void {
    const due = this.#clock.now() + LOOK_EVERY_MS;
    this.#looking ??= this.#clock.after(LOOK_EVERY_MS, () => {
      this.#looking = null;
      const now = this.#clock.now();
      // The clock was set, or this machine slept: how long a host was silent cannot be told.
      if (Math.abs(now - due) > CLOCK_STEP_MS)
        for (const host of this.#hosts.values()) host.heardAt = host.startedAt = host.idleSince = now;
      for (const host of this.#hosts.values()) this.#lookAt(host, now);
      for (const { queue, waiting, running } of this.#coordinator.depth()) {
        if (waiting > 0) this.wantSuspects(queue, waiting + running);
      }
      // Also while it closes: a host that hangs or bloats then is not waited for.
      if (!this.#closing || this.#hosts.size > 0) this.#look();
    });
  }

  #lookAt(host: Host, now: number): void {
    const bytes = residentBytes(host.child.pid);
    if (bytes !== null && bytes > this.#options.memoryBytesMax) {
      return this.#kill(host, `it took ${Math.round(bytes / 2 ** 20)} MiB of memory`, true);
    }
    if (!host.attached) {
      if (now - host.startedAt > BOOT_MS_MAX) this.#kill(host, `it did not start within ${BOOT_MS_MAX} ms`, false);
      return;
    }
    if (this.#coordinator.held(host.id) > 0) host.idleSince = now;
    else if (host.queue !== host.hosted.queue && now - host.idleSince > SUSPECT_IDLE_MS) this.#drain(host);
    if (now - host.heardAt > this.#options.hangMs) {
      this.#kill(host, `it did not answer for ${now - host.heardAt} ms: its code blocks the loop`, true);
    }
  }
}

const DRAINED = "drained";
const LINE_MAX = 16_384;
/** Whether processes have groups here. */
const GROUPS = process.platform !== "win32";

/** Kills a host and whatever it started, also what outlived it. */
function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  if (!GROUPS) return void child.kill("SIGKILL");
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch (error) {
    // Nothing of it is left; some systems say EPERM then.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}

const PAGE_BYTES = 4_096;

/** Memory that a process holds; null where the system does not say, and V8's own limit is all there is. */
function residentBytes(pid: number | undefined): number | null {
  if (process.platform !== "linux" || pid === undefined) return null;
  try {
    const [, resident] = readFileSync(`/proc/${pid}/statm`, "utf8").split(" ");
    return Number(resident) * PAGE_BYTES;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" || (error as NodeJS.ErrnoException).code === "ESRCH")
      return null;
    throw error;
  }
}

function environment(): Record<string, string> {
  return Object.fromEntries(
    ENVIRONMENT.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => child.once("exit", () => resolve()));
}
