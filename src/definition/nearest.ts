/** The candidate that a misspelt `name` most probably meant; null when more than a third of the letters differ (in
 *  short names, half). Case and the difference of `-` and `_` count as nothing. */
export function nearest(name: string, candidates: Iterable<string>): string | null {
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  const wanted = normalise(name);
  for (const candidate of candidates) {
    const against = normalise(candidate);
    const longer = Math.max(wanted.length, against.length);
    const allowed = Math.min(Math.max(2, Math.floor(longer / 3)), Math.floor(longer / 2));
    const distance = levenshtein(wanted, against);
    if (distance <= allowed && distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function normalise(name: string): string {
  return name.toLowerCase().replaceAll("_", "-");
}

/** Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`. */
export function levenshtein(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(substitution, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
