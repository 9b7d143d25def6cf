import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, onTestFinished, test } from "vitest";
import { agent, fleet, open, pipeline, type VersionedEvent } from "../../src/index.ts";
import { gate } from "./desk.ts";
import { folder, opened, rejection } from "./place.ts";

const storeIn = (place: string) => `sqlite:${join(place, "desk.db")}`;

describe("line 15: a later app of the same process takes the store over", () => {
  test("what waits on the earlier one is answered all the same: results, events, tokens", async () => {
    const store = storeIn(folder());
    const earlier = await opened({ store });
    const run = await earlier.start("wait", { text: "reloaded" });
    const [result, events, tokens] = [run.result(), collect(run.events()), collect(run.tokens())];
    await gate("reloaded arrived").promise;

    const later = await opened({ store });
    gate("reloaded").resolve();
    expect(await result).toEqual({ text: "reloaded is open" });
    expect(await tokens).toEqual([]);
    const seen = await events;
    expect(seen.map(({ version }) => version)).toEqual(seen.map((_, index) => index + 1));
    expect(seen).toEqual(await collect(later.run(run.id).events()));
    expect(seen.filter(({ type }) => type === "step.completed")).toHaveLength(1);
  });

  test("the earlier one goes on working, through the later one, until that one is closed", async () => {
    const store = storeIn(folder());
    const earlier = await opened({ store });
    const later = await opened({ store });
    expect([earlier.fleet.owner, later.fleet.owner]).toEqual([true, true]);
    const run = await earlier.start("shout", { text: "still here" }, { idempotencyKey: "k" });
    expect(earlier.fleet.owner).toBe(false);
    expect(await run.result()).toEqual({ text: "STILL HERE" });
    expect((await later.start("shout", { text: "still here" }, { idempotencyKey: "k" })).id).toBe(run.id);
    const stopped = await earlier.start("wait", { text: "nobody" });
    await stopped.stop("enough");
    expect((await later.run(stopped.id).state()).status).toBe("stopped");

    await later.close();
    const error = await rejection(earlier.start("shout", { text: "too late" }));
    expect(error).toMatchObject({ code: "OWNER_GONE", hint: "Open the fleet again; the runs are kept." });
    expect(error.message).toBe("a later app of this process took the store over, and was closed");
  });

  test("again and again: the last one owns, all of them work, and each closes", async () => {
    const store = storeIn(folder());
    const apps = [await opened({ store })];
    for (let reload = 0; reload < 4; reload++) apps.push(await opened({ store }));
    const runs = await Promise.all(apps.map((app, n) => app.start("shout", { text: `${n}` })));
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual(apps.map((_, n) => ({ text: `${n}` })));
    expect(apps.map((app) => app.fleet.owner)).toEqual([false, false, false, false, true]);
    await Promise.all(apps.map((app) => app.close()));
  });

  test("many opened at once settle on one owner", async () => {
    const store = storeIn(folder());
    const apps = await Promise.all(Array.from({ length: 4 }, () => opened({ store })));
    const runs = await Promise.all(apps.map((app) => app.start("shout", { text: "all" })));
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual(apps.map(() => ({ text: "ALL" })));
    expect(apps.filter((app) => app.fleet.owner)).toHaveLength(1);
  });

  test("D9: with other code, new runs are on the new one, and runs under way end on the code that they began with", async () => {
    const store = storeIn(folder());
    const before = agent({
      run: async (ctx) => {
        await ctx.step("begin", () => gate("versions arrived").resolve());
        await gate("versions").promise;
        return "before";
      },
    });
    const after = agent({ run: () => "after" });
    const version = (say: typeof before) =>
      fleet({ name: "versions", agents: { say }, workflows: { say: pipeline({ stages: [say] }) } });
    const earlier = await open(version(before), { store });
    const begun = await earlier.start("say", null);
    await gate("versions arrived").promise;
    const later = await open(version(after), { store });
    onTestFinished(async () => void (await Promise.all([earlier.close(), later.close()])));

    expect(await (await earlier.start("say", null)).result()).toBe("after");
    expect(await (await later.start("say", null)).result()).toBe("after");
    gate("versions").resolve();
    expect(await begun.result()).toBe("before");
  });

  test("but not an app of another fleet: that store is taken", async () => {
    const store = storeIn(folder());
    const app = await opened({ store });
    const say = agent({ run: () => "hello" });
    const other = fleet({ name: "other", agents: { say }, workflows: { say: pipeline({ stages: [say] }) } });
    const error = await rejection(open(other, { store }));
    expect(error).toMatchObject({ code: "STORE_OWNED", class: "permanent", details: { fleet: "desk" } });
    expect(error.message).toMatch(/^this process has the store .*desk\.db open for another fleet, "desk"$/);
    expect(await (await app.start("shout", { text: "unmoved" })).result()).toEqual({ text: "UNMOVED" });
  });
});

describe.skipIf(process.platform === "win32")("C2: another process owns the store", () => {
  test("and dies: this one takes its place, by itself, and answers what waits here", async () => {
    const store = storeIn(folder());
    const owner = startProcess(store);
    const id = await owner.line();
    const heir = startProcess(store, id);
    expect(await heir.line()).toBe("joined");
    owner.child.kill("SIGKILL");
    expect(JSON.parse(await heir.line())).toEqual({
      owner: true,
      result: { text: "inherited is open" },
      steps: 1,
      versions: true,
      next: { text: "MINE NOW" },
    });
    expect(await heir.ended).toEqual([0, null]);
  });

  test("D9: and dies, with code that is nowhere any more: whoever waits is told, and the run is kept", async () => {
    const store = storeIn(folder());
    const owner = startProcess(store);
    const id = await owner.line();
    owner.child.kill("SIGKILL");
    await owner.ended;
    const wait = agent({ run: () => "other code" });
    const today = fleet({ name: "desk", agents: { wait }, workflows: { wait: pipeline({ stages: [wait] }) } });
    const app = await open(today, { store });
    onTestFinished(() => app.close());
    const missing = { code: "DEFINITION_MISSING", details: { run: id } };
    expect(await rejection(app.run(id).result())).toMatchObject(missing);
    expect(await rejection(collect(app.run(id).events()))).toMatchObject(missing);
    expect((await app.run(id).state()).status).toBe("running");
    expect(await (await app.start("wait", null)).result()).toBe("other code");
    await app.run(id).stop();
    expect(await rejection(app.run(id).result())).toMatchObject({ code: "CANCELLED" });
  });
});

/** A process with an app on the store: the owner, or one that waits for the owner's run. */
function startProcess(store: string, ...run: string[]) {
  const child = spawn(process.execPath, [join(import.meta.dirname, "app-process.ts"), store, ...run], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error("it ended without a word");
    return value;
  };
  return { child, line, ended: once(child, "exit") };
}

async function collect<T = VersionedEvent>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
