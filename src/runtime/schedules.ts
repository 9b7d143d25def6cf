import type { FleetDefinition } from "../core/definition.ts";
import type { FleetState } from "../core/fleet-state.ts";
import type { Json } from "../core/json.ts";
import type { ScheduleDefinition, ScheduleState } from "../core/schedule.ts";
import { type FlotillaError, isFlotillaError } from "../error.ts";
import { canonicalJson } from "../message/canonical.ts";
import { dueOf, scheduleKey, upcoming } from "../schedule/due.ts";
import type { Clock } from "../platform/clock.ts";
import type { Store, TimerWrite } from "../store/store.ts";
import { checkInput } from "./definitions.ts";
import type { FleetJournal } from "./fleet-journal.ts";

/** Timers of the fleet's journal that belong to schedules. */
export const SCHEDULE_TIMER = "schedule/";
/** How soon a start is tried again that the store or the queue refused for now. */
const START_AGAIN_MS = 30_000;

interface SchedulePorts {
  journal: FleetJournal;
  store: Store;
  clock: Clock;
  /** Whether runs of a workflow may start now: its times wait while it is held, and are caught up on afterwards. */
  isHeld(workflow: string): boolean;
  start(
    definition: string,
    workflow: string,
    input: Json,
    options: { idempotencyKey: string; by: string },
  ): Promise<string>;
  /** A timer was set for this moment. */
  wake(at: number): void;
  failed(error: unknown): void;
}

/** Starts workflows at their times, each time once across the fleet (I8).
 *
 *  The next time is a timer of the fleet's journal, set in the commit that deals with the times before it. Which times
 *  start a run is on record before the first of them does; the run's idempotency key is the schedule and the time. So a
 *  crash anywhere in between, another owner, or a clock that is set repeats nothing and forgets nothing. */
export class Schedules {
  readonly #ports: SchedulePorts;
  /** What is served here; null while this process only looks. */
  #serving: { hash: string; definition: FleetDefinition } | null = null;
  /** What is being done for each schedule: one thing at a time. */
  readonly #doing = new Map<string, Promise<void>>();
  #closed = false;

  constructor(ports: SchedulePorts) {
    this.#ports = ports;
  }

  /** From now on these schedules hold, and are kept here. Resolves when what was missed has been dealt with. */
  async serve(hash: string, definition: FleetDefinition): Promise<void> {
    this.#serving = { hash, definition };
    const { schedules } = await this.#ports.journal.read();
    const declared = definition.schedules ?? {};
    for (const name of Object.keys(schedules)) {
      if (!Object.hasOwn(declared, name)) await this.#each(name, () => this.#remove(name));
    }
    for (const [name, spec] of Object.entries(declared)) await this.#each(name, () => this.#declare(name, spec));
    await this.look();
  }

  /** Times may have come, or what kept them waiting may be gone. */
  async look(): Promise<void> {
    const names = Object.keys(this.#state()?.schedules ?? {});
    await Promise.all(names.map((name) => this.fire(name)));
  }

  /** The timer of a schedule is due. */
  fire(name: string): Promise<void> {
    if (this.#serving === null) return Promise.resolve();
    return this.#each(name, () => this.#advance(name));
  }

  /** A run has ended: what waits for that may start. */
  ended(run: string): void {
    for (const [name, state] of Object.entries(this.#state()?.schedules ?? {})) {
      if (state.run?.id === run && state.waiting.length > 0) void this.fire(name);
    }
  }

  close(): void {
    this.#closed = true;
  }

  #state(): FleetState | null {
    return this.#ports.journal.state;
  }

  #of(name: string): ScheduleState | undefined {
    const schedules = this.#state()?.schedules ?? {};
    return Object.hasOwn(schedules, name) ? schedules[name] : undefined;
  }

  /** One thing after the other for each schedule. What goes wrong is reported, and met again at the next look. */
  #each(name: string, work: () => Promise<void>): Promise<void> {
    const before = this.#doing.get(name) ?? Promise.resolve();
    const done = before.then(work).catch((error: unknown) => {
      this.#ports.failed(error);
      this.#again(name);
    });
    this.#doing.set(name, done);
    return done;
  }

