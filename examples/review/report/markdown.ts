import type { Judged, Kind, Level } from "../check/finding.ts";

/** What a review says, computed and said. */
export interface Review {
  repo: string;
  base: string;
  head: string;
  /** How the range was chosen. */
  chosen: string;
  subject: string;
  /** Why each specialist was sent. */
  plan: { kind: string; why: string }[];
  findings: Judged[];
  /** Who judged, in words. */
  judgedBy?: string;
}

const LEVELS: readonly Level[] = ["error", "warning", "note"];
const TITLES: Readonly<Record<Kind, string>> = {
  risk: "Risks",
  api: "API breaks",
  tests: "Changes without tests",
  churn: "Hot spots",
};

/** The review as Markdown: the same text for the same findings and words. What the sceptic could not reproduce stays in,
 *  struck out and with the reason, so that everybody can check him as well. */
export function renderReview(review: Review): string {
  const holding = review.findings.filter(({ holds }) => holds);
  const struck = review.findings.filter(({ holds }) => !holds);
  const kinds = Object.keys(TITLES) as Kind[];
  const parts = [
    `# Review: ${line(review.subject)}`,
    `\`${review.base.slice(0, 12)}..${review.head.slice(0, 12)}\` (${line(review.chosen)}) of \`${review.repo}\`. ` +
      `**${holding.length} findings hold**, ${struck.length} struck out. Findings are computed from the repository` +
      `${review.judgedBy === undefined ? "" : `; judged by ${line(review.judgedBy)}`}.`,
    ...kinds.map((kind) => section(TITLES[kind], ofKind(holding, kind).map(told))),
    holding.length === 0 ? "Nothing was found that could be reproduced." : "",
    section("Struck out", struck.map(struckOut)),
    section(
      "Who was sent",
      review.plan.map(({ kind, why }) => `- ${line(kind)}: ${line(why)}`),
    ),
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

const ofKind = (findings: readonly Judged[], kind: Kind): Judged[] =>
  findings
    .filter((one) => one.kind === kind)
    .toSorted((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level) || a.file.localeCompare(b.file));

const section = (title: string, lines: readonly string[]): string =>
  lines.length === 0 ? "" : `## ${title}\n\n${lines.join("\n")}`;

const told = (one: Judged): string =>
  `- **${one.level}** ${place(one)} ${line(one.message)} (${one.rule}). Reproduced: ${line(one.why)}.`;

const struckOut = (one: Judged): string => `- ~~${place(one)} ${line(one.message)} (${one.rule})~~ ${line(one.why)}.`;

const place = ({ file, line: at }: Judged): string => `\`${file.replaceAll("`", "'")}${at === null ? "" : `:${at}`}\``;

/** One line, whatever a repository holds. */
const line = (text: string): string =>
  text.replaceAll(/\s+/g, " ").replaceAll("~~", "~ ~").replaceAll("<", "&lt;").trim();
