import { onTestFinished, test, expect } from "vitest";
import { agent, fleet } from "../../src/definition/build.ts";
import { COORDINATOR } from "../../src/message/envelope.ts";
import { KeyRing } from "../../src/message/keys.ts";
import { patterns } from "../../src/pattern/index.ts";
import { pipeline } from "../../src/pattern/pipeline.ts";
import { type Clock, systemClock } from "../../src/platform/clock.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { Coordinator, IN_PROCESS, queueName } from "../../src/runtime/coordinator.ts";
import { openMemoryStore } from "../../src/store/memory.ts";

const random = systemRandom();
const { definition } = fleet({
  name: "heirs",
  agents: { busy: agent({ run: () => Promise.resolve(null) }) },
  workflows: { one: pipeline({ stages: ["busy"] }) },
});

/** A coordinator on `store` whose clock waits for nothing, and what it was asked to wait for. */
function coordinatorOn(store: ReturnType<typeof openMemoryStore>) {
  const system = systemClock({ ref: true });
  const waitedMs: number[] = [];
  const clock: Clock = {
    ...system,
    after(delayMs, fn) {
      waitedMs.push(delayMs);
      return system.after(0, fn);
    },
  };
  const keys = new KeyRing();
  keys.ensure([COORDINATOR, "busy"], (count) => random.bytes(count), clock.now());
  const coordinator = new Coordinator({
    store,
    clock,
    random,
    keys,
    planners: (_, pattern) => patterns.get(pattern),
    wanted() {},
    failed() {},
    notify() {},
  });
  onTestFinished(() => coordinator.close());
  return { coordinator, waitedMs };
}

/** What a coordinator waits for before it gives out again what `worker` had when its coordinator died. */
async function waitsAfterDeathOf(worker: string): Promise<{ waitedMs: number[]; released: string | undefined }> {
  const store = openMemoryStore({ fleet: definition.name });
  const first = coordinatorOn(store).coordinator;
  const hash = await first.register(definition);
  const link = { id: worker, queue: queueName(hash), slots: 1, send() {}, kill() {} };
  first.attach(link, worker, new Set(["busy"]));
  await first.start(hash, "one", null);
  expect((await store.leases(null, 10)).map((row) => row.worker)).toEqual([worker]);
  const second = coordinatorOn(store);
  await second.coordinator.recover();
  const { waitedMs } = second;
  const before = [...waitedMs];
  await second.coordinator.settled();
  const [row] = await store.leases(null, 10);
  return { waitedMs: before, released: row?.worker ?? undefined };
}

test("F13: what a host had is given out again when the host must be gone", async () => {
  const { waitedMs, released } = await waitsAfterDeathOf("w-1");
  expect(waitedMs).toContain(1_000);
  expect(released).toBeUndefined();
});

test("W4, F8: what ran in the owner's own process is given out again at once, since it ended with its owner", async () => {
  const { waitedMs, released } = await waitsAfterDeathOf(`${IN_PROCESS}1`);
  expect(waitedMs).not.toContain(1_000);
  expect(released).toBeUndefined();
});
