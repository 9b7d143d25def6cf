/** The value below which a share `q` of the samples lie (nearest rank); NaN without samples. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const rank = Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1));
  return sorted[rank] ?? Number.NaN;
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/** To `digits` significant digits, so that documents do not pretend to more than was measured. */
export function significant(value: number, digits = 4): number {
  return Number(value.toPrecision(digits));
}
