import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openFleet } from "../../src/runtime/open-fleet.ts";
import { recordedStore, sums, verified } from "./altered-store.ts";

const keyFile = (folder: string): string => join(folder, "store.db.owner", "keys.json");

/** Opens the fleet once, and has it run once; returns what it told whoever runs it. */
async function openOnce(path: string): Promise<string[]> {
  const alarms: string[] = [];
  await using app = await openFleet({ fleet: sums, store: `sqlite:${path}`, alarm: (text) => alarms.push(text) });
  const run = await app.control.start({ workflow: "sum", input: { n: 7 } });
  expect((await app.result(run)).status).toBe("completed");
  return alarms;
}

test("X1: without its key file a fleet makes new keys, says so on record and at once, and old signatures stay checkable", async () => {
  const { folder, path } = await recordedStore();
  rmSync(keyFile(folder));
  const alarms = await openOnce(path);
  expect(alarms).toEqual([expect.stringContaining("5 new ones were made, which is on record")]);
  const { problems, result } = await verified(path);
  expect(problems).toEqual({});
  expect(result.signatures).toMatchObject({ keys: "given", unchecked: 0, keysReplaced: 5 });
  expect(await openOnce(path)).toEqual([]);
  expect((await verified(path)).problems).toEqual({});
});

test("X1: keys that are lost twice are all kept", async () => {
  const { folder, path } = await recordedStore();
  for (const _ of [1, 2]) {
    rmSync(keyFile(folder));
    expect(await openOnce(path)).toHaveLength(1);
  }
  expect((await verified(path)).problems).toEqual({});
  const { keys } = JSON.parse(readFileSync(keyFile(folder), "utf8")) as { keys: Record<string, { retired: object[] }> };
  expect(keys.doubler?.retired).toHaveLength(2);
});

test("X1: one agent's key that is missing from the file is replaced alone", async () => {
  const { folder, path } = await recordedStore();
  const data = JSON.parse(readFileSync(keyFile(folder), "utf8")) as { keys: Record<string, unknown> };
  delete data.keys.doubler;
  writeFileSync(keyFile(folder), JSON.stringify(data));
  expect(await openOnce(path)).toEqual([expect.stringContaining("1 new ones were made")]);
  const { problems, result } = await verified(path);
  expect(problems).toEqual({});
  expect(result.signatures.keysReplaced).toBe(1);
});

test("X1: a key that was made and not recorded before a crash is recorded at the next start", async () => {
  const { folder, path } = await recordedStore();
  const data = JSON.parse(readFileSync(keyFile(folder), "utf8")) as { unrecorded?: string[] };
  expect(data.unrecorded).toBeUndefined();
  writeFileSync(keyFile(folder), JSON.stringify({ ...data, unrecorded: ["doubler"] }));
  await openOnce(path);
  expect(JSON.parse(readFileSync(keyFile(folder), "utf8"))).not.toHaveProperty("unrecorded");
  expect((await verified(path)).problems).toEqual({});
});

test("X1: a key file of other keys proves nothing: the signatures that do not hold are named", async () => {
  const [one, other] = [await recordedStore(), await recordedStore()];
  writeFileSync(keyFile(one.folder), readFileSync(keyFile(other.folder)));
  expect((await verified(one.path)).problems.fleet).toMatchObject({ kind: "signature" });
});
