/** Finds a cycle that adding `added` to the graph would close, as the list of its tasks with the first one repeated
 *  at the end; null when the graph stays acyclic (C1). `needsOf` gives the dependencies of tasks already present. Those
 *  are looked at only when `deep`: what was there before cannot reach what is new, unless `added` gives it new edges. */
export function findCycle(
  added: ReadonlyMap<string, readonly string[]>,
  needsOf: (task: string) => readonly string[],
  deep = false,
): string[] | null {
  const done = new Set<string>();
  const path: string[] = [];
  const onPath = new Set<string>();
  // Iterative, since a chain may be 100,000 long.
  for (const root of added.keys()) {
    const stack: { task: string; needs: readonly string[]; next: number }[] = [];
    const enter = (task: string) => {
      path.push(task);
      onPath.add(task);
      stack.push({ task, needs: added.get(task) ?? needsOf(task), next: 0 });
    };
    if (!done.has(root)) enter(root);
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      const next = frame.needs[frame.next++];
      if (next === undefined) {
        done.add(frame.task);
        onPath.delete(frame.task);
        path.pop();
        stack.pop();
      } else if (onPath.has(next)) {
        return [...path.slice(path.indexOf(next)), next];
      } else if (!done.has(next) && (deep || added.has(next))) {
        enter(next);
      }
    }
  }
  return null;
}
