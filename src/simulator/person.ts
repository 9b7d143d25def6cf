import type { Json } from "../core/json.ts";
import { isFlotillaError } from "../error.ts";
import type { Decision } from "../runtime/inbox.ts";
import type { InboxRow, Store } from "../store/store.ts";
import type { History } from "./history.ts";
import type { Machine } from "./machine.ts";
import type { Outside } from "./outside.ts";
import { Prng } from "./prng.ts";
import type { World } from "./world.ts";

interface Question {
  run: string;
  task: string;
  key: string;
}

const LOOK_EVERY_MS = [500, 4_000] as const;

/** Items of the inbox that a person goes through at a time. */
const DECIDED_MAX = 20;

/** How often a person who looks has a correction to make. */
const CORRECTS = 0.2;

/** A person who is asked what became of a write, looks at the outside and says it (F13), and now and then corrects a
 *  shared fact of a run (C10), or decides on what waits in the inbox (F9). */
export class Person {
  readonly #world: World;
  readonly #machine: Machine;
  readonly #outside: Outside;
  readonly #disk: Store;
  readonly #random: Prng;
  readonly #questions = new Map<string, Question>();
  readonly #keys = new Map<string, string>();
  readonly #running = new Set<string>();

  constructor(parts: { world: World; machine: Machine; outside: Outside; history: History; disk: Store }) {
    this.#world = parts.world;
    this.#machine = parts.machine;
    this.#outside = parts.outside;
    this.#disk = parts.disk;
    this.#random = new Prng(parts.world.seed, "person");
    parts.history.onEvent(({ journal, type, data }) => {
      if (type === "run.started") this.#running.add(journal);
      const { task = "", key = "", idempotencyKey = "" } = data;
      const name = `${journal}/${task}/${key}`;
      if (type === "step.started") this.#keys.set(name, idempotencyKey);
      if (type === "step.unknown") this.#questions.set(name, { run: journal, task, key });
      if (type === "step.settled" || type === "step.completed" || type === "step.failed") this.#questions.delete(name);
      if (type === "run.completed" || type === "run.failed" || type === "run.stopped") this.#forget(journal);
    });
    this.#look();
  }

  #forget(run: string): void {
    this.#running.delete(run);
    for (const [name, question] of this.#questions) if (question.run === run) this.#questions.delete(name);
  }

  #look(): void {
    this.#world.in(this.#random.int(...LOOK_EVERY_MS), null, "a person looks", () => {
      for (const [name, question] of this.#questions) this.#answer(name, question);
      this.#correct();
      void this.#decide();
      this.#look();
    });
  }

  #correct(): void {
    const { owner } = this.#machine;
    if (owner === null || this.#running.size === 0 || !this.#random.chance(CORRECTS)) return;
    const run = this.#random.pick([...this.#running]);
    const base = this.#random.chance(0.3) ? { base: this.#random.int(0, 2) } : {};
    const set = { fact: "city", value: this.#random.int(1, 3), by: "person", why: "it moved", until: null, ...base };
    owner.coordinator.setFact(run, set).catch((error: unknown) => {
      // Somebody else may have come first, the run have ended, the store be full, or its owner gone.
      if (!isFlotillaError(error)) throw error;
    });
  }

  /** Decides on some of what waits in the inbox, as it comes to mind. */
  async #decide(): Promise<void> {
    for (const row of await this.#disk.inbox({ state: "open", limit: DECIDED_MAX })) {
      const { owner } = this.#machine;
      if (owner === null || row.kind === "outcome" || !this.#random.chance(0.6)) continue;
      const decision = { ...this.#choiceFor(row), by: "person", note: "" };
      owner.coordinator.decide(row.id, decision).catch((error: unknown) => {
        // The deadline may have come first, the run have ended, the store be full, or its owner gone.
        if (!isFlotillaError(error)) throw error;
      });
    }
  }

  #choiceFor({ kind, bytes }: InboxRow): Pick<Decision, "choice" | "arguments" | "agent" | "answer" | "output"> {
    if (kind === "escalation") {
      const { answers } = JSON.parse(Buffer.from(bytes).toString("utf8")) as { answers?: string[] };
      if (answers !== undefined)
        return { choice: this.#random.pick(["choose", "choose", "fail"] as const), answer: this.#random.pick(answers) };
      const choice = this.#random.pick(["retry", "reassign", "edit", "skip", "fail", "abort"] as const);
      return { choice, agent: this.#random.pick(["ada", "bob"]), output: { task: "edited", results: [] } };
    }
    if (this.#random.chance(0.3)) return { choice: "reject" };
    const asked = JSON.parse(Buffer.from(bytes).toString("utf8")) as { arguments: Json };
    const edited = { ...(asked.arguments as { [key: string]: Json }), amount: this.#random.int(1, 9) };
    return this.#random.chance(0.3) ? { choice: "approve", arguments: edited } : { choice: "approve" };
  }

  #answer(name: string, { run, task, key }: Question): void {
    const { owner } = this.#machine;
    const idempotencyKey = this.#keys.get(name) ?? "";
    if (owner === null || this.#outside.isUnderWay(idempotencyKey)) return;
    const output = this.#outside.outcomeOf(idempotencyKey);
    const outcome = output === undefined ? "not-done" : "done";
    owner.coordinator.settle(run, task, key, outcome, output ?? null, "person", "looked").catch((error: unknown) => {
      // Asked again at the next look: the store may be full, or its owner gone.
      if (!isFlotillaError(error)) throw error;
    });
  }
}
