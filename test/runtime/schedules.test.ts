import { describe, expect, test } from "vitest";
import type { FleetDefinition } from "../../src/core/definition.ts";
import type { ScheduleDefinition } from "../../src/core/schedule.ts";
import { agent, fleet } from "../../src/definition/build.ts";
import { COORDINATOR } from "../../src/message/envelope.ts";
import { KeyRing } from "../../src/message/keys.ts";
import { graph } from "../../src/pattern/graph.ts";
import { patterns } from "../../src/pattern/index.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { Coordinator } from "../../src/runtime/coordinator.ts";
import { readSchedules } from "../../src/runtime/schedule-view.ts";
import { openMemoryStore } from "../../src/store/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { virtualClock } from "../agent/virtual-clock.ts";

const random = systemRandom();
const noon = Date.parse("2026-06-01T12:00:00Z");
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const worker = agent({ run: () => null });
const declared = fleet({
  name: "clockwork",
  agents: { worker },
  workflows: { report: graph({ tasks: { only: { agent: worker } } }) },
}).definition;

const every = (more: Partial<ScheduleDefinition> = {}): ScheduleDefinition => ({
  workflow: "report",
  input: { scheduled: true },
  cron: "0 * * * *",
  at: null,
  zone: "UTC",
  catchUp: "last",
  catchUpMax: 10,
  overlap: "allow",
  ...more,
});

/** A process that owns the store from a moment on; no worker serves, so runs last until they are stopped. */
async function life(store: Store, schedules: Record<string, ScheduleDefinition>, from = noon) {
  const clock = virtualClock(from);
  const keys = new KeyRing();
  keys.ensure([COORDINATOR, "worker"], (count) => random.bytes(count), clock.now());
  const failures: unknown[] = [];
  const coordinator = new Coordinator({
    store,
    clock,
    random,
    keys,
    planners: (_, pattern) => patterns.get(pattern),
    wanted() {},
    failed: (error) => void failures.push(error),
    notify() {},
  });
  const definition: FleetDefinition = { ...declared, schedules };
  const passing = (ms: number) => clock.until(new Promise<void>((resolve) => void clock.after(ms, resolve)));
  const begun = (async () => {
    const hash = await coordinator.register(definition);
    await coordinator.recover();
    await coordinator.keepSchedules(hash, definition);
  })();
  await clock.until(begun);
  return {
    coordinator,
    failures,
    clock,
    passing,
    do: <T>(work: Promise<T>) => clock.until(work),
    view: async (name = "one") => {
      const found = (await readSchedules(store, clock.now())).find((one) => one.name === name);
      if (found === undefined) throw new Error(`no schedule ${name}`);
      return found;
    },
  };
}

const place = () => openMemoryStore({ fleet: declared.name });

/** Times for which runs were started, in order, by the keys of the runs. */
async function startedFor(store: Store): Promise<string[]> {
  const rows = await store.runs({ limit: 1_000 });
  const keys: string[] = [];
  for (const row of rows) {
    const [first] = await store.events(row.id, 0, 1);
    const { data } = JSON.parse(Buffer.from(first?.bytes ?? []).toString("utf8")) as {
      data: { idempotencyKey?: string };
    };
    keys.push(data.idempotencyKey ?? "none");
  }
  return keys.map((key) => key.replace("schedule/one/", "").replace(":00.000Z", "Z")).sort();
}

describe("I8: a schedule starts its workflow", () => {
  test("at its times, with its input, from when it was declared on", async () => {
    const store = place();
    const here = await life(store, { one: every() });
    await here.passing(3 * HOUR_MS + MINUTE_MS);
    expect(await startedFor(store)).toEqual(["2026-06-01T13:00Z", "2026-06-01T14:00Z", "2026-06-01T15:00Z"]);
    expect(await here.view()).toMatchObject({ next: [noon + 4 * HOUR_MS, noon + 5 * HOUR_MS, noon + 6 * HOUR_MS] });
    expect(here.failures).toEqual([]);
  });

  test("once at a time, and never for one that had passed when it was declared", async () => {
    const store = place();
    const at = (text: string) => every({ cron: null, at: text });
    const here = await life(store, { one: at("2026-06-01T13:30"), past: at("2026-06-01T11:00Z") });
    await here.passing(5 * HOUR_MS);
    expect(await startedFor(store)).toEqual(["2026-06-01T13:30Z"]);
    expect(await here.view()).toMatchObject({ next: [], waiting: [], missed: null });
  });

  test("as the clock of its zone shows it", async () => {
    const store = place();
    const here = await life(store, { one: every({ cron: "30 15 * * *", zone: "Europe/Berlin" }) });
    await here.passing(2 * HOUR_MS);
    expect(await startedFor(store)).toEqual(["2026-06-01T13:30Z"]);
  });
});

