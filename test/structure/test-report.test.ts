import { expect, test } from "vitest";
import { type CheckResult, render, summarise } from "../../tools/test-report.ts";

const lint: CheckResult = { name: "lint", covers: "the linter", passed: true };
const file = (name: string, ...statuses: string[]) => ({
  name: `/repo/test/${name}`,
  status: statuses.includes("failed") ? "failed" : "passed",
  assertionResults: statuses.map((status, index) => ({ fullName: `test ${index}`, status })),
});
const lastLine = (text: string) => text.trimEnd().split("\n").at(-1);

test("the last line counts tests and checks, and what was skipped", () => {
  const report = {
    testResults: [file("core/a.test.ts", "passed", "passed", "pending"), file("store/b.test.ts", "passed")],
  };
  const summary = summarise([lint], report, "/repo");
  const text = render([lint], summary);
  expect(lastLine(text)).toBe("4 passed, 0 failed, 1 skipped");
  expect(text).toContain("core 2 · store 1");
  expect(text).toContain("test/core/a.test.ts: test 2");
});

test("a failed check, a failed test and a file that could not be loaded are each one failure", () => {
  const broken = { name: "/repo/test/core/c.test.ts", status: "failed", assertionResults: [] };
  const failed = { ...lint, passed: false };
  const summary = summarise([failed], { testResults: [file("core/a.test.ts", "failed", "passed"), broken] }, "/repo");
  expect(lastLine(render([failed], summary))).toBe("1 passed, 3 failed");
  expect(summary.failures).toEqual([
    "lint",
    "test/core/a.test.ts: test 0",
    "test/core/c.test.ts: the file failed as a whole",
  ]);
});
