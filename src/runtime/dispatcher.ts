import { rankOf } from "../core/rank.ts";
import type { RunState, TaskState } from "../core/state.ts";
import type { CoordinatorFrame } from "../carrier/frame.ts";
import type { Store } from "../store/store.ts";
import { type HotRun, type Ledger, parseQueue, queueFor } from "./ledger.ts";

/** A worker as the coordinator sees it, over whatever carrier. */
export interface WorkerLink {
  /** Unique for ever: names one session of one process. */
  readonly id: string;
  /** The queue that it serves: one definition, all or suspects only. */
  readonly queue: string;
  readonly slots: number;
  send(frame: CoordinatorFrame): void;
  /** Ends the worker's process at once, or cuts it off. */
  kill(why: string): void;
}

/** A task that waits for a slot. */
interface Waiting {
  run: string;
  task: string;
  rank: number;
}

/** Waiting tasks held in memory for each queue; the rest waits in the store. */
const BACKLOG_MAX = 1_024;

/** Attempt number of a slot that is held for a run while it is folded. */
const HOLD = -1;

class Pool {
  readonly queue: string;
  /** Shared by a queue and the bulkheads in it. */
  readonly links: Map<string, LinkState>;
  /** What is worked on, where just so much may be at a time: the keys of attempts. */
  readonly running = new Set<string>();
  /** Sorted by rank, smallest last. */
  backlog: Waiting[] = [];
  /** The store may hold waiting tasks that the backlog does not. */
  overflow = true;
  /** Runs with tasks that found no place in the backlog and are in the store only once their commit is. */
  readonly unseen = new Set<string>();
  refilling = false;

  readonly #max: (() => number) | null;

  constructor(queue: string, links: Map<string, LinkState>, max: (() => number) | null) {
    this.queue = queue;
    this.links = links;
    this.#max = max;
  }

  get isBulkhead(): boolean {
    return this.#max !== null;
  }

  get isFull(): boolean {
    return this.#max !== null && this.running.size >= this.#max();
  }

  get load(): number {
    if (this.isBulkhead) return this.running.size;
    let load = 0;
    for (const link of this.links.values()) load += link.tasks.size;
    return load;
  }

  /** The link with the smallest share of its slots in use, if any has a free one (C6). */
  freest(): LinkState | null {
    if (this.isFull) return null;
    let best: LinkState | null = null;
    let bestLoad = 1;
    for (const state of this.links.values()) {
      const load = state.tasks.size / state.link.slots;
      if (!state.draining && load < bestLoad) {
        best = state;
        bestLoad = load;
      }
    }
    return best;
  }
}

export interface LinkTask {
  run: string;
  task: string;
  attempt: number;
  agent: string;
  /** False while its assignment is not durable: it can still be taken back. */
  sent: boolean;
}

export interface LinkState {
  readonly link: WorkerLink;
  /** Attempts that it holds, by `keyOf`. */
  readonly tasks: Map<string, LinkTask>;
  draining: boolean;
}

export const keyOf = (run: string, task: string, attempt: number): string => `${run}/${task}/${attempt}`;

/** What keeps tasks from starting (X5). */
export interface DispatchHolds {
  /** Nothing at all starts: the fleet is held, or whether it is has not been read yet. */
  everything(): boolean;
  /** A task that is ready may not start: its run is paused, or its workflow or an agent is held. */
  keeps(state: RunState, task: TaskState): boolean;
}

/** Gives ready tasks to workers with free slots: in the very commit that makes a task ready when one is free, from
 *  the backlog in order of rank when one becomes free. Holds no more than `BACKLOG_MAX` waiting tasks of a queue. */
export class Dispatcher {
  readonly #pools = new Map<string, Pool>();
  /** Pools of agents of which just so many tasks may be worked on at a time, by the queue that they are in. */
  readonly #bulkheads = new Map<string, readonly Pool[]>();
  readonly #links = new Map<string, LinkState>();
  readonly #store: Store;
  readonly #ledger: () => Ledger;
  readonly #now: () => number;
  readonly #soon: (fn: () => void) => void;
  readonly #wanted: (queue: string) => void;
  readonly #lookAgain: () => void;
  readonly #failed: (error: unknown) => void;
  readonly #holds: DispatchHolds;
  readonly #tasksMax: (agent: string) => number | null;
  #stopped = false;