  #again(name: string): void {
    if (!this.#closed) this.#ports.clock.after(START_AGAIN_MS, () => void this.fire(name));
  }

  async #remove(schedule: string): Promise<void> {
    const timer = { op: "clear", name: timerOf(schedule) } as const;
    await this.#ports.journal.insist("schedule.removed", { schedule }, { timers: [timer] });
  }

  async #declare(schedule: string, spec: ScheduleDefinition): Promise<void> {
    const known = this.#of(schedule);
    if (known !== undefined && canonicalJson(known.spec as unknown as Json) === canonicalJson(spec as unknown as Json))
      return this.#wake(known);
    const since = this.#ports.clock.now();
    const next = { spec, since, last: null, waiting: [], run: null, missed: null };
    await this.#ports.journal.insist("schedule.set", { schedule, spec }, { timers: [this.#timer(schedule, next)] });
    this.#wake(next);
  }

  /** Puts times that have come on record, then starts what waits. */
  async #advance(name: string): Promise<void> {
    const serving = this.#serving;
    const state = this.#of(name);
    if (serving === null || state === undefined || this.#closed || this.#ports.isHeld(state.spec.workflow)) return;
    await this.#meet(name, state);
    for (let next = this.#of(name); next !== undefined && !this.#closed; next = this.#of(name)) {
      const [time] = next.waiting;
      if (time === undefined || this.#ports.isHeld(next.spec.workflow)) return;
      const running = next.run !== null && next.spec.overlap !== "allow" && (await this.#isRunning(next.run.id));
      if (running && next.spec.overlap === "queue") return;
      if (running) await this.#ran(name, time, null, `the run before it, ${next.run?.id ?? ""}, had not ended`);
      else if (!(await this.#start(serving, name, next.spec, time))) return this.#again(name);
    }
  }

  async #meet(schedule: string, state: ScheduleState): Promise<void> {
    const due = dueOf(state, this.#ports.clock.now());
    if (due === null) return this.#wake(state);
    const { until } = due;
    await this.#ports.journal.insist(
      "schedule.due",
      { schedule, ...due },
      {
        timers: [this.#timer(schedule, { ...state, last: until })],
      },
    );
    this.#wake({ ...state, last: until });
  }

  /** Whether it was dealt with: false when it should be tried again. */
  async #start(
    { hash, definition }: { hash: string; definition: FleetDefinition },
    name: string,
    { workflow, input }: ScheduleDefinition,
    time: number,
  ): Promise<boolean> {
    try {
      checkInput(definition, workflow, input);
      const options = { idempotencyKey: scheduleKey(name, time), by: `schedule ${name}` };
      const run = await this.#ports.start(hash, workflow, input, options);
      await this.#ran(name, time, run, "");
    } catch (error) {
      if (!isFlotillaError(error)) throw error;
      const earlier = startedBefore(error);
      if (earlier === null && error.class === "transient") {
        this.#ports.failed(error);
        return false;
      }
      await this.#ran(name, time, earlier, earlier === null ? `${error.code}: ${error.message}` : "");
    }
    return true;
  }

  #ran(schedule: string, time: number, run: string | null, why: string): Promise<void> {
    return this.#ports.journal.insist("schedule.ran", { schedule, time, run, why });
  }

  async #isRunning(run: string): Promise<boolean> {
    return (await this.#ports.store.run(run))?.status === "running";
  }

  #timer(schedule: string, state: ScheduleState): TimerWrite {
    const next = upcoming(state);
    const name = timerOf(schedule);
    return next === null ? { op: "clear", name } : { op: "set", name, dueAt: next };
  }

  #wake(state: ScheduleState): void {
    const next = upcoming(state);
    if (next !== null) this.#ports.wake(next);
  }
}

const timerOf = (schedule: string): string => `${SCHEDULE_TIMER}${schedule}`;

/** The run that was started for this time before a crash, with an input that was declared differently then. */
function startedBefore({ code, details }: FlotillaError): string | null {
  return code === "IDEMPOTENCY_CONFLICT" && typeof details.run === "string" ? details.run : null;
}
