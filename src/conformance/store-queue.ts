import { expect } from "vitest";
import type { Store, TaskRow, TaskWrite } from "../store/store.ts";
import type { StoreTest } from "./store.ts";
import { append, create, lease, NOON, ready, remove } from "./store-sample.ts";

const OK = { ok: true };
const names = (rows: readonly { run: string; task: string }[]) => rows.map(({ run, task }) => `${run}/${task}`);

/** The queue: order, leases, fencing, times, bound; and timers. */
export function queueTests(test: StoreTest): void {
  test("C7: tasks are shown by rank, then run, then task, as far as they are ready", async ({ open }) => {
    const store = await open();
    await store.commit([
      create("b", { tasks: [ready("t2", { rank: 5 }), ready("t1", { rank: 5 }), ready("low", { rank: 9.5 })] }),
      create("a", {
        tasks: [ready("t9", { rank: 5 }), ready("first", { rank: -1.5 }), ready("elsewhere", { queue: "other" })],
      }),
      create("c", {
        tasks: [
          ready("delayed", { readyAt: NOON + 10 }),
          ready("expired", { expiresAt: NOON - 1 }),
          lease("leased", { rank: -9 }),
        ],
      }),
    ]);
    expect(names(await store.peek("q", NOON, 99))).toEqual(["a/first", "a/t9", "b/t1", "b/t2", "b/low"]);
    expect(names(await store.peek("q", NOON, 2))).toEqual(["a/first", "a/t9"]);
    expect(names(await store.peek("q", NOON + 10, 99))).toEqual([
      "a/first",
      "c/delayed",
      "a/t9",
      "b/t1",
      "b/t2",
      "b/low",
    ]);
    expect(names(await store.peek("q", NOON - 1, 99))).toEqual([]);
    expect(names(await store.peek("other", NOON, 99))).toEqual(["a/elsewhere"]);
    expect(await store.peek("unknown", NOON, 99)).toEqual([]);
    // Showing takes nothing.
    expect(await store.peek("q", NOON, 1)).toEqual(await store.peek("q", NOON, 1));
  });

  test("equal ranks go by the bytes of the ids", async ({ open }) => {
    const store = await open();
    const ids = ["Z", "a", "é", "日", "\uffee", "🚀"];
    await store.commit(
      ids.toReversed().map((id) => create(id, { tasks: ids.toReversed().map((task) => ready(task)) })),
    );
    expect(names(await store.peek("q", NOON, 99))).toEqual(ids.flatMap((id) => ids.map((task) => `${id}/${task}`)));
  });

  test("a task shows what it was written with", async ({ open }) => {
    const store = await open();
    const put = ready("t", { queue: "q", attempt: 2, rank: 1.25, readyAt: NOON, expiresAt: NOON + 99 });
    await store.commit([create("r", { tasks: [put] })]);
    const waiting: TaskRow = {
      run: "r",
      task: "t",
      queue: "q",
      attempt: 2,
      rank: 1.25,
      readyAt: NOON,
      expiresAt: NOON + 99,
      worker: null,
      leaseUntil: null,
    };
    expect(await store.peek("q", NOON, 9)).toEqual([waiting]);
    await store.commit([
      append("r", 1, { tasks: [lease("t", { attempt: 2, rank: 2, worker: "w1", leaseUntil: NOON + 5 })] }),
    ]);
    const leased = { ...waiting, rank: 2, expiresAt: null, worker: "w1", leaseUntil: NOON + 5 };
    expect(await store.leases(null, 9)).toEqual([leased]);
    expect(await store.peek("q", NOON, 9)).toEqual([]);
    await store.commit([append("r", 2, { tasks: [ready("t", { attempt: 3, queue: "q2", readyAt: NOON + 7 })] })]);
    expect(await store.leases(null, 9)).toEqual([]);
    const returned = { ...waiting, queue: "q2", attempt: 3, rank: 0, readyAt: NOON + 7, expiresAt: null };
    expect(await store.peek("q2", NOON + 7, 9)).toEqual([returned]);
    await store.commit([append("r", 3, { tasks: [remove("t"), remove("never there")] })]);
    expect(await store.depth(NOON)).toEqual([]);
  });

  test("F8: a lease is fenced unless its attempt is newer than any before", async ({ open }) => {
    const store = await open();
    const fenced = { ok: false, reason: "fenced", task: "t" };
    const at = (version: number, ...tasks: readonly TaskWrite[]) => append("r", version, { tasks });
    await store.commit([create("r", { tasks: [lease("t", { attempt: 2, worker: "w1" })] })]);
    expect(
      await store.commit([at(1, lease("t", { attempt: 2, worker: "w2" })), at(1, lease("t", { attempt: 1 }))]),
    ).toEqual([fenced, fenced]);
    // Back in the queue it is fenced still.
    expect(await store.commit([at(1, ready("t", { attempt: 2 })), at(2, lease("t", { attempt: 2 }))])).toEqual([
      OK,
      fenced,
    ]);
    // A newer attempt takes it, also from a worker that holds it.
    expect(await store.commit([at(2, lease("t", { attempt: 3, worker: "w2" }))])).toEqual([OK]);
    expect(await store.commit([at(3, lease("t", { attempt: 5, worker: "w3" }))])).toEqual([OK]);
    expect(await store.leases(null, 9)).toMatchObject([{ worker: "w3", attempt: 5 }]);
    // Within one commit too.
    expect(await store.commit([at(4, lease("u"), lease("t", { attempt: 6 }), lease("t", { attempt: 6 }))])).toEqual([
      fenced,
    ]);
    expect(await store.head("r")).toMatchObject({ version: 4 });
    expect(names(await store.leases(null, 9))).toEqual(["r/t"]);
  });

  test("a task that was removed may wake with the attempt that it had", async ({ open }) => {
    const store = await open();
    await store.commit([
      create("r", { tasks: [lease("t", { attempt: 2 })] }),
      append("r", 1, { tasks: [remove("t")] }),
    ]);
    expect(await store.commit([append("r", 2, { tasks: [ready("t", { attempt: 2 })] })])).toEqual([OK]);
    expect(await store.commit([append("r", 3, { tasks: [lease("t", { attempt: 2 })] })])).toEqual([OK]);
  });

  test("a heartbeat extends what is held and returns what is lost", async ({ open }) => {
    const store = await open();
    await store.commit([
      create("r", {
        tasks: [lease("held"), lease("stolen"), lease("returned"), lease("settled"), lease("other", { worker: "w2" })],
      }),
      append("r", 1, { tasks: [lease("stolen", { attempt: 2, worker: "w2" }), ready("returned"), remove("settled")] }),
    ]);
    const beat = ["held", "stolen", "returned", "settled", "other", "unknown"].map((task) => ({
      run: "r",
      task,
      attempt: 1,
    }));
    const lost = await store.heartbeat("w", beat, NOON + 5_000);
    expect(names(lost)).toEqual(["r/stolen", "r/returned", "r/settled", "r/other", "r/unknown"]);
    const until = async () =>
      Object.fromEntries((await store.leases(null, 9)).map((row) => [row.task, row.leaseUntil]));
    expect(await until()).toEqual({ held: NOON + 5_000, stolen: NOON + 1_000, other: NOON + 1_000 });
    // A lease that ended but was not taken is held still, and none is shortened.
    expect(await store.heartbeat("w", [{ run: "r", task: "held", attempt: 1 }], NOON)).toEqual([]);
    expect(await until()).toMatchObject({ held: NOON + 5_000 });
    expect(await store.heartbeat("w", [], NOON)).toEqual([]);
  });

  test("leases that ended are found, longest ended first", async ({ open }) => {
    const store = await open();
    const until = (task: string, ms: number) => lease(task, { leaseUntil: NOON + ms });
    await store.commit([
      create("r", { tasks: [until("c", 3), until("a", 1), until("b", 2), ready("queued", { expiresAt: NOON })] }),
    ]);
    expect(await store.expiredLeases(NOON + 1, 9)).toEqual([]);
    expect(names(await store.expiredLeases(NOON + 3, 9))).toEqual(["r/a", "r/b"]);
    expect(names(await store.expiredLeases(NOON + 4, 9))).toEqual(["r/a", "r/b", "r/c"]);
    expect(names(await store.expiredLeases(NOON + 4, 1))).toEqual(["r/a"]);
  });

  test("M9: queued tasks whose time to live ended are found, and not shown as ready", async ({ open }) => {
    const store = await open();
    const living = (task: string, ms: number) => ready(task, { expiresAt: NOON + ms });
    await store.commit([
      create("r", {
        tasks: [living("b", 2), living("a", 1), ready("ever"), lease("leased", { expiresAt: NOON, leaseUntil: NOON })],
      }),
    ]);
    expect(await store.expiredTasks(NOON + 1, 9)).toEqual([]);
    expect(names(await store.peek("q", NOON + 1, 9))).toEqual(["r/a", "r/b", "r/ever"]);
    expect(names(await store.expiredTasks(NOON + 2, 9))).toEqual(["r/a"]);
    expect(names(await store.peek("q", NOON + 2, 9))).toEqual(["r/b", "r/ever"]);
    expect(names(await store.expiredTasks(NOON + 3, 9))).toEqual(["r/a", "r/b"]);
    expect(names(await store.expiredTasks(NOON + 3, 1))).toEqual(["r/a"]);
  });

  test("leases are listed by run and task, in pages", async ({ open }) => {
    const store = await open();
    await store.commit(
      ["r2", "r1", "r10"].map((run) => create(run, { tasks: ["t2", "t1", "t10"].map((task) => lease(task)) })),
    );
    const seen: TaskRow[] = [];
    for (;;) {
      const page = await store.leases(seen.at(-1) ?? null, 2);
      if (page.length === 0) break;
      seen.push(...page);
    }
    const wanted = ["r1", "r10", "r2"].flatMap((run) => ["t1", "t10", "t2"].map((task) => `${run}/${task}`));
    expect(names(seen)).toEqual(wanted);
  });

  test("depth counts each queue by what its tasks wait for", async ({ open }) => {
    const store = await open();
    await store.commit([
      create("r", {
        tasks: [
          ready("1", { readyAt: NOON - 5 }),
          ready("2", { readyAt: NOON - 9 }),
          ready("3", { readyAt: NOON + 1 }),
          ready("4", { readyAt: NOON - 1, expiresAt: NOON - 1 }),
          lease("5"),
          lease("6", { queue: "p" }),
          ready("7", { queue: "o", readyAt: NOON + 2 }),
        ],
      }),
    ]);
    expect(await store.depth(NOON)).toEqual([
      { queue: "o", ready: 0, delayed: 1, leased: 0, oldestReadyAt: null },
      { queue: "p", ready: 0, delayed: 0, leased: 1, oldestReadyAt: null },
      { queue: "q", ready: 3, delayed: 1, leased: 1, oldestReadyAt: NOON - 9 },
    ]);
  });

  test("M8: a full queue refuses new runs, and nothing else", async ({ open }) => {
    const store = await open({ queueDepthMax: 4 });
    const full = (depth: number) => ({ ok: false, reason: "full", depth });
    const two = { tasks: [ready("t1"), lease("t2"), ready("gone"), remove("gone")] };
    expect(await store.commit([create("a", two), create("b", two), create("c", two), create("idle")])).toEqual([
      OK,
      OK,
      full(4),
      OK,
    ]);
    expect(await store.commit([append("a", 1, { tasks: [ready("t3"), ready("t1", { attempt: 2 })] })])).toEqual([OK]);
    expect(await store.commit([create("c", { tasks: [ready("t")] }), create("d")])).toEqual([full(5), full(5)]);
    expect(await store.head("c")).toMatchObject({ version: 0 });
    // What an accepted run needs for its own work is taken.
    const own = create("child", { tasks: [ready("t")] }, { child: true });
    expect(await store.commit([own, append("child", 1, { tasks: [remove("t")] })])).toEqual([OK, OK]);
    const drain = append("b", 1, { tasks: [remove("t1"), remove("t2"), remove("t2")] });
    expect(await store.commit([drain, create("c", { tasks: [ready("t")] }), create("e", two)])).toEqual([
      OK,
      OK,
      full(4),
    ]);
    // Refused commits, heartbeats and returns do not count.
    await store.commit([append("c", 0, two), append("a", 2, { tasks: [lease("t9"), lease("t2")] })]);
    expect(
      await store.commit([append("c", 1, { tasks: [remove("t")] }), create("f", { tasks: [ready("t")] })]),
    ).toEqual([OK, OK]);
    expect(await store.commit([create("g", { tasks: [ready("t")] })])).toEqual([full(4)]);
  });

  test(
    "the bound holds for what is found at opening, and for removed runs",
    async ({ open }) => {
      const first = await open({ queueDepthMax: 2 });
      await first.commit([create("a", { tasks: [ready("t1"), ready("t2")], run: { status: "stopped" } })]);
      await first.close();
      const store = await open({ queueDepthMax: 2 });
      const more = create("b", { tasks: [ready("t1")] });
      expect(await store.commit([more])).toEqual([{ ok: false, reason: "full", depth: 2 }]);
      expect(await store.commit([append("fleet", 0, { remove: ["a"] }), more])).toEqual([OK, OK]);
    },
    ["durable"],
  );

  test(
    "the bound counts what other handles put into the queue",
    async ({ open }) => {
      const [one, two] = [await open({ queueDepthMax: 2 }), await open({ queueDepthMax: 2 })];
      expect(await one.commit([create("a", { tasks: [ready("t")] })])).toEqual([OK]);
      expect(await two.commit([create("b", { tasks: [ready("t")] })])).toEqual([OK]);
      expect(await one.commit([create("c", { tasks: [ready("t")] })])).toEqual([
        { ok: false, reason: "full", depth: 2 },
      ]);
    },
    ["shared"],
  );

  test("F12: timers are due in order, until a commit clears them", async ({ open }) => {
    const store = await open();
    const set = (name: string, ms: number) => ({ op: "set", name, dueAt: NOON + ms }) as const;
    await store.commit([
      create("b", { timers: [set("x", 2), set("y", 1)] }),
      create("a", { timers: [set("x", 2), set("z", 9)] }),
    ]);
    expect(await store.dueTimers(NOON, 9)).toEqual([]);
    expect(await store.dueTimers(NOON + 2, 9)).toEqual([
      { run: "b", name: "y", dueAt: NOON + 1 },
      { run: "a", name: "x", dueAt: NOON + 2 },
      { run: "b", name: "x", dueAt: NOON + 2 },
    ]);
    const [earliest, ...others] = await store.dueTimers(NOON + 2, 9);
    expect(await store.dueTimers(NOON + 2, 1)).toEqual([earliest]);
    expect(await store.dueTimers(NOON + 2, 9, earliest)).toEqual(others);
    expect(await store.dueTimers(NOON + 2, 9, others.at(-1) ?? earliest)).toEqual([]);
    const clear = (name: string) => ({ op: "clear", name }) as const;
    await store.commit([append("b", 1, { timers: [set("x", 5), clear("y"), clear("never set")] })]);
    expect(await store.dueTimers(NOON + 4, 9)).toEqual([{ run: "a", name: "x", dueAt: NOON + 2 }]);
    expect((await store.dueTimers(NOON + 5, 9)).map((timer) => timer.run)).toEqual(["a", "b"]);
  });

  test("nextDue names the earliest time at which there is something to do", async ({ open }) => {
    const store = await open();
    expect(await store.nextDue(NOON)).toBeNull();
    await store.commit([create("r", { tasks: [ready("waits for a worker", { readyAt: NOON - 9 })] })]);
    expect(await store.nextDue(NOON)).toBeNull();
    const next = async (version: number, rest: Parameters<typeof append>[2]) => {
      await store.commit([append("r", version, rest)]);
      return await store.nextDue(NOON);
    };
    expect(await next(1, { timers: [{ op: "set", name: "t", dueAt: NOON + 90 }] })).toBe(NOON + 90);
    expect(await next(2, { tasks: [ready("delayed", { readyAt: NOON + 80 })] })).toBe(NOON + 80);
    expect(await next(3, { tasks: [ready("mortal", { readyAt: NOON, expiresAt: NOON + 70 })] })).toBe(NOON + 71);
    expect(await next(4, { tasks: [lease("leased", { leaseUntil: NOON + 60 })] })).toBe(NOON + 61);
    await handlesAtNextDue(store);
    expect(await next(5, { tasks: [remove("leased"), remove("mortal")] })).toBe(NOON + 80);
    expect(await store.nextDue(NOON + 80)).toBe(NOON + 90);
    // What waits to be handled keeps its time, even when that has passed.
    expect(await next(6, { timers: [{ op: "set", name: "t", dueAt: NOON - 5 }] })).toBe(NOON - 5);
    expect(await next(7, { timers: [{ op: "clear", name: "t" }], tasks: [remove("delayed")] })).toBeNull();
  });
}

/** A sleeper that wakes at `nextDue` finds something; otherwise it would wake again and again. */
async function handlesAtNextDue(store: Store): Promise<void> {
  const due = (await store.nextDue(NOON)) ?? 0;
  expect(await store.expiredLeases(due, 9)).toHaveLength(1);
  expect(await store.expiredLeases(due - 1, 9)).toHaveLength(0);
}
