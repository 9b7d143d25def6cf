import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { fork } from "node:child_process";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { sibling } from "./compile.ts";
import { median, quantile } from "./statistics.ts";

/** What this machine can do at most in these minutes. */
export interface Limit {
  p50Ms: number;
  p99Ms: number;
  /** One over the mean time. */
  perSecond: number;
}

export type LimitName =
  | "fdatasync"
  | "commit of one row"
  | "commit of 100 rows"
  | "round trip between processes"
  | "SHA-256 of 1 KiB"
  | "Ed25519 signature";

export type Samples = Record<LimitName, number[]>;

/** The cheap ones are timed in lots of this many. */
const LOT = 100;
const ROW_BYTES = 400;

export function emptySamples(): Samples {
  return {
    fdatasync: [],
    "commit of one row": [],
    "commit of 100 rows": [],
    "round trip between processes": [],
    "SHA-256 of 1 KiB": [],
    "Ed25519 signature": [],
  };
}

/** Samples every limit `count` times more, in `folder`, into `samples`. */
export async function sampleLimits(folder: string, samples: Samples, count: number): Promise<void> {
  using commits = new RawCommits(folder);
  sampleFdatasync(folder, samples.fdatasync, count);
  for (let i = 0; i < count; i++) samples["commit of one row"].push(commits.time(1));
  for (let i = 0; i < count; i++) samples["commit of 100 rows"].push(commits.time(100));
  await sampleRoundTrips(samples["round trip between processes"], count);
  sampleHash(samples["SHA-256 of 1 KiB"], count);
  sampleSignature(samples["Ed25519 signature"], count);
}

export function summarise(samples: Samples): Record<string, Limit> {
  return Object.fromEntries(Object.entries(samples).map(([name, times]) => [name, limitOf(times)]));
}

function limitOf(times: readonly number[]): Limit {
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
  return { p50Ms: median(times), p99Ms: quantile(times, 0.99), perSecond: 1_000 / mean };
}

/** The least that a durable write costs with SQLite, set as the store is: WAL, FULL. */
export class RawCommits implements Disposable {
  readonly #db: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #row = Buffer.alloc(ROW_BYTES, 0x61);

  constructor(folder: string) {
    this.#db = new DatabaseSync(join(folder, "limit.db"));
    this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000");
    this.#db.exec("CREATE TABLE IF NOT EXISTS row (no INTEGER PRIMARY KEY, bytes BLOB NOT NULL)");
    this.#insert = this.#db.prepare("INSERT INTO row (bytes) VALUES (?)");
  }

  /** Commits `rows` rows; returns the milliseconds it took. */
  time(rows: number): number {
    return timed(() => {
      this.#db.exec("BEGIN IMMEDIATE");
      for (let i = 0; i < rows; i++) this.#insert.run(this.#row);
      this.#db.exec("COMMIT");
    });
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}

function sampleFdatasync(folder: string, into: number[], count: number): void {
  const file = openSync(join(folder, "limit.bin"), "a");
  const bytes = Buffer.alloc(4_096, 1);
  try {
    for (let i = 0; i < count; i++) {
      into.push(
        timed(() => {
          writeSync(file, bytes);
          fdatasyncSync(file);
        }),
      );
    }
  } finally {
    closeSync(file);
  }
}

/** A message to another Node process and back over a pipe, as hosts are spoken to. */
async function sampleRoundTrips(into: number[], count: number): Promise<void> {
  const child = fork(sibling("echo-main"), { serialization: "json" });
  try {
    await roundTrip(child);
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      await roundTrip(child);
      into.push(performance.now() - start);
    }
  } finally {
    child.disconnect();
  }
}

function roundTrip(child: ReturnType<typeof fork>): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("message", () => resolve());
    child.send({ text: "x".repeat(ROW_BYTES) }, (error) => {
      if (error !== null) reject(error);
    });
  });
}

function sampleHash(into: number[], count: number): void {
  const bytes = Buffer.alloc(1_024, 7);
  for (let i = 0; i < count; i++) into.push(lotTimed(() => createHash("sha256").update(bytes).digest()));
}

function sampleSignature(into: number[], count: number): void {
  const { privateKey } = generateKeyPairSync("ed25519");
  const bytes = Buffer.alloc(200, 7);
  for (let i = 0; i < count; i++) into.push(lotTimed(() => sign(null, bytes, privateKey)));
}

function lotTimed(work: () => unknown): number {
  return (
    timed(() => {
      for (let i = 0; i < LOT; i++) work();
    }) / LOT
  );
}

function timed(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}
