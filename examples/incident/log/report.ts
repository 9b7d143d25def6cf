import type { Finding } from "./finding.ts";
import type { LogIndex, Quote } from "./log-index.ts";
import type { Verdict } from "./verdict.ts";

/** What agents said, beside what was computed. */
export interface Said {
  /** What the judge said. */
  judgement: string;
  /** Who judged, in words. */
  judgedBy?: string;
  debate: { side: string; text: string }[];
}

/** Begins the block that holds the finding for programs. */
const DATA_FENCE = "```json finding";

/** The finding that a report holds; null when the text is no such report. */
export function findingIn(report: string): (Finding & { log: string }) | null {
  const start = report.lastIndexOf(`${DATA_FENCE}\n`);
  if (start === -1) return null;
  const json = report.slice(start + DATA_FENCE.length + 1, report.lastIndexOf("\n```"));
  return JSON.parse(json) as Finding & { log: string };
}

/** The report as Markdown: the same text for the same log and words. */
export function renderReport(index: LogIndex, finding: Finding, verdict: Verdict, said: Said): string {
  const { component, harmed, trigger } = finding;
  const found = finding.cause !== null;
  const parts = [
    `# ${finding.summary}`,
    `Log: \`${index.file.path}\`, ${index.lines.toLocaleString("en")} lines. Findings are computed from the log${said.judgedBy === undefined ? "" : `; judged by ${said.judgedBy}`}.`,
    section(
      "Cause",
      found &&
        [
          `**${finding.label}**${component === "" ? "" : ` in **${component}**`}. Lines ${finding.lines?.from}–${finding.lines?.to}.`,
          ...(trigger === null
            ? ["No change was found that set it off."]
            : [`Set off by line ${trigger.line}, ${trigger.ahead} before the first sign.`]),
          ...(harmed.length === 0
            ? []
            : [`Harmed: ${harmed.map(({ name, count }) => `${name} (${count} lines)`).join(", ")}.`]),
        ].join(" "),
    ),
    section(found ? "Why" : "Why no cause is named", bullets(verdict.why)),
    section("Evidence", citations(finding.evidence)),
    section(
      "Timeline",
      bullets(finding.timeline.map(({ line, what, text }) => `line ${line}: ${what}\n  \`${cited(text)}\``)),
    ),
    section("Proposed action", `${capital(finding.action)}. Nothing has been done.`),
    section("Debate", bullets(said.debate.map(({ side, text }) => `**${side}**: ${text}`))),
    section("Judgement", said.judgement),
    section("All that was weighed", table(verdict)),
    section("For programs", `${DATA_FENCE}\n${JSON.stringify({ log: index.file.path, ...finding }, null, 2)}\n\`\`\``),
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

const section = (title: string, body: string | false): string =>
  body === "" || body === false ? "" : `## ${title}\n\n${body}`;
const bullets = (lines: readonly string[]): string => lines.map((line) => `- ${line}`).join("\n");
const citations = (quotes: readonly Quote[]): string =>
  bullets(quotes.map(({ line, text }) => `line ${line}: \`${cited(text)}\``));
/** Backticks would end the quotation. */
const cited = (text: string): string => text.replaceAll("`", "'");
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function table({ table: rows }: Verdict): string {
  if (rows.length === 0) return "";
  const head =
    "| Hypothesis | Score | Covers the harm | Signs with harm | Dose | Named by harm | Comes first |\n|---|---|---|---|---|---|---|";
  const body = rows.map(
    (row) =>
      `| ${row.label} | ${row.score} | ${row.coverage} | ${row.precision} | ${row.dose} | ${row.named} | ${row.comesFirst ? "yes" : "no"} |`,
  );
  return [head, ...body].join("\n");
}
