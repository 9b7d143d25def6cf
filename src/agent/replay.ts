import type { Clock } from "../platform/clock.ts";

/** Hands recorded steps back to a resumed agent in the order of the record, one in a turn of the loop, so that parallel
 *  branches which were interleaved by chance are interleaved the same way again and ask for their next steps in the
 *  same order. What happens anew waits until nothing recorded is pending, since all of the record came before it. */
export class Replay {
  private readonly clock: Clock;
  private readonly order: ReadonlyMap<string, number>;
  private readonly pending: { place: number; deliver: () => void }[] = [];
  private idlers: (() => void)[] = [];
  private turning = false;

  constructor(clock: Clock, keys: Iterable<string>) {
    this.clock = clock;
    this.order = new Map([...keys].map((key, place) => [key, place]));
  }

  /** Resolves when it is the turn of this recorded step. */
  turn(key: string): Promise<void> {
    return new Promise((deliver) => {
      this.pending.push({ place: this.order.get(key) ?? this.order.size, deliver });
      this.keepTurning();
    });
  }

  /** Recorded steps that the agent asked for and was not handed yet. */
  get waiting(): number {
    return this.pending.length;
  }

  /** Whether what happens anew has to wait. */
  get busy(): boolean {
    return this.turning;
  }

  /** Resolves when nothing recorded is pending. */
  idle(): Promise<void> {
    return this.turning ? new Promise((resolve) => void this.idlers.push(resolve)) : Promise.resolve();
  }

  private keepTurning(): void {
    if (this.turning) return;
    this.turning = true;
    this.clock.soon(() => this.takeTurn());
  }

  private takeTurn(): void {
    const next = this.takeFirst();
    if (next !== undefined) {
      next.deliver();
      // What the agent does with it may ask for a step that comes before the others that wait.
      this.clock.soon(() => this.takeTurn());
      return;
    }
    this.turning = false;
    const idlers = this.idlers;
    this.idlers = [];
    for (const resolve of idlers) resolve();
  }

  private takeFirst(): { deliver: () => void } | undefined {
    let first = 0;
    for (let index = 1; index < this.pending.length; index++) {
      if ((this.pending[index]?.place ?? 0) < (this.pending[first]?.place ?? 0)) first = index;
    }
    return this.pending.splice(first, 1)[0];
  }
}
