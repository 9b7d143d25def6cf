import { isFlotillaError } from "../error.ts";
import { sha256 } from "../message/canonical.ts";
import type { Store } from "../store/store.ts";

/** Checks that definitions are what their hashes say: a run is pinned to one, and goes on by what it declares. */
export class DefinitionCheck {
  readonly #store: Pick<Store, "blob">;
  readonly #known = new Map<string, Promise<string | null>>();

  constructor(store: Pick<Store, "blob">) {
    this.#store = store;
  }

  /** What is wrong with a definition, in words; null when it is as it was stored. */
  problemOf(hash: string): Promise<string | null> {
    let known = this.#known.get(hash);
    if (known === undefined) {
      known = this.#check(hash);
      this.#known.set(hash, known);
    }
    return known;
  }

  async #check(hash: string): Promise<string | null> {
    const name = `definition ${hash.slice(0, 12)}`;
    try {
      const bytes: unknown = await this.#store.blob(hash);
      if (bytes === null) return `${name} is missing from the store`;
      if (!(bytes instanceof Uint8Array)) return `${name} was altered: it is not bytes any more`;
      return sha256(bytes).toString("hex") === hash ? null : `${name} was altered: its content has another hash`;
    } catch (error) {
      if (!isFlotillaError(error)) throw error;
      return `${name} cannot be read: ${error.message}`;
    }
  }
}
