import { workerFrameProblem } from "../carrier/check-frame.ts";
import { SAID_CHARACTERS_MAX } from "../carrier/frame.ts";
import type { CoordinatorFrame, RecordedStep, StepAnswer, TaskRef, WorkerFrame } from "../carrier/frame.ts";
import type { FleetDefinition, Limits, Priority } from "../core/definition.ts";
import type { Command, StepRecord } from "../core/command.ts";
import { type decide, errorRecord } from "../core/decide.ts";
import type { Proof, RunEvent } from "../core/event.ts";
import { type Hold, type HoldTarget, scopeOf } from "../core/hold.ts";
import type { Spared } from "../core/fork.ts";
import type { Json } from "../core/json.ts";
import { isFactKey, newest } from "../core/fact.ts";
import { SETTLED, type TaskState, taskOf } from "../core/state.ts";
import { type ErrorRecord, FlotillaError, isFlotillaError, invariant } from "../error.ts";
import { canonicalJson, sha256 } from "../message/canonical.ts";
import { COORDINATOR, createEnvelope, type Envelope, envelopeDigest, type Payloads } from "../message/envelope.ts";
import type { KeyRing } from "../message/keys.ts";
import { openSnapshot, sealSnapshot } from "./snapshot.ts";
import { SealVerifier } from "../message/seal.ts";
import { verifyMessage } from "../message/verify.ts";
import { type Clock, sleep, type Timer } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import { FLEET_JOURNAL, type RunRow, type Store, type TimerRow } from "../store/store.ts";
import type { FactSetRequest } from "./app-contract.ts";
import { Children, PARCELS, type Parcel } from "./children.ts";
import { Definitions, type PlannerSource, workflowOf } from "./definitions.ts";
import { type DispatchHolds, Dispatcher, keyOf, type LinkState, type LinkTask, type WorkerLink } from "./dispatcher.ts";
import type { ForkRequest, PreparedFork } from "./fork.ts";
import { FleetJournal } from "./fleet-journal.ts";
import { type Decision, decideItem } from "./inbox.ts";
import type { InboxItem } from "./inbox-item.ts";
import { Holds, placeOf } from "./holds.ts";
import { digestOf } from "./journal.ts";
import { type CommittedBatch, type HotRun, Ledger } from "./ledger.ts";
import { Outbox } from "./outbox.ts";
import { Gates, modelGates, toolGates } from "./gates.ts";
import { Permits } from "./permits.ts";
import { SCHEDULE_TIMER, Schedules } from "./schedules.ts";
import { type PlanRequest, planInput } from "./remote-planner.ts";
import type { SignedHead } from "./signed-head.ts";

export interface CoordinatorOptions {
  /** How long a worker may be silent before its tasks are taken away. Default 30 s. */
  leaseMs: number;
  /** How long what a worker sent may wait for its agent's signature. Default 5 s. */
  sealWithinMs: number;
  /** Events of a run after which its state is kept, so that it need not be folded from its start. Default 5,000. */
  snapshotEvery: number;
}

export const DEFAULT_COORDINATOR_OPTIONS: CoordinatorOptions = {
  leaseMs: 30_000,
  sealWithinMs: 5_000,
  snapshotEvery: 5_000,
};

export interface CoordinatorPorts {
  store: Store;
  clock: Clock;
  random: Random;
  keys: KeyRing;
  planners: PlannerSource;
  /** Stands in for the core's decisions; just to prove that the simulator notices. */
  decide?: typeof decide;
  /** Tasks wait in a queue that no worker serves; whoever starts workers should. */
  wanted(queue: string): void;
  /** Something went wrong that no caller waits for. */
  failed(error: unknown): void;
  /** How far the fleet's journal was signed, when that is durable; for keeping it outside of the store. */
  signed?(head: SignedHead): void;
  /** Events that became durable, in order; and what is only streamed. */
  notify(notice: Notice): void;
}

/** What watchers of runs receive. */
export type Notice =
  | { type: "event"; run: string; version: number; event: RunEvent }
  | { type: "token"; run: string; task: string; agent: string; text: string }
  | {
      type: "log";
      run: string;
      task: string;
      level: "debug" | "info" | "warn" | "error";
      message: string;
      data: Json | null;
    }
  | { type: "status"; run: string; task: string; agent: string; text: string };

export interface StartOptions {
  idempotencyKey?: string;
  limits?: Partial<Limits>;
  priority?: Priority;
  by?: string;
}

const RUN_ID_BYTES = 10;
/** Within this time a host is gone after its coordinator died (see `watchdog.ts`). */
const ORPHANS_GONE_MS = 1_000;
/** How the names of workers begin that run in their owner's own process. They are gone when the store can be owned again:
 *  its lock is given back by the operating system after the last thread of the process has ended. */
export const IN_PROCESS = "in-";
/** A timer that is further off than this was not late: the clock was set, or the machine slept. */
const CLOCK_STEP_MS = 1_000;
/** Due timers that are looked at together. */
const TIMERS_PAGE = 1_000;
/** How soon the store is looked at again when something there may have been missed. */
const LOOK_AGAIN_MS = 1_000;

/** The coordinator role: turns what workers, people and time say into decisions on runs, and decisions into frames.
 *  It holds nothing that a crash can lose (C2). */
export class Coordinator {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #keys: KeyRing;
  readonly #ports: CoordinatorPorts;
  readonly #options: CoordinatorOptions;
  readonly #ledger: Ledger;
  readonly #dispatcher: Dispatcher;
  readonly #outbox: Outbox;
  readonly fleet: FleetJournal;
  readonly #holds: Holds;
  readonly #schedules: Schedules;
  readonly #definitions: Definitions;
  readonly #permits: Permits;
  readonly #gates: Gates;
  readonly #sessions = new Map<string, Session>();
  #tick: { at: number; timer: Timer } | null = null;
  #chores: Timer | null = null;
  #closed = false;

