import { expect, test } from "vitest";
import { brief, harmless, oneLine } from "../../src/cli/format/brief.ts";
import { costText, usageText } from "../../src/cli/format/cost.ts";
import { clock, count, duration, money, parseSpan, plural } from "../../src/cli/format/number.ts";
import { table } from "../../src/cli/format/table.ts";
import { fitted } from "../../src/cli/live.ts";
import { coloured } from "../../src/cli/paint.ts";
import { wantsColour } from "../../src/cli/terminal.ts";

test.each([
  [0, "0 ms"],
  [999, "999 ms"],
  [1_000, "1.0 s"],
  [9_999, "9.9 s"],
  [12_400, "12 s"],
  [59_999, "59 s"],
  [125_000, "2 min 5 s"],
  [3_600_000, "1 h"],
  [11_400_000, "3 h 10 min"],
  [100_800_000, "1 d 4 h"],
])("a span of %d ms is %s", (ms, text) => expect(duration(ms)).toBe(text));

test.each([
  [8_000, "0:08"],
  [760_000, "12:40"],
  [3_723_000, "1:02:03"],
])("on a clock %d ms are %s", (ms, text) => expect(clock(ms)).toBe(text));

test("counts are grouped, and shortened when they are large", () => {
  expect([9_480, 61_234, 999_499, 2_449_000].map(count)).toEqual(["9,480", "61k", "999k", "2.4M"]);
  expect([plural(1, "step"), plural(21_480, "line")]).toEqual(["1 step", "21,480 lines"]);
});

test("a sum below a cent is never shown as nothing", () => {
  expect([0, 220_000, 1_200_000, 9_000, 12].map(money)).toEqual(["$0.00", "$0.22", "$1.20", "$0.009", "$0.000012"]);
});

test.each([
  ["90s", 90_000],
  ["10m", 600_000],
  ["2h", 7_200_000],
  ["500ms", 500],
  ["30", 30_000],
  ["soon", null],
])("the span %s is %d ms", (text, ms) => expect(parseSpan(text)).toBe(ms));

const usage = { inputTokens: 60_000, outputTokens: 1_000, costMicroUsd: 0, unpriced: 0, simulated: false };

test("K4: models without a price are flagged, simulated spend is labelled, neither is $0", () => {
  expect(costText({ ...usage, costMicroUsd: 220_000 })).toBe("$0.22");
  expect(costText({ ...usage, unpriced: 3 })).toBe("unpriced");
  expect(costText({ ...usage, costMicroUsd: 100_000, unpriced: 2 })).toBe("$0.10 and 2 calls unpriced");
  expect(costText({ ...usage, unpriced: 3, simulated: true })).toBe("simulated");
  expect(usageText({ ...usage, simulated: true })).toBe("61k tokens · simulated");
  expect(usageText({ ...usage, inputTokens: 0, outputTokens: 0 })).toBe("");
});

test("an output is told by its most telling text, in one line", () => {
  expect(brief({ lines: [1, 2], summary: "pool\n  exhausted" })).toBe("pool exhausted");
  expect(brief({ lines: [1, 2] })).toBe('{"lines":[1,2]}');
  expect(brief("a".repeat(100), 10)).toBe(`${"a".repeat(9)}…`);
  expect(brief(null)).toBe("");
});

test("what models and tools say cannot steer the terminal", () => {
  expect(harmless("red \u001b[31m alert\u0007\n\tnext")).toBe("red [31m alert\n\tnext");
  expect(oneLine("a\u001b]0;title\u0007b")).toBe("a ]0;title b");
});

test("columns line up whatever their colours", () => {
  const rows = [
    ["RUN", "TASKS"],
    [coloured.red("r-1"), "10"],
    ["r-1234", "7"],
  ];
  expect(
    table(rows, { right: [1] })
      .split("\n")
      .map((line) => line.replaceAll(/\u001b\[\d+m/g, "")),
  ).toEqual(["RUN     TASKS", "r-1        10", "r-1234      7"]);
});

test("a line that would wrap is cut, so that redrawing in place holds", () => {
  expect(fitted("short", 10)).toBe("short");
  expect(fitted(coloured.red("much too long"), 8)).toBe("much to…");
});

test.each([
  [{ FORCE_COLOR: "1" }, false, true],
  [{ FORCE_COLOR: "0" }, true, false],
  [{ NO_COLOR: "1" }, true, false],
  [{ FORCE_COLOR: "1", NO_COLOR: "1" }, false, true],
  [{ TERM: "dumb" }, true, false],
  [{ NO_COLOR: "" }, true, true],
  [{}, false, false],
])("with %o and a terminal: %s, colour is %s", (env, isTTY, wanted) => {
  expect(wantsColour(env, { isTTY, write: () => {} })).toBe(wanted);
});
