import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { PRIORITY } from "../../src/core/definition.ts";
import type { OpenFleet } from "../../src/runtime/app-contract.ts";
import { openFleet, type OpenFleetOptions } from "../../src/runtime/open-fleet.ts";
import { type Place, placeWith } from "./place.ts";
import { startApp, until } from "./process.ts";
import { resultOf, startRogueFleet } from "./rogue-host.ts";

async function opened(options: OpenFleetOptions): Promise<OpenFleet> {
  const app = await openFleet(options);
  onTestFinished(() => app.close({ drain: false }));
  return app;
}

const MEBIBYTE = 1024 * 1024;

/** Anonymous memory that a process holds: what it allocated, without the pages of files that it maps. */
function memoryOf(pid: number): number {
  const [, kibibytes = "0"] = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kibibytes) * 1024;
}

const gateOf = (place: Place) => `${place.diary}.gate`;

async function inLots<T>(count: number, lot: number, work: (n: number) => Promise<T>): Promise<T[]> {
  const done: T[] = [];
  for (let from = 0; from < count; from += lot) {
    done.push(...(await Promise.all(Array.from({ length: Math.min(lot, count - from) }, (_, i) => work(from + i)))));
  }
  return done;
}

test("M8: 10,000 queued runs; the memory of their coordinator stays flat, and all of them end", async () => {
  const place = placeWith("queue.ts");
  // With so small a heap, garbage does not pass for growth, and growth could not hide.
  const heap = { NODE_OPTIONS: "--max-old-space-size=80 --max-semi-space-size=4" };
  const app = await startApp(place.folder, { hosts: 1, concurrency: 8 }, heap);
  const here = await opened({ fleet: place.folder, join: "only" });
  const start = (n: number) =>
    here.control.start({ workflow: "work", input: { n, gate: gateOf(place), text: "x".repeat(6_000) } });
  await inLots(2_000, 200, start);
  const early = memoryOf(app.pid);
  await inLots(8_000, 200, (n) => start(2_000 + n));
  const grown = memoryOf(app.pid) - early;
  const depth = (await here.control.info()).queues;
  writeFileSync(gateOf(place), "");
  await until(async () => (await here.runs({ status: "running", limit: 1 })).length === 0, "every run to end", 120_000);
  const after = memoryOf(app.pid) - early;
  await app.kill("SIGTERM");
  console.log(
    `10,000 queued: grown by ${Math.round(grown / MEBIBYTE)} MiB while they came, ${Math.round(after / MEBIBYTE)} MiB after all of them`,
  );
  // The texts alone of what came would be 46 MiB.
  expect(Math.max(grown, after)).toBeLessThan(40 * MEBIBYTE);
  expect(depth.reduce((sum, { running }) => sum + running, 0)).toBeLessThanOrEqual(8);
}, 240_000);

test("M8: a queue at its bound tells its producer, and takes work again when some is done", async () => {
  const place = placeWith("queue.ts");
  const app = await opened({ fleet: place.fleet, hosts: 1, concurrency: 2, queueDepthMax: 5 });
  const start = () => app.control.start({ workflow: "work", input: { n: 1, gate: gateOf(place) } });
  const accepted = await Promise.all([start(), start(), start(), start(), start()]);
  await expect(start()).rejects.toMatchObject({
    code: "QUEUE_FULL",
    class: "transient",
    hint: expect.stringContaining("queueDepthMax") as string,
  });
  writeFileSync(gateOf(place), "");
  await Promise.all(accepted.map((run) => app.result(run)));
  expect((await app.result(await start())).status).toBe("completed");
  expect(await app.runs({ limit: 100 })).toHaveLength(6);
});

test("C7: what is critical goes first, in order of its coming within a priority", async () => {
  const place = placeWith("queue.ts");
  const app = await opened({ fleet: place.fleet, hosts: 1, concurrency: 1 });
  const start = (n: string, priority: keyof typeof PRIORITY) =>
    app.control.start({
      workflow: "work",
      input: { n, gate: gateOf(place), diary: place.diary },
      priority: PRIORITY[priority],
    });
  const runs = [await start("first", "LOW")];
  await until(
    async () => (await app.control.info()).queues.some(({ running }) => running === 1),
    "the first one to hold the slot",
  );
  for (const [n, priority] of [
    ["low 1", "LOW"],
    ["normal 1", "NORMAL"],
    ["high 1", "HIGH"],
    ["critical 1", "CRITICAL"],
    ["low 2", "LOW"],
    ["normal 2", "NORMAL"],
    ["critical 2", "CRITICAL"],
  ] as const) {
    runs.push(await start(n, priority));
  }
  writeFileSync(gateOf(place), "");
  await Promise.all(runs.map((run) => app.result(run)));
  expect(place.lines()).toEqual([
    "first",
    "critical 1",
    "critical 2",
    "high 1",
    "normal 1",
    "normal 2",
    "low 1",
    "low 2",
  ]);
});

