/** Names for a message; of very many, the first. */
export function list(names: Iterable<string>): string {
  const all = [...names];
  if (all.length > LISTED_MAX) return `${all.slice(0, LISTED_MAX).join(", ")} and ${all.length - LISTED_MAX} more`;
  return all.length === 0 ? "nothing" : all.join(", ");
}

const LISTED_MAX = 30;
