import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { nextTime, parseCron } from "../../src/schedule/cron.ts";
import { isZone, momentsOf, wallAt } from "../../src/schedule/zone.ts";

const at = (text: string): number => Date.parse(text);
const show = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

function next(source: string, zone: string, after: string, count = 1): (string | null)[] {
  const parsed = parseCron(source);
  if (!parsed.ok) throw new Error(parsed.problem);
  const times: (string | null)[] = [];
  for (let last = at(after); times.length < count; ) {
    const found = nextTime(parsed.cron, zone, last);
    times.push(show(found)?.replace(":00.000Z", "Z") ?? null);
    if (found === null) break;
    last = found;
  }
  return times;
}

describe("I8: cron expressions", () => {
  test.each([
    ["* * * * *", "2026-01-01T00:00:30Z", ["2026-01-01T00:01Z", "2026-01-01T00:02Z"]],
    ["*/20 * * * *", "2026-01-01T00:41:00Z", ["2026-01-01T01:00Z", "2026-01-01T01:20Z"]],
    [
      "5/25 * * * *",
      "2026-01-01T00:00:00Z",
      ["2026-01-01T00:05Z", "2026-01-01T00:30Z", "2026-01-01T00:55Z", "2026-01-01T01:05Z"],
    ],
    ["0 9-17/4 * * *", "2026-01-01T10:00:00Z", ["2026-01-01T13:00Z", "2026-01-01T17:00Z", "2026-01-02T09:00Z"]],
    ["30 3 * * mon-FRI", "2026-01-02T04:00:00Z", ["2026-01-05T03:30Z"]],
    ["0 0 29 2 *", "2026-01-01T00:00:00Z", ["2028-02-29T00:00Z", "2032-02-29T00:00Z"]],
    ["0 0 29 2 *", "2096-03-01T00:00:00Z", ["2104-02-29T00:00Z"]],
    ["0 0 31 * *", "2026-01-31T00:00:00Z", ["2026-03-31T00:00Z", "2026-05-31T00:00Z"]],
    ["0 0 13 * fri", "2026-01-01T00:00:00Z", ["2026-01-02T00:00Z", "2026-01-09T00:00Z", "2026-01-13T00:00Z"]],
    ["0 12 * * 7", "2026-01-01T00:00:00Z", ["2026-01-04T12:00Z"]],
    ["0 12 * * 0,3", "2026-01-01T00:00:00Z", ["2026-01-04T12:00Z", "2026-01-07T12:00Z"]],
    ["@daily", "2026-01-01T00:00:00Z", ["2026-01-02T00:00Z"]],
    ["@yearly", "2026-01-01T00:00:00Z", ["2027-01-01T00:00Z"]],
  ])("%s after %s", (source, after, times) => {
    expect(next(source, "UTC", after, times.length)).toEqual(times);
  });

  test.each([
    ["", "5 fields"],
    ["* * * *", "not 4"],
    ["0 * * * * *", "no field for seconds"],
    ["60 * * * *", "0 to 59"],
    ["* 24 * * *", "0 to 23"],
    ["* * 0 * *", "1 to 31"],
    ["* * * 13 *", "1 to 12, or jan to dec"],
    ["* * * * 8", "0 to 7, or sun to sat"],
    ["*/0 * * * *", "step of 0"],
    ["5-1 * * * *", "backwards"],
    ["1,,2 * * * *", '"" is no minute'],
    ["x * * * *", '"x" is no minute'],
    ["0 0 30 2 *", "no month of it has a day 30"],
    ["0 0 31 4,6 *", "no month"],
    ["@often", "@hourly"],
    ["1.5 * * * *", "is no minute"],
    ["-1 * * * *", "is no minute"],
  ])('"%s" is refused in words', (source, words) => {
    expect(parseCron(source)).toMatchObject({ ok: false, problem: expect.stringContaining(words) as string });
  });

  it("never hang or throw, whatever is written", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."0123456789*/-,@ dayMON".split("")) }), (source) => {
        const parsed = parseCron(source);
        if (parsed.ok) expect(nextTime(parsed.cron, "Europe/Berlin", 0)).toBeGreaterThan(0);
      }),
    );
  });
});