test("C7: low work that has waited long enough goes before critical work that just came", async () => {
  let ahead = 0;
  const fleet = await startRogueFleet({ now: () => Date.now() + ahead, slots: 1 });
  const low = await fleet.start(PRIORITY.LOW);
  ahead += 100_000;
  const critical = await fleet.start(PRIORITY.CRITICAL);
  const host = fleet.host("w-honest", ["mine", "theirs"]);
  const served: string[] = [];
  for (let n = 1; n <= 4; n++) {
    await until(() => host.assignments.length === n, "the next assignment");
    const assign = host.assignments[n - 1];
    if (assign === undefined) throw new Error("no assignment");
    served.push(assign.run);
    host.report(resultOf(assign, null));
  }
  expect(served).toEqual([low, low, critical, critical]);
});

test("C11: one idempotency key is one run, also when several processes say it at once; other input is a conflict", async () => {
  const place = placeWith("queue.ts");
  const app = await startApp(place.folder, { hosts: 1 });
  const joined = await Promise.all([1, 2].map(() => opened({ fleet: place.folder, join: "only" })));
  const start = (from: OpenFleet, n: number) =>
    from.control.start({ workflow: "work", input: { n, gate: gateOf(place) }, idempotencyKey: "the-key" });
  const runs = await Promise.all(joined.flatMap((from) => Array.from({ length: 20 }, () => start(from, 1))));
  expect(new Set(runs).size).toBe(1);
  const [first] = joined;
  if (first === undefined) throw new Error("nobody joined");
  await expect(start(first, 2)).rejects.toMatchObject({ code: "IDEMPOTENCY_CONFLICT" });
  writeFileSync(gateOf(place), "");
  await first.result(runs[0] ?? "");
  // Also long after it ended, and in another life.
  await app.kill("SIGKILL");
  const next = await opened({ fleet: place.folder });
  expect(await start(next, 1)).toBe(runs[0]);
  await expect(start(next, 2)).rejects.toMatchObject({ code: "IDEMPOTENCY_CONFLICT" });
  expect(await next.runs({ limit: 10 })).toHaveLength(1);
});

/** A server that answers nothing before it is told to, and knows when its clients hang up. */
async function slowServer(answer?: { status: number; text: string }) {
  const asked = Promise.withResolvers<void>();
  const hungUp = Promise.withResolvers<number>();
  const seen: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization);
    asked.resolve();
    response.once("close", () => hungUp.resolve(performance.now()));
    if (answer !== undefined) response.writeHead(answer.status).end(answer.text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    asked: asked.promise,
    hungUp: hungUp.promise,
    seen,
  };
}

const SECRETS = { CANARY_TOOL_KEY: "canary-tool-7Qw9", CANARY_MODEL_KEY: "canary-model-3Zx5" };

function withSecrets(): void {
  Object.assign(process.env, SECRETS);
  onTestFinished(() => {
    for (const name of Object.keys(SECRETS)) delete process.env[name];
  });
}

test("X5, F3: stopping a run hangs up on its calls within a second, and nothing more of it starts", async () => {
  withSecrets();
  const place = placeWith("queue.ts");
  const server = await slowServer();
  const app = await opened({ fleet: place.fleet, hosts: 1 });
  const run = await app.control.start({ workflow: "call", input: { url: server.url, diary: place.diary } });
  await server.asked;
  const stoppedAt = performance.now();
  await app.control.stop(run, "no more", "test");
  expect((await server.hungUp) - stoppedAt).toBeLessThan(1_000);
  expect(await app.result(run)).toMatchObject({ status: "stopped" });
  // Stopping again, and everything else that is said to it, changes nothing.
  await app.control.stop(run, "again", "test");
  const other = await app.control.start({ workflow: "work", input: { n: 1, gate: place.diary } });
  await app.result(other);
  const { tasks, version } = await app.state(run);
  expect([...tasks.values()].map(({ status }) => status)).toEqual(["cancelled", "cancelled"]);
  expect(place.lines()).toEqual(["called"]);
  expect((await app.state(run)).version).toBe(version);
});
