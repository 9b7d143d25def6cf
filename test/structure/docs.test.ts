import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { catalogue } from "../../src/error.ts";
import { referenceDocuments } from "../../tools/reference/document.ts";
import { brokenLinks, documents, snippetsOf } from "./document.ts";
import { root } from "./source.ts";

const all = documents();
const known = new Set<string>(Object.values(catalogue).map(({ id }) => id));

test("there are documents to check", () => {
  expect(all.map(({ path }) => path)).toContain("README.md");
});

describe("the reference is made from the code: bring it up to date with `npm run docs`", () => {
  test.each(referenceDocuments(root).map(({ path, text }) => [path, text]))("%s", (path, text) => {
    expect(readFileSync(join(root, path), "utf8")).toBe(text);
  });
});

describe("error codes", () => {
  test("each has a number of its own", () => {
    const ids = Object.values(catalogue).map(({ id }) => id);
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  });

  test("each says what it means and what to do, in sentences", () => {
    const sentence = /^[A-Z`].*[.:]$|^[A-Z].*: \S.*$/;
    const odd = Object.entries(catalogue).filter(
      ([, { meaning, fix }]) => !/^[A-Z`].*\.$/.test(meaning) || !sentence.test(fix),
    );
    expect(odd.map(([code]) => code)).toEqual([]);
  });

  test("documents name only those that exist", () => {
    const unknown = all.flatMap(({ path, text }) =>
      [...text.matchAll(/\bFLT\d{3}\b/g)].flatMap(([id]) => (known.has(id) ? [] : [`${path}: ${id}`])),
    );
    expect(unknown).toEqual([]);
  });
});

describe.each(all.map((document) => [document.path, document] as const))("%s", (_, document) => {
  test("leads nowhere wrong", () => {
    expect(brokenLinks(document)).toEqual([]);
  });

  test("says of each snippet how it is tested, or why not", () => {
    const tested = document.snippets.filter(({ language }) => ["sh", "bash", "ts", "yaml", "yml"].includes(language));
    expect(tested.filter(({ mark }) => mark === null).map(({ line, language }) => `line ${line}: ${language}`)).toEqual(
      [],
    );
    const unexplained = document.snippets.filter(({ mark }) => mark?.type === "shown" && mark.why === "");
    expect(unexplained.map(({ line }) => line)).toEqual([]);
  });
});

test("snippets are found with their marks", () => {
  const text = "a\n\n<!-- run -->\n```sh\nls\n```\n\n<!-- file: a/b.ts -->\n```ts\n1;\n```\n\n```text\nx\n```\n";
  expect(snippetsOf(text)).toEqual([
    { line: 4, language: "sh", text: "ls\n", mark: { type: "run" } },
    { line: 9, language: "ts", text: "1;\n", mark: { type: "file", path: "a/b.ts" } },
    { line: 13, language: "text", text: "x\n", mark: null },
  ]);
});
