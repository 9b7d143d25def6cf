import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { CATALOGUE, hypothesis, signIn } from "./log/catalogue.ts";
import { type Circumstances, circumstances } from "./log/change.ts";
import { eachLine, FOLDER } from "./log/file.ts";
import { type Finding, findingOf } from "./log/finding.ts";
import {
  clock,
  frequent,
  linesWhere,
  type LogIndex,
  openLog,
  type Quote,
  quote,
  sourceAt,
  SYMPTOM,
} from "./log/log-index.ts";
import { renderReport, type Said } from "./log/report.ts";
import { judge, type Verdict } from "./log/verdict.ts";
import { weigh } from "./log/weigh.ts";

// The tools of the fleet. Each really reads the log and gives a small JSON value. Paths start from this folder.

interface Window {
  log: string;
  /** Lines, from 1, both included. */
  from: number;
  to: number;
}

/** Size and time of a log, and who speaks in it. @throws when it is missing, empty, or no text */
export async function logOverview({ log }: { log: string }) {
  const index = await openLog(log);
  return { log, ...summaryOf(index, 1, index.lines) };
}

/** What one window of the log holds: who speaks, and how much harm is told. */
export async function windowStats({ log, from, to }: Window) {
  const index = await openLog(log);
  return summaryOf(index, from, Math.min(to, index.lines));
}

function summaryOf(index: LogIndex, from: number, to: number) {
  const lines = linesWhere(index, () => true, { from, to });
  const harm = linesWhere(index, (mark) => (mark & SYMPTOM) !== 0, { from, to });
  return {
    from,
    to,
    lines: lines.length,
    begins: clock(index, from),
    ends: clock(index, to),
    harm: harm.length,
    harmBy: frequent(harm.map((line) => sourceAt(index, line))).slice(0, 3),
    speakers: frequent(lines.map((line) => sourceAt(index, line))).slice(0, 5),
  };
}

export interface Sign {
  hypothesis: string;
  label: string;
  /** Lines with its signs in this window, and how many of them tell of harm themselves. */
  signs: number;
  harm: number;
  first: number;
  last: number;
  /** The words by which the first was recognised. */
  phrase: string;
}

/** Signs of known troubles in one window, most first. */
export async function findAnomalies({ log, from, to }: Window): Promise<{ from: number; to: number; found: Sign[] }> {
  const index = await openLog(log);
  const found = CATALOGUE.flatMap(({ id, label }, bit): Sign[] => {
    const lines = linesWhere(index, (mark) => (mark & (1 << bit)) !== 0, { from, to });
    const [first] = quote(index, lines.slice(0, 1));
    if (first === undefined) return [];
    const harm = lines.filter((line) => ((index.marks[line - 1] ?? 0) & SYMPTOM) !== 0).length;
    return [
      {
        hypothesis: id,
        label,
        signs: lines.length,
        harm,
        first: first.line,
        last: lines.at(-1) ?? first.line,
        phrase: signIn(id, first.text)?.words ?? "",
      },
    ];
  });
  return { from, to, found: found.toSorted((a, b) => b.signs - a.signs) };
}

const MATCHES_MAX = 10;

/** Lines of a window that contain some words, whatever their case; all are counted, the first are quoted. */
export async function searchLog({ log, from, to, text, limit = 3 }: Window & { text: string; limit?: number }) {
  const index = await openLog(log);
  const wanted = text.toLowerCase();
  const lines: number[] = [];
  const last = Math.min(to, index.lines);
  let line = Math.max(1, from);
  if (line > last) return { text, matches: 0, lines: [] };
  const bytes = { start: index.offsets[line - 1] ?? 0, end: index.offsets[last] ?? index.file.bytes };
  await eachLine(
    index.file,
    (content) => {
      if (content.toLowerCase().includes(wanted)) lines.push(line);
      line++;
    },
    bytes,
  );
  return { text, matches: lines.length, lines: quote(index, lines.slice(0, Math.min(limit, MATCHES_MAX))) };
}

/** What a reader reports of its window. */
export interface ReaderFinding {
  from: number;
  to: number;
  harm: number;
  suspects: { hypothesis: string; signs: number; first: number; last: number }[];
}

export interface Side {
  log: string;
  hypothesis: string;
  label: string;
  windows: number;
  signs: number;
  rival: string | null;
  rivalLabel: string | null;
}

/** The two hypotheses that most readers came upon, ready to be argued. Troubles of one family bring each other about, so
 *  each family sends only its strongest. */
