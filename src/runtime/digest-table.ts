const DIGEST_BYTES = 32;
const PAGE_DIGESTS = 1_024;

interface Page {
  digests: Buffer;
  present: Uint8Array;
}

/** The digests of what each sender sent in each session, by sequence number: 32 bytes for each message, so that a
 *  million of them fit into 32 MiB while their seals are checked. */
export class DigestTable {
  readonly #senders = new Map<string, Map<number, Page>>();

  /** Returns false when another digest is there under this number. */
  put(sender: string, seq: number, digest: Uint8Array): boolean {
    const page = this.#page(sender, Math.floor(seq / PAGE_DIGESTS));
    const at = seq % PAGE_DIGESTS;
    const slot = page.digests.subarray(at * DIGEST_BYTES, (at + 1) * DIGEST_BYTES);
    if (page.present[at] === 1) return slot.equals(digest);
    slot.set(digest);
    page.present[at] = 1;
    return true;
  }

  /** The digests `from` to `to`, both included; null for those that are not there. */
  range(sender: string, from: number, to: number): (Uint8Array | null)[] {
    const pages = this.#senders.get(sender);
    return Array.from({ length: to - from + 1 }, (_, index) => {
      const at = (from + index) % PAGE_DIGESTS;
      const page = pages?.get(Math.floor((from + index) / PAGE_DIGESTS));
      return page?.present[at] === 1 ? page.digests.subarray(at * DIGEST_BYTES, (at + 1) * DIGEST_BYTES) : null;
    });
  }

  /** How many digests are there. */
  get size(): number {
    let size = 0;
    for (const pages of this.#senders.values()) {
      for (const { present } of pages.values()) for (const one of present) size += one;
    }
    return size;
  }

  #page(sender: string, number: number): Page {
    let pages = this.#senders.get(sender);
    if (pages === undefined) {
      pages = new Map();
      this.#senders.set(sender, pages);
    }
    let page = pages.get(number);
    if (page === undefined) {
      page = { digests: Buffer.alloc(PAGE_DIGESTS * DIGEST_BYTES), present: new Uint8Array(PAGE_DIGESTS) };
      pages.set(number, page);
    }
    return page;
  }
}
