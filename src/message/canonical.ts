import { hash } from "node:crypto";
import { FlotillaError } from "../error.ts";

/** Levels of nesting that a JSON value may have. Deeper values are refused rather than overflowing the stack. */
export const JSON_DEPTH_MAX = 256;

/** The one text of a JSON value (RFC 8785): keys by UTF-16 code units, ECMAScript numbers, no white space; -0 is 0.
 *  Takes `unknown` because what is recorded comes from users' code: whatever is not JSON is refused, never dropped.
 *  @throws {FlotillaError} EVENT_INVALID for NaN, infinities, undefined, functions, lone surrogates, instances of
 *  classes, and nesting beyond `JSON_DEPTH_MAX`; `details.path` is a JSON pointer to the place. */
export function canonicalJson(value: unknown): string {
  // JSON.stringify writes exactly RFC 8785 once every key is in order, and is twice as fast as writing it here.
  return isOrdered(value) ? JSON.stringify(value) : write(value);
}

/** The UTF-8 bytes of `canonicalJson(value)`. @throws {FlotillaError} EVENT_INVALID */
export function canonicalBytes(value: unknown): Uint8Array {
  return Buffer.from(canonicalJson(value), "utf8");
}

/** SHA-256, 32 bytes; a string is hashed as its UTF-8 bytes. */
export function sha256(data: Uint8Array | string): Buffer {
  return hash("sha256", data, "buffer");
}

function isOrdered(value: unknown): boolean {
  try {
    return inspect(value, 0);
  } catch (error) {
    if (error instanceof NotJson) throw error.toFlotillaError();
    throw error;
  }
}

/** Whether all keys at all levels are in canonical order already. Refuses what is not JSON. */
function inspect(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case "string":
      if (!value.isWellFormed()) refuse("a string with a lone surrogate");
      return true;
    case "number":
      if (!Number.isFinite(value)) refuse(String(value));
      return true;
    case "boolean":
      return true;
    case "object":
      if (value === null) return true;
      if (depth >= JSON_DEPTH_MAX) refuse(`more than ${JSON_DEPTH_MAX} levels of nesting`);
      return Array.isArray(value) ? inspectArray(value, depth + 1) : inspectObject(value as Fields, depth + 1);
    default:
      return refuse(typeof value === "undefined" ? "undefined" : `a ${typeof value}`);
  }
}

type Fields = { readonly [key: string]: unknown };

function inspectArray(array: readonly unknown[], depth: number): boolean {
  let ordered = true;
  for (let i = 0; i < array.length; i++) {
    try {
      if (!inspect(array[i], depth)) ordered = false;
    } catch (error) {
      throw at(error, String(i));
    }
  }
  return ordered;
}

function inspectObject(object: Fields, depth: number): boolean {
  if (!isPlain(object)) refuse(`an instance of ${object.constructor?.name ?? "a class"}`);
  let ordered = true;
  let previous: string | null = null;
  for (const key of Object.keys(object)) {
    if (previous !== null && key < previous) ordered = false;
    previous = key;
    try {
      if (!key.isWellFormed()) refuse("a key with a lone surrogate");
      if (!inspect(object[key], depth)) ordered = false;
    } catch (error) {
      throw at(error, key);
    }
  }
  return ordered;
}

/** Plain objects of any realm (a test runner's or a worker's may differ from ours), and objects without prototype. */
function isPlain(object: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype === Object.prototype || prototype === null) return true;
  return Object.getPrototypeOf(prototype) === null && !("toJSON" in object);
}

/** Writes an inspected value whose keys are not all in order. */
function write(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return Array.isArray(value) ? writeArray(value) : writeObject(value as Fields);
}

function writeArray(array: readonly unknown[]): string {
  let text = "[";
  for (let i = 0; i < array.length; i++) text += i === 0 ? write(array[i]) : `,${write(array[i])}`;
  return `${text}]`;
}

function writeObject(object: Fields): string {
  // The default order of sort() is by UTF-16 code units, as RFC 8785 section 3.2.3 asks.
  const keys = Object.keys(object).sort();
  let text = "{";
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string;
    text += `${i === 0 ? "" : ","}${JSON.stringify(key)}:${write(object[key])}`;
  }
  return `${text}}`;
}

/** Thrown inside only, so that the path is put together on the way up and costs nothing when all is well. */
class NotJson extends Error {
  readonly what: string;
  readonly path: string[] = [];
  constructor(what: string) {
    super(what);
    this.what = what;
  }

  toFlotillaError(): FlotillaError {
    const path = this.path.map((key) => `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
    return new FlotillaError("EVENT_INVALID", `Not a JSON value: ${this.what} at ${path === "" ? "the top" : path}.`, {
      hint: "Use null, booleans, finite numbers, strings, arrays and plain objects.",
      details: { path },
    });
  }
}

function refuse(what: string): never {
  throw new NotJson(what);
}

function at(error: unknown, key: string): unknown {
  if (error instanceof NotJson) error.path.unshift(key);
  return error;
}
