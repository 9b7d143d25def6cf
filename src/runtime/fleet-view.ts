import { type FactView, factsOf } from "../core/fact.ts";
import { systemClock } from "../platform/clock.ts";
import type { RunEvent } from "../core/event.ts";
import type { RunState } from "../core/state.ts";
import { FlotillaError, isFlotillaError } from "../error.ts";
import type { InboxFilter, RunFilter, RunRow, Store } from "../store/store.ts";
import type { FleetControl, OpenFleet, RunResult } from "./app-contract.ts";
import type { Notice } from "./coordinator.ts";
import { type DeadLetterItem, deadLetterItem } from "./dead-letter.ts";
import { type InboxItem, itemOf } from "./inbox-item.ts";
import { readRun } from "./journal.ts";
import { NoticeBell } from "./notice-bell.ts";
import { readSchedules, type ScheduleView } from "./schedule-view.ts";
import { readResult, readState, resultOf } from "./read-run.ts";

/** Why a watch ends when nobody wants more: a reason that costs no stack trace. */
const ENOUGH = "nobody watches any more";

/** An open fleet as programs and commands use it: deciding through its control, reading from its store. The same in
 *  the owner's process and in any other. */
export class FleetView implements OpenFleet {
  readonly control: FleetControl;
  readonly store: Store;
  readonly owner: boolean;
  readonly lost: AbortSignal;
  readonly #definitionHash: () => string;
  readonly #isRunning: (run: string) => boolean;
  readonly #reload: () => Promise<string>;
  readonly #close: (options: { drain?: boolean }) => Promise<void>;

  constructor(parts: {
    control: FleetControl;
    store: Store;
    definitionHash: string | (() => string);
    owner: boolean;
    lost: AbortSignal;
    /** Whether a run is known here to go on, without a look at the store. Default: nothing is known. */
    isRunning?(run: string): boolean;
    reload(): Promise<string>;
    close(options: { drain?: boolean }): Promise<void>;
  }) {
    this.control = parts.control;
    this.store = parts.store;
    this.owner = parts.owner;
    this.lost = parts.lost;
    const { definitionHash } = parts;
    this.#definitionHash = typeof definitionHash === "string" ? () => definitionHash : definitionHash;
    this.#isRunning = (run) => parts.isRunning?.(run) ?? false;
    this.#reload = parts.reload;
    this.#close = parts.close;
  }

  get definitionHash(): string {
    return this.#definitionHash();
  }

  runs(filter: RunFilter): Promise<RunRow[]> {
    return this.store.runs(filter);
  }

  async facts(run: string): Promise<Record<string, FactView>> {
    return factsOf(await this.state(run), systemClock().now());
  }

  async deadLetters(filter: Parameters<Store["deadLetters"]>[0]): Promise<DeadLetterItem[]> {
    return (await this.store.deadLetters(filter)).map(deadLetterItem);
  }

  async inbox(filter: InboxFilter): Promise<InboxItem[]> {
    return (await this.store.inbox(filter)).map(itemOf);
  }

  state(run: string): Promise<RunState> {
    return readState(this.store, run);
  }

  async *events(
    run: string,
    { after = 0, follow = true, signal }: { after?: number; follow?: boolean; signal?: AbortSignal } = {},
  ): AsyncGenerator<{ version: number; event: RunEvent }> {
    const watching = new AbortController();
    const abort = () => watching.abort();
    signal?.addEventListener("abort", abort, { once: true });
    // Watched from before the first look, so that nothing falls in between.
    const bell = follow ? new NoticeBell(this.control.watch(run, watching.signal)) : null;
    try {
      if (follow) await this.#watching();
      for (let seen = after; signal?.aborted !== true; ) {
        for await (const { version, event } of readRun(this.store, run, seen)) {
          seen = version;
          yield { version, event };
        }
        const row = await this.#row(run);
        if (bell === null || (row.status !== "running" && row.version <= seen)) return;
        if (row.version <= seen && !(await bell.heard())) return;
      }
    } finally {
      signal?.removeEventListener("abort", abort);
      watching.abort();
    }
  }

  schedules(): Promise<ScheduleView[]> {
    return readSchedules(this.store, systemClock().now());
  }

  async *notices(run: string, signal?: AbortSignal): AsyncGenerator<Notice> {
    if (signal?.aborted === true) return;
    const watching = new AbortController();
    const abort = () => watching.abort();
    signal?.addEventListener("abort", abort, { once: true });
    const notices = this.control.watch(run, watching.signal)[Symbol.asyncIterator]();
    let next = notices.next();
    next.catch(() => {});
    try {
      await this.#watching();
      if ((await this.#row(run)).status !== "running") return;
      for (let notice = await next; notice.done !== true; notice = await next) {
        yield notice.value;
        if (notice.value.type === "event" && resultOf(notice.value.event) !== null) return;
        next = notices.next();
        next.catch(() => {});
      }
    } finally {
      signal?.removeEventListener("abort", abort);
      watching.abort();
    }
  }

  async result(run: string, signal?: AbortSignal): Promise<RunResult> {
    signal?.throwIfAborted();
    const watching = new AbortController();
    const abort = () => watching.abort(ENOUGH);
    signal?.addEventListener("abort", abort, { once: true });
    const notices = this.control.watch(run, watching.signal, "end")[Symbol.asyncIterator]();
    let next = notices.next();
    next.catch(() => {});
    try {
      await this.#watching();
      const row = this.#isRunning(run) ? null : await this.#row(run);
      if (row !== null && row.status !== "running") return await readResult(this.store, row);
      for (;;) {
        const notice = await next;
        if (notice.done === true) break;
        const ended = notice.value.type === "event" ? resultOf(notice.value.event) : null;
        if (ended !== null) return ended;
        next = notices.next();
        next.catch(() => {});
      }
      signal?.throwIfAborted();
      const late = await this.#row(run);
      if (late.status !== "running") return await readResult(this.store, late);
      throw new FlotillaError("OWNER_GONE", `the process that runs ${run} went away; the run is kept`);
    } finally {
      signal?.removeEventListener("abort", abort);
      watching.abort(ENOUGH);
    }
  }

  reload(): Promise<string> {
    return this.#reload();
  }

  close(options: { drain?: boolean } = {}): Promise<void> {
    return this.#close(options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What ends between the look at the store and the moment from which the owner tells of it would be missed; requests
   *  are served in their order, so an answer says that the watch before it is there. */
  async #watching(): Promise<void> {
    if (this.owner) return;
    try {
      await this.control.info();
    } catch (error) {
      // What has ended can be read without the owner; whoever waits for more hears it from the watch.
      if (!isFlotillaError(error) || error.code !== "OWNER_GONE") throw error;
    }
  }

  async #row(run: string): Promise<RunRow> {
    const row = await this.store.run(run);
    if (row === null) throw new FlotillaError("RUN_UNKNOWN", `there is no run ${run}`);
    return row;
  }
}
