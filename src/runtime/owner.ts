import { digestOf } from "./journal.ts";
import { forkedDefinition, type ForkPreview, type ForkRequest, type PreparedFork, prepareFork } from "./fork.ts";
import type { FleetDefinition } from "../core/definition.ts";
import type { Hold, HoldTarget } from "../core/hold.ts";
import type { Json } from "../core/json.ts";
import type { Planner } from "../core/planner.ts";
import { verifyModules } from "../definition/module.ts";
import type { FleetCode } from "../definition/fleet.ts";
import { nearest } from "../definition/nearest.ts";
import { FlotillaError, isFlotillaError } from "../error.ts";
import type { KeyRing } from "../message/keys.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import { sleep } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import { FLEET_JOURNAL, type RunRow, type Store } from "../store/store.ts";
import { VERSION } from "../version.ts";
import { type Agents, openAgents } from "./agents.ts";
import type { FactSetRequest, OpenFleet, OwnerInfo, StartRequest } from "./app-contract.ts";
import type { OwnerControl } from "./control-socket.ts";
import { Coordinator, type Notice, queueName } from "./coordinator.ts";
import { Eraser, type EraseRequest } from "./erasure.ts";
import { type Imported, Importer, type ImportRequest } from "./import-run.ts";
import { FleetView } from "./fleet-view.ts";
import { actOnDeadLetter, type DeadLetterAct } from "./dead-letter.ts";
import { checkInput } from "./definitions.ts";
import { plannerHere } from "./held-planner.ts";
import { type HostOptions, HostPool } from "./host-pool.ts";
import type { Hub } from "./hub.ts";
import type { Decision } from "./inbox.ts";
import type { InboxItem } from "./inbox-item.ts";
import { parseQueue } from "./ledger.ts";
import { keysOnRecord, recordKeys } from "./key-record.ts";
import { startLocalWorker } from "./local-worker.ts";
import type { FleetLog } from "./open-fleet.ts";
import { thisProcess } from "./owner-lock.ts";
import { SIGNED_HEAD_FILE, type SignedHeadFile } from "./signed-head.ts";

/** What is opened: a definition and where its code is. */
export interface Opened {
  definition: FleetDefinition;
  folder: string | null;
  code: FleetCode | null;
}

export interface OwnerPorts {
  store: Store;
  clock: Clock;
  random: Random;
  keys: KeyRing;
  saveKeys(): void;
  /** Keeps the fleet's signed head outside of the store; null for a store in memory. */
  signedHead: SignedHeadFile | null;
  /** When the app was opened; a later one of this process may take the store over. */
  since: number;
  log: FleetLog;
  /** Tells whoever runs this process what he must know. */
  alarm(message: string): void;
  hub: Hub;
  mode: "hosts" | "library";
  model: string | null;
  hostOptions: Partial<HostOptions>;
}

/** How long running tasks may go on after the app was told to close. */
const DRAIN_MS = 30_000;
/** How often definitions of old are looked at, whether a run still needs them. */
const RETIRE_LOOK_MS = 5_000;
/** How soon a definition of old is wanted again when nothing on record was waiting for it. */
const REVIVE_AGAIN_MS = 200;
const BLOB_SWEEP_MS = 3_600_000;

/** Code of fleets that were opened here as values, by the hash of their definition: after a hot reload, runs under way
 *  end on the code that they began with. It grows by an entry for each version, as Node's own list of modules does. */
const codesHere = new Map<string, FleetCode>();

/** The process that owns a store, with all its roles: one coordinator, and workers in hosts or right here. */
export class Owner implements OwnerControl {
  readonly #ports: OwnerPorts;
  readonly #coordinator: Coordinator;
  readonly #eraser: Eraser;
  readonly #importer: Importer;
  readonly #hosts: HostPool | null;
  readonly #local = new Map<string, { worker: { close(why: string): void }; agents: Agents }>();
  readonly #closers: (() => void | Promise<void>)[] = [];
  readonly #startedAt: number;
  #current: { hash: string; opened: Opened } | null = null;
  #housekeeping: Timer | null = null;
  #closing: Promise<void> | null = null;
  /** Whoever closes does not wait for what is under way (any more). */
  #impatient = false;
  readonly #missing = new Set<string>();
  /** Definitions whose code is not here, though runs wait for it. */
  readonly #codeless = new Set<string>();
  readonly #retired = new AbortController();
  /** Definitions that hosts run. */
  readonly #served = new Set<string>();

