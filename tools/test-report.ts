import { relative, sep } from "node:path";

/** The part of Vitest's JSON report that is read here. */
export interface VitestReport {
  testResults: {
    /** Absolute path of the test file. */
    name: string;
    /** `failed` also when the file could not be loaded; it has no results then. */
    status: string;
    message?: string;
    assertionResults: { fullName: string; status: string }[];
  }[];
}

/** One check beside the tests: format, lint, types. */
export interface CheckResult {
  name: string;
  covers: string;
  passed: boolean;
}

export interface Summary {
  passed: number;
  failed: number;
  /** `file: name of the test`; a reason stands in the name. */
  skipped: string[];
  failures: string[];
  /** Tests that ran, by folder under `test/`. */
  byFolder: Map<string, number>;
}

/** Counts tests and checks; a test file that could not be loaded counts as one failure. */
export function summarise(checks: readonly CheckResult[], report: VitestReport, root: string): Summary {
  const summary: Summary = { passed: 0, failed: 0, skipped: [], failures: [], byFolder: new Map() };
  for (const check of checks) {
    if (check.passed) summary.passed += 1;
    else fail(summary, check.name);
  }
  for (const file of report.testResults) countFile(summary, file, relative(root, file.name).split(sep).join("/"));
  return summary;
}

function countFile(summary: Summary, file: VitestReport["testResults"][number], path: string): void {
  const failedBefore = summary.failed;
  for (const { fullName, status } of file.assertionResults) {
    if (status === "passed") summary.passed += 1;
    else if (status === "failed") fail(summary, `${path}: ${fullName}`);
    else summary.skipped.push(`${path}: ${fullName}`);
    if (status === "passed" || status === "failed") addTo(summary.byFolder, path.split("/")[1] ?? path);
  }
  if (file.status === "failed" && summary.failed === failedBefore) fail(summary, `${path}: the file failed as a whole`);
}

function fail(summary: Summary, what: string): void {
  summary.failed += 1;
  summary.failures.push(what);
}

function addTo(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** What was covered, what was left out, and in the last line the counts: `N passed, N failed[, N skipped]`. */
export function render(checks: readonly CheckResult[], summary: Summary): string {
  const folders = [...summary.byFolder].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `${name} ${count}`);
  const lines = ["", "What this covered:"];
  for (const { name, covers, passed } of checks) lines.push(`  ${name.padEnd(8)}${passed ? "" : "FAILED: "}${covers}`);
  lines.push(`  ${"tests".padEnd(8)}${folders.join(" · ") || "none ran"}`);
  if (summary.failures.length > 0) lines.push("", "FAILED:", ...summary.failures.map((text) => `  ${text}`));
  if (summary.skipped.length > 0)
    lines.push("", "SKIPPED, so not proven here:", ...summary.skipped.map((text) => `  ${text}`));
  const skipped = summary.skipped.length > 0 ? `, ${summary.skipped.length} skipped` : "";
  return [...lines, "", `${summary.passed} passed, ${summary.failed} failed${skipped}`, ""].join("\n");
}
