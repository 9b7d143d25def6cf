import type { AgentOutcome, TaskPort } from "../agent/port.ts";
import type { FleetDefinition } from "../core/definition.ts";
import type { KeyRing } from "../message/keys.ts";
import type { Clock } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import { type Coordinator, IN_PROCESS } from "./coordinator.ts";
import { Worker } from "./worker.ts";

/** Worker names are this many random bytes, in hex. */
const WORKER_ID_BYTES = 6;

/** A worker in this very process, for library use: frames are passed by value of the call, signatures and checks are
 *  those of any other worker. Returns how to end it. */
export function startLocalWorker(ports: {
  coordinator: Coordinator;
  clock: Clock;
  random: Random;
  keys: KeyRing;
  definition: FleetDefinition;
  queue: string;
  slots: number;
  run(port: TaskPort): Promise<AgentOutcome>;
  redact?<T>(value: T): T;
}): { id: string; close(why: string): void } {
  const { coordinator, clock, random, keys, queue } = ports;
  const id = `${IN_PROCESS}${Buffer.from(random.bytes(WORKER_ID_BYTES)).toString("hex")}`;
  let open = true;
  const worker = new Worker({
    clock,
    random,
    session: id,
    slots: ports.slots,
    definition: ports.definition,
    identityOf: (agent) => keys.identity(agent),
    send: (frame) => {
      if (open) coordinator.receive(id, frame);
    },
    run: ports.run,
    ...(ports.redact === undefined ? {} : { redact: ports.redact }),
    drained: () => {},
  });
  const end = (why: string) => {
    if (!open) return;
    worker.close(why);
    open = false;
    coordinator.detach(id, why, false);
  };
  const agents = { has: (agent: string) => keys.publicKey(agent) !== null, size: keys.names().length };
  coordinator.attach({ id, queue, slots: ports.slots, send: (frame) => worker.receive(frame), kill: end }, id, agents);
  return { id, close: end };
}
