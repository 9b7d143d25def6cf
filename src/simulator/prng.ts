import type { Random } from "../platform/random.ts";

/** A seeded source of randomness (sfc32 of the PractRand suite): the only one that a simulation has. Sources made with
 *  different labels from one seed are independent, so that one part of a simulation can draw more or less without
 *  changing what another part sees. Protects nothing. */
export class Prng implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number | string, label = "") {
    const text = `${seed}/${label}`;
    this.#a = fnv1a(text, 0x811c_9dc5);
    this.#b = fnv1a(text, 0x9e37_79b9);
    this.#c = fnv1a(text, 0x85eb_ca6b);
    for (let i = 0; i < 12; i++) this.#word();
  }

  next(): number {
    return this.#word() / 0x1_0000_0000;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i += 4) {
      let word = this.#word();
      for (let j = i; j < Math.min(i + 4, length); j++) {
        bytes[j] = word & 0xff;
        word >>>= 8;
      }
    }
    return bytes;
  }

  /** An integer from `low` to `high`, both included. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.next() * list.length)] as T;
  }

  #word(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }
}

function fnv1a(text: string, basis: number): number {
  let hash = basis;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193);
  return hash >>> 0;
}
