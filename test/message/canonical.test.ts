import canonicalize from "canonicalize";
import fc from "fast-check";
import { expect, test } from "vitest";
import { isFlotillaError } from "../../src/error.ts";
import { canonicalBytes, canonicalJson, JSON_DEPTH_MAX, sha256 } from "../../src/message/canonical.ts";

const anyJson = fc.jsonValue({ stringUnit: "binary", maxDepth: 5 });

test("agrees with the reference implementation on any value", () => {
  fc.assert(
    fc.property(anyJson, (value) => {
      expect(canonicalJson(value)).toBe(canonicalize(value));
    }),
  );
});

test("agrees with it on keys that objects keep in an order of their own", () => {
  const key = fc.oneof(
    fc.nat({ max: 120 }).map(String),
    fc.constantFrom("__proto__", "1a", "", "-1", "01", "constructor"),
  );
  const entries = fc.array(fc.tuple(key, fc.oneof(anyJson, fc.dictionary(key, fc.nat()))), { maxLength: 8 });
  fc.assert(
    fc.property(entries, (pairs) => {
      const value = Object.fromEntries(pairs);
      expect(canonicalJson(value)).toBe(canonicalize(value));
      expect(canonicalJson({ z: value, a: [value] })).toBe(canonicalize({ z: value, a: [value] }));
    }),
  );
});

test("is the same text for the same value whatever the order of its keys", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), anyJson), (value) => {
      const reversed = Object.fromEntries(Object.entries(value).reverse());
      expect(canonicalJson(reversed)).toBe(canonicalJson(value));
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

// RFC 8785, appendix B: bits of the double, text.
const NUMBERS = [
  ["0000000000000000", "0"],
  ["8000000000000000", "0"],
  ["0000000000000001", "5e-324"],
  ["8000000000000001", "-5e-324"],
  ["7fefffffffffffff", "1.7976931348623157e+308"],
  ["ffefffffffffffff", "-1.7976931348623157e+308"],
  ["4340000000000000", "9007199254740992"],
  ["c340000000000000", "-9007199254740992"],
  ["4430000000000000", "295147905179352830000"],
  ["44b52d02c7e14af5", "9.999999999999997e+22"],
  ["44b52d02c7e14af6", "1e+23"],
  ["44b52d02c7e14af7", "1.0000000000000001e+23"],
  ["444b1ae4d6e2ef4e", "999999999999999700000"],
  ["444b1ae4d6e2ef4f", "999999999999999900000"],
  ["444b1ae4d6e2ef50", "1e+21"],
  ["3eb0c6f7a0b5ed8c", "9.999999999999997e-7"],
  ["3eb0c6f7a0b5ed8d", "0.000001"],
  ["41b3de4355555553", "333333333.3333332"],
  ["41b3de4355555554", "333333333.33333325"],
  ["41b3de4355555555", "333333333.3333333"],
  ["41b3de4355555556", "333333333.3333334"],
  ["41b3de4355555557", "333333333.33333343"],
  ["becbf647612f3696", "-0.0000033333333333333333"],
  ["43143ff3c1cb0959", "1424953923781206.2"],
] as const;

test.each(NUMBERS)("RFC 8785 appendix B: %s is %s", (bits, text) => {
  expect(canonicalJson(Buffer.from(bits, "hex").readDoubleBE(0))).toBe(text);
});

test.each(["7fffffffffffffff", "7ff0000000000000", "fff0000000000000"])(
  "RFC 8785 appendix B: %s is refused",
  (bits) => {
    expect(() => canonicalJson(Buffer.from(bits, "hex").readDoubleBE(0))).toThrow("Not a JSON value");
  },
);

test("RFC 8785 section 3.2.3: keys are sorted by UTF-16 code units", () => {
  const value = {
    "\u20ac": "Euro Sign",
    "\r": "Carriage Return",
    "\ufb33": "Hebrew Letter Dalet With Dagesh",
    "1": "One",
    "\ud83d\ude00": "Emoji: Grinning Face",
    "\u0080": "Control",
    "\u00f6": "Latin Small Letter O With Diaeresis",
  };
  const order = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\ud83d\ude00", "\ufb33"];
  expect([...canonicalJson(value).matchAll(/"((?:[^"\\]|\\.)*)":/gu)].map(([, key]) => JSON.parse(`"${key}"`))).toEqual(
    order,
  );
});

test("RFC 8785 section 3.2.2: numbers, escapes and literals", () => {
  const value = JSON.parse(
    String.raw`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`,
  );
  expect(canonicalJson(value)).toBe(
    String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
  );
});

class Money {
  amount = 1;
}

const nested = (levels: number): unknown => {
  let value: unknown = [];
  for (let i = 1; i < levels; i++) value = [value];
  return value;
};

const REFUSED: readonly [string, unknown, string][] = [
  ["NaN", { a: [1, Number.NaN] }, "/a/1"],
  ["an infinity", { a: Number.NEGATIVE_INFINITY }, "/a"],
  ["undefined", { "x/y": { "~": undefined } }, "/x~1y/~0"],
  ["undefined alone", undefined, ""],
  ["a hole", { list: Object.assign([1], { 2: 3 }) }, "/list/1"],
  ["a function", { f: () => 1 }, "/f"],
  ["a symbol", [Symbol("s")], "/0"],
  ["a bigint", [1n], "/0"],
  ["a lone high surrogate", { text: "a\ud800" }, "/text"],
  ["a lone low surrogate in a key", { "\udc00": 1 }, "/\udc00"],
  ["a date", { at: new Date(0) }, "/at"],
  ["a map", [new Map()], "/0"],
  ["an instance of a class", { price: new Money() }, "/price"],
  ["too many levels", nested(JSON_DEPTH_MAX + 1), "/0".repeat(JSON_DEPTH_MAX)],
  ["levels without end", nested(100_000), "/0".repeat(JSON_DEPTH_MAX)],
];

test.each(REFUSED)("refuses %s and says where", (_, value, path) => {
  const error = thrownBy(() => canonicalJson(value));
  expect(isFlotillaError(error) && [error.code, error.details.path]).toEqual(["EVENT_INVALID", path]);
});

test("takes what is deep but bounded, and objects without prototype", () => {
  expect(canonicalJson(nested(JSON_DEPTH_MAX))).toBe("[".repeat(JSON_DEPTH_MAX) + "]".repeat(JSON_DEPTH_MAX));
  expect(canonicalJson(Object.assign(Object.create(null), { b: 1, a: -0 }))).toBe('{"a":0,"b":1}');
});

test("bytes are UTF-8, and a digest of the text is the digest of the bytes", () => {
  fc.assert(
    fc.property(anyJson, (value) => {
      const bytes = canonicalBytes(value);
      expect(Buffer.from(bytes).toString("utf8")).toBe(canonicalJson(value));
      expect(sha256(canonicalJson(value)).equals(sha256(bytes))).toBe(true);
    }),
  );
  expect(sha256("abc").toString("hex")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}
