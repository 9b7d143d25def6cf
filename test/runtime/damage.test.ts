import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { openFleet } from "../../src/runtime/open-fleet.ts";
import { verifyJournals } from "../../src/runtime/verify-journals.ts";
import { type Place, placeWith } from "./place.ts";
import { startApp, until } from "./process.ts";

/** Runs that wait in the middle, in a store whose owner was killed. */
async function interrupted(place: Place, count: number): Promise<string[]> {
  const app = await startApp(place.folder, { hosts: 1 });
  const here = await openFleet({ fleet: place.folder, join: "only" });
  const runs = await Promise.all(
    Array.from({ length: count }, (_, n) => here.control.start({ workflow: "work", input: { n } })),
  );
  await until(
    async () => (await Promise.all(runs.map((run) => here.state(run)))).every(({ usage }) => usage.steps > 0),
    "a step of each run",
  );
  await app.kill("SIGKILL");
  await here.close();
  return runs;
}

/** Changes one byte of an event with a database tool. */
function damage(place: Place, run: string, version: number): void {
  const db = new DatabaseSync(place.store);
  const where = "journal = (SELECT no FROM journal WHERE id = ?) AND version = ?";
  const { bytes } = db.prepare(`SELECT bytes FROM event WHERE ${where}`).get(run, version) as { bytes: Uint8Array };
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  db.prepare(`UPDATE event SET bytes = ? WHERE ${where}`).run(bytes, run, version);
  db.close();
}

test("F14: an event that was damaged stops its own run, which is named; every other run goes on", async () => {
  const place = placeWith("crew.ts");
  const [damaged = "", ...sound] = await interrupted(place, 5);
  damage(place, damaged, 3);
  const said: string[] = [];
  const note = (message: string) => void said.push(message);
  const app = await openFleet({
    fleet: place.fleet,
    hosts: 1,
    log: { debug: note, info: note, warn: note, error: note },
  });
  onTestFinished(() => app.close({ drain: false }));
  const ends = await Promise.all(sound.map((run) => app.result(run)));
  expect(ends.map(({ output }) => output)).toEqual([4, 5, 6, 7]);
  await until(
    () => said.some((line) => line.includes(damaged) && line.includes("event 3")),
    "the damaged event to be named",
  );
  await expect(app.state(damaged)).rejects.toMatchObject({
    code: "EVENT_INVALID",
    message: expect.stringContaining("event 3") as string,
  });
  const fresh = await app.control.start({ workflow: "work", input: { n: 10 } });
  expect((await app.result(fresh)).output).toBe(13);
  await expect(app.control.stop(damaged, "cannot be folded", "test")).rejects.toMatchObject({ code: "EVENT_INVALID" });

  const broken: unknown[] = [];
  await verifyJournals(
    app.store,
    {},
    ({ journal, problem }) => problem !== null && broken.push({ journal, version: problem.version }),
  );
  expect(broken).toEqual([{ journal: damaged, version: 3 }]);
}, 60_000);
