import { type HoldTarget, targetName } from "../core/hold.ts";
import { isFlotillaError } from "../error.ts";
import type { Coordinator } from "../runtime/coordinator.ts";
import type { History } from "./history.ts";
import type { Machine } from "./machine.ts";
import { Prng } from "./prng.ts";
import type { World } from "./world.ts";

/** Something that a person pauses for a while; a run: the newest one at that moment. */
export interface Intervention {
  readonly what: { readonly workflow: string } | { readonly agent: string } | { readonly fleet: true } | "run";
  readonly kill: boolean;
  readonly atMs: number;
  readonly lastsMs: number;
}

const RETRY_MS = [100, 1_500] as const;

/** A person who pauses and resumes: until it is said to be done, since an owner may die before it answers (X5). */
export class Intervener {
  readonly #world: World;
  readonly #machine: Machine;
  readonly #random: Prng;
  readonly #count: (name: string) => void;
  #newest: string | null = null;
  /** What is to be paused, is, or is to be resumed. */
  #open = 0;

  constructor(parts: {
    world: World;
    machine: Machine;
    history: History;
    interventions: readonly Intervention[];
    count(name: string): void;
  }) {
    this.#world = parts.world;
    this.#machine = parts.machine;
    this.#random = new Prng(parts.world.seed, "intervener");
    this.#count = parts.count;
    parts.history.onEvent(({ journal, type }) => {
      if (type === "run.started") this.#newest = journal;
    });
    for (const one of parts.interventions)
      this.#world.in(one.atMs, null, "a person wants something paused", () => this.#begin(one));
  }

  /** Whether everything that was paused is resumed: what waits for that is no loss. */
  get done(): boolean {
    return this.#open === 0;
  }

  #begin({ what, kill, lastsMs }: Intervention): void {
    const target: HoldTarget | null = what !== "run" ? what : this.#newest === null ? null : { run: this.#newest };
    if (target === null) return;
    const name = targetName(target);
    this.#open += 1;
    this.#insist(
      `pause ${name}`,
      (coordinator) => coordinator.pause(target, "not now", "person", kill),
      () => {
        this.#world.in(lastsMs, null, `a person wants ${name} resumed`, () => {
          const resume = (coordinator: Coordinator) => coordinator.resume(target, "go on", "person");
          this.#insist(`resume ${name}`, resume, () => {
            this.#open -= 1;
          });
        });
      },
    );
  }

  /** Asks until it is answered. */
  #insist(what: string, ask: (coordinator: Coordinator) => Promise<boolean>, answered: () => void): void {
    const again = () =>
      this.#world.in(this.#random.int(...RETRY_MS), null, `${what}, again`, () => this.#insist(what, ask, answered));
    const { owner } = this.#machine;
    if (owner === null) return void again();
    let open = true;
    const once = (then: () => void) => {
      if (open) then();
      open = false;
    };
    owner.process.onGone(() => once(again));
    ask(owner.coordinator).then(
      (changed) =>
        once(() => {
          this.#count(`person.${what.split(" ", 1)[0]} ${changed}`);
          answered();
        }),
      (error: unknown) => {
        if (!isFlotillaError(error)) throw error;
        once(again);
      },
    );
  }
}

/** What a person pauses in a campaign's seed. */
export function interventionsOf(
  seed: number,
  { workflows, agents }: { workflows: readonly string[]; agents: readonly string[] },
): Intervention[] {
  const random = new Prng(seed, "interventions");
  if (!random.chance(0.35)) return [];
  return Array.from({ length: random.int(1, 3) }, () => {
    const scope = random.pick(["run", "workflow", "agent", "fleet"] as const);
    const what =
      scope === "run"
        ? scope
        : scope === "workflow"
          ? { workflow: random.pick(workflows) }
          : scope === "agent"
            ? { agent: random.pick(agents) }
            : { fleet: true as const };
    return { what, kill: random.chance(0.2), atMs: random.int(0, 6_000), lastsMs: random.int(50, 8_000) };
  });
}
