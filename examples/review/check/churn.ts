import type { Change } from "../git/change.ts";
import { git } from "../git/git.ts";
import { finding, type Finding } from "./finding.ts";

export interface Touch {
  commit: string;
  subject: string;
  files: string[];
}

const COMMITS_MAX = 200;
export const TOUCHES_MIN = 6;
const TIMES_MEDIAN = 3;

/** The newest commits of the history up to head, with the files that each touched. */
export async function history({ folder, scope }: Change, options: readonly string[] = []): Promise<Touch[]> {
  const format = "--format=%x01%H%x02%s";
  const given = ["log", format, "--numstat", "--no-renames", `-n${COMMITS_MAX}`, ...options, scope.head, "--"];
  const text = await git(folder, given);
  return text.split("\u0001").flatMap((part): Touch[] => {
    const [head = "", ...stats] = part.split("\n");
    const [commit = "", subject = ""] = head.split("\u0002");
    if (commit === "") return [];
    return [{ commit, subject, files: stats.flatMap((line) => /^\S+\t\S+\t(.+)$/.exec(line)?.[1] ?? []) }];
  });
}

/** Changed files that stand out by how often they were touched before. */
export async function findChurn(change: Change): Promise<Finding[]> {
  const touches = await history(change);
  const counts = new Map<string, number>();
  for (const file of touches.flatMap(({ files }) => files)) counts.set(file, (counts.get(file) ?? 0) + 1);
  const usual = median([...counts.values()]);
  return change.files.flatMap(({ path, status }): Finding[] => {
    const count = counts.get(path) ?? 0;
    if (status === "deleted" || count < TOUCHES_MIN || count < usual * TIMES_MEDIAN) return [];
    const message = `touched by ${count} of the last ${touches.length} commits; a file usually is by ${usual}`;
    return [finding("hot-spot", path, null, path, message)];
  });
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