export function shortlist({ log, findings }: { log: string; findings: ReaderFinding[] }) {
  const totals = CATALOGUE.flatMap(({ id, label, family }) => {
    const seen = findings.flatMap(({ suspects }) => suspects.filter((one) => one.hypothesis === id));
    return seen.length === 0
      ? []
      : [{ hypothesis: id, label, family, windows: seen.length, signs: seen.reduce((sum, one) => sum + one.signs, 0) }];
  });
  const strongest = CATALOGUE.map(({ family }) => family)
    .filter((family, place, all) => all.indexOf(family) === place)
    .flatMap((family) =>
      totals
        .filter((one) => one.family === family)
        .toSorted((a, b) => b.signs - a.signs)
        .slice(0, 1),
    )
    .toSorted((a, b) => b.windows - a.windows || b.signs - a.signs)
    .slice(0, 2);
  const argued = totals.filter((one) => strongest.includes(one));
  const sides = argued.map(({ family: _, ...one }, place): Side => {
    const rival = argued[1 - place];
    return { log, ...one, rival: rival?.hypothesis ?? null, rivalLabel: rival?.label ?? null };
  });
  return {
    summary: sides.length === 0 ? "no sign of a known trouble" : argued.map(({ label }) => label).join(" against "),
    sides,
    harm: findings.reduce((sum, { harm }) => sum + harm, 0),
    windows: findings.length,
    suspicious: findings.filter(({ suspects }) => suspects.length > 0).length,
    others: totals.filter((one) => !strongest.includes(one)).map(({ label }) => label),
  };
}

/** Numbers for and against one hypothesis over the whole log, each with its lines. */
export async function weighHypothesis({ log, hypothesis: id }: { log: string; hypothesis: string }) {
  const index = await openLog(log);
  const { label } = hypothesis(id);
  const weight = weigh(index, id);
  if (weight !== null) return weight;
  const nothing = { says: "the log tells of no harm that it could have done", evidence: [] as Quote[] };
  return { hypothesis: id, label, score: 0, pro: [], contra: [nothing] };
}

/** Decides between hypotheses by their numbers; see `log/verdict.ts` for the rules. */
export async function compareHypotheses({ log, hypotheses }: { log: string; hypotheses: string[] }): Promise<Verdict> {
  return judge(await openLog(log), hypotheses);
}

/** What set a cause off, what was new before it did harm, and what ended it. */
export async function findChange({
  log,
  hypothesis: id,
}: {
  log: string;
  hypothesis: string;
}): Promise<(Circumstances | { trigger: null }) & { conclusion: Conclusion }> {
  const index = await openLog(log);
  return { ...(circumstances(index, id) ?? { trigger: null }), conclusion: conclusionOf(findingOf(index, id)) };
}

/** An investigation's end in a few words and numbers. */
type Conclusion = Pick<Finding, "summary" | "verdict" | "cause" | "component" | "lines" | "action"> & {
  /** The line that set it off. */
  trigger: number | null;
};

function conclusionOf({ summary, verdict, cause, component, lines, trigger, action }: Finding): Conclusion {
  return { summary, verdict, cause, component, lines, trigger: trigger?.line ?? null, action };
}

interface ReportRequest extends Said {
  log: string;
  /** The hypothesis that was decided on; null for none. */
  cause: string | null;
  /** Hypotheses that were argued. */
  argued: string[];
  /** Default `report.md`. */
  report?: string;
}

/** Writes the report. The same request writes the same file, so it may be repeated after a crash. */
export async function writeReport(
  { log, cause, argued, report = "report.md", ...said }: ReportRequest,
  context: { idempotencyKey: string },
) {
  const index = await openLog(log);
  const finding = findingOf(index, cause);
  const path = resolve(FOLDER, report);
  replaceFile(path, renderReport(index, finding, judge(index, argued), said), context.idempotencyKey);
  return { report: path, ...conclusionOf(finding) };
}

/** Files the proposed action beside the report, for whoever is on call. It carries nothing out, and says so. */
export function fileAction(
  { report, component, action }: { report: string; component: string; action: string },
  context: { idempotencyKey: string },
) {
  const path = resolve(FOLDER, dirname(report), "action.md");
  const text = `# Proposed action\n\n${action}\n\nComponent: ${component}. Report: ${report}.\n\nA person approved that this is filed. Nothing was carried out.\n`;
  replaceFile(path, text, context.idempotencyKey);
  return { summary: `filed in ${path}; nothing was carried out`, path };
}

/** Whole or not at all, also when the process dies in the middle. */
function replaceFile(path: string, text: string, key: string): void {
  const half = `${path}.${key.replaceAll(/\W/g, "").slice(-16)}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(half, text);
    renameSync(half, path);
  } finally {
    rmSync(half, { force: true });
  }
}
