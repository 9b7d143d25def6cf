import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";

// Scores a ranked list against the hidden columns of the bundled reports: node score.ts [routed.csv] [runs.json]
// With the output of `flotilla ls --children --json` it tells throughput and cost too. Agents and tools never read the
// truth; nothing they use imports this file. Exit code 1: nothing to score, or ranked worse than by 0.75.

interface Known {
  harm: boolean;
  team: string;
  sameAs: string;
}

interface Run {
  id: string;
  workflow: string;
  startedAt: string;
  endedAt: string | null;
  costMicroUsd: number;
  simulated: boolean;
}

const AREA_MIN = 0.75;
const TOP = 100;

const path = resolve(process.argv[2] ?? resolve(import.meta.dirname, "routed.csv"));
const runs = process.argv[3];
if (!existsSync(path)) stop(`There is no list at ${path}; run the fleet first.`);
const truth = new Map(
  table(resolve(import.meta.dirname, "data/truth.csv")).map(([id = "", harm, team = "", sameAs = ""]) => {
    return [id, { harm: harm === "1", team, sameAs }] as [string, Known];
  }),
);
const listed = table(path).map(([, id = "", team = "", , , , again = ""]) => {
  return { id, team, again: again.split(" ").filter((one) => one !== "") };
});
const ids = listed.flatMap(({ id, again }) => [id, ...again]);
if (ids.length !== truth.size || ids.some((id) => !truth.has(id)))
  stop(`No score: ${path} is not about the bundled reports, so nothing is known about it here.`);

const known = (id: string): Known => truth.get(id) ?? { harm: false, team: "", sameAs: "" };
const harms = listed.map(({ id }) => known(id).harm);
const top = harms.slice(0, TOP).filter((harm) => harm).length;
const usual = harms.filter((harm) => harm).length / harms.length;
const right = listed.filter(({ id, team }) => known(id).team === team).length;
const pairs = listed.flatMap(({ id, again }) => again.map((copy) => [id, copy] as const));
const root = (id: string): string => known(id).sameAs || id;
const rightPairs = pairs.filter(([one, other]) => root(one) === root(other)).length;
const copies = [...truth.values()].filter(({ sameAs }) => sameAs !== "").length;
const areaUnder = area(harms);

console.log(
  [
    `Score against the hidden columns of ${truth.size} reports`,
    `  ranking   area under the curve ${areaUnder.toFixed(2)} (0.5 is chance)`,
    `  the top   ${top} of the first ${TOP} were harmful; of all, ${percent(usual)}`,
    `  routing   ${percent(right / listed.length)} went to the right team`,
    `  told again  precision ${percent(rightPairs / Math.max(1, pairs.length))}, recall ${percent(rightPairs / copies)} of ${copies}`,
    ...(runs === undefined ? [] : [spent(JSON.parse(readFileSync(runs, "utf8")) as Run[])]),
  ].join("\n"),
);
process.exitCode = areaUnder >= AREA_MIN ? 0 : 1;

function stop(text: string): never {
  console.log(text);
  process.exit(1);
}

/** What the newest run took, its child runs included. */
function spent(all: readonly Run[]): string {
  const [run] = all
    .filter(({ workflow, endedAt }) => workflow === "triage" && endedAt !== null)
    .toSorted((a, b) => b.startedAt.localeCompare(a.startedAt));
  if (run === undefined || run.endedAt === null) return "  no run of the workflow has ended";
  const seconds = (Date.parse(run.endedAt) - Date.parse(run.startedAt)) / 1_000;
  const usd = run.costMicroUsd / 1e6;
  const each = (usd / truth.size) * 1_000;
  return `  the run   ${Math.round(truth.size / seconds)} items a second, $${usd.toFixed(3)}${run.simulated ? " (simulated)" : ""}: $${each.toFixed(3)} for 1,000 items`;
}

/** Probability that a harmful one stands before a harmless one. */
function area(ranked: readonly boolean[]): number {
  let harmful = 0;
  let before = 0;
  for (const isHarm of ranked) {
    if (isHarm) harmful += 1;
    else before += harmful;
  }
  return before / Math.max(1, harmful * (ranked.length - harmful));
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** Cells by line, without the head; no cell here holds a line end. */
function table(file: string): string[][] {
  const lines = readFileSync(file, "utf8").trimEnd().split("\n").slice(1);
  return lines.map((line) =>
    (line.match(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g) ?? []).map((cell) => cell.replace(/,$/, "")),
  );
}
