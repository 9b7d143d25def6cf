export type Kind = "risk" | "tests" | "api" | "churn";
export type Level = "error" | "warning" | "note";

export interface Finding {
  /** The same for the same place and words, whoever finds it and however lines move. */
  id: string;
  kind: Kind;
  rule: string;
  level: Level;
  file: string;
  /** In the file at head, from 1; null when it is about no single line. */
  line: number | null;
  /** What it is about: a name, or the text of the line. */
  subject: string;
  message: string;
}

/** What the sceptic made of a finding. */
export interface Judged extends Finding {
  holds: boolean;
  why: string;
}

/** Every rule there is, for reports. */
export const RULES: Readonly<Record<string, { kind: Kind; level: Level; says: string }>> = {
  "hard-coded-secret": { kind: "risk", level: "error", says: "A secret stands in the code" },
  "shell-injection": { kind: "risk", level: "error", says: "A command for a shell is put together from values" },
  "sql-injection": { kind: "risk", level: "error", says: "A database query is put together from values" },
  "tls-not-verified": { kind: "risk", level: "error", says: "Certificates of the other side are not verified" },
  "evaluates-text": { kind: "risk", level: "error", says: "Text is executed as code" },
  "weak-hash": { kind: "risk", level: "warning", says: "A hash function that is broken" },
  "swallowed-error": { kind: "risk", level: "warning", says: "An error is caught and forgotten" },
  "untested-change": { kind: "tests", level: "warning", says: "Public code changed and no test calls it" },
  "export-removed": { kind: "api", level: "error", says: "A public name is gone" },
  "signature-changed": { kind: "api", level: "error", says: "Callers must pass other arguments than before" },
  "hot-spot": { kind: "churn", level: "note", says: "Changed again and again, often to repair it" },
};

/** A finding under a rule, with its id. */
export function finding(rule: string, file: string, line: number | null, subject: string, message: string): Finding {
  const { kind, level } = RULES[rule] ?? { kind: "risk", level: "note" };
  return { id: `${kind}-${short(`${rule}\n${file}\n${subject}`)}`, kind, rule, level, file, line, subject, message };
}

/** Eight hexadecimal digits (FNV-1a). */
function short(text: string): string {
  let hash = 0x811c9dc5;
  for (let place = 0; place < text.length; place++) hash = Math.imul(hash ^ text.charCodeAt(place), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

/** What came of a review, in a few numbers and lines. */
export function tallyOf(findings: readonly Judged[]) {
  const confirmed = findings.filter(({ holds }) => holds);
  const count = (level: Level) => confirmed.filter((one) => one.level === level).length;
  const struck = findings.length - confirmed.length;
  return {
    summary: `${confirmed.length} findings hold, ${struck} struck out`,
    errors: count("error"),
    warnings: count("warning"),
    notes: count("note"),
    struck,
    confirmed: confirmed.map(briefly),
  };
}

const briefly = ({ level, file, line, message }: Judged): string =>
  `${level}: ${file}${line === null ? "" : `:${line}`} ${message}`;