describe("I8, F12: what passed while nothing ran", () => {
  test.each([
    ["skip", {}, []],
    ["last", {}, ["2026-06-01T22:00Z"]],
    ["all", {}, Array.from({ length: 10 }, (_, n) => `2026-06-01T${n + 13}:00Z`)],
    ["all", { catchUpMax: 3 }, ["2026-06-01T20:00Z", "2026-06-01T21:00Z", "2026-06-01T22:00Z"]],
  ] as const)("is made up for by policy: %s %o", async (catchUp, more, expected) => {
    const store = place();
    await life(store, { one: every({ catchUp, ...more }) });
    const later = await life(store, { one: every({ catchUp, ...more }) }, noon + 10.5 * HOUR_MS);
    expect(await startedFor(store)).toEqual(expected);
    await later.passing(HOUR_MS);
    expect(await startedFor(store)).toEqual([...expected, "2026-06-01T23:00Z"]);
  });

  test("a year of minutes is looked at in no time", async () => {
    const store = place();
    const spec = every({ cron: "* * * * *", catchUp: "all", catchUpMax: 1_000 });
    await life(store, { one: spec });
    const later = await life(store, { one: spec }, noon + 365 * 24 * HOUR_MS);
    // As many as may wait.
    expect(await startedFor(store)).toHaveLength(100);
    expect(later.failures).toEqual([]);
  });

  test("a restart within the minute is nothing to catch up on", async () => {
    const store = place();
    await life(store, { one: every({ catchUp: "skip" }) });
    await life(store, { one: every({ catchUp: "skip" }) }, noon + HOUR_MS + 30_000);
    expect(await startedFor(store)).toEqual(["2026-06-01T13:00Z"]);
  });

  test("is not started twice when the clock goes back, or another process takes over", async () => {
    const store = place();
    const here = await life(store, { one: every() });
    await here.passing(HOUR_MS + MINUTE_MS);
    const again = await life(store, { one: every() }, noon);
    await again.passing(2 * HOUR_MS + MINUTE_MS);
    expect(await startedFor(store)).toEqual(["2026-06-01T13:00Z", "2026-06-01T14:00Z"]);
  });

  test("a crash between the start of a run and its record is met by the key of schedule and time", async () => {
    const store = place();
    // Dies when it has started the run: the commit that says so is lost.
    const dying = new Proxy(store, {
      get(target, name: string) {
        if (name === "commit") return refuseToTell;
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === "function" ? (member.bind(target) as unknown) : member;
      },
    });
    const refuseToTell: Store["commit"] = (commits) =>
      commits.some(({ events }) => events.some(({ type }) => type === "schedule.ran"))
        ? new Promise(() => {})
        : store.commit(commits);
    const here = await life(dying, { one: every() });
    await here.passing(HOUR_MS + MINUTE_MS);
    expect(await startedFor(store)).toEqual(["2026-06-01T13:00Z"]);
    expect((await here.view()).waiting).toEqual([noon + HOUR_MS]);
    const next = await life(
      store,
      { one: every({ input: { scheduled: "otherwise" } }) },
      noon + HOUR_MS + 2 * MINUTE_MS,
    );
    expect(await startedFor(store)).toEqual(["2026-06-01T13:00Z"]);
    expect(await next.view()).toMatchObject({ waiting: [], last: { time: noon + HOUR_MS } });
  });
});

describe("I8: a time at which the run before it has not ended", () => {
  test("skip: starts nothing, and says why", async () => {
    const store = place();
    const here = await life(store, { one: every({ overlap: "skip" }) });
    await here.passing(2 * HOUR_MS + MINUTE_MS);
    expect(await startedFor(store)).toEqual(["2026-06-01T13:00Z"]);
    const { last, missed } = await here.view();
    expect(missed).toEqual({ time: noon + 2 * HOUR_MS, why: expect.stringContaining(last?.run ?? "?") as string });
  });

  test("queue: waits for its end", async () => {
    const store = place();
    const here = await life(store, { one: every({ overlap: "queue" }) });
    await here.passing(3 * HOUR_MS + MINUTE_MS);
    const { last, waiting } = await here.view();
    expect(waiting).toEqual([noon + 2 * HOUR_MS, noon + 3 * HOUR_MS]);
    await here.do(here.coordinator.stop(last?.run ?? "", "done", "test"));
    await here.passing(MINUTE_MS);
    expect(await startedFor(store)).toEqual(["2026-06-01T13:00Z", "2026-06-01T14:00Z"]);
    expect((await here.view()).waiting).toEqual([noon + 3 * HOUR_MS]);
  });
});

describe("I8: declarations change", () => {
  test("one that is gone starts nothing any more, and other times count from then on", async () => {
    const store = place();
    await life(store, { one: every(), gone: every() });
    const here = await life(store, { one: every({ cron: "30 * * * *" }) }, noon + 10 * MINUTE_MS);
    await here.passing(HOUR_MS);
    expect(await startedFor(store)).toEqual(["2026-06-01T12:30Z"]);
    expect((await readSchedules(store, noon)).map(({ name }) => name)).toEqual(["one"]);
  });

  test("a start that is refused for good is on record, and the next time is tried", async () => {
    const store = place();
    const here = await life(store, { one: every({ workflow: "nothing" }) });
    await here.passing(HOUR_MS + MINUTE_MS);
    expect(await here.view()).toMatchObject({
      last: null,
      waiting: [],
      missed: { time: noon + HOUR_MS, why: expect.stringContaining("WORKFLOW_UNKNOWN") as string },
    });
  });
});

test("I8, X5: while its workflow is paused it starts nothing; what passed is caught up on when it is resumed", async () => {
  const store = place();
  const here = await life(store, { one: every() });
  await here.do(here.coordinator.pause({ workflow: "report" }, "no paper", "test"));
  await here.passing(3 * HOUR_MS + MINUTE_MS);
  expect(await startedFor(store)).toEqual([]);
  expect((await here.view()).paused).toMatchObject({ why: "no paper" });
  await here.do(here.coordinator.resume({ workflow: "report" }, "", "test"));
  expect(await startedFor(store)).toEqual(["2026-06-01T15:00Z"]);
});
