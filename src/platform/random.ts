import { randomFillSync } from "node:crypto";

/** Randomness as a port; everything that is random or unique comes from it (T1). */
export interface Random {
  bytes(length: number): Uint8Array;
  /** In [0, 1). */
  next(): number;
}

const POOL_BYTES = 4096;

/** The machine's randomness, drawn in pools since each draw costs a system call. */
export function systemRandom(): Random {
  let pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  const bytes = (length: number): Uint8Array => {
    if (length > POOL_BYTES) return randomFillSync(new Uint8Array(length));
    if (used + length > POOL_BYTES) {
      pool = randomFillSync(new Uint8Array(POOL_BYTES));
      used = 0;
    }
    used += length;
    return pool.subarray(used - length, used);
  };
  return {
    bytes,
    next() {
      const b = bytes(6);
      return Buffer.from(b.buffer, b.byteOffset, 6).readUIntBE(0, 6) / 2 ** 48;
    },
  };
}
