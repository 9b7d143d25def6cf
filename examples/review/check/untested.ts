import { basename } from "node:path";
import type { Change, ChangedFile } from "../git/change.ts";
import { exportsOf } from "./export.ts";
import { finding, type Finding } from "./finding.ts";
import { isSource, isTest, masked } from "./source.ts";

/** Exported functions whose lines changed while no test file of the same name did. */
export async function findUntested(change: Change): Promise<Finding[]> {
  const tested = new Set(change.files.filter(({ path }) => isTest(path)).map(({ path }) => stem(path)));
  const files = change.files.filter(({ path, added }) => isSource(path) && added.length > 0 && !tested.has(stem(path)));
  return (await Promise.all(files.map((file) => untestedIn(change, file)))).flat();
}

async function untestedIn(change: Change, { path, added }: ChangedFile): Promise<Finding[]> {
  const text = (await change.read("head", path)) ?? "";
  const code = masked(text, path, { strings: false }).split("\n");
  const lines = added.map(({ line }) => line).filter((line) => (code[line - 1] ?? "").trim() !== "");
  return exportsOf(text, path)
    .filter(({ parameters }) => parameters !== null)
    .flatMap(({ name, line, lastLine }): Finding[] => {
      const changed = lines.filter((one) => one >= line && one <= lastLine).length;
      if (changed === 0) return [];
      const message = `${changed === 1 ? "1 line" : `${changed} lines`} of \`${name}\` changed, and no test of ${basename(path)} did`;
      return [finding("untested-change", path, line, name, message)];
    });
}

/** The name that a file and its tests share. */
const stem = (path: string): string =>
  basename(path)
    .replace(/\.[^.]+$/, "")
    .replace(/[._-](?:test|spec)$/, "")
    .replace(/^test_/, "");
