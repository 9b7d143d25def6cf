import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { eventSchemas } from "../../src/core/event.ts";
import { quickCheck } from "../../src/core/quick-check.ts";

type Def = z.core.$ZodTypes["_zod"]["def"];
const defOf = (schema: unknown): Def => (schema as z.core.$ZodTypes)._zod.def;

/** Something that a schema takes, with everything optional in it or not. */
function sample(schema: unknown, full: boolean): unknown {
  const def = defOf(schema);
  switch (def.type) {
    case "string":
      return "text";
    case "number":
      return 2;
    case "boolean":
      return true;
    case "enum":
      return Object.values(def.entries)[0];
    case "nullable":
      return full ? sample(def.innerType, full) : null;
    case "union":
      return sample(def.options.at(full ? -1 : 0) as z.ZodType, full);
    case "array":
      return full ? [sample(def.element, full)] : [];
    case "record":
      return { any: defOf(def.valueType).type === "unknown" ? 1 : sample(def.valueType, full) };
    case "object": {
      const given = Object.entries(def.shape).flatMap(([key, inner]) => {
        const innerDef = defOf(inner);
        if (innerDef.type !== "optional") return [[key, sample(inner, full)]];
        return full ? [[key, sample(innerDef.innerType, full)]] : [];
      });
      return Object.fromEntries(given);
    }
    default:
      throw new Error(`no sample of ${def.type}`);
  }
}

const STRANGE: readonly unknown[] = [
  undefined,
  null,
  "",
  "text",
  0,
  -1,
  1.5,
  4,
  Number.NaN,
  2 ** 60,
  true,
  [],
  {},
  [1],
];

/** The value with one thing in it made strange: each place, each strangeness, and a key too many. */
function* spoilt(value: unknown): Generator<unknown> {
  yield* STRANGE;
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) for (const odd of spoilt(item)) yield value.with(i, odd);
  } else if (typeof value === "object" && value !== null) {
    yield { ...value, stranger: 1 };
    for (const [key, item] of Object.entries(value)) {
      for (const odd of spoilt(item)) yield { ...value, [key]: odd };
      yield Object.fromEntries(Object.entries(value).filter(([other]) => other !== key));
    }
  }
}

describe.each(Object.entries(eventSchemas))("%s", (_, schema) => {
  const check = quickCheck(schema);

  test("a usual event is known to be sound", () => {
    const usual = sample(schema, false);
    expect(schema.safeParse(usual).success).toBe(true);
    expect(check(usual)).toBe(true);
  });

  test("what zod refuses is never called sound", () => {
    const wrong = [...spoilt(sample(schema, true)), ...spoilt(sample(schema, false))].filter(
      (value) => check(value) && !schema.safeParse(value).success,
    );
    expect(wrong).toEqual([]);
  });

  test("nor is anything else that zod refuses", () => {
    fc.assert(fc.property(fc.anything(), (value) => !check(value) || schema.safeParse(value).success));
  });
});

test("kinds of schemas and checks that are not known are never sure", () => {
  expect(quickCheck(z.string().email())("a@example.com")).toBe(false);
  expect(quickCheck(z.int())(1)).toBe(false);
  expect(quickCheck(z.number().multipleOf(2))(2)).toBe(false);
  expect(quickCheck(z.object({ a: z.string() }))({ a: "" })).toBe(false);
  expect(quickCheck(z.xor([z.string(), z.string()]))("")).toBe(false);
  expect(quickCheck(z.string().refine((text) => text === "a"))("a")).toBe(false);
  expect(quickCheck(z.strictObject({ a: z.string() }).refine(() => false))({ a: "" })).toBe(false);
});
