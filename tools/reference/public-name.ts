import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { code, table } from "./markdown.ts";

/** Every public name of an entry point with the first sentence of its docstring. */
export function publicNames(root: string, entry: string): string {
  const names = exportsOf(join(root, entry)).toSorted((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1));
  return table(
    ["Name", "What it is"],
    names.map(({ name, file }) => [code(name), sentenceOf(readFileSync(file, "utf8"), name)]),
  );
}

const EXPORT = /^export (?:type )?(?:\{([^}]*)\}|\*) from "([^"]+)";/gm;

function exportsOf(file: string): { name: string; file: string }[] {
  return [...readFileSync(file, "utf8").matchAll(EXPORT)].flatMap(([, names, from = ""]) => {
    const target = join(dirname(file), from);
    if (names === undefined) return exportsOf(target);
    const list = names.split(",").map((name) => name.replace(/\btype\b/, "").trim());
    return list.filter((name) => name !== "").map((name) => ({ name, file: target }));
  });
}

function sentenceOf(text: string, name: string): string {
  const declared = new RegExp(
    `(?:^/\\*\\*((?:(?!\\*/)[\\s\\S])*)\\*/\\n)?^export (?:async )?(?:function|class|const|interface|type) ${name}\\b`,
    "m",
  );
  const doc = declared.exec(text)?.[1] ?? "";
  const words = doc
    .replaceAll(/\n\s*\*/g, " ")
    .replaceAll(/\s+/g, " ")
    .trim();
  const [sentence = words] = /^.*?[.](?= |$)/.exec(words) ?? [words];
  const plain = sentence.replace(/@throws.*$/, "").replaceAll(/ \((?:[A-Z]\d+(?:, )?)+\)| \(design:[^)]*\)/g, "");
  return plain === "" ? "a type; see its declaration" : plain.trim();
}
