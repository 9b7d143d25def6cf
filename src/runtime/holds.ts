import { dueAfterHolds } from "../core/decide.ts";
import { holdInForce, holdsInForce } from "../core/fleet-state.ts";
import { covers, type Hold, holdKey, holdOn, lineOf } from "../core/hold.ts";
import type { RunState, TaskState } from "../core/state.ts";
import type { CoordinatorFrame } from "../carrier/frame.ts";
import type { Clock } from "../platform/clock.ts";
import type { Store } from "../store/store.ts";
import type { DispatchHolds, WorkerLink } from "./dispatcher.ts";
import type { FleetJournal } from "./fleet-journal.ts";
import { type HotRun, type Ledger, queueFor } from "./ledger.ts";

/** Queues of tasks that are held. */
const PARKED = "held/";
const PARKED_PAGE = 500;

/** How soon the timer of a run that is held is looked at again: its time moves on as long as the hold lasts. */
const HELD_LOOK_MS = 10_000;

/** What is held in the fleet, and how that reaches everything that could start something (X5, invariant 6).
 *
 *  A hold is in force here before it is on record, and it is recorded when all that was decided before is. So in the
 *  order of the store's commits no assignment within its scope comes after it, and one that was decided before is sent
 *  before the frame by which hosts abort what they have. */
export class Holds implements DispatchHolds {
  readonly #journal: FleetJournal;
  readonly #ledger: () => Ledger;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #back: (queue: string) => void;
  readonly #failed: (error: unknown) => void;
  /** Asked for, and not on record yet. */
  readonly #placing = new Set<Hold>();
  /** Queues of lifted holds in which something may wait still. */
  readonly #lifted = new Set<string>();
  #all: readonly Hold[] = [];
  #open: readonly Hold[] = [];
  #seen: readonly Hold[] | null = null;

  constructor(ports: {
    journal: FleetJournal;
    ledger: () => Ledger;
    store: Store;
    clock: Clock;
    /** What waited for a hold is back in this queue. */
    back(queue: string): void;
    failed(error: unknown): void;
  }) {
    this.#journal = ports.journal;
    this.#ledger = ports.ledger;
    this.#store = ports.store;
    this.#clock = ports.clock;
    this.#back = ports.back;
    this.#failed = ports.failed;
  }

  /** Every hold that is known, those lifted included. */
  get all(): readonly Hold[] {
    this.#refresh();
    return this.#all;
  }

  /** Those in force. */
  get open(): readonly Hold[] {
    this.#refresh();
    return this.#open;
  }

  get epoch(): number {
    return this.#journal.state?.epoch ?? 0;
  }

  everything(): boolean {
    // What is held is not known before the fleet's journal was read.
    return this.#journal.state === null || this.open.some(({ scope }) => scope === "fleet");
  }

  keeps(state: RunState, task: TaskState): boolean {
    return state.hold !== null || this.parked(state, task) !== null;
  }

  /** Whether no run of a workflow may go on. */
  holdsWorkflow(workflow: string): boolean {
    return this.open.some(({ scope, name }) => scope === "fleet" || (scope === "workflow" && name === workflow));
  }

  /** Where a task waits while its workflow or an agent is held. When everything is held, nobody looks into any queue. */
  parked(state: RunState, task: TaskState): string | null {
    const { open } = this;
    if (open.length === 0) return null;
    const hold = holdOn(
      open.filter(({ scope }) => scope !== "fleet"),
      state,
      task,
    );
    return hold === null ? null : parkedQueue(hold);
  }

  /** Whether a queue is of what is held. */
  isParked(queue: string): boolean {
    return queue.startsWith(PARKED);
  }

