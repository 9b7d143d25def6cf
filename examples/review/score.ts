import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";

// Scores a review against the planted defects of the bundled repository: node score.ts [review.sarif]
// Agents and tools never read the truth; nothing they use imports this file. For CI: the exit code is 1 when there is
// nothing to score, or less than three quarters of precision or recall.

interface Planted {
  kind?: string;
  rule: string;
  file: string;
  subject?: string;
  what: string;
}

interface Truth {
  head: string;
  base: string;
  defects: Planted[];
  decoys: Planted[];
}

interface Result {
  ruleId: string;
  message: { text: string };
  locations: { physicalLocation: { artifactLocation: { uri: string } } }[];
  suppressions?: unknown[];
}

interface Sarif {
  runs: { properties: { base: string; head: string }; results: Result[] }[];
}

const SHARE_MIN = 0.75;

const path = resolve(process.argv[2] ?? resolve(import.meta.dirname, "review.sarif"));
const score = existsSync(path) ? scored(path) : failed(`There is no review at ${path}; run the fleet first.`);
console.log(score.text);
process.exitCode = score.good ? 0 : 1;

function failed(text: string) {
  return { text, good: false };
}

function scored(review: string): { text: string; good: boolean } {
  const run = (JSON.parse(readFileSync(review, "utf8")) as Sarif).runs[0];
  const truth = JSON.parse(readFileSync(resolve(import.meta.dirname, "data/truth.json"), "utf8")) as Truth;
  if (run === undefined || run.properties.head !== truth.head || run.properties.base !== truth.base)
    return failed(`No score: ${review} is not about the bundled change, so its defects are not known here.`);
  const holding = run.results.filter(({ suppressions = [] }) => suppressions.length === 0);
  const struck = run.results.filter((one) => !holding.includes(one));
  const right = holding.filter((one) => truth.defects.some((defect) => isAbout(one, defect)));
  const found = truth.defects.filter((defect) => holding.some((one) => isAbout(one, defect)));
  const fooled = truth.decoys.filter((decoy) => struck.some((one) => isAbout(one, decoy)));
  const wrong = struck.filter((one) => !truth.decoys.some((decoy) => isAbout(one, decoy)));
  const precision = holding.length === 0 ? 0 : right.length / holding.length;
  const recall = found.length / truth.defects.length;
  const lines = [
    `Score against the planted defects: precision ${percent(precision)}, recall ${percent(recall)}`,
    ...truth.defects.map((defect) => row(found.includes(defect) ? "✓ found" : "✗ missed", defect)),
    ...holding.filter((one) => !right.includes(one)).map((one) => `  ✗ wrong   ${one.message.text}`),
    `Struck out rightly: ${struck.length - wrong.length} of ${struck.length}; the specialists fell for ${fooled.length} of ${truth.decoys.length} decoys`,
    ...wrong.map((one) => `  ✗ struck  ${one.message.text}`),
  ];
  return { text: lines.join("\n"), good: precision >= SHARE_MIN && recall >= SHARE_MIN };
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function row(mark: string, { rule, file, what }: Planted): string {
  return `  ${mark.padEnd(8)}  ${rule.padEnd(18)}${file}: ${what}`;
}

function isAbout({ ruleId, message, locations }: Result, { rule, file, subject, kind }: Planted): boolean {
  const place = locations[0]?.physicalLocation.artifactLocation.uri;
  if (ruleId !== rule || place !== file) return false;
  const isNamed = rule === "untested-change" || kind === "api" || rule === "export-removed";
  return !isNamed || subject === undefined || message.text.includes(`\`${subject}`);
}
