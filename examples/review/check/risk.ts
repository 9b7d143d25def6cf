import type { AddedLine, Change, ChangedFile } from "../git/change.ts";
import { finding, type Finding, RULES } from "./finding.ts";
import { isMade } from "./source.ts";

/** What a risky line looks like. */
export const LOOKS: readonly { rule: string; looks: RegExp }[] = [
  {
    rule: "hard-coded-secret",
    looks: /\b\w*(?:secret|passw(?:or)?d|token|api_?key|private_?key)\w*["']?\s*[:=]\s*["'`]([^"'`\s]{12,})["'`]/i,
  },
  {
    rule: "shell-injection",
    looks: /\b(?:exec|execSync|system|popen)\s*\(\s*(?:`[^`]*\$\{|f["'][^"']*\{|["'][^"']*["']\s*[+%])/,
  },
  {
    rule: "sql-injection",
    looks:
      /["'`](?:select\b.*\bfrom\b|insert into\b|update\b.*\bset\b|delete from\b)[^;]*(?:\$\{|["']\s*\+|["']\s*%\s)/i,
  },
  {
    rule: "tls-not-verified",
    looks: /\brejectUnauthorized\s*:\s*false|\bverify\s*=\s*False\b|InsecureSkipVerify:\s*true/,
  },
  { rule: "evaluates-text", looks: /\beval\s*\(|\bnew Function\s*\(/ },
  { rule: "weak-hash", looks: /\bcreateHash\(\s*["'](?:md5|sha1)["']|\bhashlib\.(?:md5|sha1)\(/ },
  { rule: "swallowed-error", looks: /\bcatch\s*(?:\([^)]*\)\s*)?\{\s*\}|\bexcept[^:]*:\s*pass\b/ },
];

/** Added lines that look risky. It is a first look: whether a line is code at all is for the sceptic to find out. */
export function findRisks({ files }: Change): Finding[] {
  return files.filter(({ path }) => !isMade(path)).flatMap((file) => file.added.flatMap((line) => risksIn(file, line)));
}

function risksIn({ path }: ChangedFile, { line, text }: AddedLine): Finding[] {
  return LOOKS.filter(({ looks }) => looks.test(text)).map(({ rule }) =>
    finding(rule, path, line, text.trim().slice(0, 200), `${RULES[rule]?.says}: \`${quoted(text)}\``),
  );
}

/** Fit to stand between the marks of code. */
const quoted = (text: string): string => text.trim().slice(0, 80).replaceAll("`", "'");
