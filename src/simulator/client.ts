import type { Json } from "../core/json.ts";
import { isFlotillaError } from "../error.ts";
import type { Machine, Owner } from "./machine.ts";
import { Prng } from "./prng.ts";
import type { World } from "./world.ts";

/** What one client of the fleet wants. */
export interface Order {
  readonly id: string;
  readonly workflow: string;
  readonly input: Json;
  readonly idempotencyKey: string | null;
  readonly atMs: number;
  /** Stops its run so long after it was accepted. */
  readonly stopAfterMs: number | null;
  /** Asks again although it was answered, with the same key. */
  readonly asksTwice: boolean;
}

export interface ClientPorts {
  world: World;
  machine: Machine;
  definition: string;
  /** A run was promised to a client. */
  accepted(order: Order, run: string): void;
  /** A client was told that its run is stopped. */
  stopped(order: Order, run: string): void;
  /** A client that asked before was answered with the run that it had started then. */
  same(order: Order): void;
  refused(order: Order, code: string): void;
}

const RETRY_MS = [100, 1_500] as const;
/** Times that a client without an idempotency key asks: whoever gets no answer must not ask again. */
const TRIES_MAX = 60;

/** A client: asks until it is answered when it can do so safely, and may stop what it started. It is no process of the
 *  fleet and never dies; what it asks of a coordinator that dies is never answered. */
export class Client {
  readonly order: Order;
  readonly #ports: ClientPorts;
  readonly #random: Prng;
  #tries = 0;
  #answers = 0;
  done = false;

  constructor(order: Order, ports: ClientPorts) {
    this.order = order;
    this.#ports = ports;
    this.#random = new Prng(ports.world.seed, `client ${order.id}`);
    ports.world.in(order.atMs, null, `${order.id} wants ${order.workflow}`, () => this.#ask());
  }

  #ask(): void {
    const { machine, definition } = this.#ports;
    const { owner } = machine;
    this.#tries += 1;
    if (owner === null) return this.#later(() => this.#ask());
    const { workflow, input, idempotencyKey } = this.order;
    const options = idempotencyKey === null ? {} : { idempotencyKey };
    this.#call(
      owner,
      owner.coordinator.start(definition, workflow, input, options),
      (run) => this.#answered(run),
      (code) => this.#refused(code),
      // Without a key nobody knows whether the run exists; asking again could make two.
      () => (idempotencyKey === null ? this.#finish() : this.#later(() => this.#ask())),
    );
  }

  #answered(run: string): void {
    this.#ports.accepted(this.order, run);
    if (this.#answers > 0) this.#ports.same(this.order);
    this.#answers += 1;
    if (this.order.asksTwice && this.#answers === 1) return this.#later(() => this.#ask());
    const { stopAfterMs } = this.order;
    if (stopAfterMs === null) return this.#finish();
    this.#ports.world.in(stopAfterMs, null, `${this.order.id} wants to stop`, () => this.#stop(run));
  }

  #refused(code: string): void {
    this.#ports.refused(this.order, code);
    if (this.#tries < TRIES_MAX && code !== "IDEMPOTENCY_CONFLICT") this.#later(() => this.#ask());
    else this.#finish();
  }

  #stop(run: string): void {
    const { owner } = this.#ports.machine;
    const again = () => this.#later(() => this.#stop(run));
    if (owner === null) return again();
    const stopping = owner.coordinator.stop(run, "not wanted any more", this.order.id);
    this.#call(owner, stopping, () => this.#stopped(run), again, again);
  }

  #stopped(run: string): void {
    this.#ports.stopped(this.order, run);
    this.#finish();
  }

  #finish(): void {
    this.done = true;
  }

  #later(what: () => void): void {
    this.#ports.world.in(this.#random.int(...RETRY_MS), null, `${this.order.id} tries again`, what);
  }

  /** Waits for an answer, or for the end of who should give it. */
  #call<T>(
    owner: Owner,
    answer: Promise<T>,
    done: (value: T) => void,
    failed: (code: string) => void,
    gone: () => void,
  ): void {
    let open = true;
    const once = (then: () => void) => {
      if (!open || !owner.process.alive) return;
      open = false;
      then();
    };
    answer.then(
      (value) => once(() => done(value)),
      (error: unknown) => once(() => failed(isFlotillaError(error) ? error.code : `defect: ${String(error)}`)),
    );
    owner.process.onGone(() => {
      if (!open) return;
      open = false;
      gone();
    });
  }
}

/** The orders of a campaign's seed. */
export function ordersOf(seed: number, workflows: readonly string[]): Order[] {
  const random = new Prng(seed, "orders");
  return Array.from({ length: random.int(1, 4) }, (_, i): Order => {
    const keyed = random.chance(0.7);
    return {
      id: `client-${i}`,
      workflow: random.pick(workflows),
      input: { n: i, text: "x".repeat(random.chance(0.03) ? 70_000 : 3) },
      idempotencyKey: keyed ? `order-${i}` : null,
      atMs: random.int(0, 4_000),
      stopAfterMs: random.chance(0.15) ? random.int(0, 6_000) : null,
      asksTwice: keyed && random.chance(0.3),
    };
  });
}
