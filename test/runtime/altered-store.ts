import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, vi } from "vitest";
import { z } from "zod";
import { trustedKeys } from "../../src/cli/trusted-key.ts";
import { agent, fleet, tool } from "../../src/definition/build.ts";
import { pipeline } from "../../src/pattern/pipeline.ts";
import { openFleet } from "../../src/runtime/open-fleet.ts";
import { ownerFolder } from "../../src/runtime/owner-lock.ts";
import { readSignedHead } from "../../src/runtime/signed-head.ts";
import type { JournalProblem } from "../../src/runtime/verify-journal.ts";
import { type JournalReport, type VerifyResult, verifyJournals } from "../../src/runtime/verify-journals.ts";
import { openSqliteReader } from "../../src/store/sqlite.ts";

const double = tool({
  description: "Doubles",
  effect: "read",
  input: z.object({ n: z.number() }),
  output: z.number(),
  run: ({ n }) => Promise.resolve(2 * n),
});
const doubler = agent({ tools: [double], run: (ctx, input: { n: number }) => ctx.tool(double, { n: input.n }) });
const teller = agent({ run: (ctx, input) => ctx.step("tell", () => `it is ${JSON.stringify(input)}`) });
const talker = agent({ run: () => "word ".repeat(20_000) });
export const sums = fleet({
  name: "sums",
  tools: { double },
  agents: { doubler, teller, talker },
  workflows: { sum: pipeline({ stages: [doubler, teller] }), talk: pipeline({ stages: [talker] }) },
});

/** What verifying a store found. */
export interface Verified {
  result: VerifyResult;
  reports: JournalReport[];
  /** Problems by journal. */
  problems: Record<string, JournalProblem>;
}

/** A store with finished runs, of which copies are altered. */
export interface AlteredStore {
  readonly folder: string;
  readonly path: string;
  /** `sum`, three times; the last one was started under a key. Then `talk`, whose output lies in a blob. */
  readonly runs: readonly string[];
  /** A copy of the folder, removed when the test is over. */
  copy(): string;
  /** Verifies a copy after `alter` has been at it with a database tool, and at the files in its folder. */
  verifyAltered(alter: (db: DatabaseSync, folder: string) => void, which?: readonly string[]): Promise<Verified>;
}

/** Removed when the test, or what is given, is over. */
export async function recordedStore(finished: (undo: () => void) => void = onTestFinished): Promise<AlteredStore> {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-verify-"));
  finished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "store.db");
  const runs = await record(path);
  return {
    folder,
    path,
    runs,
    copy: () => {
      const copy = mkdtempSync(join(tmpdir(), "flotilla-verify-"));
      onTestFinished(() => rmSync(copy, { recursive: true }));
      cpSync(folder, copy, { recursive: true });
      return copy;
    },
    verifyAltered: async (alter, which) => {
      const copy = mkdtempSync(join(tmpdir(), "flotilla-verify-"));
      try {
        cpSync(folder, copy, { recursive: true });
        const db = new DatabaseSync(join(copy, "store.db"));
        alter(db, copy);
        db.close();
        return await verified(join(copy, "store.db"), which);
      } finally {
        rmSync(copy, { recursive: true });
      }
    },
  };
}

async function record(path: string): Promise<string[]> {
  await using app = await openFleet({ fleet: sums, store: `sqlite:${path}` });
  const runs: string[] = [];
  for (const [workflow, n] of [
    ["sum", 1],
    ["sum", 2],
    ["sum", 3],
    ["talk", 4],
  ] as const) {
    const run = await app.control.start({ workflow, input: { n }, ...(n === 3 ? { idempotencyKey: "third" } : {}) });
    await app.result(run);
    runs.push(run);
  }
  // Agents sign what they sent soon after they sent it.
  await vi.waitFor(async () => {
    const { signatures } = await verifyJournals(app.store, {}, () => {});
    expect(signatures.sealed).toBe(signatures.messages);
  });
  return runs;
}

/** Verifies the store as the command does. */
export async function verified(path: string, which?: readonly string[]): Promise<Verified> {
  const store = await openSqliteReader(path, { fleet: "sums" });
  const signedHead = readSignedHead(ownerFolder(path), store.fleet);
  const keys = await trustedKeys(path);
  const reports: JournalReport[] = [];
  const options = { signedHead, ...(keys && { keys }), ...(which && { runs: which }) };
  const result = await verifyJournals(store, options, (report) => reports.push(report));
  await store.close();
  const problems = Object.fromEntries(
    reports.flatMap(({ journal, problem }) => (problem === null ? [] : [[journal, problem]])),
  );
  return { result, reports, problems };
}
