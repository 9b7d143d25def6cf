import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { applySuggestions } from "../../src/definition/fix.ts";
import { levenshtein, nearest } from "../../src/definition/nearest.ts";
import { definitionError, formatProblems, problem } from "../../src/definition/problem.ts";
import { problemsIn } from "./folder.ts";

const YAML = `name: demo
agents:
  judge: { model: anthropic/MODEL, instructions: Judge. }
  reader:
    modle: anthropic/MODEL
    instructions: Read.
workflows:
  main: { pattern: pipeline, stages: [reader, jugde] }
`;

describe("ux 5: errors", () => {
  test("show code, statement, place, caret, what was meant and what to do", async () => {
    expect(formatProblems(await problemsIn(YAML), { color: false })).toBe(`\
FLT103 unknown key "modle"                                fleet.yaml:5:5
  5 |     modle: anthropic/MODEL
    |     ^^^^^ did you mean "model"?
  fix: flotilla check --fix

FLT121 workflow "main" uses agent "jugde", which is not defined  fleet.yaml:8:47
  8 |   main: { pattern: pipeline, stages: [reader, jugde] }
    |                                               ^^^^^ did you mean "judge"?
  defined: judge, reader
  fix: use "judge", or define "jugde"`);
  });

  test("colour adds nothing but colour", async () => {
    const problems = await problemsIn(YAML);
    const bare = stripVTControlCharacters(formatProblems(problems, { color: true }));
    expect(bare).toBe(formatProblems(problems, { color: false }));
  });

  test("a long line is cut around the place", () => {
    const excerpt = `${"a".repeat(300)}HERE${"b".repeat(300)}`;
    const one = problem("DEFINITION_INVALID", "wrong", { file: "f", line: 1, column: 301, length: 4, excerpt });
    const [, line = "", caret = ""] = formatProblems([one], { color: false }).split("\n");
    expect(line.length).toBeLessThan(120);
    expect(line.slice(caret.indexOf("^"), caret.lastIndexOf("^") + 1)).toBe("HERE");
  });

  test("one error stands for all of them", async () => {
    const [first, ...rest] = await problemsIn(YAML);
    const error = definitionError([first!, ...rest]);
    expect(error).toMatchObject({
      code: "DEFINITION_UNKNOWN_KEY",
      id: "FLT103",
      details: { problems: [first, ...rest] },
    });
    expect(error.message).toBe(`unknown key "modle" at fleet.yaml:5:5, did you mean "model"? (and 1 more)`);
  });

  test("suggestions can be put in place", async () => {
    const fixed = applySuggestions(YAML, await problemsIn(YAML), "fleet.yaml");
    expect(fixed.applied).toBe(2);
    expect(fixed.text).toBe(YAML.replace("modle", "model").replace("jugde", "judge"));
    await expect(problemsIn(fixed.text)).resolves.toEqual([]);
  });
});

describe("nearest", () => {
  test.each([
    ["modle", "model"],
    ["summariser", "summarizer"],
    ["READER", "reader"],
    ["base_url", "base-url"],
    ["x", null],
    ["anything", null],
  ])("%s → %s", (name, expected) => {
    expect(nearest(name, ["model", "summarizer", "reader", "base-url"])).toBe(expected);
  });

  test("swapped letters are one mistake", () => {
    expect(levenshtein("modle", "model")).toBe(1);
    expect(levenshtein("", "abc")).toBe(3);
  });
});
