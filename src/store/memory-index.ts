/** Orders two strings by their UTF-8 bytes, which is the order of code points: what SQLite and `COLLATE "C"` do. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return x >= 0xd800 && y >= 0xd800 ? aboveSurrogates(x) - aboveSurrogates(y) : x - y;
  }
  return a.length - b.length;
}

/** Code units U+E000 to U+FFFF come before surrogates, which stand for what lies above them. */
const aboveSurrogates = (unit: number) => (unit >= 0xe000 ? unit - 0x800 : unit + 0x2000);

/** A sorted array without equal items: look-ups take log n, insertions a move of memory. */
export class SortedIndex<T> {
  readonly #compare: (a: T, b: T) => number;
  readonly #items: T[] = [];

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  get size(): number {
    return this.#items.length;
  }

  /** All items in order; only to be read. */
  get items(): readonly T[] {
    return this.#items;
  }

  first(): T | undefined {
    return this.#items[0];
  }

  add(item: T): void {
    const at = this.#position(item);
    const there = this.#items[at];
    if (there !== undefined && this.#compare(there, item) === 0) this.#items[at] = item;
    else this.#items.splice(at, 0, item);
  }

  remove(item: T): void {
    const at = this.#position(item);
    const there = this.#items[at];
    if (there !== undefined && this.#compare(there, item) === 0) this.#items.splice(at, 1);
  }

  /** The first item for which `passes` holds; `passes` must hold for every item after one for which it holds. */
  firstWhere(passes: (item: T) => boolean): T | undefined {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (passes(this.#items[middle] as T)) high = middle;
      else low = middle + 1;
    }
    return this.#items[low];
  }

  #position(item: T): number {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.#items[middle] as T, item) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
