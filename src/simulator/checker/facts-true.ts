import type { CheckerMaker } from "./checker.ts";

/** Versions of facts go up by one, and whoever read an older version than the last is told of it (C10): read from the
 *  journals alone. */
export const factsTrue: CheckerMaker = (_, fail) => {
  const versions = new Map<string, number>();
  /** Versions by fact, by task. */
  const reads = new Map<string, Map<string, number>>();
  const asked = new Map<string, string>();
  const wrote = new Set<string>();
  const told = new Set<string>();
  return {
    promise: "4: versions of facts only go up, by one; who rests on an old one is told",
    event({ journal, type, data, payload }) {
      const { task = "", key = "", fact, version } = data;
      const one = `${journal}/${task}`;
      if (type === "fact.committed") {
        const name = `${journal} ${fact}`;
        const next = (versions.get(name) ?? 0) + 1;
        if (version !== next) fail(`${name} has version ${version} where ${next} was due`);
        versions.set(name, next);
        wrote.add(`${one} ${fact}`);
      }
      if (type === "step.asked" && data.ask?.ask === "fact.read" && data.ask.peek !== true)
        asked.set(`${one}/${key}`, data.ask.fact ?? "");
      if (type === "step.completed") {
        const read = asked.get(`${one}/${key}`);
        const seen = (payload?.output as { version?: number } | undefined)?.version;
        if (read !== undefined && seen !== undefined) note(one, read, seen);
      }
      if (type === "fact.stale") told.add(`${one} ${fact} ${version}`);
      if (type === "task.reopened") reads.delete(one);
    },
    end() {
      for (const [task, seen] of reads) {
        const [run = ""] = task.split("/");
        for (const [fact, version] of seen) {
          const last = versions.get(`${run} ${fact}`) ?? 0;
          if (version >= last || wrote.has(`${task} ${fact}`) || told.has(`${task} ${fact} ${last}`)) continue;
          fail(`${task} rests on version ${version} of ${fact}, which has version ${last}, and nobody said so`);
        }
      }
    },
  };

  function note(task: string, fact: string, version: number): void {
    const seen = reads.get(task);
    if (seen === undefined) reads.set(task, new Map([[fact, version]]));
    else seen.set(fact, version);
  }
};
