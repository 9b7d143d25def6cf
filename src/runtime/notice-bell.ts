import type { Notice } from "./coordinator.ts";

/** Drains notices as they come, however slow their reader is, and keeps one thing of them: that there were events. */
export class NoticeBell {
  #rung = false;
  #ended = false;
  #error: unknown = null;
  #wake: () => void = () => {};

  constructor(notices: AsyncIterable<Notice>) {
    this.#drain(notices).then(
      () => this.#end(null),
      (error: unknown) => this.#end(error),
    );
  }

  /** Resolves with true when there were events since it was asked last, with false when there will be none any more.
   *  @throws what the notices failed with */
  async heard(): Promise<boolean> {
    while (!this.#rung && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (!this.#rung && this.#error !== null) throw this.#error;
    const heard = this.#rung;
    this.#rung = false;
    return heard;
  }

  async #drain(notices: AsyncIterable<Notice>): Promise<void> {
    for await (const { type } of notices) {
      if (type !== "event") continue;
      this.#rung = true;
      this.#wake();
    }
  }

  #end(error: unknown): void {
    this.#error = error;
    this.#ended = true;
    this.#wake();
  }
}
