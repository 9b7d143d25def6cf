import type { CaseResult } from "./run-case.ts";

export interface Suite {
  /** The file of the cases. */
  name: string;
  results: readonly CaseResult[];
}

/** A report in the JUnit XML that CI systems read. */
export function junit(suites: readonly Suite[]): string {
  const all = suites.flatMap(({ results }) => results);
  const body = suites.map(suiteXml).join("\n");
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="flotilla" ${counts(all)}>\n${body}\n</testsuites>\n`;
}

function suiteXml({ name, results }: Suite): string {
  return `  <testsuite name="${escaped(name)}" ${counts(results)}>\n${results.map((one) => caseXml(name, one)).join("\n")}\n  </testsuite>`;
}

function caseXml(suite: string, { name, failures, durationMs }: CaseResult): string {
  const open = `    <testcase name="${escaped(name)}" classname="${escaped(suite)}" time="${seconds(durationMs)}"`;
  if (failures.length === 0) return `${open}/>`;
  return `${open}>\n      <failure message="${escaped(failures[0] ?? "")}">${escaped(failures.join("\n"))}</failure>\n    </testcase>`;
}

function counts(results: readonly CaseResult[]): string {
  const failed = results.filter(({ failures }) => failures.length > 0).length;
  const took = results.reduce((sum, { durationMs }) => sum + durationMs, 0);
  return `tests="${results.length}" failures="${failed}" errors="0" time="${seconds(took)}"`;
}

const seconds = (ms: number): string => (ms / 1_000).toFixed(3);

/** Text inside XML 1.0, which has no way to hold most control characters. */
function escaped(text: string): string {
  return text
    .replaceAll(/[^\P{Cc}\t\n\r]/gu, "")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