  /** Puts a hold in force and on record; returns it, or null when it was in force already.
   *  @throws {FlotillaError} STORE_FULL, STORE_READONLY: nothing is held */
  async place(given: Pick<Hold, "scope" | "name" | "why" | "by" | "kill">): Promise<Hold | null> {
    if (holdInForce(await this.#journal.read(), given) !== null) return null;
    const hold: Hold = { ...given, at: this.#clock.now(), liftedAt: null };
    this.#change(() => this.#placing.add(hold));
    try {
      await this.#ledger().barrier();
      await this.#journal.insist("hold.placed", given);
      return hold;
    } finally {
      this.#change(() => this.#placing.delete(hold));
    }
  }

  /** Lifts a hold; returns whether it was in force. `lifted` is called when that is on record, before anything of its
   *  scope is given out. What waited for it is put back by `unpark`. */
  async lift(
    which: Pick<Hold, "scope" | "name">,
    why: string,
    by: string,
    lifted: (hold: Hold) => void,
  ): Promise<boolean> {
    const hold = holdInForce(await this.#journal.read(), which);
    if (hold === null) return false;
    await this.#journal.insist("hold.lifted", { scope: which.scope, name: which.name, why, by });
    if (hold.scope !== "fleet") this.#lifted.add(parkedQueue(hold));
    lifted(hold);
    return true;
  }

  /** Puts what waits for holds that are lifted back where it belongs, which may be with another hold. Resolves with false
   *  when something is left that could not be put back now: to be called again, a little later.
   *  @throws {FlotillaError} STORE_UNAVAILABLE: likewise */
  async unpark(): Promise<boolean> {
    if (this.#lifted.size === 0) return true;
    // What was decided while they were in force may be on its way into these queues.
    await this.#ledger().barrier();
    for (const queue of [...this.#lifted]) if (await this.#empty(queue)) this.#lifted.delete(queue);
    return this.#lifted.size === 0;
  }

  async #empty(queue: string): Promise<boolean> {
    const seen = new Set<string>();
    while (!this.#isInForce(queue)) {
      // Also what is delayed: its time may come later.
      const rows = await this.#store.peek(queue, Number.MAX_SAFE_INTEGER, PARKED_PAGE);
      if (rows.length === 0) return true;
      const fresh = rows.filter(({ run, task }) => !seen.has(`${run}/${task}`));
      // Decisions of their runs were dropped, or cannot be read.
      if (fresh.length === 0) return false;
      for (const { run, task } of fresh) seen.add(`${run}/${task}`);
      const back = await Promise.all(fresh.map(({ run, task }) => this.#putBack(run, task)));
      await this.#ledger().barrier();
      for (const one of new Set(back)) if (one !== null) this.#back(one);
    }
    return true;
  }

  /** A task is stored anew, in the queue to which it belongs now; a run that cannot be folded keeps no other (F14). */
  async #putBack(run: string, task: string): Promise<string | null> {
    try {
      const hot = await this.#ledger().open(run);
      const found = hot.state.tasks.get(task);
      if (found === undefined) return null;
      this.#ledger().touch(hot, [task]);
      return queueFor(hot, found);
    } catch (error) {
      this.#failed(error);
      return null;
    }
  }

  /** Takes note of queues of holds that are not in force any more: an earlier process died while it lifted them. */
  inherit(queues: readonly { queue: string }[]): void {
    for (const { queue } of queues) if (this.isParked(queue) && !this.#isInForce(queue)) this.#lifted.add(queue);
  }

  #isInForce(queue: string): boolean {
    return this.open.some((hold) => parkedQueue(hold) === queue);
  }

  /** What a worker that has just come must know. */
  tell(link: WorkerLink): void {
    for (const hold of this.open) link.send(this.frame(hold, true));
  }

  /** What tells a worker's gate of a hold that was placed or lifted. */
  frame({ scope, name, why }: Hold, held: boolean): CoordinatorFrame {
    return { f: "hold", scope, name, why, held, epoch: this.epoch };
  }

  /** Whether an attempt's task is held, by the run's own journal or by the fleet's. */
  holdOf(state: RunState, task: TaskState): Pick<Hold, "why" | "by"> | null {
    return state.hold ?? holdOn(this.open, state, task);
  }

  covers(hold: Hold, { state }: HotRun, task: string): boolean {
    const found = state.tasks.get(task);
    return found !== undefined && covers(hold, state, found);
  }

  /** When a timer that was found due is due in truth, since time under a hold does not count; null when it is now. */
  later(hot: HotRun, timer: string, now: number): number | null {
    const due = dueAfterHolds(hot.state, this.all, timer, now);
    if (due === null || due <= now) return null;
    const isHeld = hot.state.hold !== null || this.open.length > 0;
    return isHeld ? Math.max(due, now + HELD_LOOK_MS) : due;
  }

  #change(what: () => void): void {
    what();
    this.#seen = null;
  }

  #refresh(): void {
    const recorded = this.#journal.state?.holds ?? [];
    if (recorded === this.#seen) return;
    this.#seen = recorded;
    this.#all = this.#placing.size === 0 ? recorded : [...recorded, ...this.#placing];
    this.#open = holdsInForce({ holds: this.#all });
  }
}

const parkedQueue = (hold: Pick<Hold, "scope" | "name">): string => `${PARKED}${holdKey(hold)}`;

/** What a worker's gate must know of a task to tell whether a hold covers it. */
export function placeOf(state: RunState, task: TaskState): { workflow: string; line: string[] } {
  return { workflow: state.workflow, line: lineOf(state, task) };
}
