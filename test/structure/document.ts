import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { root } from "./source.ts";

/** A fenced block of a document, and what the comment in the line above says about it. */
export interface Snippet {
  /** Line of the fence, from 1. */
  line: number;
  language: string;
  text: string;
  mark: Mark | null;
}

export type Mark =
  /** Shell commands that a test runs. */
  | { type: "run" }
  /** A file that a test writes beside the commands. */
  | { type: "file"; path: string }
  /** Not executed, and why. */
  | { type: "shown"; why: string };

export interface Document {
  /** Path inside the repository. */
  path: string;
  text: string;
  snippets: readonly Snippet[];
}

/** Every document that people read: those in the root, in docs, and of the examples. */
export function documents(): Document[] {
  const inRoot = readdirSync(root).filter((name) => name.endsWith(".md"));
  const below = ["docs", "examples"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith(".md"))
      .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/")),
  );
  return [...inRoot, ...below].sort().map((path) => {
    const text = readFileSync(join(root, path), "utf8");
    return { path, text, snippets: snippetsOf(text) };
  });
}

const SNIPPET = /(?:^<!-- (run|file|shown)(?:: (.*?))? -->\n)?^```(\w*)\n([\s\S]*?)^```$/gm;

export function snippetsOf(text: string): Snippet[] {
  return [...text.matchAll(SNIPPET)].map(([whole, kind, value = "", language = "", body = ""], index, all) => ({
    line: text.slice(0, (all[index]?.index ?? 0) + whole.indexOf("```")).split("\n").length,
    language,
    text: body,
    mark: markOf(kind, value),
  }));
}

function markOf(kind: string | undefined, value: string): Mark | null {
  if (kind === "run") return { type: "run" };
  if (kind === "file") return { type: "file", path: value };
  return kind === "shown" ? { type: "shown", why: value } : null;
}

/** Links of a document that lead to nothing: a file that is not there, or a heading that the file does not have. */
export function brokenLinks({ path, text }: Document): string[] {
  const links = [...text.replaceAll(/^```[\s\S]*?^```$/gm, "").matchAll(/\]\(([^)\s]+)\)/g)].map(
    ([, target = ""]) => target,
  );
  return links.filter((target) => !/^[a-z]+:/.test(target) && !leadsSomewhere(path, target));
}

function leadsSomewhere(from: string, target: string): boolean {
  const [file = "", anchor] = target.split("#");
  const path = file === "" ? join(root, from) : join(root, from, "..", file);
  if (!existsSync(path)) return false;
  return anchor === undefined || !path.endsWith(".md") || anchors(readFileSync(path, "utf8")).includes(anchor);
}

/** As GitHub makes them from headings. */
function anchors(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
