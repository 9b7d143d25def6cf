import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FlotillaError } from "../error.ts";
import { sealEvent } from "../runtime/journal.ts";
import { MemoryDisk, openMemoryStore } from "../store/memory.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import type { Commit, CommitResult, JournalId, Store } from "../store/store.ts";
import type { Faults } from "./fault.ts";
import type { History } from "./history.ts";
import { Prng } from "./prng.ts";
import type { Process, World } from "./world.ts";

export const FLEET = "simulated";

/** The machine's disk: what survives the processes. */
export interface Disk {
  /** A handle for a process, whose calls take virtual time and meet faults. */
  open(process: Process): Promise<Store>;
  /** Looks at what is on the disk at once, for checkers and people. */
  readonly reader: Store;
  /** All that was not flushed is gone. */
  powerLoss(): void;
  close(): Promise<void>;
}

interface Parts {
  world: World;
  faults: Faults;
  history: History;
  queueDepthMax: number;
}

/** How long a full disk stays full, in milliseconds. */
const FULL_MS = [200, 6_000] as const;
const WRITES: ReadonlySet<string> = new Set([
  "commit",
  "heartbeat",
  "outboxSent",
  "erasePayloads",
  "deadLetterRemove",
  "sweepBlobs",
]);

/** What every disk does to the calls of a process: delays, a full disk, failing reads, unknown outcomes. */
class Troubles {
  readonly #parts: Parts;
  readonly #random: Prng;
  #fullUntilMs = -1;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#random = new Prng(parts.world.seed, "disk");
  }

  async turn(process: Process, moment: string): Promise<void> {
    const { world, faults } = this.#parts;
    const [operation = "", when = ""] = moment.split(".");
    const slow = faults.take("store.slow");
    const base = when === "flush" ? this.#random.next() * 2 : this.#random.next() * 0.2;
    await world.wait(slow === null ? base : base + slow.int(20, 3_000), process, moment);
    if (when === "apply") this.#refuse(operation);
    if (when === "flush" && operation === "commit" && faults.take("store.torn") !== null) {
      throw new FlotillaError("STORE_UNAVAILABLE", "the flush failed");
    }
    if (when === "answer" && operation === "commit" && faults.take("store.unknown") !== null) {
      throw new FlotillaError("STORE_UNAVAILABLE", "the answer was lost");
    }
  }

  #refuse(operation: string): void {
    const { world, faults } = this.#parts;
    if (!WRITES.has(operation)) {
      if (faults.take("store.unreadable") !== null) throw new FlotillaError("STORE_UNAVAILABLE", `${operation} failed`);
      return;
    }
    const full = faults.take("store.full");
    if (full !== null) this.#fullUntilMs = world.elapsedMs + full.int(...FULL_MS);
    if (world.elapsedMs < this.#fullUntilMs && !faults.stopped)
      throw new FlotillaError("STORE_FULL", "the disk is full");
  }
}

/** A disk in memory, which knows what was flushed. */
class SimulatedDisk implements Disk {
  readonly reader: Store;
  readonly #disk: WatchedDisk;
  readonly #parts: Parts;
  readonly #troubles: Troubles;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#troubles = new Troubles(parts);
    this.#disk = new WatchedDisk(parts.history);
    this.reader = openMemoryStore({ fleet: FLEET, disk: this.#disk });
  }

  async open(process: Process): Promise<Store> {
    const turn = (moment: string) => this.#troubles.turn(process, moment);
    const store = openMemoryStore({ fleet: FLEET, disk: this.#disk, queueDepthMax: this.#parts.queueDepthMax, turn });
    return contested(store, this.reader, this.#parts.faults);
  }

  powerLoss(): void {
    this.#disk.crash();
  }

  async close(): Promise<void> {}
}

/** Tells the history of everything that it flushes. */
class WatchedDisk extends MemoryDisk {
  readonly #history: History;

  constructor(history: History) {
    super();
    this.#history = history;
  }

  override flush(): void {
    super.flush();
    const fleet = this.fleet(FLEET);
    for (const [journal, { version }] of fleet.journals) {
      const known = this.#history.version(journal);
      if (known < version) for (const row of fleet.events(journal).slice(known)) this.#history.add(journal, row);
    }
  }
}

/** A real file, with virtual time around each call: a call takes effect at once when its time has come. A crash leaves
 *  the file as it is; loss of power is for the disk in memory. */
class SqliteDisk implements Disk {
  readonly reader: Store;
  readonly #path: string;
  readonly #folder: string;
  readonly #parts: Parts;
  readonly #troubles: Troubles;
  readonly #open: Store[] = [];

  constructor(parts: Parts, folder: string, path: string, reader: Store) {
    this.#parts = parts;
    this.#troubles = new Troubles(parts);
    this.#folder = folder;
    this.#path = path;
    this.reader = reader;
  }

  async open(process: Process): Promise<Store> {
    const { queueDepthMax, faults, history } = this.#parts;
    const store = await openSqliteStore(this.#path, { fleet: FLEET, queueDepthMax });
    this.#open.push(store);
    const timed = withTurns(store, (moment) => this.#troubles.turn(process, moment), history);
    return contested(
      timed,
      withTurns(store, async () => {}, history),
      faults,
    );
  }

  powerLoss(): void {}

  async close(): Promise<void> {
    for (const store of [...this.#open, this.reader]) await store.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export function memoryDisk(parts: Parts): Disk {
  return new SimulatedDisk(parts);
}

export async function sqliteDisk(parts: Parts): Promise<Disk> {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-simulation-"));
  const path = join(folder, "store.db");
  return new SqliteDisk(parts, folder, path, await openSqliteStore(path, { fleet: FLEET }));
}

/** A store whose every call waits for its turn before it is made and before it answers. */
function withTurns(store: Store, turn: (moment: string) => Promise<void>, history: History): Store {
  return new Proxy(store, {
    get(target, name: string) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function" || name === "close")
        return typeof member === "function" ? member.bind(target) : member;
      return async (...values: unknown[]) => {
        await turn(`${name}.apply`);
        const answer: unknown = await Reflect.apply(member, target, values);
        if (name === "commit") record(history, values[0] as Commit[], answer as CommitResult[]);
        await turn(`${name}.answer`);
        return answer;
      };
    },
  });
}

function record(history: History, commits: readonly Commit[], results: readonly CommitResult[]): void {
  for (const [i, commit] of commits.entries()) {
    if (results[i]?.ok) for (const row of commit.events) history.add(commit.journal, row);
  }
}

/** Another writer, as the store of a cluster has them: now and then it appends to a run's journal between a decision
 *  and its commit, so that the decision was made on an old version. */
function contested(store: Store, disk: Store, faults: Faults): Store {
  const appendTo = async (journal: JournalId, at: number, random: Prng): Promise<void> => {
    const { version, head } = await disk.head(journal);
    const why = "another coordinator heard of it";
    const event = { type: "result.late", at, data: { task: "?", attempt: 0, what: "step", why } };
    const { row } = sealEvent(event, version + 1, head, random);
    await disk.commit([{ journal, expectedVersion: version, events: [row] }]);
  };
  return new Proxy(store, {
    get(target, name: string) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      if (name !== "commit") return member.bind(target);
      return async (commits: readonly Commit[]) => {
        const run = commits.find(
          ({ run, expectedVersion, events }) => run === undefined && expectedVersion > 0 && events.length > 0,
        );
        const random = run === undefined || run.journal === "fleet" ? null : faults.take("store.conflict");
        if (run !== undefined && random !== null) await appendTo(run.journal, run.events[0]?.at ?? 0, random);
        return target.commit(commits);
      };
    },
  });
}
