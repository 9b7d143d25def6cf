import fc from "fast-check";
import { expect, test } from "vitest";
import { recordable } from "../../src/agent/recordable.ts";
import { canonicalJson } from "../../src/message/canonical.ts";

test("a copy is what would be read back from its record, to the order of its keys", () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: "binary", maxDepth: 4 }), (value) => {
      const copied = recordable(value);
      expect(JSON.stringify(copied)).toBe(canonicalJson(JSON.parse(JSON.stringify(value))));
      expect(copied).toEqual(JSON.parse(JSON.stringify(value)));
      if (typeof value === "object" && value !== null) expect(copied).not.toBe(value);
    }),
  );
});

test.each([
  ["undefined fields are left out", { b: 1, a: undefined }, '{"b":1}'],
  ["undefined itself is null", undefined, "null"],
  ["half characters are replaced", { "\ud800": "\udc00" }, '{"\ufffd":"\ufffd"}'],
  ["-0 is 0", [-0], "[0]"],
  ["keys like integers", { b: 1, 10: 2, 9: 3 }, '{"9":3,"10":2,"b":1}'],
  ["__proto__ is a key like any other", JSON.parse('{"__proto__":{"a":1}}'), '{"__proto__":{"a":1}}'],
  ["toJSON is obeyed", { at: new Date(0) }, '{"at":"1970-01-01T00:00:00.000Z"}'],
])("%s", (_, value: unknown, expected) => {
  const copied = recordable(value);
  expect(JSON.stringify(copied)).toBe(expected);
  expect(Object.getPrototypeOf(Object(copied))).toBe(Object.getPrototypeOf(Object(JSON.parse(expected))));
});

test.each([
  ["NaN", { a: [Number.NaN] }, "/a/0 is NaN"],
  ["a function", { a: () => 1 }, "/a is a function"],
  ["a map", new Map(), "the value is an instance of Map"],
])("refuses %s and says where", (_, value: unknown, message) => {
  expect(() => recordable(value)).toThrow(message);
});
