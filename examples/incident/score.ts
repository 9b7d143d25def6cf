import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Finding } from "./log/finding.ts";
import { findingIn } from "./log/report.ts";

// Scores a report against the known cause of the bundled log: node score.ts [report.md]
// Agents and tools never read the truth; nothing they use imports this file.

interface Truth {
  cause: string;
  component: string;
  notTheCause: string[];
  remedy: string;
  fault: { firstLine: number; lastLine: number };
  trigger: { line: number };
  recovered: { line: number };
  log: { sha256: string };
}

interface Mark {
  what: string;
  found: string;
  good: boolean;
}

const OVERLAP_MIN = 0.75;

const path = resolve(process.argv[2] ?? resolve(import.meta.dirname, "report.md"));
console.log(existsSync(path) ? scored(path) : `There is no report at ${path}; run the fleet first.`);

function scored(report: string): string {
  const finding = findingIn(readFileSync(report, "utf8"));
  if (finding === null) return `${report} is not a report of this fleet.`;
  const truth = JSON.parse(readFileSync(resolve(import.meta.dirname, "data/truth.json"), "utf8")) as Truth;
  const log = existsSync(finding.log) ? readFileSync(finding.log) : Buffer.alloc(0);
  if (createHash("sha256").update(log).digest("hex") !== truth.log.sha256) {
    return `No score: ${finding.log} is not the bundled log, so its cause is not known here.`;
  }
  const marks = marksOf(finding, truth, log.toString("utf8").split("\n"));
  const good = marks.filter((mark) => mark.good).length;
  const lines = marks.map(({ what, found, good }) => `  ${good ? "✓ right" : "✗ wrong"}  ${what.padEnd(11)}${found}`);
  return [`Score against the known cause: ${good} of ${marks.length}`, ...lines].join("\n");
}

function marksOf(finding: Finding, truth: Truth, log: readonly string[]): Mark[] {
  const { fault, recovered } = truth;
  const { lines, trigger, action } = finding;
  const overlap = lines === null ? 0 : shared(lines, { from: fault.firstLine, to: recovered.line });
  const cited = [...finding.evidence, ...finding.timeline];
  const exact = cited.filter(({ line, text }) => (log[line - 1] ?? "").startsWith(text.replace(/…$/, "")));
  const inside = finding.evidence.filter(({ line }) => line >= fault.firstLine && line <= recovered.line);
  const release = /\d+(?:\.\d+)+/.exec(truth.remedy)?.[0] ?? truth.remedy;
  return [
    { what: "cause", found: finding.cause ?? "none", good: finding.cause === truth.cause },
    { what: "component", found: finding.component, good: finding.component === truth.component },
    { what: "trigger", found: `line ${trigger?.line ?? "none"}`, good: trigger?.line === truth.trigger.line },
    {
      what: "lines",
      found: `${lines?.from}–${lines?.to}, ${Math.round(overlap * 100)} % of fault and recovery (${fault.firstLine}–${recovered.line})`,
      good: overlap >= OVERLAP_MIN,
    },
    {
      what: "evidence",
      found: `${inside.length} of ${finding.evidence.length} lines are from that time`,
      good: inside.length > 0 && inside.length === finding.evidence.length,
    },
    {
      what: "citations",
      found: `${exact.length} of ${cited.length} word for word`,
      good: exact.length === cited.length,
    },
    { what: "action", found: truth.remedy, good: action.includes(truth.component) && action.includes(release) },
  ];
}

/** What two ranges share, of all that they cover. */
function shared(a: { from: number; to: number }, b: { from: number; to: number }): number {
  const both = Math.min(a.to, b.to) - Math.max(a.from, b.from);
  return Math.max(0, both) / (Math.max(a.to, b.to) - Math.min(a.from, b.from));
}
