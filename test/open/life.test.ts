import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { open } from "../../src/index.ts";
import { desk, gate } from "./desk.ts";
import { folder, opened, rejection } from "./place.ts";

describe("an app", () => {
  test("is closed when its block ends; closing again changes nothing", async () => {
    let kept: Awaited<ReturnType<typeof opened>>;
    {
      await using app = await open(desk, { store: "memory:" });
      expect(await (await app.start("shout", { text: "a" })).result()).toEqual({ text: "A" });
      kept = app;
    }
    await kept.close();
    await kept.close({ drain: false });
    const closed = { code: "STORE_CLOSED", message: "the app was closed" };
    expect(await rejection(kept.start("shout", { text: "b" }))).toMatchObject(closed);
    expect(await rejection(kept.run("r-1").result())).toMatchObject(closed);
    expect(await rejection(kept.run("r-1").stop())).toMatchObject(closed);
    expect(await rejection(kept.run("r-1").events()[Symbol.asyncIterator]().next())).toMatchObject(closed);
  });

  test("in memory forgets all, and shares nothing with another one", async () => {
    const [one, two] = [await opened(), await opened()];
    const run = await one.start("shout", { text: "a" });
    await run.result();
    expect(await rejection(two.run(run.id).result())).toMatchObject({ code: "RUN_UNKNOWN" });
    expect(await two.fleet.runs({ limit: 10 })).toEqual([]);
  });

  test("in a file remembers all", async () => {
    const store = `sqlite:${join(folder(), "desk.db")}`;
    const first = await opened({ store });
    const run = await first.start("shout", { text: "a" });
    await run.result();
    await first.close();
    const second = await opened({ store });
    expect(await second.run(run.id).result()).toEqual({ text: "A" });
  });

  test("on one store is not in the way of one on another, also in the same folder of a process", async () => {
    const place = folder();
    const openIn = (name: string) => opened({ store: `sqlite:${join(place, name)}.db` });
    const [one, two] = await Promise.all([openIn("one"), openIn("two")]);
    expect([one.fleet.owner, two.fleet.owner]).toEqual([true, true]);
    const runs = await Promise.all([one.start("shout", { text: "1" }), two.start("shout", { text: "2" })]);
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual([{ text: "1" }, { text: "2" }]);
    expect(await one.fleet.runs({ limit: 10 })).toHaveLength(1);
    expect(await two.fleet.runs({ limit: 10 })).toHaveLength(1);
    await one.close();
    expect(await (await two.start("shout", { text: "still" })).result()).toEqual({ text: "STILL" });
  });

  test("X1: keeps what is the owner's in a folder of its own, whoever may read the store's", async () => {
    const place = folder();
    const app = await opened({ store: `sqlite:${join(place, "desk.db")}` });
    expect(
      readdirSync(place)
        .filter((name) => !name.startsWith("desk.db-"))
        .toSorted(),
    ).toEqual(["desk.db", "desk.db.owner"]);
    expect(readdirSync(join(place, "desk.db.owner"))).toContain("keys.json");
    await app.close();
    expect(readdirSync(join(place, "desk.db.owner"))).not.toContain("owner.sock");
  });
});

describe("closing while work is under way", () => {
  test("lets it end first", async () => {
    const store = `sqlite:${join(folder(), "desk.db")}`;
    const app = await opened({ store });
    const run = await app.start("wait", { text: "drained" });
    await gate("drained arrived").promise;
    const result = run.result();
    const closing = app.close();
    gate("drained").resolve();
    expect(await result).toEqual({ text: "drained is open" });
    await closing;
    const next = await opened({ store });
    expect((await next.run(run.id).state()).status).toBe("completed");
  });

  test("without draining gives it up; it goes on at the next start, and repeats no finished step", async () => {
    const store = `sqlite:${join(folder(), "desk.db")}`;
    const app = await opened({ store });
    const run = await app.start("wait", { text: "interrupted" });
    for await (const { type } of run.events()) if (type === "step.completed") break;
    const waiting = [rejection(run.result()), rejection(drained(run.events()))];
    await app.close({ drain: false });
    for (const error of await Promise.all(waiting)) {
      expect(error).toMatchObject({
        code: "STORE_CLOSED",
        message: "the app was closed",
        hint: "Open the fleet again; its runs go on then.",
      });
    }
    const next = await opened({ store });
    gate("interrupted").resolve();
    expect(await next.run(run.id).result()).toEqual({ text: "interrupted is open" });
    const steps: string[] = [];
    for await (const { type } of next.run(run.id).events()) if (type.startsWith("step.")) steps.push(type);
    expect(steps).toEqual(["step.completed"]);
  });

  test("asked for again without draining, does not wait any longer", async () => {
    const app = await opened();
    await app.start("wait", { text: "for ever" });
    await gate("for ever arrived").promise;
    const closing = app.close();
    await app.close({ drain: false });
    await closing;
  });
});

async function drained(items: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of items) count += 1;
  return count;
}