  constructor(ports: CoordinatorPorts, options: Partial<CoordinatorOptions> = {}) {
    this.#ports = ports;
    this.#store = ports.store;
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#keys = ports.keys;
    this.#options = { ...DEFAULT_COORDINATOR_OPTIONS, ...options };
    this.#definitions = new Definitions(ports.store, ports.planners);
    this.fleet = new FleetJournal({
      store: ports.store,
      clock: ports.clock,
      random: ports.random,
      coordinator: ports.keys.identity(COORDINATOR),
      keys: ports.keys.publicKeys(COORDINATOR),
      wake: () => this.#ledger.wake(),
      signed: (head) => ports.signed?.(head),
      // Nothing is given out before it is known what is held.
      opened: () => this.#dispatcher.look(),
    });
    this.#holds = new Holds({
      journal: this.fleet,
      ledger: () => this.#ledger,
      store: ports.store,
      clock: ports.clock,
      back: (queue) => this.#dispatcher.watch(queue),
      failed: (error) => ports.failed(error),
    });
    this.#schedules = new Schedules({
      journal: this.fleet,
      store: ports.store,
      clock: ports.clock,
      isHeld: (workflow) => this.#holds.holdsWorkflow(workflow),
      start: (hash, workflow, input, options) => this.start(hash, workflow, input, options),
      wake: (at) => this.#wakeBefore(at),
      failed: (error) => ports.failed(error),
    });
    this.#ledger = new Ledger({
      store: ports.store,
      clock: ports.clock,
      random: ports.random,
      source: this.#definitions,
      rider: this.fleet,
      snapshots: {
        every: this.#options.snapshotEvery,
        seal: (run, at) => sealSnapshot(ports.keys.identity(COORDINATOR), run, at),
        read: (run) => openSnapshot(ports.store, run, ports.keys.publicKeys(COORDINATOR)),
      },
      ...(ports.decide === undefined ? {} : { decide: ports.decide }),
      hooks: {
        decided: (hot, events, touched) => this.#decided(hot, events, touched),
        committed: (hot, events, batch) => this.#committed(hot, events, batch),
        dropped: (run) => {
          this.#dispatcher.forget(run);
          this.#definitions.accounts.forget(run);
          // What was given out and taken back waits in the store, where nobody looks before something becomes due.
          this.#lookAgain();
        },
        loaded: (hot) => this.#adopt(hot),
        resumed: (hot) => this.#reconcile(hot),
        holds: () => ({ holds: this.#holds.all, epoch: this.#holds.epoch }),
        parked: (run, task) => this.#holds.parked(run, task),
        leaseUntil: (now) => now + this.#options.leaseMs,
        failed: (error) => ports.failed(error),
      },
    });
    this.#gates = new Gates({
      now: () => this.#clock.now(),
      after: (delayMs, fn) => this.#clock.after(delayMs, fn),
      changed: (gate, change) => void this.fleet.append("breaker.changed", { gate, ...change }),
    });
    this.#permits = new Permits({
      ledger: this.#ledger,
      gates: this.#gates,
      through: (call) => {
        const { guards } = this.#definitions;
        return call.kind === "model" ? modelGates(guards, call.model) : toolGates(guards, call.tool);
      },
      accounts: this.#definitions.accounts,
      now: () => this.#clock.now(),
      soon: (fn) => this.#clock.soon(fn),
      failed: (error) => ports.failed(error),
    });
    const children = new Children(this.#ledger);
    this.#outbox = new Outbox({
      store: ports.store,
      clock: ports.clock,
      topic: PARCELS,
      address: (row) => parcelIn(row).child,
      deliver: (row) => children.deliver(parcelIn(row)),
      failed: (error) => ports.failed(error),
    });
    this.#dispatcher = new Dispatcher({
      store: ports.store,
      ledger: () => this.#ledger,
      now: () => this.#clock.now(),
      soon: (fn) => this.#clock.soon(fn),
      wanted: (queue) => ports.wanted(queue),
      lookAgain: () => this.#lookAgain(),
      failed: (error) => ports.failed(error),
      holds: this.holdsOfDispatch(),
      tasksMax: (agent) => this.#definitions.tasksMax(agent),
    });
  }

  /** Takes a definition in and makes it durable; returns its hash, to which runs are pinned. */
  async register(definition: FleetDefinition): Promise<string> {
    const { hash, blob } = this.#definitions.add(definition);
    if ((await this.#store.blob(hash)) === null) {
      await this.fleet.insist("definition.registered", { definition: hash, name: definition.name }, { blob });
    }
    return hash;
  }

  definition(hash: string): Promise<FleetDefinition> {
    return this.#definitions.get(hash);
  }

  /** Takes up what an earlier process left: attempts of dead workers, waiting tasks, due timers (F8, F12). */
  async recover(): Promise<void> {
    const now = this.#clock.now();
    await this.fleet.read();
    const orphaned = new Set<string>();
    let outlived = false;
    for await (const row of this.#allLeases()) {
      const worker = row.worker ?? "";
      if (this.#dispatcher.link(worker) !== undefined) continue;
      orphaned.add(row.run);
      outlived ||= !worker.startsWith(IN_PROCESS);
    }
    // On a store with one owner every earlier worker died with it, or is about to: until then a host may still be
    // writing what a check of the outcome would not find done (F13).
    if (outlived) await sleep(this.#clock, ORPHANS_GONE_MS);
    for (const run of orphaned) await this.#ledger.open(run).catch(this.#ports.failed);
    const queues = await this.#store.depth(now);
    this.#holds.inherit(queues);
    await this.#unpark();
    for (const { queue } of queues) if (!this.#holds.isParked(queue)) this.#dispatcher.watch(queue);
    this.#outbox.wake();
    await this.#wakeAt(now);
    this.#chore();
  }

  async *#allLeases() {
    let after: { run: string; task: string } | null = null;
    for (;;) {
      const rows = await this.#store.leases(after, 500);
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined || rows.length < 500) return;
      after = { run: last.run, task: last.task };
    }
  }

  /** Starts a run; resolves with its id when it is durable, so that it survives whatever comes (B1). With an
   *  idempotency key that was used before with the same input, resolves with that run.
   *  @throws {FlotillaError} WORKFLOW_UNKNOWN, IDEMPOTENCY_CONFLICT, QUEUE_FULL */
  async start(definition: string, workflow: string, input: Json, options: StartOptions = {}): Promise<string> {
    const declared = workflowOf(await this.#definitions.get(definition), workflow);
    const id = this.#newRunId();
    const command: Command = {
      type: "run.start",
      workflow,
      pattern: declared.pattern,
      definition,
      priority: options.priority ?? declared.priority,
      limits: { ...declared.limits, ...options.limits },
      input,
      queue: queueName(definition),
      by: options.by ?? "api",
      ...(options.idempotencyKey === undefined ? {} : { idempotencyKey: options.idempotencyKey }),
    };
    try {
      await this.#ledger.submit(id, command);
      return id;
    } catch (error) {
      const earlier = earlierRun(error, digestOf({ workflow, input }));
      if (earlier !== null) return earlier;
      throw error;
    }
  }

  /** Ends a run; what is in flight is aborted. Ending one that has ended changes nothing. */
  async stop(run: string, why: string, by: string): Promise<void> {
    await this.#ledger.submit(run, { type: "run.stop", why, by });
  }

  /** Holds a run, a workflow, an agent or everything: once this resolves it is on record, nothing of it starts any more
   *  until `resume`, and what is in flight is being aborted; those attempts do not count as tries (X5). Resolves with
   *  false, and changes nothing, when exactly this is held already or the run has ended. `kill`: an emergency stop. */
  async pause(target: HoldTarget, why: string, by: string, kill = false): Promise<boolean> {
    if ("run" in target) return (await this.#ledger.submit(target.run, { type: "run.pause", why, by })).length > 0;
    const hold = await this.#holds.place({ ...scopeOf(target), why, by, kill });
    if (hold === null) return false;
    this.#enforce(hold);
    return true;
  }

  /** Lets a run, a workflow, an agent or everything go on that was held. Resolves with false when it was not. What waited
   *  for it is back in its queues when this resolves, or soon after when the store could not be read. */
  async resume(target: HoldTarget, why: string, by: string): Promise<boolean> {
    if ("run" in target) return (await this.#ledger.submit(target.run, { type: "run.resume", why, by })).length > 0;
    const wasHeld = await this.#holds.lift(scopeOf(target), why, by, (hold) => {
      for (const { link } of this.#dispatcher.links()) link.send(this.#holds.frame(hold, false));
    });
    // It is lifted, whatever becomes of the rest.
    await this.#unpark().catch((error: unknown) => this.#missed(error));
    if (wasHeld) {
      this.#lookNow();
      await this.#schedules.look();
    }
    return wasHeld;
  }

  /** What waited for a hold that is lifted goes back to its queues; what cannot now, soon. */
  async #unpark(): Promise<void> {
    if (!(await this.#holds.unpark())) this.#lookAgain();
  }

  /** From now on the definition's schedules hold, and are kept here: their runs are pinned to it. Those that it does not
   *  declare any more are over. Resolves when what was missed has been dealt with (I8). */
  keepSchedules(hash: string, definition: FleetDefinition): Promise<void> {
    return this.#schedules.serve(hash, definition);
  }

  /** What is held, in the order in which it was. */
  holds(): readonly Hold[] {
    return this.#holds.open;
  }

  /** A person says what became of a write (F13). Returns whether it was an open question. */
  async settle(
    run: string,
    task: string,
    key: string,
    outcome: "done" | "not-done",
    output: Json,
    by: string,
    note: string,
  ): Promise<boolean> {
    const events = await this.#ledger.submit(run, { type: "step.settle", task, key, outcome, output, by, note });
    return events.length > 0;
  }

  /** Starts a new run that begins with the events of another one (F11); resolves with its id when it is durable.
   *  @throws {FlotillaError} as `start` */
  async fork(prepared: PreparedFork, definition: string, { effects, by = "api" }: ForkRequest): Promise<string> {
    const [first, ...rest] = prepared.events;
    invariant(first?.type === "run.started", "a fork begins with the start of a run");
    const id = this.#newRunId();
    const { idempotencyKey: _, ...data } = first.data;
    const forkOf = { head: prepared.head, run: prepared.run, version: prepared.at };
    const started = { ...data, by, definition, forkOf, queue: queueName(definition), run: id };
    const { at, changed, changes, stubs } = prepared;
    await this.#ledger.begin(id, [{ ...first, at: this.#clock.now(), data: started }, ...rest.map(unsigned)], {
      type: "run.fork",
      from: prepared.run,
      at,
      changed,
      changes,
      effects: { default: effects?.default ?? "stub", tools: { ...effects?.tools } },
      stubs,
      by,
    });
    return id;
  }

  #newRunId(): string {
    return `r-${Buffer.from(this.#random.bytes(RUN_ID_BYTES)).toString("hex")}`;
  }

  /** A person or a program corrects a shared fact of a run (C10); returns the version that holds.
   *  @throws {FlotillaError} FACT_KEY_INVALID, FACT_CONFLICT with both versions, RUN_ENDED, RUN_UNKNOWN */
  async setFact(run: string, set: FactSetRequest): Promise<number> {
    const { fact, value } = set;
    if (!isFactKey(fact)) throw new FlotillaError("FACT_KEY_INVALID", `"${fact}" is no key of a fact`);
    const events = await this.#ledger.submit(run, { type: "fact.set", ...set });
    for (const { type, data } of events) {
      if (type === "fact.committed" && data.fact === fact) return data.version;
      if (type !== "fact.conflicted") continue;
      const message = `${fact} was to be set on version ${data.base}, and has version ${data.version}`;
      throw new FlotillaError("FACT_CONFLICT", message, {
        details: { fact, base: data.base, yours: value, version: data.version },
      });
    }
    // Nothing new, or the run is over.
    const { state } = await this.#ledger.open(run);
    const current = newest(state, fact, this.#clock.now());
    if (state.status === "running" && current !== null) return current.version;
    throw new FlotillaError("RUN_ENDED", `run ${run} is ${state.status}: its facts do not change any more`);
  }

  /** A person decides on an item of the inbox (F9). @throws {FlotillaError} as `decideItem` */
  decide(item: string, decision: Decision): Promise<InboxItem> {
    const definition = (hash: string) => this.#definitions.get(hash);
    return decideItem({ store: this.#store, ledger: this.#ledger, definition }, item, decision);
  }

  /** Resolves when all that was decided is durable. */
  settled(): Promise<void> {
    return this.#ledger.settled();
  }

  /** A worker is there. `agents`: who may send on its channel; `session` names it in signatures. */
  attach(link: WorkerLink, session: string, agents: { has(agent: string): boolean; size: number }): void {
    this.#sessions.set(link.id, {
      agents,
      verifier: new SealVerifier(session),
      heardAt: this.#clock.now(),
      unsealedSince: null,
      refused: false,
    });
    void this.fleet.append("worker.started", { worker: link.id, session, queue: link.queue, agents: agents.size });
    // Its carrier may not be open yet; nothing is sent to it before a flush.
    this.#clock.soon(() => this.#holds.tell(link));
    this.#dispatcher.attach(link);
  }

  /** What is in flight is aborted by one frame to each worker, then taken back run by run. */
  #enforce(hold: Hold): void {
    const frame = this.#holds.frame(hold, true);
    for (const { link, tasks } of this.#dispatcher.links()) {
      link.send(frame);
      for (const held of [...tasks.values()]) if (held.attempt > 0) this.#takeBack(hold, held);
    }
  }

  #takeBack(hold: Hold, { run, task, attempt }: LinkTask): void {
    const why = `paused by ${hold.by}: ${hold.why}`;
    this.#ledger.open(run).then((hot) => {
      if (this.#holds.covers(hold, hot, task))
        this.#do(run, { type: "task.release", task, attempt, why, suspect: false });
    }, this.#ports.failed);
  }

  /** A worker is gone: its tasks are released at once. `crashed`: those that ran in it are suspects. */
  detach(id: string, why: string, crashed: boolean): void {
    const state = this.#dispatcher.detach(id);
    if (state === undefined) return;
    this.#sessions.delete(id);
    void this.fleet.append("worker.stopped", { worker: id, why, crashed });
    for (const held of state.tasks.values()) {
      if (held.attempt < 1) continue;
      this.#do(held.run, { type: "task.release", task: held.task, attempt: held.attempt, why, suspect: crashed });
    }
    state.tasks.clear();
  }

  /** Attempts that a worker holds. */
  held(worker: string): number {
    return this.#dispatcher.link(worker)?.tasks.size ?? 0;
  }

  /** No new assignments to this worker; it ends when what it holds has ended. */
  drain(worker: string): void {
    const state = this.#dispatcher.link(worker);
    if (state === undefined) return;
    state.draining = true;
    state.link.send({ f: "drain" });
  }

  depth() {
    return this.#dispatcher.depth();
  }

  /** Whether a run is in memory and goes on; false says nothing of one that is not. */
  isRunning(run: string): boolean {
    return this.#ledger.hot(run)?.state.status === "running";
  }

  get hotRuns(): number {
    return this.#ledger.hotRuns;
  }

  /** Runs that are known to the store, newest first. */
  runs(filter: Parameters<Store["runs"]>[0]): Promise<RunRow[]> {
    return this.#store.runs(filter);
  }

  /** Looks for waiting work that somebody may serve now. */
  look(): void {
    this.#dispatcher.look();
  }

  /** No new work is given out; what runs may end. */
  stopAssigning(): void {
    this.#dispatcher.stop();
  }

  /** No new work is given out, what was decided becomes durable. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#dispatcher.stop();
    this.#outbox.close();
    this.#schedules.close();
    this.#tick?.timer.cancel();
    this.#chores?.cancel();
    this.#gates.close();
    // The heads of what becomes durable last are signed too.
    await this.#ledger.settled();
    this.fleet.close();
    await this.#ledger.settled();
    this.#ledger.close();
  }

  /** No carrier takes a frame: the attempt of which it speaks cannot go on. */
  unsendable(frame: CoordinatorFrame, why: string): void {
    if (frame.f !== "assign" && frame.f !== "steps")
      return this.#ports.failed(new FlotillaError("INVARIANT", `${frame.f}: ${why}`));
    const { run, task, attempt } = frame;
    this.#do(run, {
      type: "task.fail",
      task,
      attempt,
      error: errorRecord("INPUT_INVALID", `it cannot be sent to a host: ${why}`),
    });
  }

  /** A frame from a worker, authenticated by its channel. */
  receive(worker: string, frame: WorkerFrame): void {
    const session = this.#sessions.get(worker);
    const state = this.#dispatcher.link(worker);
    if (session === undefined || state === undefined || session.refused) return;
    session.heardAt = this.#clock.now();
    const malformed = workerFrameProblem(frame);
    if (malformed !== null) return this.#refuse(worker, "?", "frame", malformed);
    switch (frame.f) {
      case "ready":
      case "heartbeat":
        return;
      case "seal":
        return this.#sealed(worker, session, frame.seals);
      case "permit":
        return this.#permit(state, frame);
      case "outcome":
        return this.#permits.outcome(frame);
      case "token":
      case "log":
      case "status": {
        const { f, attempt: _, ...notice } = frame;
        if (state.tasks.has(keyOf(frame.run, frame.task, frame.attempt)))
          this.#ports.notify({ type: f, ...notice } as Notice);
        return;
      }
      case "step":
      case "result":
      case "suspend":
        return this.#report(state, session, frame);
      default:
        frame satisfies never;
    }
  }

  /** What keeps tasks from being given out. */
  protected holdsOfDispatch(): DispatchHolds {
    return this.#holds;
  }

  /** The attempt of which a frame speaks, if that worker holds it: the fence in front of the journal's own. */
  protected heldAttempt(state: LinkState, { run, task, attempt }: TaskRef): LinkTask | undefined {
    return state.tasks.get(keyOf(run, task, attempt));
  }

  /** Steps and results: who says it, whether he may, whether it is his to say (M3). */
  #report(state: LinkState, session: Session, frame: Extract<WorkerFrame, { f: "step" | "result" | "suspend" }>): void {
    const worker = state.link.id;
    const held = this.heldAttempt(state, frame);
    const problem = this.#problemOf(held, session, frame);
    if (problem !== null) return this.#refuse(worker, frame.agent, frame.f, problem);
    const digest = frameDigest(frame);
    const taken = session.verifier.add(frame.agent, frame.seq, digest);
    if (!taken.ok) return this.#refuse(worker, frame.agent, frame.f, taken.reason);
    session.unsealedSince ??= this.#clock.now();
    const proof: Proof = { digest: digest.toString("base64url"), seq: frame.seq, session: worker };
    if (held === undefined) return this.#late(state, frame);
    if (frame.f === "step") return this.#step(state, held, frame.step, proof);
    this.#settleAttempt(held, { ...endCommand(frame), proof } as Command);
  }

  #problemOf(
    held: LinkTask | undefined,
    session: Session,
    frame: Extract<WorkerFrame, { f: "step" | "result" | "suspend" }>,
  ): string | null {
    if (!session.agents.has(frame.agent)) return `agent ${frame.agent} did not certify this channel`;
    if (held !== undefined && held.agent !== frame.agent) return `the task is ${held.agent}'s`;
    if (frame.f !== "result") return null;
    const verified = verifyMessage(frame.envelope, {
      now: this.#clock.now(),
      maySend: (sender) => sender === frame.agent,
      isRecipient: (recipient) => recipient === COORDINATOR,
      seen: () => false,
    });
    if (!verified.ok) return `${verified.check}: ${verified.reason}`;
    const { payload, type } = verified.envelope as Envelope<"task.response" | "error">;
    if (type !== "task.response" && type !== "error") return `a result cannot be a ${type as string}`;
    const same = payload.run === frame.run && payload.task === frame.task && payload.attempt === frame.attempt;
    return same ? null : "the envelope speaks of another attempt than its frame";
  }

  /** What an attempt ended with. A result that cannot be recorded, which is a defect of ours, fails the task: nobody
   *  would report it a second time. */
  #settleAttempt({ run, task, attempt }: LinkTask, command: Command): void {
    this.#ledger.submit(run, command).catch((error: unknown) => {
      this.#ports.failed(error);
      if (!isFlotillaError(error) || (error.code !== "EVENT_INVALID" && error.code !== "INVARIANT")) return;
      const record = errorRecord("INVARIANT", `its result could not be recorded: ${error.message}`);
      this.#do(run, { type: "task.fail", task, attempt, error: record });
    });
  }

  #late(state: LinkState, frame: Extract<WorkerFrame, { f: "step" | "result" | "suspend" }>): void {
    const { run, task, attempt } = frame;
    if (frame.f === "step")
      state.link.send({ f: "ack", run, task, attempt, key: frame.step.key, phase: frame.step.phase, ok: false });
    this.#do(run, { type: "late.record", task, attempt, what: frame.f, why: "the worker does not hold this attempt" });
  }

  #step(state: LinkState, held: LinkTask, step: StepRecord, proof: Proof): void {
    const { run, task, attempt } = held;
    const ack = (ok: boolean, answer?: StepAnswer) => {
      const head = { f: "ack", run, task, attempt, key: step.key, phase: step.phase, ok } as const;
      state.link.send(answer === undefined ? head : { ...head, answer });
    };
    this.#ledger.submit(run, { type: "step.record", task, attempt, step: { ...step, proof } }).then(
      (events) => ack(!events.some((event) => event.type === "result.late"), answerIn(events, task, step)),
      (error: unknown) => {
        ack(false);
        this.#ports.failed(error);
      },
    );
  }

  #permit(state: LinkState, frame: Extract<WorkerFrame, { f: "permit" }>): void {
    const answer = (error: ErrorRecord | null) => state.link.send({ f: "permit", id: frame.id, error });
    if (this.heldAttempt(state, frame) === undefined)
      return answer(errorRecord("CANCELLED", "the attempt is not current any more"));
    this.#permits.ask({ ...frame, ask: `${state.link.id}/${frame.id}` }, answer);
  }

  #sealed(worker: string, session: Session, seals: Extract<WorkerFrame, { f: "seal" }>["seals"]): void {
    for (const seal of seals) {
      const key = this.#keys.publicKey(seal.agent);
      const checked =
        key === null ? { ok: false as const, reason: "no such agent" } : session.verifier.check(seal, key);
      if (!checked.ok) return this.#refuse(worker, seal.agent, "seal", checked.reason);
      void this.fleet.append("messages.sealed", { worker, ...seal });
    }
    session.unsealedSince = session.verifier.unsealed().length > 0 ? this.#clock.now() : null;
  }

  /** What does not verify is recorded and not acted on; a worker that sends it is not believed any more. */
  #refuse(worker: string, sender: string, what: string, why: string): void {
    void this.fleet.append("message.refused", { worker, sender, what, why });
    this.#ports.failed(
      new FlotillaError("MESSAGE_REFUSED", `${what} of ${sender} refused: ${why}`, { details: { worker } }),
    );
    const session = this.#sessions.get(worker);
    const state = this.#dispatcher.link(worker);
    // Until its process is gone, nothing that it sent already is acted on, and it is given nothing.
    if (session !== undefined) session.refused = true;
    if (state === undefined) return;
    state.draining = true;
    state.link.kill(`refused: ${why}`);
  }

  #do(run: string, command: Command): void {
    this.#ledger.submit(run, command).catch((error: unknown) => this.#ports.failed(error));
  }

  #decided(hot: HotRun, events: readonly RunEvent[], touched: ReadonlySet<string>): void {
    // Slots of ended attempts are freed first, so that their successors may take them in the same commit.
    for (const id of touched) {
      const flight = hot.inFlight.get(id);
      if (flight === undefined) continue;
      const task = taskOf(hot.state, id);
      if (task.status === "assigned" && task.attempt === flight.attempt) continue;
      this.#cancelUnlessOver(hot, task, flight.worker, flight.attempt, events);
      this.#permits.end({ run: hot.id, task: id, attempt: flight.attempt });
      this.#dispatcher.release(hot, id);
    }
    this.#permits.decided(hot, events);
    if (hot.state.status === "running") this.#dispatcher.offer(hot, touched);
    const { queueMs } = hot.state.limits;
    for (const id of touched) {
      const task = taskOf(hot.state, id);
      if (task.status === "ready" && queueMs !== null) this.#wakeBefore(task.readyAt + queueMs + 1);
    }
    const first = events[0];
    if (first?.type === "run.started") this.#wakeBefore(first.at + first.data.limits.timeMs);
    if (first?.type === "run.forked") this.#wakeBefore(hot.state.startedAt + hot.state.limits.timeMs);
  }

  /** Work whose end was not its own doing is told to stop (F3). Early is right: the attempt is void either way. */
  #cancelUnlessOver(hot: HotRun, task: TaskState, worker: string, attempt: number, events: readonly RunEvent[]): void {
    const own = events.some(
      (event) =>
        (event.type === "task.completed" ||
          event.type === "task.failed" ||
          event.type === "task.escalated" ||
          event.type === "task.retried" ||
          event.type === "task.suspended") &&
        event.data.task === task.id &&
        event.data.proof !== undefined,
    );
    if (own) return;
    const why = SETTLED.has(task.status) ? `task ${task.status}` : `attempt ${attempt} is over`;
    const held = this.#dispatcher.link(worker);
    const key = keyOf(hot.id, task.id, attempt);
    if (held?.tasks.get(key)?.sent) held.link.send({ f: "cancel", run: hot.id, task: task.id, attempt, why });
  }

  #committed(hot: HotRun, events: readonly RunEvent[], batch: CommittedBatch): void {
    let version = batch.firstVersion;
    for (const event of events) {
      if (event.type === "tasks.assigned")
        for (const task of event.data.tasks) this.#send(hot, task, event.data.attempt, event.at);
      // Not before: a look that comes earlier than a slow commit does not find it, and nothing would look again.
      if (event.type === "task.retried") this.#wakeBefore(event.data.readyAt);
      if (event.type === "run.resumed") this.#lookNow();
      if (isEnd(event)) this.#schedules.ended(hot.id);
      if (event.type === "task.suspended" && event.data.wakeAt !== null) this.#wakeBefore(event.data.wakeAt);
      if (event.type === "task.escalated" && event.data.deadline !== null) this.#wakeBefore(event.data.deadline);
      if (event.type === "step.asked" && event.data.ask.deadline !== null) this.#wakeBefore(event.data.ask.deadline);
      this.#ports.notify({ type: "event", run: hot.id, version, event });
      version += 1;
    }
    if (batch.sends) this.#outbox.wake();
    this.#dispatcher.committed(hot.id);
    this.fleet.grew(hot.id, batch.lastVersion, batch.head);
  }

  #send(hot: HotRun, id: string, attempt: number, at: number): void {
    const task = hot.state.tasks.get(id);
    const flight = hot.inFlight.get(id);
    if (task === undefined || flight === undefined || flight.attempt !== attempt) return;
    const state = this.#dispatcher.link(flight.worker);
    const held = state?.tasks.get(keyOf(hot.id, id, attempt));
    if (state === undefined || held === undefined || held.sent) return;
    held.sent = true;
    for (const frame of assignFrames(hot, task, attempt, at, this.#holds.epoch)) state.link.send(frame);
  }

  /** What workers hold of a run that was folded is in flight. */
  #adopt(hot: HotRun): void {
    for (const { id, status, worker, attempt } of hot.state.tasks.values()) {
      if (status !== "assigned") continue;
      const held = this.#dispatcher.link(worker ?? "")?.tasks.has(keyOf(hot.id, id, attempt)) ?? false;
      if (held) hot.inFlight.set(id, { worker: worker ?? "", attempt });
    }
  }

  /** What the journal says is with a worker and is not: its assignment was recorded and never sent, or its worker is of
   *  an earlier process. It is sent now, or released. */
  #reconcile(hot: HotRun): void {
    if (hot.state.status !== "running") return;
    for (const task of hot.state.tasks.values()) {
      if (task.status !== "assigned" || hot.inFlight.get(task.id)?.attempt === task.attempt) continue;
      const { attempt } = task;
      const state = this.#dispatcher.link(task.worker ?? "");
      const hold = this.#holds.holdOf(hot.state, task);
      if (state === undefined || state.tasks.size >= state.link.slots || hold !== null) {
        const why = reasonOf(state, hold);
        this.#do(hot.id, { type: "task.release", task: task.id, attempt, why, suspect: false });
        continue;
      }
      hot.inFlight.set(task.id, { worker: state.link.id, attempt });
      state.tasks.set(keyOf(hot.id, task.id, attempt), {
        run: hot.id,
        task: task.id,
        attempt,
        agent: task.agent ?? "",
        sent: false,
      });
      this.#send(hot, task.id, attempt, this.#clock.now());
    }
  }

  /** What was delayed may have become due while it was held. */
  #lookNow(): void {
    this.#dispatcher.look();
    this.#wakeAt(this.#clock.now()).catch(this.#ports.failed);
  }

  #missed(error: unknown): void {
    this.#ports.failed(error);
    this.#lookAgain();
  }

  #lookAgain(): void {
    this.#wakeBefore(this.#clock.now() + LOOK_AGAIN_MS);
  }

  #wakeBefore(at: number): void {
    if (this.#closed || (this.#tick !== null && this.#tick.at <= at)) return;
    this.#tick?.timer.cancel();
    const timer = this.#clock.after(Math.max(0, at - this.#clock.now()), () => {
      this.#tick = null;
      this.#fire().catch((error: unknown) => this.#missed(error));
    });
    this.#tick = { at, timer };
  }

  async #wakeAt(now: number): Promise<void> {
    const due = await this.#store.nextDue(this.#clock.now());
    if (due !== null) this.#wakeBefore(Math.max(due, now));
  }

  /** Whatever is due: timers, delayed tasks, times to live, leases. */
  async #fire(): Promise<void> {
    const now = this.#clock.now();
    // A run that cannot be folded keeps its timer, and nobody else waits for it, however many they are (F14).
    for (let last: TimerRow | undefined; ; ) {
      const timers = await this.#store.dueTimers(now, TIMERS_PAGE, last);
      await Promise.all(timers.map(({ run, name }) => this.#fireTimer(run, name).catch(this.#ports.failed)));
      last = timers.at(-1);
      if (timers.length < TIMERS_PAGE || this.#closed) break;
    }
    for (const { run, task } of await this.#store.expiredTasks(now, 1_000))
      this.#do(run, { type: "task.expire", task });
    for (const row of await this.#store.expiredLeases(now, 1_000))
      this.#leaseExpired(row.run, row.task, row.attempt, row.worker);
    await this.#unpark();
    this.#dispatcher.look();
    // A commit whose outcome was unknown may have left something there.
    this.#outbox.wake();
    if (this.#closed) return;
    const due = await this.#store.nextDue(this.#clock.now());
    // What is still due was not cleared by what it set off; it is looked at again, but not in a busy loop.
    if (due !== null) this.#wakeBefore(due > now ? due : now + LOOK_AGAIN_MS);
  }

  async #fireTimer(run: string, name: string): Promise<void> {
    if (run === FLEET_JOURNAL) return this.#schedules.fire(name.slice(SCHEDULE_TIMER.length));
    const events = await this.#ledger.submit(run, { type: "timer.fire", name });
    if (events.length > 0) return;
    const { version } = await this.#store.head(run);
    const hot = this.#ledger.hot(run);
    // A run that has ended waits for nothing, however long it was held.
    const isOver = hot === undefined || hot.state.status !== "running";
    const dueAt = isOver ? null : this.#holds.later(hot, name, this.#clock.now());
    if (dueAt === null && hot !== undefined && (!hot.idle || hot.waitsFor(name))) {
      // One that is still wanted fires again: the clock went back since it was found due.
      return;
    }
    const timer = dueAt === null ? ({ op: "clear", name } as const) : ({ op: "set", name, dueAt } as const);
    await this.#store.commit([{ journal: run, expectedVersion: version, events: [], timers: [timer] }]);
  }

  #leaseExpired(run: string, task: string, attempt: number, worker: string | null): void {
    // A worker that is attached here is alive; its leases are renewed by the chores.
    if (this.#dispatcher.link(worker ?? "") !== undefined) return;
    this.#do(run, { type: "task.release", task, attempt, why: "its lease ended", suspect: false });
  }

  /** Every third of a lease: renew what live workers hold, cut off those that are silent or do not sign. */
  #chore(): void {
    if (this.#closed) return;
    const everyMs = this.#options.leaseMs / 3;
    const due = this.#clock.now() + everyMs;
    this.#chores = this.#clock.after(everyMs, () => {
      // What workers said while this process was busy is heard before any of them is found silent.
      this.#clock.soon(() => {
        if (this.#closed) return;
        const now = this.#clock.now();
        // The clock was set, or the machine slept: how long anybody was silent cannot be told.
        if (Math.abs(now - due) > CLOCK_STEP_MS) this.#excuse(now);
        for (const state of this.#dispatcher.links()) this.#look(state, now);
        this.#followClock(now);
        this.#chore();
      });
    });
  }

  /** Silence counts from now on. */
  #excuse(now: number): void {
    for (const session of this.#sessions.values()) {
      session.heardAt = now;
      if (session.unsealedSince !== null) session.unsealedSince = now;
    }
  }

  /** Timers count elapsed time, what is due follows the clock: when that was set, the tick is wrong. */
  #followClock(now: number): void {
    if (this.#tick === null || this.#tick.at > now) return void this.#wakeAt(now).catch(this.#ports.failed);
    this.#tick.timer.cancel();
    this.#tick = null;
    this.#wakeBefore(now);
  }

  #look(state: LinkState, now: number): void {
    const session = this.#sessions.get(state.link.id);
    if (session === undefined) return;
    if (now - session.heardAt > this.#options.leaseMs) return state.link.kill("silent for longer than its lease");
    if (session.unsealedSince !== null && now - session.unsealedSince > this.#options.sealWithinMs) {
      return this.#refuse(state.link.id, "?", "seal", "its agents do not sign what they send");
    }
    const held = [...state.tasks.values()].filter((task) => task.sent && task.attempt > 0);
    if (held.length === 0) return;
    this.#store
      .heartbeat(state.link.id, held, now + this.#options.leaseMs)
      .catch((error: unknown) => this.#ports.failed(error));
  }
}

interface Session {
  agents: { has(agent: string): boolean };
  verifier: SealVerifier;
  heardAt: number;
  unsealedSince: number | null;
  /** Something of it did not verify: it is not heard any more. */
  refused: boolean;
}

const isEnd = ({ type }: RunEvent): boolean =>
  type === "run.completed" || type === "run.failed" || type === "run.stopped";

function reasonOf(worker: LinkState | undefined, hold: Pick<Hold, "why" | "by"> | null): string {
  if (hold !== null) return `paused by ${hold.by}: ${hold.why}`;
  return worker === undefined ? "its worker is gone" : "its slot was given to another";
}
const parcelIn = ({ bytes }: { bytes: Uint8Array }): Parcel =>
  JSON.parse(Buffer.from(bytes).toString("utf8")) as Parcel;

/** The queue of a definition's tasks. */
export function queueName(definition: string): string {
  return definition.slice(0, 16);
}

/** What a sender signs for a frame: the digest of its envelope, or of the frame itself. */
export function frameDigest(frame: Extract<WorkerFrame, { f: "step" | "result" | "suspend" }>): Buffer {
  if (frame.f === "result") return resultDigest(frame.envelope);
  const { seq: _, ...record } = frame;
  return sha256(canonicalJson(record));
}

/** Within one process sender and receiver have the very same envelope in hand; it is not changed. */
const resultDigests = new WeakMap<Envelope, Buffer>();

function resultDigest(envelope: Envelope): Buffer {
  const known = resultDigests.get(envelope);
  if (known !== undefined) return known;
  const digest = envelopeDigest(envelope);
  resultDigests.set(envelope, digest);
  return digest;
}

/** The task.request that an assignment carries; rebuilt from the journal alone when it is looked for later (M10). */
export function requestOf(
  run: string,
  correlation: {
    agent: string;
    task: string;
    attempt: number;
    cause: string | null;
    priority: Priority;
    input: Json;
    at: number;
  },
): Envelope<"task.request"> {
  const { agent, task, attempt, cause, priority, input, at } = correlation;
  return createEnvelope({
    id: `${run}/${task}/${attempt}`,
    type: "task.request",
    sender: COORDINATOR,
    recipient: agent,
    correlationId: run,
    causationId: cause === null ? null : `${run}/${cause}`,
    timestamp: at,
    needsAck: true,
    priority,
    payload: { agent, attempt, deadline: null, input, run, task },
  });
}

/** An assignment, after those of its recorded steps that do not fit into it. */
function* assignFrames(
  hot: HotRun,
  task: TaskState,
  attempt: number,
  at: number,
  epoch: number,
): Generator<CoordinatorFrame> {
  const agent = task.agent ?? "";
  const steps: RecordedStep[] = [...task.steps.values()].map(({ input: _, ...step }) => step);
  const { cause, priority } = task;
  const input = task.kind === "plan" ? planningInput(hot, task) : (task.input ?? null);
  const envelope = requestOf(hot.id, { agent, task: task.id, attempt, cause, priority, input, at });
  const ref = { run: hot.id, task: task.id, attempt };
  const lots = stepLots(steps);
  const last = lots.pop() ?? [];
  for (const lot of lots) yield { f: "steps", ...ref, steps: lot };
  const place = { ...placeOf(hot.state, task), epoch };
  const tools = task.tools === null ? {} : { tools: task.tools };
  yield {
    f: "assign",
    ...ref,
    ...place,
    agent,
    envelope,
    steps: last,
    output: task.outputSchema,
    ...(task.reassigned === 0 ? {} : { reassigned: task.reassigned }),
    ...(task.handed === null ? {} : { handed: task.handed }),
    ...tools,
    ...sparedOf(hot),
  };
}

/** What the tasks of a fork do in place of writes. */
function sparedOf({ state: { fork } }: HotRun): { effects?: Spared } {
  if (fork === null) return {};
  return { effects: { default: fork.effects.default, tools: fork.effects.tools, stubs: fork.stubs } };
}

/** Steps in lots that a record holds, as each step alone is known to be. */
function stepLots(steps: readonly RecordedStep[]): RecordedStep[][] {
  const lots: RecordedStep[][] = [];
  let left = 0;
  for (const step of steps) {
    const size = JSON.stringify(step).length;
    if (lots.length === 0 || left < size) {
      lots.push([]);
      left = SAID_CHARACTERS_MAX;
    }
    left -= size;
    lots.at(-1)?.push(step);
  }
  return lots;
}

function planningInput({ state, context }: HotRun, task: TaskState): Json {
  const request = task.input as unknown as PlanRequest;
  return planInput(request, state.id, state.input, context?.options ?? null, state.tasks.values()) as unknown as Json;
}

/** An event of another run: whoever signed it signed that run's. */
function unsigned(event: RunEvent): RunEvent {
  if (!("proof" in event.data)) return event;
  const { proof: _, ...data } = event.data;
  return { ...event, data } as RunEvent;
}

/** What was asked may have been answered in the very commit that recorded the question. */
function answerIn(events: readonly RunEvent[], task: string, { key, phase }: StepRecord): StepAnswer | undefined {
  if (phase !== "asked") return undefined;
  for (const event of events) {
    if (event.type !== "step.completed" && event.type !== "step.failed") continue;
    if (event.data.task !== task || event.data.key !== key) continue;
    return event.type === "step.completed" ? { output: event.payload?.output ?? null } : { error: event.data.error };
  }
  return undefined;
}

function endCommand(frame: Extract<WorkerFrame, { f: "result" | "suspend" }>): Command {
  const { task, attempt } = frame;
  if (frame.f === "suspend") {
    const { wakeAt, waits } = frame;
    return { type: "task.suspend", task, attempt, wakeAt, ...(waits === undefined ? {} : { waits }) };
  }
  if (frame.envelope.type === "task.response") {
    const { output } = frame.envelope.payload as Payloads["task.response"];
    return { type: "task.complete", task, attempt, output };
  }
  const { error } = frame.envelope.payload as Payloads["error"];
  return { type: "task.fail", task, attempt, error };
}

/** The run that was started before under the same key with the same input. */
function earlierRun(error: unknown, inputDigest: string): string | null {
  if (!isFlotillaError(error) || error.code !== "IDEMPOTENCY_CONFLICT") return null;
  return error.details.inputDigest === inputDigest ? String(error.details.run) : null;
}
