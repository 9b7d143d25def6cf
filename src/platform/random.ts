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
  /** Where the next `length` bytes of the pool start. */
  const draw = (length: number): number => {
    if (used + length > POOL_BYTES) {
      pool = randomFillSync(new Uint8Array(POOL_BYTES));
      used = 0;
    }
    used += length;
    return used - length;
  };
  return {
    bytes(length) {
      if (length > POOL_BYTES) return randomFillSync(new Uint8Array(length));
      const start = draw(length);
      return pool.subarray(start, start + length);
    },
    next() {
      const start = draw(6);
      let whole = 0;
      for (let i = start; i < start + 6; i++) whole = whole * 256 + (pool[i] as number);
      return whole / 2 ** 48;
    },
  };
}
