import { expect, onTestFinished, test } from "vitest";
import type { RunEvent } from "../../src/core/event.ts";
import { agent, fleet } from "../../src/definition/build.ts";
import { FlotillaError } from "../../src/error.ts";
import { COORDINATOR } from "../../src/message/envelope.ts";
import { KeyRing } from "../../src/message/keys.ts";
import { patterns } from "../../src/pattern/index.ts";
import { pipeline } from "../../src/pattern/pipeline.ts";
import { type Clock, systemClock } from "../../src/platform/clock.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { Coordinator, queueName } from "../../src/runtime/coordinator.ts";
import { readRun } from "../../src/runtime/journal.ts";
import { openMemoryStore } from "../../src/store/memory.ts";
import type { Store } from "../../src/store/store.ts";

const { definition } = fleet({
  name: "ward",
  agents: { nurse: agent({ run: () => Promise.resolve(null) }) },
  workflows: { care: pipeline({ stages: ["nurse"] }) },
});

/** A coordinator whose clock waits for nothing, on a store that can be made to fail once at a moment of a call. */
async function ward() {
  const failing = new Set<string>();
  const assigned = Promise.withResolvers<string>();
  const store = openMemoryStore({
    fleet: definition.name,
    turn: async (moment) => {
      if (failing.delete(moment)) throw new FlotillaError("STORE_UNAVAILABLE", `${moment} failed`);
    },
  });
  const system = systemClock({ ref: true });
  const clock: Clock = { ...system, after: (_delayMs, fn) => system.after(0, fn) };
  const random = systemRandom();
  const keys = new KeyRing();
  keys.ensure([COORDINATOR, "nurse"], (count) => random.bytes(count), clock.now());
  const failed: unknown[] = [];
  const coordinator = new Coordinator({
    store,
    clock,
    random,
    keys,
    planners: (_, pattern) => patterns.get(pattern),
    wanted() {},
    failed: (error) => failed.push(error),
    notify(notice) {
      if (notice.type === "event" && notice.event.type === "tasks.assigned") assigned.resolve(notice.run);
    },
  });
  onTestFinished(() => coordinator.close());
  const hash = await coordinator.register(definition);
  const link = { id: "w", queue: queueName(hash), slots: 1, send() {}, kill() {} };
  coordinator.attach(link, "w", new Set(["nurse"]));
  return { coordinator, store, hash, failing, failed, assigned: assigned.promise };
}

test.each(["peek.apply", "commit.flush"])(
  "X5, F14: what waited for a hold is given out when that is lifted, although %s fails after the lift is on record",
  async (moment) => {
    const { coordinator, hash, failing, failed, assigned } = await ward();
    await coordinator.pause({ workflow: "care" }, "looking", "tester");
    const run = await coordinator.start(hash, "care", null);
    await coordinator.settled();
    const lifted = coordinator.holds();
    expect(lifted).toHaveLength(1);
    // The commit that records the lift must succeed: what comes after it fails.
    coordinator.attach(
      {
        id: "witness",
        queue: "another",
        slots: 1,
        send: (frame) => {
          if (frame.f === "hold" && !frame.held) failing.add(moment);
        },
        kill() {},
      },
      "witness",
      new Set(["nurse"]),
    );
    expect(await coordinator.resume({ workflow: "care" }, "seen", "tester")).toBe(true);
    expect(await assigned).toBe(run);
    expect(failed).toMatchObject([{ code: "STORE_UNAVAILABLE" }]);
  },
);

async function startOf(store: Store, run: string): Promise<RunEvent> {
  for await (const { event } of readRun(store, run)) return event;
  throw new Error(`${run} has no events`);
}

test.each(["commit.apply", "commit.flush", "commit.answer"])(
  "F11, F14: a fork whose commit fails at %s is begun once all the same",
  async (moment) => {
    const { coordinator, hash, failing, store } = await ward();
    const run = await coordinator.start(hash, "care", null);
    await coordinator.settled();
    const prepared = {
      ...{ run, at: 1, kept: 0, redone: [], effects: [], changes: [], changed: [], stubs: {}, head: "h" },
      events: [await startOf(store, run)],
    };
    failing.add(moment);
    const fork = await coordinator.fork(prepared, hash, { run });
    expect(failing.size).toBe(0);
    expect((await coordinator.runs({ limit: 9 })).map(({ id }) => id).toSorted()).toEqual([run, fork].toSorted());
  },
);
