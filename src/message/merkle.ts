import { sha256 } from "./canonical.ts";

const LEAF = 0x00;
const NODE = 0x01;
const HASH_BYTES = 32;

/** Merkle tree hash of RFC 9162, section 2.1.1, with SHA-256; the root of no leaves is the hash of nothing. */
export function merkleRoot(leaves: readonly Uint8Array[]): Buffer {
  const accumulator = new MerkleAccumulator();
  for (const leaf of leaves) accumulator.append(leaf);
  return accumulator.root();
}

/** A Merkle root that grows leaf by leaf: two hashes for each leaf, memory logarithmic in their number. */
export class MerkleAccumulator {
  /** Roots of perfect subtrees, largest first; the bits of `#size` say which sizes they have. */
  readonly #peaks: Buffer[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  append(leaf: Uint8Array): void {
    let peak = leafHash(leaf);
    for (let size = this.#size; size % 2 === 1; size = Math.floor(size / 2))
      peak = nodeHash(this.#peaks.pop() as Buffer, peak);
    this.#peaks.push(peak);
    this.#size++;
  }

  /** The root of the leaves so far; appending may go on afterwards. */
  root(): Buffer {
    return this.#peaks.length === 0 ? sha256("") : this.#peaks.reduceRight((right, left) => nodeHash(left, right));
  }
}

/** The audit path of RFC 9162, section 2.1.3.1: what proves that leaf `index` is under the root of `leaves`.
 *  Empty when there is one leaf only. */
export function inclusionProof(leaves: readonly Uint8Array[], index: number): Buffer[] {
  if (leaves.length <= 1) return [];
  const split = largestPowerOfTwoBelow(leaves.length);
  const left = leaves.slice(0, split);
  const right = leaves.slice(split);
  return index < split
    ? [...inclusionProof(left, index), merkleRoot(right)]
    : [...inclusionProof(right, index - split), merkleRoot(left)];
}

/** Whether `proof` shows that `leaf` is at `index` of the `size` leaves under `root` (RFC 9162, section 2.1.3.2). */
export function verifyInclusion(
  root: Uint8Array,
  size: number,
  index: number,
  leaf: Uint8Array,
  proof: readonly Uint8Array[],
): boolean {
  if (!Number.isSafeInteger(size) || !Number.isSafeInteger(index) || index < 0 || index >= size) return false;
  let node = index;
  let last = size - 1;
  let hash = leafHash(leaf);
  for (const sibling of proof) {
    if (last === 0 || sibling.length !== HASH_BYTES) return false;
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash);
      while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  return last === 0 && hash.equals(root);
}

function largestPowerOfTwoBelow(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}

// Two hashes are made for every message: what they are made of is put together in the same place each time.
const leafBytes = Buffer.alloc(1 + HASH_BYTES, LEAF);
const nodeBytes = Buffer.alloc(1 + 2 * HASH_BYTES, NODE);

function leafHash(leaf: Uint8Array): Buffer {
  const bytes = leaf.length === HASH_BYTES ? leafBytes : Buffer.alloc(1 + leaf.length, LEAF);
  bytes.set(leaf, 1);
  return sha256(bytes);
}

function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  nodeBytes.set(left, 1);
  nodeBytes.set(right, 1 + HASH_BYTES);
  return sha256(nodeBytes);
}
