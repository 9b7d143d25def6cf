import { nearest } from "../definition/nearest.ts";
import { usageError } from "./failure.ts";
import type { Options } from "./program.ts";

type Given = Options[string];

/** A whole number between bounds; undefined when the option was not given. @throws {FlotillaError} USAGE */
export function wholeNumber(
  given: Given,
  flag: string,
  { min, max }: { min: number; max: number },
): number | undefined {
  if (given === undefined) return undefined;
  const number = typeof given === "string" && given.trim() !== "" ? Number(given) : Number.NaN;
  if (Number.isInteger(number) && number >= min && number <= max) return number;
  throw usageError(`${flag} must be a whole number from ${min} to ${max}, not "${String(given)}"`);
}

/** One of a few words, in any case; undefined when the option was not given. @throws {FlotillaError} USAGE naming the nearest */
export function oneOf<T extends string>(given: Given, flag: string, allowed: readonly T[]): T | undefined {
  if (given === undefined) return undefined;
  const found = allowed.find((one) => one.toLowerCase() === String(given).toLowerCase());
  if (found !== undefined) return found;
  const near = nearest(String(given), allowed);
  const hint = `${near === null ? "" : `Did you mean ${near}? `}Use ${allowed.join(", ")}.`;
  throw usageError(`${flag} cannot be "${String(given)}"`, hint);
}

export function text(given: Given): string | undefined {
  return typeof given === "string" ? given : undefined;
}

export function texts(given: Given): readonly string[] {
  return typeof given === "string" ? [given] : Array.isArray(given) ? (given as readonly string[]) : [];
}

/** A name that must be one of those that exist. @throws {FlotillaError} USAGE naming the nearest */
export function knownName(name: string, what: string, names: readonly string[]): string {
  if (names.includes(name)) return name;
  const near = nearest(name, names);
  const hint = `${near === null ? "" : `Did you mean "${near}"? `}There ${names.length === 1 ? "is" : "are"}: ${names.join(", ")}.`;
  throw usageError(`there is no ${what} "${name}"`, hint);
}
