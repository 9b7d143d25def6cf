import { FlotillaError, isFlotillaError } from "../error.ts";
import { systemClock } from "../platform/clock.ts";
import type { OpenFleet } from "./app-contract.ts";
import { openFleet, type OpenFleetOptions } from "./open-fleet.ts";

/** An open fleet that outlasts the owner of its store, for programs that keep one for as long as they run.
 *
 *  - When the owner was another process and goes away, this one opens the fleet again: it becomes the owner, or joins
 *    the next one.
 *  - When a later app of this very process took the store over (hot reload), this one works through that app, with a
 *    connection only while somebody uses it: a module that was thrown away holds nothing and decides nothing. */
export class LastingFleet {
  readonly #options: OpenFleetOptions;
  #current: OpenFleet;
  /** What of `#current` is in use, or being opened in its place. */
  #uses = 0;
  #opening: Promise<OpenFleet> | null = null;
  #retired = false;
  #closing: Promise<void> | null = null;

  /** @throws {FlotillaError} as `openFleet` */
  static async open(options: OpenFleetOptions): Promise<LastingFleet> {
    const since = systemClock().now();
    return new LastingFleet({ ...options, since }, await openFleet({ ...options, since }));
  }

  private constructor(options: OpenFleetOptions, opened: OpenFleet) {
    this.#options = options;
    this.#current = opened;
    this.#follow(opened);
  }

  /** As it stands: one that was lost is replaced when it is next used. */
  get fleet(): OpenFleet {
    return this.#current;
  }

  /** Does `work`, again from the start with the next fleet when the one it had was lost meanwhile: what it does must bear
   *  being repeated. @throws {FlotillaError} STORE_CLOSED after `close`, OWNER_GONE when nobody owns the store any more */
  async use<T>(work: (fleet: OpenFleet) => Promise<T>): Promise<T> {
    for (;;) {
      const used = await this.enter();
      try {
        return await work(used.fleet);
      } catch (error) {
        used.repeatOrThrow(error);
      } finally {
        used.leave();
      }
    }
  }

  /** The fleet, to be used until `leave`. */
  async enter(): Promise<UsedFleet> {
    this.#uses += 1;
    try {
      const fleet = await this.#standing();
      return { fleet, repeatOrThrow: (error) => this.#repeatOrThrow(fleet, error), leave: () => this.#leave() };
    } catch (error) {
      this.#leave();
      throw error;
    }
  }

  #repeatOrThrow(fleet: OpenFleet, error: unknown): void {
    if (!saysLost(error)) throw error;
    if (this.#closing !== null) throw closed();
    if (!fleet.lost.aborted) throw error;
  }

  /** Ends this process's part, as `OpenFleet.close`. */
  close(options: { drain?: boolean } = {}): Promise<void> {
    // Asked for again without draining, it does not wait any longer.
    if (this.#closing !== null && options.drain === false) void this.#current.close(options);
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async #close(options: { drain?: boolean }): Promise<void> {
    await this.#opening?.catch(() => null);
    await this.#current.close(options);
  }

  async #standing(): Promise<OpenFleet> {
    if (this.#closing !== null) throw closed();
    if (this.#opening !== null) return this.#opening;
    return this.#current.lost.aborted || this.#released ? this.#reopen() : this.#current;
  }

  /** The connection of a retired app was given back; it is made again when it is needed. */
  #released = false;

  #reopen(): Promise<OpenFleet> {
    const opening = this.#again();
    this.#opening = opening;
    const done = () => {
      if (this.#opening === opening) this.#opening = null;
    };
    opening.then(done, done);
    return opening;
  }

  async #again(): Promise<OpenFleet> {
    // Ended already, or about to: its store and lock are free when this resolves.
    await this.#current.close({ drain: false });
    const opened = await openFleet({ ...this.#options, ...(this.#retired ? { join: "only" as const } : {}) }).catch(
      (error: unknown) => {
        throw this.#retired && saysLost(error) ? abandoned(error) : error;
      },
    );
    this.#current = opened;
    this.#released = false;
    this.#follow(opened);
    return opened;
  }

  /** What becomes of a fleet that is lost. */
  #follow(opened: OpenFleet): void {
    const onLost = () => {
      if (opened.owner) this.#retired = true;
      // Nobody need be waiting for an owner to be missed: runs go on.
      if (!this.#retired && this.#closing === null)
        this.#reopen().catch((error: unknown) => this.#options.log?.warn(messageOf(error)));
    };
    if (opened.lost.aborted) onLost();
    else opened.lost.addEventListener("abort", onLost, { once: true });
  }

  #leave(): void {
    this.#uses -= 1;
    if (!this.#retired || this.#uses > 0 || this.#closing !== null || this.#current.owner) return;
    this.#released = true;
    void this.#current.close();
  }
}

/** A fleet in use. */
export interface UsedFleet {
  readonly fleet: OpenFleet;
  /** Returns when an error says no more than that this fleet was lost, so that the next one may be asked. @throws it */
  repeatOrThrow(error: unknown): void;
  leave(): void;
}

function closed(): FlotillaError {
  return new FlotillaError("STORE_CLOSED", "the app was closed", {
    hint: "Open the fleet again; its runs go on then.",
  });
}

/** Errors of a fleet that cannot be used any more. */
function saysLost(error: unknown): boolean {
  return isFlotillaError(error) && (error.code === "OWNER_GONE" || error.code === "STORE_CLOSED");
}

function abandoned(cause: unknown): FlotillaError {
  return new FlotillaError("OWNER_GONE", "a later app of this process took the store over, and was closed", {
    hint: "Open the fleet again; the runs are kept.",
    cause,
  });
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
