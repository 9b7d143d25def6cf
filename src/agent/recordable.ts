import type { Json } from "../core/json.ts";
import { asJson, isPlain } from "../definition/as-json.ts";
import { canonicalJson } from "../message/canonical.ts";

/** A copy of `value` as it will be read back from its record: keys in canonical order, undefined left out, half
 *  characters replaced. Agents are given this copy at once, so that a first execution sees exactly what a resumed one
 *  will see, and nobody can change a value after it was recorded. @throws {TypeError} naming what JSON cannot hold */
export function recordable(value: unknown): Json {
  const copied = copy(value, 0);
  if (copied !== undefined) return copied;
  const json = asJson(value);
  if (json === null || typeof json === "boolean") return json;
  if (typeof json === "string") return json.toWellFormed();
  return JSON.parse(canonicalJson(isWellFormed(json) ? json : wellFormed(json))) as Json;
}

/** Deeper values take the way below, which knows where nesting ends. */
const DEPTH_MAX = 32;

/** The copy, made in one walk, of what needs no more than that; undefined for everything else. */
function copy(value: unknown, depth: number): Json | undefined {
  switch (typeof value) {
    case "string":
      return value.isWellFormed() ? value : undefined;
    case "boolean":
      return value;
    case "number":
      // -0 is recorded as 0.
      return Number.isFinite(value) ? value + 0 : undefined;
    case "object":
      if (value === null) return null;
      if (depth >= DEPTH_MAX) return undefined;
      return Array.isArray(value) ? copyArray(value, depth + 1) : copyObject(value, depth + 1);
    default:
      return undefined;
  }
}

function copyArray(array: readonly unknown[], depth: number): Json | undefined {
  const copied: Json[] = [];
  for (let i = 0; i < array.length; i++) {
    const item = copy(array[i], depth);
    if (item === undefined) return undefined;
    copied.push(item);
  }
  return copied;
}

function copyObject(object: object, depth: number): Json | undefined {
  if (!isPlain(object) || "toJSON" in object) return undefined;
  const keys = Object.keys(object);
  if (keys.length > 1) keys.sort();
  const copied: Record<string, Json> = {};
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string;
    if (key === "__proto__" || !key.isWellFormed()) return undefined;
    const item = copy((object as Record<string, unknown>)[key], depth);
    if (item === undefined) return undefined;
    copied[key] = item;
  }
  return copied;
}

/** JSON.stringify writes a lone surrogate as an escape, which nothing else needs. */
function isWellFormed(json: Json): boolean {
  return !/\\ud[89a-f]/i.test(JSON.stringify(json));
}

function wellFormed(json: Json): Json {
  if (typeof json === "string") return json.toWellFormed();
  if (json === null || typeof json !== "object") return json;
  if (Array.isArray(json)) return json.map(wellFormed);
  return Object.fromEntries(Object.entries(json).map(([key, item]) => [key.toWellFormed(), wellFormed(item)]));
}