  constructor(ports: {
    store: Store;
    ledger: () => Ledger;
    now: () => number;
    soon: (fn: () => void) => void;
    /** Tasks wait in this queue and no worker serves it. */
    wanted: (queue: string) => void;
    /** The store could not be read: `look` should be called again, a little later. */
    lookAgain: () => void;
    failed: (error: unknown) => void;
    holds: DispatchHolds;
    /** How many tasks of an agent may be worked on at a time; null: no bound (F4). */
    tasksMax: (agent: string) => number | null;
  }) {
    this.#store = ports.store;
    this.#ledger = ports.ledger;
    this.#now = ports.now;
    this.#soon = ports.soon;
    this.#wanted = ports.wanted;
    this.#lookAgain = ports.lookAgain;
    this.#failed = ports.failed;
    this.#holds = ports.holds;
    this.#tasksMax = ports.tasksMax;
  }

  link(id: string): LinkState | undefined {
    return this.#links.get(id);
  }

  *links(): Iterable<LinkState> {
    yield* this.#links.values();
  }

  attach(link: WorkerLink): LinkState {
    const state: LinkState = { link, tasks: new Map(), draining: false };
    this.#links.set(link.id, state);
    this.#pool(link.queue).links.set(link.id, state);
    this.fill(link.queue);
    return state;
  }

  detach(id: string): LinkState | undefined {
    const state = this.#links.get(id);
    if (state === undefined) return undefined;
    this.#links.delete(id);
    this.#pool(state.link.queue).links.delete(id);
    for (const key of state.tasks.keys()) this.#leave(key);
    // Whoever starts workers hears of it if something waits.
    this.fill(state.link.queue);
    return state;
  }

  /** No more assignments; what is with workers may end. */
  stop(): void {
    this.#stopped = true;
  }

