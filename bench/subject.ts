import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type App, type Json, open } from "../src/index.ts";
import fleet from "./fleet.ts";

export type Mode = "library" | "hosts";
export type StoreKind = "sqlite" | "memory";

/** An open fleet in a folder of its own, which goes when the subject is closed. */
export interface Subject extends AsyncDisposable {
  readonly folder: string;
  readonly mode: Mode;
  readonly store: StoreKind;
  /** Starts a run and waits for its result. */
  run(workflow: string, input: Json): Promise<Json>;
  /** Process ids of this process and its hosts. */
  pids(): Promise<number[]>;
  /** Durable transactions of this process so far; 0 for a store in memory. */
  commits(): number;
}

/** Opens the benchmark's fleet, or the one at `url`, in `mode`. */
export async function openSubject(mode: Mode, store: StoreKind, url = new URL("./fleet.ts", import.meta.url)): Promise<Subject> {
  const folder = makeFolder();
  const options = { store: store === "memory" ? "memory:" : `sqlite:${join(folder, "store.db")}` };
  const app: App = mode === "library" ? await open(fleet, options) : await open(url, options);
  return {
    folder,
    mode,
    store,
    run: async (workflow, input) => (await app.start(workflow, input)).result(),
    pids: async () => [process.pid, ...(await app.fleet.control.info()).hosts],
    commits: () => committed,
    async [Symbol.asyncDispose]() {
      await app.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function makeFolder(): string {
  return mkdtempSync(join(tmpdir(), "flotilla-bench-"));
}

let committed = 0;
const exec = DatabaseSync.prototype.exec;
/** Every durable transaction is one flush of the -wal, apart from the few of a checkpoint every 4,000 pages. */
DatabaseSync.prototype.exec = function counting(sql: string): void {
  if (sql === "COMMIT") committed += 1;
  exec.call(this, sql);
};

/** Proportional set size of processes in MiB: pages that they share are counted once. Null where the system does not
 *  say. */
export function proportionalMiB(pids: readonly number[]): number | null {
  if (process.platform !== "linux") return null;
  let kib = 0;
  for (const pid of pids) {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    kib += Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1]);
  }
  return kib / 1_024;
}

/** Bytes of a store's file, with what is only in its -wal. */
export function storeBytes(folder: string): number {
  return ["store.db", "store.db-wal"].reduce(
    (sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}
