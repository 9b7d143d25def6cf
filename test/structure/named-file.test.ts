import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { documents } from "./document.ts";
import { root, sources } from "./source.ts";

const PATH = /^(src|test|docs|tools|bench|examples|schema)\/[\w./-]+$/;
const spansOf = (text: string): string[] =>
  [...text.replaceAll(/^```[\s\S]*?^```$/gm, "").matchAll(/`([^`\n]+)`/g)].map(([, span = ""]) => span);

test.each(documents().map(({ path, text }) => [path, text]))("%s names only files that are there", (_, text) => {
  const missing = spansOf(text).filter((span) => PATH.test(span) && !existsSync(join(root, span)));
  expect(missing.filter((span) => !span.includes("NAME"))).toEqual([]);
});

test("ARCHITECTURE.md names only files, functions and members that are there", () => {
  const spans = spansOf(documents().find(({ path }) => path === "ARCHITECTURE.md")?.text ?? "");
  const code = sources("src").map(({ text }) => text);
  const files = readdirSync(join(root, "src"), { recursive: true }).map((path) => basename(String(path)));
  const wrong = spans.filter((span) => {
    if (/^[\w-]+\.ts$/.test(span)) return !files.includes(span);
    const [, type, member] = /^([A-Z]\w+)\.(\w+)$/.exec(span) ?? [];
    if (type !== undefined && member !== undefined) return !code.some((text) => hasMember(text, type, member));
    const [, name] = /^(\w+)\(\)$/.exec(span) ?? [];
    return name !== undefined && !code.some((text) => isDefined(text, name));
  });
  expect(spans.length).toBeGreaterThan(50);
  expect(wrong.filter((span) => span !== "app.start()")).toEqual([]);
});

function hasMember(text: string, type: string, member: string): boolean {
  return new RegExp(`\\b(class|interface) ${type}\\b`).test(text) && isDefined(text, member);
}

function isDefined(text: string, name: string): boolean {
  return new RegExp(`\\bfunction\\*? ${name}\\b|^\\s*(async |private |static |\\*)*#?${name}(<.*>)?\\(`, "m").test(
    text,
  );
}
