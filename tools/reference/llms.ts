import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const SECTIONS = ["start", "learn", "patterns", "how-to", "operate", "explain", "reference", "decisions"];

/** All documents with a sentence each, for readers that are programs (https://llmstxt.org). */
export function llmsText(root: string): string {
  const docs = join(root, "docs");
  const summary = readFileSync(join(root, "README.md"), "utf8").split("\n")[2] ?? "";
  const sections = SECTIONS.map((section) => {
    const names = readdirSync(join(docs, section)).filter((name) => name.endsWith(".md"));
    return [
      `## ${section}`,
      names
        .toSorted()
        .map((name) => line(docs, `${section}/${name}`))
        .join("\n"),
    ].join("\n\n");
  });
  return `${["# Flotilla", `> ${summary}`, [line(docs, "limits.md"), line(docs, "performance.md")].join("\n"), ...sections].join("\n\n")}\n`;
}

function line(docs: string, path: string): string {
  const [heading = "", ...rest] = readFileSync(join(docs, path), "utf8").split("\n");
  const first = (rest.find((text) => /^[A-Z`*]/.test(text)) ?? "").replace(/:$/, ".");
  const [sentence = first] = /^.*?[.](?= |$)/.exec(first) ?? [first];
  return `- [${heading.replace(/^# /, "")}](${path}): ${sentence.replaceAll(/\[([^\]]*)\]\([^)]*\)|\*\*/g, "$1")}`;
}