  /** Assigns what a decision made ready, in its own commit, or lets it wait. */
  offer(hot: HotRun, touched: ReadonlySet<string>): void {
    const given = new Map<LinkState, string[]>();
    const waiting: TaskState[] = [];
    for (const id of touched) {
      const task = hot.state.tasks.get(id);
      // What is held waits where its row says; releasing it looks there.
      if (task?.status !== "ready" || this.#holds.keeps(hot.state, task)) continue;
      const pool = this.#poolOf(hot, task);
      const free = pool.backlog.length === 0 && !pool.overflow ? pool.freest() : null;
      if (free === null || !this.#mayAssign) {
        waiting.push(task);
        continue;
      }
      this.#reserve(hot, task, free);
      const tasks = given.get(free);
      if (tasks === undefined) given.set(free, [id]);
      else tasks.push(id);
    }
    for (const [to, tasks] of given) this.#assign(hot, tasks, to, "ready");
    for (const task of waiting) {
      const rank = rankOf(task.priority, task.readyAt);
      this.#wait(this.#poolOf(hot, task), { run: hot.id, task: task.id, rank });
    }
  }

  /** Gives free slots of a queue to waiting tasks, those behind its bulkheads among them, in order of rank. */
  fill(queue: string): void {
    if (!this.#mayAssign) return;
    const pools = this.#family(queue);
    for (let pool = nextOf(pools); pool !== null; pool = nextOf(pools)) {
      const free = pool.freest();
      const next = pool.backlog.pop();
      if (free !== null && next !== undefined) this.#take(pool, next, free);
    }
    for (const pool of pools) {
      if (pool.links.size === 0 && (pool.backlog.length > 0 || pool.overflow)) this.#ask(pool);
      else if (pool.backlog.length === 0 && pool.overflow && pool.freest() !== null) this.#refill(pool);
    }
  }

  /** A queue and the bulkheads in it, whose tasks the same workers do. */
  #family(queue: string): readonly Pool[] {
    const { base } = parseQueue(queue);
    const main = this.#pool(queue.startsWith(`${base}!`) ? queue : base);
    const bulkheads = this.#bulkheads.get(main.queue);
    return bulkheads === undefined ? [main] : [main, ...bulkheads];
  }

  /** A run's decisions are in the store, and with them the tasks that found no place here. */
  committed(run: string): void {
    for (const pool of this.#pools.values()) {
      if (pool.unseen.size === 0 || !pool.unseen.delete(run)) continue;
      pool.overflow = true;
      this.fill(pool.queue);
    }
  }

  /** Something may have become due in the store. */
  look(): void {
    for (const pool of this.#pools.values()) {
      pool.overflow = true;
      this.fill(pool.queue);
    }
  }

  /** Makes sure that a queue is looked after, after a restart. */
  watch(queue: string): void {
    const pool = this.#pool(queue);
    pool.overflow = true;
    this.fill(queue);
  }

  /** An attempt is over at its worker: its slot is free. */
  release(hot: HotRun, task: string): void {
    const flight = hot.inFlight.get(task);
    if (flight === undefined) return;
    hot.inFlight.delete(task);
    this.free(flight.worker, keyOf(hot.id, task, flight.attempt));
  }

  free(worker: string, key: string): LinkTask | undefined {
    const state = this.#links.get(worker);
    const held = state?.tasks.get(key);
    if (state === undefined || held === undefined) return undefined;
    state.tasks.delete(key);
    this.#leave(key);
    this.fill(state.link.queue);
    return held;
  }

  /** Decisions were dropped: slots of assignments that were never sent are free again. */
  forget(run: string): void {
    for (const state of this.#links.values()) {
      for (const [key, held] of state.tasks) {
        if (held.run !== run || held.sent) continue;
        state.tasks.delete(key);
        this.#leave(key);
      }
    }
  }

  depth(): { queue: string; waiting: number; running: number; workers: number }[] {
    return [...this.#pools.values()].map((pool) => ({
      queue: pool.queue,
      waiting: pool.backlog.length,
      running: pool.load,
      workers: pool.links.size,
    }));
  }

  #poolOf(hot: HotRun, task: TaskState): Pool {
    return this.#pool(queueFor(hot, task));
  }

  get #mayAssign(): boolean {
    return !this.#stopped && !this.#holds.everything();
  }

  #pool(queue: string): Pool {
    let pool = this.#pools.get(queue);
    if (pool === undefined) {
      const { agent, base } = parseQueue(queue);
      const max = agent === undefined ? null : () => this.#tasksMax(agent) ?? Number.POSITIVE_INFINITY;
      pool = new Pool(queue, agent === undefined ? new Map() : this.#pool(base).links, max);
      this.#pools.set(queue, pool);
      if (agent !== undefined) this.#bulkheads.set(base, [...(this.#bulkheads.get(base) ?? []), pool]);
    }
    return pool;
  }

  #leave(key: string): void {
    for (const pools of this.#bulkheads.values()) for (const pool of pools) pool.running.delete(key);
  }

  #ask(pool: Pool): void {
    if (pool.backlog.length > 0) return this.#wanted(pool.queue);
    // Whether anything waits at all is known only to the store.
    this.#refill(pool);
  }

  #wait(pool: Pool, waiting: Waiting): void {
    if (pool.backlog.length >= BACKLOG_MAX) {
      pool.overflow = true;
      const last = pool.backlog[0];
      if (last === undefined || waiting.rank >= last.rank) return void pool.unseen.add(waiting.run);
      pool.backlog.shift();
      pool.unseen.add(last.run);
    }
    insert(pool.backlog, waiting);
    if (!this.#mayAssign) return;
    if (pool.links.size === 0) this.#wanted(pool.queue);
    else if (pool.freest() !== null) this.fill(pool.queue);
  }

  #take(pool: Pool, next: Waiting, free: LinkState): void {
    const ledger = this.#ledger();
    const hot = ledger.hot(next.run);
    // Reserved at once, so that the loop sees the slot as taken.
    if (hot !== undefined) return this.#startOrPark(hot, next, free);
    // The run must be folded first; a slot is held for it meanwhile.
    const hold = keyOf(next.run, next.task, HOLD);
    if (free.tasks.has(hold)) return;
    free.tasks.set(hold, { run: next.run, task: next.task, attempt: HOLD, agent: "", sent: true });
    ledger.open(next.run).then(
      (opened) => {
        free.tasks.delete(hold);
        const link = this.#links.has(free.link.id) ? free : pool.freest();
        if (!this.#mayAssign || link === null || pool.isFull) return this.#wait(pool, next);
        this.#startOrPark(opened, next, link);
        this.fill(pool.queue);
      },
      (error: unknown) => {
        free.tasks.delete(hold);
        this.#failed(error);
        this.fill(pool.queue);
      },
    );
  }

  /** What may not start although its turn has come is put out of the way of the others. */
  #startOrPark(hot: HotRun, { task: id }: Waiting, to: LinkState): void {
    const task = hot.state.tasks.get(id);
    if (task === undefined || !assignable(hot.state, id, this.#now())) return;
    if (this.#holds.keeps(hot.state, task)) return this.#ledger().touch(hot, [id]);
    this.#reserve(hot, task, to);
    this.#assign(hot, [id], to, "waited");
  }

  /** A slot is taken at once, so that whoever looks for one next sees that it is. */
  #reserve(hot: HotRun, task: TaskState, to: LinkState): void {
    const attempt = task.attempt + 1;
    const key = keyOf(hot.id, task.id, attempt);
    to.tasks.set(key, { run: hot.id, task: task.id, attempt, agent: task.agent ?? "", sent: false });
    hot.inFlight.set(task.id, { worker: to.link.id, attempt });
    const pool = this.#poolOf(hot, task);
    if (pool.isBulkhead) pool.running.add(key);
  }

  #assign(hot: HotRun, tasks: readonly string[], to: LinkState, why: string): void {
    this.#ledger().decideNow(hot, { type: "tasks.assign", tasks, worker: to.link.id, why });
  }

  #refill(pool: Pool): void {
    if (pool.refilling || !this.#mayAssign) return;
    pool.refilling = true;
    // In a later turn: what was just assigned is flushed first, and is not found waiting again and again.
    this.#soon(() => this.#peek(pool));
  }

  #peek(pool: Pool): void {
    pool.overflow = false;
    this.#store.peek(pool.queue, this.#now(), BACKLOG_MAX).then(
      (rows) => {
        pool.refilling = false;
        if (rows.length >= BACKLOG_MAX) pool.overflow = true;
        const known = new Set(pool.backlog.map((waiting) => `${waiting.run}/${waiting.task}`));
        for (const { run, task, rank } of rows) {
          if (!known.has(`${run}/${task}`)) pool.backlog.push({ run, task, rank });
        }
        pool.backlog.sort((a, b) => b.rank - a.rank);
        if (pool.backlog.length === 0) {
          // What came into the store while it was being read may be missing in the answer.
          if (pool.overflow) this.#refill(pool);
        } else if (pool.links.size === 0) this.#wanted(pool.queue);
        else this.fill(pool.queue);
      },
      (error: unknown) => {
        pool.refilling = false;
        pool.overflow = true;
        this.#failed(error);
        this.#lookAgain();
      },
    );
  }
}

/** The pool whose next task comes first, of those that have one and room for it. */
function nextOf(pools: readonly Pool[]): Pool | null {
  let best: Pool | null = null;
  for (const pool of pools) {
    const next = pool.backlog.at(-1);
    if (next === undefined || pool.freest() === null) continue;
    const first = best?.backlog.at(-1);
    if (first === undefined || next.rank < first.rank) best = pool;
  }
  return best;
}

function assignable(state: RunState, id: string, now: number): boolean {
  const task = state.tasks.get(id);
  if (state.status !== "running" || task === undefined) return false;
  return task.status === "ready" || (task.status === "delayed" && task.readyAt <= now);
}

/** Keeps a list sorted by falling rank. */
function insert(list: Waiting[], waiting: Waiting): void {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] as Waiting).rank > waiting.rank) low = middle + 1;
    else high = middle;
  }
  list.splice(low, 0, waiting);
}
