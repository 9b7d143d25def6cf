import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { App, Fleet, Json, Run } from "../src/index.ts";
import { open } from "../src/index.ts";
import { sibling } from "./compile.ts";
import fleet from "./fleet.ts";

export type Mode = "library" | "hosts";
export type StoreKind = "sqlite" | "memory";

/** What is opened: a fleet as a value for library mode, the URL of its module for hosts. */
export interface Opening {
  value: Fleet<never>;
  url: URL;
}

const BENCH: Opening = { value: fleet as Fleet<never>, url: pathToFileURL(sibling("fleet")) };

/** An open fleet in a folder of its own, which goes when the subject is disposed of. */
export class Subject implements AsyncDisposable {
  readonly folder: string;
  readonly #app: App<Fleet<never>>;
  #commits = 0;

  private constructor(folder: string, app: App<Fleet<never>>) {
    this.folder = folder;
    this.#app = app;
    const { store } = app.fleet;
    const commit = store.commit.bind(store);
    store.commit = (commits) => {
      this.#commits += 1;
      return commit(commits);
    };
  }

  /** Durable transactions of the store so far: each is one flush, apart from the few of a checkpoint now and then. */
  get commits(): number {
    return this.#commits;
  }

  static async open(mode: Mode, store: StoreKind, { value, url }: Opening = BENCH): Promise<Subject> {
    const folder = makeFolder();
    const options = { store: storeUrl(store, folder) };
    return new Subject(
      folder,
      mode === "library" ? await open(value, options) : await open<Fleet<never>>(url, options),
    );
  }

  async start(workflow: string, input: Json): Promise<Run> {
    const run = await this.#app.start(workflow as never, input as never);
    return run as Run;
  }

  /** Starts a run and waits for its result. */
  async run(workflow: string, input: Json): Promise<Json> {
    const run = await this.start(workflow, input);
    return run.result();
  }

  /** Process ids of the worker hosts; none in library mode. */
  async hosts(): Promise<number[]> {
    return (await this.#app.fleet.control.info()).hosts;
  }

  /** Ends the fleet, which leaves its store as it will stay. */
  close(): Promise<void> {
    return this.#app.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function storeUrl(store: StoreKind, folder: string): string {
  return store === "memory" ? "memory:" : `sqlite:${join(folder, "store.db")}`;
}

export function makeFolder(): string {
  return mkdtempSync(join(tmpdir(), "flotilla-bench-"));
}

/** Proportional set size of processes in MiB: pages that they share are counted once. Null where the system does not
 *  say. */
export function proportionalMiB(pids: readonly number[]): number | null {
  if (process.platform !== "linux") return null;
  const kib = pids.map((pid) =>
    Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1]),
  );
  return kib.reduce((sum, one) => sum + one, 0) / 1_024;
}

/** Bytes that a closed store takes on disk. */
export function storeBytes(folder: string): number {
  return statSync(join(folder, "store.db"), { throwIfNoEntry: false })?.size ?? 0;
}
