import { describe, expect, test } from "vitest";
import { type Source, sources } from "./source.ts";

const own = sources("src");
const everything = [...own, ...["test", "tools", "bench", "examples"].flatMap(existing)];

function existing(folder: string): Source[] {
  try {
    return sources(folder);
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return [];
    throw error;
  }
}

function lines(
  of: readonly Source[],
  pattern: RegExp,
  text: (source: Source) => string = ({ text }) => text,
): string[] {
  return of.flatMap((source) =>
    text(source)
      .split("\n")
      .flatMap((line, index) => (pattern.test(line) ? [`${source.path}:${index + 1}: ${line.trim()}`] : [])),
  );
}

describe("names", () => {
  test("files are kebab-case and named after what is in them", () => {
    const strangers = /^(utils?|helpers?|types?|common|misc|shared|stuff|constants?)$/;
    const names = everything.map(({ path }) => ({
      path,
      name: (path.split("/").at(-1) ?? "").replace(/(\.test)?\.ts$/, ""),
    }));
    expect(names.filter(({ name }) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)).map(({ path }) => path)).toEqual([]);
    expect(names.filter(({ name }) => strangers.test(name)).map(({ path }) => path)).toEqual([]);
  });
});

describe("the compiler and the linter are listened to", () => {
  test("no cast to any", () => {
    expect(lines(everything, /\bas any\b/, ({ code }) => code)).toEqual([]);
  });

  test("nothing silences the compiler, but for type tests that say what must not compile", () => {
    expect(lines(everything, /^\s*\/\/\s*@ts-(ignore|nocheck)/)).toEqual([]);
    expect(lines(own, /^\s*\/\/\s*@ts-expect-error/)).toEqual([]);
    expect(lines(everything, /^\s*\/\/\s*@ts-expect-error\s*$/), "each says why").toEqual([]);
  });

  test("what silences the linter says why", () => {
    expect(lines(everything, /^\s*\/[/*]\s*(oxlint|eslint|biome)-(disable|ignore)(?!.*(?:--|:) \S)/)).toEqual([]);
  });

  test("nothing is left for later", () => {
    expect(lines(everything, /^\s*(\/\/|\*|\/\*\*?)\s*(TODO|FIXME|XXX|HACK)\b/)).toEqual([]);
  });
});

describe("tests", () => {
  const tests = everything.filter(({ path }) => path.startsWith("test/"));

  test("no test is tried twice, or alone", () => {
    expect(lines(tests, /\.only\(|\bretry:\s*[1-9]/, ({ code }) => code)).toEqual([]);
  });

  test("no test sleeps for a fixed time", () => {
    expect(lines(tests, /new Promise\([^)]*\)\s*=>\s*setTimeout\(\s*\w+\s*,\s*[1-9]/, ({ code }) => code)).toEqual([]);
  });
});
