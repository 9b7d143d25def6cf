import type { Json } from "../core/json.ts";

/** Gives a text back without any secret in it. */
export type Redactor = (text: string) => string;

/** Shorter values are not looked for: they occur by chance, and replacing them would ruin every text. */
export const SECRET_LENGTH_MIN = 4;
/** Encoded forms of very short values are too likely to occur by chance. */
const ENCODED_LENGTH_MIN = 8;

/** Replaces every occurrence of a secret with `[secret NAME]` (X8): as it is, escaped as JSON (also twice), URL-encoded,
 *  in hex, and in base64 and base64url at any alignment, so also inside `Basic` credentials. Values shorter than
 *  `SECRET_LENGTH_MIN` characters are left alone. Build it once; it holds the secrets in memory. */
export function redactor(secrets: Iterable<readonly [name: string, value: string]>): Redactor {
  const names = new Map<string, string>();
  for (const [name, value] of secrets) {
    if (value.length < SECRET_LENGTH_MIN) continue;
    for (const form of forms(value)) if (!names.has(form)) names.set(form, name);
  }
  if (names.size === 0) return (text) => text;
  const longestFirst = [...names.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(longestFirst.map(literal).join("|"), "g");
  return (text) => text.replace(pattern, (found) => `[secret ${names.get(found)}]`);
}

/** The same value with every string in it, keys included, redacted: the very same one when it holds no secret, which
 *  is nearly always. */
export function redactJson(redact: Redactor, value: Json): Json {
  if (typeof value === "string") return redact(value);
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) {
    return value.some((item: Json) => redactJson(redact, item) !== item)
      ? value.map((item: Json) => redactJson(redact, item))
      : value;
  }
  // Plain objects inherit nothing: no list of keys is made for each.
  const fields = value as { readonly [key: string]: Json };
  for (const key in fields) {
    const item = fields[key] as Json;
    if (redact(key) === key && redactJson(redact, item) === item) continue;
    return Object.fromEntries(Object.entries(fields).map(([name, field]) => [redact(name), redactJson(redact, field)]));
  }
  return value;
}

function forms(secret: string): Set<string> {
  const escaped = jsonEscaped(secret);
  const found = new Set([secret, escaped, jsonEscaped(escaped), encodeURIComponent(secret)]);
  found.add(encodeURIComponent(secret).replaceAll("%20", "+"));
  if (secret.length < ENCODED_LENGTH_MIN) return found;
  const bytes = Buffer.from(secret);
  found.add(bytes.toString("hex")).add(bytes.toString("hex").toUpperCase());
  found.add(bytes.toString("base64")).add(bytes.toString("base64url"));
  for (const offset of [0, 1, 2]) {
    const aligned = alignedBase64(bytes, offset);
    found.add(aligned).add(aligned.replaceAll("+", "-").replaceAll("/", "_"));
  }
  return found;
}

/** The characters of base64 that depend on `bytes` alone when `offset` bytes (mod 3) stand in front of it. */
function alignedBase64(bytes: Buffer, offset: number): string {
  const encoded = Buffer.concat([Buffer.alloc(offset), bytes])
    .toString("base64")
    .replaceAll("=", "");
  const foreignAtStart = Math.ceil((offset * 8) / 6);
  const sharedAtEnd = ((offset + bytes.length) * 8) % 6 === 0 ? 0 : 1;
  return encoded.slice(foreignAtStart, encoded.length - sharedAtEnd);
}

const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

const jsonEscaped = (text: string): string => JSON.stringify(text).slice(1, -1);
