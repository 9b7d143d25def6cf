import { hash } from "node:crypto";
import { FlotillaError } from "../error.ts";

/** Levels of nesting that a JSON value may have. Deeper values are refused rather than overflowing the stack. */
export const JSON_DEPTH_MAX = 256;

/** The one text of a JSON value (RFC 8785): keys by UTF-16 code units, ECMAScript numbers, no white space; -0 is 0.
 *  Takes `unknown` because what is recorded comes from users' code: whatever is not JSON is refused, never dropped.
 *  @throws {FlotillaError} EVENT_INVALID for NaN, infinities, undefined, functions, lone surrogates, instances of
 *  classes, and nesting beyond `JSON_DEPTH_MAX`; `details.path` is a JSON pointer to the place. */
export function canonicalJson(value: unknown): string {
  // JSON.stringify writes exactly RFC 8785 once every key is in order; to sort a copy for it takes a third less time
  // than to write the text here, which is left for the keys that an object cannot hold in any order.
  switch (orderOf(value)) {
    case ORDERED:
      return JSON.stringify(value);
    case SORTABLE:
      return JSON.stringify(sorted(value));
    default:
      return write(value);
  }
}

/** The UTF-8 bytes of `canonicalJson(value)`. @throws {FlotillaError} EVENT_INVALID */
export function canonicalBytes(value: unknown): Uint8Array {
  return Buffer.from(canonicalJson(value), "utf8");
}

/** SHA-256, 32 bytes; a string is hashed as its UTF-8 bytes. */
export function sha256(data: Uint8Array | string): Buffer {
  // As text, and copied here: node's own Buffer would lie outside of V8's heap, which costs more than the hash itself
  // for what is short, and there are several for each event.
  const text = hash("sha256", data, "binary");
  const digest = Buffer.alloc(DIGEST_BYTES);
  for (let i = 0; i < DIGEST_BYTES; i++) digest[i] = text.charCodeAt(i);
  return digest;
}

const DIGEST_BYTES = 32;

// How the keys of a value stand, the worst of all levels; numbers, since this walks every event and message.
const ORDERED = 0;
const SORTABLE = 1;
/** Some keys are not in order and some look like integers, which objects always put first, or are `__proto__`. */
const UNSORTABLE = 2;

/** @throws {FlotillaError} EVENT_INVALID for what is not JSON */
function orderOf(value: unknown): number {
  try {
    return inspect(value, 0);
  } catch (error) {
    if (error instanceof NotJson) throw error.toFlotillaError();
    throw error;
  }
}

function inspect(value: unknown, depth: number): number {
  switch (typeof value) {
    case "string":
      if (!value.isWellFormed()) refuse("a string with a lone surrogate");
      return ORDERED;
    case "number":
      if (!Number.isFinite(value)) refuse(String(value));
      return ORDERED;
    case "boolean":
      return ORDERED;
    case "object":
      if (value === null) return ORDERED;
      if (depth >= JSON_DEPTH_MAX) refuse(`more than ${JSON_DEPTH_MAX} levels of nesting`);
      return Array.isArray(value) ? inspectArray(value, depth + 1) : inspectObject(value as Fields, depth + 1);
    default:
      return refuse(typeof value === "undefined" ? "undefined" : `a ${typeof value}`);
  }
}

type Fields = { readonly [key: string]: unknown };

function inspectArray(array: readonly unknown[], depth: number): number {
  let order = ORDERED;
  for (let i = 0; i < array.length; i++) {
    try {
      order = Math.max(order, inspect(array[i], depth));
    } catch (error) {
      throw at(error, String(i));
    }
  }
  return order;
}

function inspectObject(object: Fields, depth: number): number {
  if (!isPlain(object)) refuse(`an instance of ${object.constructor?.name ?? "a class"}`);
  let order = ORDERED;
  let inOrder = true;
  let hasIndex = false;
  let previous = "";
  // for-in lists own keys in the order of Object.keys, without an array of them; nothing plain inherits any.
  for (const key in object) {
    if (key === "__proto__") order = UNSORTABLE;
    if (key < previous) inOrder = false;
    if (startsWithDigit(key)) hasIndex = true;
    previous = key;
    try {
      if (!key.isWellFormed()) refuse("a key with a lone surrogate");
      order = Math.max(order, inspect(object[key], depth));
    } catch (error) {
      throw at(error, key);
    }
  }
  return inOrder ? order : Math.max(order, hasIndex ? UNSORTABLE : SORTABLE);
}

function startsWithDigit(key: string): boolean {
  const code = key.charCodeAt(0);
  return code >= 0x30 && code <= 0x39;
}

/** Plain objects of any realm (a test runner's or a worker's may differ from ours), and objects without prototype. */
function isPlain(object: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype === Object.prototype || prototype === null) return true;
  return Object.getPrototypeOf(prototype) === null && !("toJSON" in object);
}

/** A copy with the keys of every level in order; only for values whose order is not UNSORTABLE. */
function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  // The default order of sort() is by UTF-16 code units, as RFC 8785 section 3.2.3 asks.
  const keys = Object.keys(value).sort();
  const copy: Record<string, unknown> = {};
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string;
    copy[key] = sorted((value as Fields)[key]);
  }
  return copy;
}

/** Writes an inspected value key by key, whatever its keys are. */
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
