import { onTestFinished } from "vitest";
import type { CoordinatorFrame, TaskRef, WorkerFrame } from "../../src/carrier/frame.ts";
import type { StepRecord } from "../../src/core/command.ts";
import type { Priority } from "../../src/core/definition.ts";
import type { Json } from "../../src/core/json.ts";
import { agent, fleet } from "../../src/definition/build.ts";
import { COORDINATOR, createEnvelope, type Envelope } from "../../src/message/envelope.ts";
import { KeyRing } from "../../src/message/keys.ts";
import { FrameSigner } from "../../src/message/seal.ts";
import { graph } from "../../src/pattern/graph.ts";
import { patterns } from "../../src/pattern/index.ts";
import { type Clock, systemClock } from "../../src/platform/clock.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { Coordinator, frameDigest, queueName } from "../../src/runtime/coordinator.ts";
import type { FleetEventData, FleetEventType } from "../../src/runtime/fleet-journal.ts";
import { readJournal } from "../../src/runtime/journal.ts";
import { readState } from "../../src/runtime/read-run.ts";
import { openMemoryStore } from "../../src/store/memory.ts";
import { FLEET_JOURNAL } from "../../src/store/store.ts";

const system = systemClock({ ref: true });
const random = systemRandom();

const idle = () => Promise.resolve(null);
const mine = agent({ run: idle });
const theirs = agent({ run: idle });
const definition = fleet({
  name: "trust",
  agents: { mine, theirs },
  workflows: { pair: graph({ tasks: { one: { agent: mine }, two: { agent: theirs } } }) },
}).definition;

type Assign = Extract<CoordinatorFrame, { f: "assign" }>;
type Said = Extract<WorkerFrame, { f: "step" | "result" | "suspend" }>;
type Unnumbered<T> = T extends unknown ? Omit<T, "seq"> : never;

/** The coordinator with hosts that say whatever a test makes them say. */
export async function startRogueFleet({
  now = () => system.now(),
  slots = 8,
  ...options
}: {
  sealWithinMs?: number;
  leaseMs?: number;
  now?: () => number;
  slots?: number;
} = {}) {
  const clock: Clock = { ...system, now };
  const store = openMemoryStore({ fleet: definition.name });
  const keys = new KeyRing();
  keys.ensure([COORDINATOR, "mine", "theirs", "stranger"], (count) => random.bytes(count), clock.now());
  const coordinator = new Coordinator(
    {
      store,
      clock,
      random,
      keys,
      planners: (_, pattern) => patterns.get(pattern),
      wanted() {},
      failed() {},
      notify() {},
    },
    options,
  );
  onTestFinished(() => coordinator.close());
  const hash = await coordinator.register(definition);
  await coordinator.recover();
  return {
    coordinator,
    start: (priority?: Priority) =>
      coordinator.start(hash, "pair", { n: 1 }, priority === undefined ? {} : { priority }),
    host: (id: string, agents: readonly string[]) =>
      new RogueHost(id, agents, { coordinator, keys, slots, queue: queueName(hash) }),
    state: (run: string) => readState(store, run),
    /** Events of the fleet's journal of one type. */
    async told<K extends FleetEventType>(type: K): Promise<FleetEventData[K][]> {
      await coordinator.settled();
      const found: FleetEventData[K][] = [];
      for await (const { opened } of readJournal(store, FLEET_JOURNAL)) {
        if (opened.event?.type === type) found.push(opened.event.data as FleetEventData[K]);
      }
      return found;
    },
  };
}

/** A host that holds the keys of its agents, and can lie about everything else. */
export class RogueHost {
  readonly received: CoordinatorFrame[] = [];
  killed: string | null = null;
  readonly #id: string;
  readonly #coordinator: Coordinator;
  readonly #signer: FrameSigner;

  constructor(
    id: string,
    agents: readonly string[],
    ports: { coordinator: Coordinator; keys: KeyRing; queue: string; slots: number },
  ) {
    this.#id = id;
    this.#coordinator = ports.coordinator;
    this.#signer = new FrameSigner(id, (agent) => ports.keys.identity(agent));
    const link = {
      id,
      queue: ports.queue,
      slots: ports.slots,
      send: (frame: CoordinatorFrame) => void this.received.push(frame),
      kill: (why: string) => {
        this.killed ??= why;
      },
    };
    this.#coordinator.attach(link, id, new Set(agents));
  }

  /** Whatever it was given, in order. */
  get assignments(): Assign[] {
    return this.received.filter((one): one is Assign => one.f === "assign");
  }

  assigned(agent: string): Assign {
    const frame = this.assignments.find((one) => one.agent === agent);
    if (frame === undefined) throw new Error(`${agent} has no task here`);
    return frame;
  }

  has(agent: string): boolean {
    return this.assignments.some((one) => one.agent === agent);
  }

  /** Sends a frame as it is. */
  say(frame: unknown): void {
    this.#coordinator.receive(this.#id, frame as WorkerFrame);
  }

  /** Sends a frame with the number and the signature that an honest host gives it, after `lie` changed it. */
  report(frame: Unnumbered<Said>, lie: (frame: Said) => object = (honest) => honest): void {
    const { seq } = this.#signer.add(frame.agent, frameDigest(frame as Said));
    this.say(lie({ ...frame, seq } as Said));
  }

  seal(lie: (seals: ReturnType<FrameSigner["flush"]>) => unknown = (honest) => honest): void {
    this.say({ f: "seal", seals: lie(this.#signer.flush()) });
  }
}

export function stepOf(assign: Assign, step: Partial<StepRecord> = {}): Unnumbered<Extract<Said, { f: "step" }>> {
  const { run, task, attempt, agent } = assign;
  const record: StepRecord = {
    phase: "completed",
    key: "s#1",
    kind: "effect",
    name: "s",
    inputHash: "0",
    output: 1,
    durationMs: 0,
    ...step,
  };
  return { f: "step", run, task, attempt, agent, step: record };
}

export function resultOf(
  assign: Assign,
  output: Json,
  lie: (envelope: Envelope) => Envelope = (honest) => honest,
): Unnumbered<Said> {
  const { run, task, attempt, agent } = assign;
  return { f: "result", run, task, attempt, agent, envelope: lie(responseOf(assign, { run, task, attempt }, output)) };
}

function responseOf({ agent, envelope }: Assign, ref: TaskRef, output: Json): Envelope {
  const usage = { costMicroUsd: 0, inputTokens: 0, outputTokens: 0, steps: 0 };
  return createEnvelope({
    id: `${envelope.id}/result`,
    type: "task.response",
    sender: agent,
    recipient: COORDINATOR,
    correlationId: envelope.correlationId,
    causationId: envelope.id,
    // Not before the request, whose clock may run ahead.
    timestamp: Math.max(system.now(), envelope.timestamp),
    payload: { ...ref, output, usage },
  });
}
