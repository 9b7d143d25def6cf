import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { withOutputs } from "../../src/cli/test-update.ts";
import { emptyRun } from "../../src/core/state.ts";
import { problemsOf } from "../../src/definition/problem.ts";
import type { FlotillaError } from "../../src/error.ts";
import { type Expectation, readCaseFile } from "../../src/testing/case-file.ts";
import { differences } from "../../src/testing/compare.ts";
import { unmet } from "../../src/testing/expectation.ts";
import { junit } from "../../src/testing/junit.ts";
import type { FleetRun } from "../../src/testing/run-fleet.ts";

const call = (tool: string, input: object) => ({
  tool,
  agent: "a",
  task: "a",
  input: input as never,
  output: null,
  error: null,
});
const run: FleetRun = {
  status: "completed",
  output: { verdict: "pool", lines: [1, 2], score: { sum: 3 } },
  error: null,
  tools: [call("search", { query: "pool", limit: 5 }), call("write", { file: "report.md" })],
  events: [],
  state: { ...emptyRun("r-1"), input: "log" },
};

test("an output is compared as a part: more keys may be there, lists must be whole", () => {
  expect(differences({ verdict: "pool", score: {} }, run.output as never)).toEqual([]);
  expect(differences({ verdict: "disk", lines: [1, 3], absent: 1 }, run.output as never)).toEqual([
    'verdict is "pool", expected "disk"',
    "lines[1] is 2, expected 3",
    "absent is absent, expected 1",
  ]);
  expect(differences({ lines: [1] }, run.output as never)).toEqual(["lines has 2 items, not 1"]);
  expect(differences("text", 5)).toEqual(['it is 5, expected "text"']);
});

test.each<[string, Expectation, string[]]>([
  ["nothing: it must complete", {}, []],
  [
    "its calls, in order, with others in between",
    { tools: [{ tool: "search", input: { query: "pool" } }, { tool: "write" }] },
    [],
  ],
  [
    "calls in another order",
    { tools: [{ tool: "write" }, { tool: "search" }] },
    ["tool search was not called after those before; called: search, write"],
  ],
  [
    "a call with other input",
    { tools: [{ tool: "search", input: { query: "disk" } }] },
    ['tool search was not called with {"query":"disk"}; called: search, write'],
  ],
  ["a tool that must not be called", { toolsNever: ["write"] }, ["tool write was called, and must not be"]],
  ["what is true", { assert: ["output.score.sum == 3", "tools.size() == 2 && status == 'completed'"] }, []],
  ["what is not true", { assert: ["output.score.sum > 3"] }, ["assert output.score.sum > 3: it is false"]],
  [
    "a failure",
    { error: { code: "TOOL_FAILED" } },
    ["the run completed, expected failed", "the error is absent, expected TOOL_FAILED"],
  ],
])("a case expects %s", (_what, expected, failures) => {
  expect(unmet(expected, run)).toEqual(failures);
});

test("an assertion that cannot be evaluated fails with its reason", () => {
  expect(unmet({ assert: ["output.nothing == 1", "output.("] }, run)).toEqual([
    expect.stringContaining("output.nothing"),
    expect.stringMatching(/^assert output\.\(: /),
  ]);
});

test("mistakes in a case file are told at once, each with its place", async () => {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-case-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "a.test.yaml");
  writeFileSync(file, "cases:\n  - name: one\n    expcet: {}\n    timeoutMs: soon\n");
  const problems = await readCaseFile(file).then(
    () => [],
    (error: FlotillaError) => problemsOf(error),
  );
  expect(problems).toMatchObject([
    { code: "DEFINITION_UNKNOWN_KEY", file: "a.test.yaml", line: 3, column: 5, suggestion: "expect" },
    { code: "DEFINITION_INVALID", line: 4 },
  ]);
});

test("--update writes what came out and leaves the rest as it was, comments included", async () => {
  const text = "cases:\n  # why\n  - name: one # here\n    expect:\n      toolsNever: [write]\n  - name: two\n";
  const cases = [{ name: "one", expect: { toolsNever: ["write"] } }, { name: "two" }];
  const updated = await withOutputs(text, cases, new Map([["one", { verdict: "pool" }]]));
  expect(updated).toContain("# why\n  - name: one # here");
  expect(updated).toMatch(/output:\s*\n\s+verdict: pool/);
  expect(await withOutputs(text, cases, new Map())).toBe(text);
});

test("a JUnit report holds every case, and is XML whatever they say", () => {
  const results = [
    { name: "good & <new>", failures: [], run: null, durationMs: 12 },
    { name: "bad", failures: ['it is "5"\u0007', "and more"], run: null, durationMs: 1_000 },
  ];
  expect(junit([{ name: "a.test.yaml", results }])).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="flotilla" tests="2" failures="1" errors="0" time="1.012">
  <testsuite name="a.test.yaml" tests="2" failures="1" errors="0" time="1.012">
    <testcase name="good &amp; &lt;new&gt;" classname="a.test.yaml" time="0.012"/>
    <testcase name="bad" classname="a.test.yaml" time="1.000">
      <failure message="it is &quot;5&quot;">it is &quot;5&quot;
and more</failure>
    </testcase>
  </testsuite>
</testsuites>
`);
});