  constructor(ports: OwnerPorts) {
    this.#ports = ports;
    this.#startedAt = ports.clock.now();
    const failed = (error: unknown) => this.#failed(error);
    this.#coordinator = new Coordinator({
      store: ports.store,
      clock: ports.clock,
      random: ports.random,
      keys: ports.keys,
      planners: (definition, pattern) => this.#planner(definition, pattern),
      wanted: (queue) => this.#wanted(queue),
      failed,
      notify: (notice) => ports.hub.publish(notice),
      signed: (head) => ports.signedHead?.save(head),
    });
    this.#eraser = new Eraser({ store: ports.store, fleet: this.#coordinator.fleet, keys: ports.keys, failed });
    this.#importer = new Importer({ store: ports.store, fleet: this.#coordinator.fleet, keys: ports.keys });
    this.#hosts =
      ports.mode === "library"
        ? null
        : new HostPool({
            coordinator: this.#coordinator,
            keys: ports.keys,
            clock: ports.clock,
            random: ports.random,
            env: definedOf(process.env),
            model: ports.model,
            output: (host, stream, line) => ports.log.info(line, { host, stream }),
            failed,
            options: ports.hostOptions,
          });
  }

  /** Starts the roles and takes up what an earlier process left. */
  async open(opened: Opened): Promise<void> {
    await this.#checkSignedHead();
    const hash = await this.#adopt(opened);
    await this.#coordinator.fleet.insist("fleet.opened", {
      fleet: opened.definition.name,
      version: VERSION,
      definition: hash,
    });
    await this.#eraser.resume();
    await this.#coordinator.recover();
    await this.#keepSchedules();
    this.#keepHouse();
  }

  /** A process that only decides, and has no workers, leaves the times of schedules to one that has. */
  async #keepSchedules(): Promise<void> {
    if (this.#current === null || (this.#hosts !== null && this.#ports.hostOptions.hosts === 0)) return;
    await this.#coordinator.keepSchedules(this.#current.hash, this.#current.opened.definition);
  }

  /** What was signed last must still be there: else the fleet's journal was cut or replaced while nobody had it open. That
   *  goes on record, and is told; the runs go on (F14). */
  async #checkSignedHead(): Promise<void> {
    const { store } = this.#ports;
    const signed = this.#ports.signedHead?.read(store.fleet) ?? null;
    if (signed === null || signed === "unknown") return;
    if (signed === "damaged")
      return this.#ports.alarm(`${SIGNED_HEAD_FILE} is damaged and is made anew; see: flotilla verify`);
    const [row] = await store.events(FLEET_JOURNAL, signed.version - 1, 1);
    if (row?.version === signed.version && Buffer.from(row.hash).toString("base64url") === signed.head) return;
    const { version: found } = await store.head(FLEET_JOURNAL);
    const when = new Date(signed.at).toISOString();
    this.#ports.alarm(
      `the fleet's journal was cut or replaced: it was signed up to event ${signed.version} at ${when}, and that event is not there; see: flotilla verify`,
    );
    await this.#coordinator.fleet.insist("journal.cut", { version: signed.version, signedAt: signed.at, found });
  }

  /** New runs use this definition; those that are pinned to an older one end on it (D9). */
  async reload(opened: Opened): Promise<string> {
    // Its code may be what a waiting run is pinned to.
    this.#missing.clear();
    this.#codeless.clear();
    const hash = await this.#adopt(opened);
    await this.#keepSchedules();
    this.#coordinator.look();
    return hash;
  }

  async #adopt(opened: Opened): Promise<string> {
    await this.#ensureKeys(Object.keys(opened.definition.agents));
    const hash = await this.#coordinator.register(opened.definition);
    if (opened.code !== null) codesHere.set(hash, opened.code);
    this.#current = { hash, opened };
    await this.#serve(hash, opened);
    return hash;
  }

  /** Everybody has a key, and every key is on record. */
  async #ensureKeys(agents: readonly string[]): Promise<void> {
    const { keys, clock, random, store, saveKeys } = this.#ports;
    const missing = keys.missing(agents);
    if (missing.length > 0) {
      keys.ensure(missing, (n) => random.bytes(n), clock.now(), await keysOnRecord(store));
      saveKeys();
    }
    const replaced = recordKeys(keys, this.#coordinator.fleet, saveKeys, (error) => this.#failed(error));
    if (replaced.length > 0) this.#ports.alarm(lostKeys(replaced));
  }

  async #serve(hash: string, opened: Opened): Promise<void> {
    const queue = queueName(hash);
    this.#served.add(hash);
    if (this.#hosts !== null) {
      this.#hosts.serve({ queue, definition: opened.definition, folder: opened.folder });
      return;
    }
    if (this.#local.has(queue)) return;
    const agents = await openAgents({
      definition: opened.definition,
      folder: opened.folder,
      env: process.env,
      model: this.#ports.model,
      ...(opened.code === null ? {} : { code: opened.code }),
    });
    const worker = startLocalWorker({
      coordinator: this.#coordinator,
      clock: this.#ports.clock,
      random: this.#ports.random,
      keys: this.#ports.keys,
      definition: opened.definition,
      queue,
      slots: this.#ports.hostOptions.concurrency ?? LOCAL_SLOTS,
      run: agents.run,
      redact: agents.redact,
    });
    this.#local.set(queue, { worker, agents });
  }

  /** A user's own pattern runs here only where all code does. */
  #planner(definition: string, pattern: string): Planner | undefined {
    return plannerHere(pattern, codesHere.get(definition)?.patterns);
  }

  #wanted(queue: string): void {
    const { base } = parseQueue(queue);
    if (this.#hosts?.serves(base)) return this.#hosts.wantSuspects(queue);
    if (this.#local.has(base) || this.#missing.has(base) || this.#closing !== null) return;
    this.#missing.add(base);
    this.#revive(queue, base).catch((error: unknown) => this.#failed(error));
  }

  /** A run waits that is pinned to a definition of old: declarative agents resume from what is stored, code resumes
   *  when its modules are unchanged; else the run waits for its code to come back. */
  async #revive(waiting: string, queue: string): Promise<void> {
    const [row] = await this.#ports.store.peek(waiting, this.#ports.clock.now(), 1);
    const run = row === undefined ? null : await this.#ports.store.run(row.run);
    if (run === null) {
      this.#missing.delete(queue);
      // What waits may not be on record yet; whoever still waits then asks again.
      this.#ports.clock.after(REVIVE_AGAIN_MS, () => this.#coordinator.look());
      return;
    }
    const definition = await this.#coordinator.definition(run.definition);
    const folder = this.#current?.opened.folder ?? null;
    const code = this.#hosts === null ? (codesHere.get(run.definition) ?? null) : null;
    if (code !== null || (await sameCode(definition, folder))) {
      this.#missing.delete(queue);
      await this.#serve(run.definition, { definition, folder, code });
      return;
    }
    await this.#coordinator.fleet.append("definition.missing", { definition: run.definition, run: run.id });
    this.#ports.log.warn(`DEFINITION_MISSING: run ${run.id} is pinned to code that is not here any more; it waits`, {
      run: run.id,
    });
    if (!this.#codeless.has(run.definition)) {
      const waiting = await this.#ports.store.runs({ status: "running", limit: RUNS_LOOKED_AT });
      const many = waiting.filter(({ definition }) => definition === run.definition).length;
      const runs = many <= 1 ? `run ${run.id} waits` : `${many === RUNS_LOOKED_AT ? "at least " : ""}${many} runs wait`;
      this.#ports.alarm(
        `${runs} for code that is not here: that of definition ${run.definition.slice(0, 12)}. Serve the fleet with that code, or go on with today's: flotilla fork ${run.id.slice(0, 8)} --at ${run.version}`,
      );
    }
    this.#codeless.add(run.definition);
    await this.#tellWaiting(this.#ports.hub.watched());
  }

  /** Whoever waits for a run without code would wait for ever. */
  async #tellWaiting(runs: readonly string[]): Promise<void> {
    for (const id of runs) {
      const run = await this.#ports.store.run(id);
      if (run?.status === "running" && this.#codeless.has(run.definition)) this.#ports.hub.fail(id, codeless(run));
    }
  }

  async start(request: StartRequest): Promise<string> {
    const current = this.#current;
    if (current === null || this.#closing !== null) throw new FlotillaError("STORE_CLOSED", "the app is closed");
    const { workflow, input, ...options } = request;
    checkInput(current.opened.definition, workflow, input);
    return this.#coordinator.start(current.hash, workflow, input, options);
  }

  stop(run: string, why: string, by: string): Promise<void> {
    return this.#coordinator.stop(run, why, by);
  }

  async pause(target: HoldTarget, why: string, by: string, kill = false): Promise<boolean> {
    this.#checkTarget(target);
    const isNew = await this.#coordinator.pause(target, why, by, kill);
    // Code that does not heed its signal ends with its process.
    if (kill) this.#hosts?.replaceAll(`the fleet was killed: ${why}`);
    return isNew;
  }

  resume(target: HoldTarget, why: string, by: string): Promise<boolean> {
    return this.#coordinator.resume(target, why, by);
  }

  async holds(): Promise<readonly Hold[]> {
    return this.#coordinator.holds();
  }

  /** What was mistyped would hold nothing. @throws {FlotillaError} TARGET_UNKNOWN */
  #checkTarget(target: HoldTarget): void {
    const definition = this.#current?.opened.definition;
    if (definition === undefined || "run" in target || "fleet" in target) return;
    const [kind, name, known] =
      "agent" in target
        ? ["agent", target.agent, definition.agents]
        : ["workflow", target.workflow, definition.workflows];
    if (Object.hasOwn(known, name)) return;
    const names = Object.keys(known);
    const near = nearest(name, names);
    throw new FlotillaError("TARGET_UNKNOWN", `fleet "${definition.name}" has no ${kind} "${name}"`, {
      hint: `${near === null ? "" : `Did you mean "${near}"? `}It has: ${names.join(", ")}.`,
      details: { [kind]: name },
    });
  }

  settle(
    run: string,
    task: string,
    step: string,
    outcome: "done" | "not-done",
    output: Json,
    by: string,
    note: string,
  ): Promise<boolean> {
    return this.#coordinator.settle(run, task, step, outcome, output, by, note);
  }

  erase(request: EraseRequest): Promise<number> {
    return this.#eraser.erase(request);
  }

  importRun(request: ImportRequest): Promise<Imported> {
    return this.#importer.import(request);
  }

  async fork(request: ForkRequest): Promise<string> {
    const { definition, hash, code } = await this.#forked(request);
    await this.#coordinator.register(definition);
    if (code !== null) codesHere.set(hash, code);
    return this.#coordinator.fork(await this.#prepare(request, definition), hash, request);
  }

  async previewFork(request: ForkRequest): Promise<ForkPreview> {
    const { definition } = await this.#forked(request);
    const { run, at, kept, redone, effects, changes } = await this.#prepare(request, definition);
    return { run, at, kept, redone, effects, changes };
  }

  /** The definition of now with what a fork changes; its code is that of now. */
  async #forked(request: ForkRequest) {
    const current = this.#current;
    if (current === null || this.#closing !== null) throw new FlotillaError("STORE_CLOSED", "the app is closed");
    const definition = forkedDefinition(current.opened.definition, request);
    return { definition, hash: digestOf(definition as never), code: codesHere.get(current.hash) ?? null };
  }

  async #prepare(request: ForkRequest, now: FleetDefinition): Promise<PreparedFork> {
    const row = await this.#ports.store.run(request.run);
    if (row === null) throw new FlotillaError("RUN_UNKNOWN", `there is no run ${request.run}`);
    return prepareFork(this.#ports.store, request, { before: await this.#coordinator.definition(row.definition), now });
  }

  setFact(run: string, set: FactSetRequest): Promise<number> {
    return this.#coordinator.setFact(run, set);
  }

  deadLetter(id: string, act: DeadLetterAct): Promise<string | null> {
    const current = this.#current;
    if (current === null || this.#closing !== null) throw new FlotillaError("STORE_CLOSED", "the app is closed");
    return actOnDeadLetter(
      {
        store: this.#ports.store,
        definition: current.opened.definition,
        record: (type, data, beside) => this.#coordinator.fleet.insist(type, data, beside),
        start: (workflow, input, idempotencyKey, by) =>
          this.#coordinator.start(current.hash, workflow, input, { idempotencyKey, by }),
      },
      id,
      act,
    );
  }

  decide(item: string, decision: Decision): Promise<InboxItem> {
    return this.#coordinator.decide(item, decision);
  }

  watch(run: string | null, signal: AbortSignal, only?: "end"): AsyncIterable<Notice> {
    const { queue, leave } = this.#ports.hub.subscribe(run, only);
    const end = () => {
      queue.end();
      leave();
    };
    if (signal.aborted) end();
    signal.addEventListener("abort", end, { once: true });
    if (run !== null && this.#codeless.size > 0) {
      this.#tellWaiting([run]).catch((error: unknown) => this.#failed(error));
    }
    return queue;
  }

  async info(): Promise<OwnerInfo> {
    return {
      pid: process.pid,
      fleet: this.#ports.store.fleet,
      definition: this.#current?.hash ?? "",
      mode: this.#ports.mode,
      startedAt: this.#startedAt,
      queues: this.#coordinator.depth(),
      hosts: this.#hosts?.pids ?? [],
    };
  }

  async retire(process: string, since: number): Promise<boolean> {
    if (process !== thisProcess || since < this.#ports.since) return false;
    this.#retired.abort();
    // The answer travels first; whoever asked waits for the lock.
    this.#ports.clock.soon(() => {
      this.close({ drain: false }).catch((error: unknown) => this.#failed(error));
    });
    return true;
  }

  view(reread: () => Promise<Opened>): OpenFleet {
    return new FleetView({
      reload: async () => this.reload(await reread()),
      control: this,
      store: this.#ports.store,
      definitionHash: () => this.#current?.hash ?? "",
      isRunning: (run) => this.#coordinator.isRunning(run),
      owner: true,
      lost: this.#retired.signal,
      close: (options) => this.close(options),
    });
  }

  /** Runs when the app closes, in the order in which they were given. */
  onClose(closer: () => void | Promise<void>): void {
    this.#closers.push(closer);
  }

  close({ drain = true }: { drain?: boolean } = {}): Promise<void> {
    if (!drain) {
      this.#impatient = true;
      this.#hosts?.killAll("the app was closed");
    }
    this.#closing ??= this.#shutDown(drain);
    return this.#closing;
  }

  async #shutDown(drain: boolean): Promise<void> {
    this.#housekeeping?.cancel();
    this.#coordinator.stopAssigning();
    if (this.#hosts !== null) await this.#hosts.close(drain ? DRAIN_MS : 0);
    for (const { worker, agents } of this.#local.values()) {
      if (drain) await this.#drained();
      worker.close("the app was closed");
      await agents.close();
    }
    void this.#coordinator.fleet.append("fleet.closed", { why: drain ? "closed" : "closed at once" });
    await this.#coordinator.close();
    await this.#ports.signedHead?.close();
    this.#ports.hub.close();
    for (const closer of this.#closers) await closer();
  }

  /** Waits until nothing runs here any more, or long enough. */
  async #drained(): Promise<void> {
    const until = this.#ports.clock.now() + DRAIN_MS;
    while (
      !this.#impatient &&
      this.#coordinator.depth().some(({ running }) => running > 0) &&
      this.#ports.clock.now() < until
    ) {
      await sleep(this.#ports.clock, DRAIN_LOOK_MS);
    }
  }

  #keepHouse(): void {
    let sinceSweep = 0;
    const round = () => {
      this.#housekeeping = this.#ports.clock.after(RETIRE_LOOK_MS, () => {
        sinceSweep += RETIRE_LOOK_MS;
        const sweep = sinceSweep >= BLOB_SWEEP_MS;
        if (sweep) sinceSweep = 0;
        this.#house(sweep)
          .catch((error: unknown) => this.#failed(error))
          .then(round, round);
      });
    };
    round();
  }

  async #house(sweep: boolean): Promise<void> {
    const now = this.#ports.clock.now();
    if (sweep) await this.#ports.store.sweepBlobs(now, now - BLOB_SWEEP_MS);
    const running = await this.#ports.store.runs({ status: "running", limit: RUNS_LOOKED_AT });
    // With more running than one look shows, old definitions just stay a little longer.
    if (running.length >= RUNS_LOOKED_AT) return;
    const needed = new Set([this.#current?.hash, ...running.map(({ definition }) => definition)]);
    for (const hash of this.#served) {
      if (needed.has(hash)) continue;
      this.#served.delete(hash);
      this.#hosts?.retire(queueName(hash));
    }
  }

  #failed(error: unknown): void {
    const data = isFlotillaError(error) ? { code: error.code, ...error.details } : {};
    this.#ports.log.error(error instanceof Error ? error.message : String(error), data);
  }
}

