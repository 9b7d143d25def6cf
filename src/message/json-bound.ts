import { JSON_DEPTH_MAX } from "./canonical.ts";

/** Why a parsed JSON value may not be acted on: larger than `charactersMax`, nested beyond `JSON_DEPTH_MAX`, or text
 *  that has no UTF-8 form; null when it may. Stops at the first fault, so a hostile value costs no more than the bound.
 *  `charactersMax` counts what canonical JSON would have at least: a lower bound of the bytes on the wire. */
export function jsonFault(value: unknown, charactersMax: number): string | null {
  const left = measure(value, charactersMax, 0);
  if (left >= 0) return null;
  return FAULTS[left as keyof typeof FAULTS] ?? `it is larger than ${charactersMax} bytes`;
}

// Numbers instead of exceptions or objects: this walks every message.
const TOO_LARGE = -1;
const TOO_DEEP = -2;
const MALFORMED = -3;
const FAULTS = {
  [TOO_DEEP]: `it is nested deeper than ${JSON_DEPTH_MAX} levels`,
  [MALFORMED]: "it holds text with a lone surrogate",
};

/** How many characters of `left` remain after `value`; negative for a fault. */
function measure(value: unknown, left: number, depth: number): number {
  if (typeof value === "string") return measureText(value, left);
  if (typeof value !== "object" || value === null) return left < 1 ? TOO_LARGE : left - 1;
  if (depth >= JSON_DEPTH_MAX) return TOO_DEEP;
  return Array.isArray(value)
    ? measureArray(value, left - 2, depth + 1)
    : measureObject(value as Fields, left - 2, depth + 1);
}

type Fields = { readonly [key: string]: unknown };

function measureText(text: string, left: number): number {
  const rest = left - text.length - 2;
  if (rest < 0) return TOO_LARGE;
  return text.isWellFormed() ? rest : MALFORMED;
}

function measureArray(array: readonly unknown[], left: number, depth: number): number {
  if (left < 0) return TOO_LARGE;
  for (let i = 0; i < array.length && left >= 0; i++) left = measure(array[i], left, depth);
  return left;
}

function measureObject(object: Fields, left: number, depth: number): number {
  if (left < 0) return TOO_LARGE;
  for (const key in object) {
    left = measureText(key, left);
    if (left >= 0) left = measure(object[key], left, depth);
    if (left < 0) return left;
  }
  return left;
}
