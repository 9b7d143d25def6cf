import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { agent, fleet, open, pipeline } from "../../src/index.ts";
import { makeBackup, restoreBackup } from "../../src/runtime/backup.ts";
import { openReader } from "../../src/runtime/open-fleet.ts";
import { readSignedHead } from "../../src/runtime/signed-head.ts";
import { ownerFolder } from "../../src/runtime/owner-lock.ts";
import { verifyJournals } from "../../src/runtime/verify-journals.ts";

const work = agent({ run: async (ctx, n: number) => ctx.step("count", () => n + 1) });
const office = fleet({ name: "office", agents: { work }, workflows: { add: pipeline({ stages: [work] }) } });

const fresh = () => mkdtempSync(join(tmpdir(), "flotilla-backup-"));

async function problemsOf(store: string): Promise<{ broken: number; journals: number }> {
  const reader = await openReader(`sqlite:${store}`, "office");
  try {
    const signedHead = readSignedHead(ownerFolder(store), "office");
    return await verifyJournals(reader, { signedHead }, () => {});
  } finally {
    await reader.close();
  }
}

test("F11: a store is backed up while runs are written, and what is restored goes on, all of it as recorded", async () => {
  const folder = fresh();
  const store = join(folder, ".flotilla", "store.db");
  const backup = join(folder, "backup");
  const first = await open(office, { store: `sqlite:${store}` });
  const started = await Promise.all(Array.from({ length: 50 }, (_, n) => first.start("add", n)));
  const later = Array.from({ length: 50 }, (_, n) => first.start("add", n).then((run) => run.result()));
  expect(makeBackup(store, backup).bytes).toBeGreaterThan(0);
  await Promise.all([...later, ...started.map((run) => run.result())]);
  await first.close();
  expect((await problemsOf(join(backup, "store.db"))).broken).toBe(0);

  const elsewhere = join(fresh(), ".flotilla", "store.db");
  expect(restoreBackup(backup, elsewhere, 0)).toEqual({ kept: null });
  expect(statSync(join(ownerFolder(elsewhere), "keys.json")).mode & 0o077).toBe(0);
  await using second = await open(office, { store: `sqlite:${elsewhere}` });
  // All that had been accepted when it was made goes on to its end.
  expect(await Promise.all(started.map((run) => second.run(run.id).result()))).toEqual(started.map((_, n) => n + 1));
  await second.close();
  expect((await problemsOf(elsewhere)).broken).toBe(0);
});

test("a store in use is not replaced; one that is not is kept beside", async () => {
  const folder = fresh();
  const store = join(folder, ".flotilla", "store.db");
  const backup = join(folder, "backup");
  const app = await open(office, { store: `sqlite:${store}` });
  await (await app.start("add", 1)).result();
  makeBackup(store, backup);
  expect(() => restoreBackup(backup, store, 0)).toThrow(expect.objectContaining({ code: "STORE_OWNED" }));
  await app.close();
  const { kept } = restoreBackup(backup, store, 0);
  expect(kept).toMatch(/\.flotilla-before-1970-01-01/);
  expect(existsSync(join(kept ?? "", "store.db"))).toBe(true);
  expect((await problemsOf(store)).broken).toBe(0);
});

test("nothing is overwritten, and what is no backup is not restored", async () => {
  const folder = fresh();
  const store = join(folder, "data.db");
  expect(() => makeBackup(store, join(folder, "b"))).toThrow(expect.objectContaining({ code: "STORE_READONLY" }));
  writeFileSync(join(folder, "taken"), "mine");
  const app = await open(office, { store: `sqlite:${store}` });
  await app.close();
  expect(() => makeBackup(store, join(folder, "taken"))).toThrow(expect.objectContaining({ code: "BACKUP_EXISTS" }));
  expect(readFileSync(join(folder, "taken"), "utf8")).toBe("mine");
  expect(() => restoreBackup(folder, store, 0)).toThrow(expect.objectContaining({ code: "STORE_READONLY" }));
});
