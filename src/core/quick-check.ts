import type { z } from "zod";

/** Whether a value is certainly what a schema asks for. */
export type QuickCheck = (value: unknown) => boolean;

type Fields = { readonly [key: string]: unknown };

/** Compiles a zod schema into a check that never says yes where zod says no. Zod builds a copy of what it checks, which
 *  for events took a tenth of the engine's time; this looks only. No means: ask zod, which also says why. So a kind of
 *  schema that is not known here costs time and nothing else. */
export function quickCheck(schema: z.ZodType): QuickCheck {
  const { def } = (schema as unknown as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case "string":
      return all((value) => typeof value === "string", def);
    case "number":
      return all((value) => Number.isFinite(value), def);
    case "boolean":
      return (value) => typeof value === "boolean";
    case "unknown":
      return () => true;
    case "enum":
      return oneOf(Object.values(def.entries));
    case "nullable":
      return orElse(null, quickCheck(def.innerType as z.ZodType));
    case "optional":
      return orElse(undefined, quickCheck(def.innerType as z.ZodType));
    case "union":
      // An exclusive one refuses what two options take.
      return def.inclusive === false ? unsure : anyOf(def.options.map((option) => quickCheck(option as z.ZodType)));
    case "array":
      return all(arrayOf(quickCheck(def.element as z.ZodType)), def);
    case "record":
      return isPlainText(def.keyType) ? recordOf(quickCheck(def.valueType as z.ZodType)) : unsure;
    case "object":
      return all(isStrict(def.catchall) ? strictObject(def.shape) : unsure, def);
    default:
      return unsure;
  }
}

const unsure: QuickCheck = () => false;

/** The base check and those that were added to it, such as `.min(1)`. */
function all(base: QuickCheck, def: z.core.$ZodTypeDef): QuickCheck {
  // A schema that is a check itself (z.int(), z.email()).
  if ("check" in def) return unsure;
  const checks = (def.checks ?? []).map(checkOf);
  const [first, ...more] = checks;
  if (first === undefined) return base;
  if (more.length === 0) return (value) => base(value) && first(value);
  return (value) => base(value) && checks.every((check) => check(value));
}

function checkOf(check: z.core.$ZodCheck<never>): QuickCheck {
  const { def } = (check as unknown as z.core.$ZodChecks)._zod;
  switch (def.check) {
    case "number_format":
      return def.format === "safeint" ? Number.isSafeInteger : unsure;
    case "greater_than":
      return bounded(def.value, def.inclusive, (value, bound) => value > bound);
    case "less_than":
      return bounded(def.value, def.inclusive, (value, bound) => value < bound);
    case "min_length":
      return (value) => (value as { length: number }).length >= def.minimum;
    default:
      return unsure;
  }
}

function bounded(bound: unknown, inclusive: boolean, holds: (value: number, bound: number) => boolean): QuickCheck {
  if (typeof bound !== "number") return unsure;
  return (value) => holds(value as number, bound) || (inclusive && value === bound);
}

function oneOf(values: readonly unknown[]): QuickCheck {
  return (value) => values.includes(value);
}

function orElse(other: null | undefined, check: QuickCheck): QuickCheck {
  return (value) => value === other || check(value);
}

function anyOf(checks: readonly QuickCheck[]): QuickCheck {
  return (value) => checks.some((check) => check(value));
}

function arrayOf(check: QuickCheck): QuickCheck {
  return (value) => {
    if (!Array.isArray(value)) return false;
    for (let i = 0; i < value.length; i++) if (!check(value[i])) return false;
    return true;
  };
}

function isPlainText(key: z.core.$ZodType): boolean {
  const { def } = (key as unknown as z.core.$ZodTypes)._zod;
  return def.type === "string" && !("check" in def) && (def.checks ?? []).length === 0;
}

function recordOf(check: QuickCheck): QuickCheck {
  return (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
    // Any other prototype is for zod to judge.
    if (Object.getPrototypeOf(value) !== Object.prototype) return false;
    return Object.values(value).every(check);
  };
}

function isStrict(catchall: z.core.$ZodType | undefined): boolean {
  return (catchall as unknown as z.core.$ZodTypes | undefined)?._zod.def.type === "never";
}

/** All of `shape` that is not optional, and nothing else. */
function strictObject(shape: Readonly<Record<string, z.core.$ZodType>>): QuickCheck {
  const properties = Object.entries(shape).map(([key, schema]) => ({ key, check: quickCheck(schema as z.ZodType) }));
  return (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
    let present = 0;
    for (let i = 0; i < properties.length; i++) {
      const { key, check } = properties[i] as (typeof properties)[number];
      const property = (value as Fields)[key];
      if (!check(property)) return false;
      if (property !== undefined) present++;
    }
    for (const _ in value) if (--present < 0) return false;
    return true;
  };
}
