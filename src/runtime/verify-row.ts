import type { RunEvent } from "../core/event.ts";
import { emptyRun, emptyScratch, evolve, type RunState } from "../core/state.ts";
import type { JournalId, RunRow } from "../store/store.ts";
import { digestOf } from "./journal.ts";
import { summaryOf } from "./ledger.ts";
import { broken, type JournalProblem, type JournalWalk, same, type WalkedEvent } from "./verify-journal.ts";

/** Folds one run's events, to compare what is kept of the run beside its journal with what the journal says. Holds the
 *  state of that one run. */
export class RowWitness {
  readonly #run: JournalId;
  readonly #imported: boolean;
  #state: RunState | null;
  #started: Started | null = null;
  #inputErased = false;
  #lastAt = 0;
  /** What lists may say of the ended run: what was so when its end was committed, or with what came later. */
  readonly #summaries = new Set<string>();
  #unfoldable: string | null = null;

  /** `imported`: its row has no idempotency key, which counts where it ran. */
  constructor(run: JournalId, imported = false) {
    this.#run = run;
    this.#imported = imported;
    this.#state = emptyRun(run);
  }

  see({ event, erased }: WalkedEvent): void {
    if (event.type === "run.started") {
      this.#started ??= event as Started;
      this.#inputErased ||= erased;
    }
    this.#lastAt = event.at;
    const state = this.#state;
    if (state === null) return;
    try {
      evolve(state, event as RunEvent);
      state.scratch = emptyScratch();
    } catch (error) {
      // One that is broken elsewhere is told of there; one that is not holds what no Flotilla decided.
      this.#unfoldable = `event ${state.version} does not follow from those before it (${messageOf(error)})`;
      this.#state = null;
      return;
    }
    if (state.status !== "running") this.#summaries.add(JSON.stringify(summaryOf(state)));
  }

  /** What of the row is not what the journal says. A row that is further on than the walk belongs to a run that went on
   *  meanwhile: then only what never changes is compared. */
  problemOf(row: RunRow, walk: JournalWalk): JournalProblem | null {
    if (this.#unfoldable !== null || this.#state === null)
      return broken("unreadable", walk, null, `it cannot be folded: ${this.#unfoldable ?? "it is empty"}`);
    const wrong = this.#constant(row) ?? (isBehind(walk, row) ? null : this.#current(row, walk, this.#state));
    if (wrong === null) return null;
    const [what, says, journal] = wrong;
    return broken("row", walk, null, `its row says ${what} ${shown(says)}, its events say ${shown(journal)}`);
  }

  #constant(row: RunRow): Difference | null {
    const { workflow, definition, idempotencyKey: key = null } = this.#started?.data ?? {};
    const idempotencyKey = this.#imported ? null : key;
    const digest = this.#inputDigest();
    return first(
      ["id", row.id, this.#run],
      ["workflow", row.workflow, workflow],
      ["definition", row.definition, definition],
      ["start", row.createdAt, this.#started?.at],
      ["idempotency key", row.idempotencyKey, idempotencyKey],
      ["input digest", row.inputDigest, digest === undefined ? row.inputDigest : digest],
    );
  }

  #current(row: RunRow, walk: JournalWalk, state: RunState): Difference | null {
    return first(
      ["version", row.version, walk.version],
      ["head", row.head, walk.head],
      ["status", row.status, state.status],
      ["last change", row.updatedAt, this.#lastAt],
      ["summary", textOf(row.summary), this.#summaryLike(textOf(row.summary))],
    );
  }

  /** Undefined when it cannot be computed any more. */
  #inputDigest(): string | null | undefined {
    const started = this.#started;
    if (started?.data.idempotencyKey === undefined || this.#imported) return null;
    if (this.#inputErased) return undefined;
    return digestOf({ workflow: started.data.workflow, input: started.payload?.input ?? null });
  }

  #summaryLike(given: unknown): string | null {
    if (typeof given === "string" && this.#summaries.has(given)) return given;
    const [said = null] = this.#summaries;
    return said;
  }
}

type Started = Extract<RunEvent, { type: "run.started" }>;
type Difference = readonly [what: string, row: unknown, journal: unknown];

/** The first pair that differs. */
function first(...pairs: Difference[]): Difference | null {
  return pairs.find(([, row, journal]) => !equal(row, journal)) ?? null;
}

function equal(a: unknown, b: unknown): boolean {
  return a instanceof Uint8Array && b instanceof Uint8Array ? same(a, b) : a === b;
}

const isBehind = (walk: JournalWalk, row: RunRow): boolean =>
  Number.isSafeInteger(row.version) && walk.version < row.version;

/** What the column holds, whatever that is. */
function textOf(bytes: unknown): unknown {
  return bytes instanceof Uint8Array ? Buffer.from(bytes).toString("utf8") : bytes;
}

const SHOWN_CHARACTERS = 60;

function shown(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex").slice(0, 12) || "nothing";
  if (value === null || value === undefined) return "nothing";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
