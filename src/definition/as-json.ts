import type { Json } from "../core/json.ts";

const DEPTH_MAX = 256;

/** What `value` is as JSON: itself when it is JSON already. As `JSON.stringify` does, properties that are undefined
 *  are left out and `toJSON` is obeyed; undefined by itself is null. What would silently become something else (NaN,
 *  functions, bigints, maps, class instances) is refused. @throws {TypeError} naming the place */
export function asJson(value: unknown): Json {
  return value === undefined ? null : convert(value, "", 0);
}

function convert(value: unknown, path: string, depth: number): Json {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : refuse(path, String(value));
    case "object":
      if (value === null) return null;
      if (depth >= DEPTH_MAX) return refuse(path, `nested more than ${DEPTH_MAX} levels deep`);
      return Array.isArray(value) ? convertArray(value, path, depth) : convertObject(value, path, depth);
    default:
      return refuse(path, typeof value === "undefined" ? "undefined" : `a ${typeof value}`);
  }
}

function convertArray(array: readonly unknown[], path: string, depth: number): Json {
  const items = array.map((item, index) => convert(item, `${path}/${index}`, depth + 1));
  return items.every((item, index) => item === array[index]) ? (array as readonly Json[]) : items;
}

function convertObject(object: object, path: string, depth: number): Json {
  if ("toJSON" in object && typeof object.toJSON === "function") return convert(object.toJSON(), path, depth + 1);
  if (!isPlain(object)) return refuse(path, `an instance of ${object.constructor?.name ?? "a class"}`);
  const fields = object as { readonly [key: string]: unknown };
  // Nearly everything is JSON already: nothing is copied before the first difference.
  for (const key of Object.keys(fields)) {
    const item = fields[key];
    if (typeof item === "string" || typeof item === "boolean") continue;
    if (item === undefined || convert(item, `${path}/${key}`, depth + 1) !== item)
      return converted(fields, path, depth);
  }
  return object as { readonly [key: string]: Json };
}

function converted(fields: { readonly [key: string]: unknown }, path: string, depth: number): Json {
  const entries = Object.entries(fields).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.map(([key, item]) => [key, convert(item, `${path}/${key}`, depth + 1)]));
}

/** Plain objects of any realm. */
export function isPlain(object: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(object);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Characters of a place that help to find it. */
const PLACE_MAX = 100;

function refuse(path: string, what: string): never {
  const place = path.length > PLACE_MAX ? `${path.slice(0, PLACE_MAX)}…` : path;
  throw new TypeError(`${place === "" ? "the value" : place} is ${what}, which JSON cannot hold`);
}