function codeless({ id, workflow, definition }: RunRow): FlotillaError {
  return new FlotillaError(
    "DEFINITION_MISSING",
    `run ${id} of "${workflow}" began on other code than is here today; it is kept, and waits`,
    {
      details: { run: id, definition },
    },
  );
}

function lostKeys(names: readonly string[]): string {
  return `the key file was gone or without keys that are on record: ${names.length} new ones were made, which is on record. If you did not remove it, find out who did. What was signed before is checked with the public keys in the record, which proves less`;
}

/** Attempts that run at a time in the process of a library user. */
const LOCAL_SLOTS = 4_096;
const DRAIN_LOOK_MS = 10;
const RUNS_LOOKED_AT = 1_000;

/** Whether the code that a definition was made with is what the files say today. */
async function sameCode(definition: FleetDefinition, folder: string | null): Promise<boolean> {
  if (Object.keys(definition.modules).length === 0) return !needsCode(definition);
  if (folder === null) return false;
  try {
    await verifyModules(definition, folder);
    return true;
  } catch (error) {
    if (isFlotillaError(error) && error.code === "DEFINITION_MISSING") return false;
    throw error;
  }
}

function needsCode({ agents, tools }: FleetDefinition): boolean {
  return (
    Object.values(agents).some((agent) => agent.kind === "code") ||
    Object.values(tools).some((tool) => tool.kind === "code")
  );
}

function definedOf(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