describe("I8: where clocks are put forward or back", () => {
  // Berlin: 2026-03-29 02:00 becomes 03:00; 2026-10-25 03:00 becomes 02:00.
  it("a time that is left out is due once, at the first moment after the gap", () => {
    expect(next("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3)).toEqual([
      "2026-03-28T01:30Z",
      "2026-03-29T01:00Z",
      "2026-03-30T00:30Z",
    ]);
  });

  it("a time that comes twice is due the first time only", () => {
    expect(next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2)).toEqual([
      "2026-10-25T00:30Z",
      "2026-10-26T01:30Z",
    ]);
  });

  it("what is due every hour goes by elapsed time, through both", () => {
    expect(next("0 * * * *", "Europe/Berlin", "2026-03-28T23:30:00Z", 3)).toEqual([
      "2026-03-29T00:00Z",
      "2026-03-29T01:00Z",
      "2026-03-29T02:00Z",
    ]);
    expect(next("30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", 4)).toEqual([
      "2026-10-25T00:30Z",
      "2026-10-25T01:30Z",
      "2026-10-25T02:30Z",
      "2026-10-25T03:30Z",
    ]);
  });

  it("several times in one gap are one moment", () => {
    expect(next("10,20,30 2 29 3 *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2)).toEqual([
      "2026-03-29T01:00Z",
      "2027-03-29T00:10Z",
    ]);
  });

  it("a gap at midnight, and one of half an hour, are met too", () => {
    // Beirut: 2026-03-29 00:00 becomes 01:00. Lord Howe: 2026-10-04 02:00 becomes 02:30.
    expect(next("0 0 * * *", "Asia/Beirut", "2026-03-28T12:00:00Z", 2)).toEqual([
      "2026-03-28T22:00Z",
      "2026-03-29T21:00Z",
    ]);
    expect(next("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 1)).toEqual(["2026-10-03T15:30Z"]);
  });

  it("zones off the hour, and those without changes, are plain", () => {
    expect(next("0 9 * * *", "Asia/Kathmandu", "2026-01-01T00:00:00Z")).toEqual(["2026-01-01T03:15Z"]);
  });

  const zones = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut", "America/Sao_Paulo"];
  it("times come in order, none twice, and each is what the wall shows", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.constantFrom("*/30 * * * *", "0 * * * *", "15 2 * * *", "30 1,2,3 * * *", "0 0 * * *", "59 23 * * 6"),
        fc.integer({ min: at("2020-01-01"), max: at("2035-01-01") }),
        (zone, source, after) => {
          const parsed = parseCron(source);
          if (!parsed.ok) throw new Error(parsed.problem);
          let last = after;
          for (let n = 0; n < 5; n++) {
            const found = nextTime(parsed.cron, zone, last);
            if (found === null) throw new Error("there is none");
            expect(found).toBeGreaterThan(last);
            const wall = new Date(wallAt(zone, found));
            const fits =
              parsed.cron.minutes.includes(wall.getUTCMinutes()) && parsed.cron.hours.includes(wall.getUTCHours());
            // Else it was moved out of a gap.
            if (!fits) expect(wallAt(zone, found) - wallAt(zone, found - 1_000)).toBeGreaterThan(1_000);
            last = found;
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});

test("a wall shows some times twice and some never", () => {
  expect(momentsOf("Europe/Berlin", at("2026-10-25T02:30:00Z")).map(show)).toEqual([
    "2026-10-25T00:30:00.000Z",
    "2026-10-25T01:30:00.000Z",
  ]);
  expect(momentsOf("Europe/Berlin", at("2026-03-29T02:30:00Z"))).toEqual([]);
  expect(isZone("Europe/Berlin")).toBe(true);
  expect(isZone("Europe/Nowhere")).toBe(false);
  expect(isZone("")).toBe(false);
});
