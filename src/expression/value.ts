import type { Json } from "../core/json.ts";

/** JSON as CEL sees it: whole numbers are integers, so that `size(list) - 1` and `list[n]` work as written. */
export function bind(value: Json): unknown {
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(bind);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, bind(item)]));
}

/** A rendered value as words. */
export function asText(value: unknown): string {
  const json = unbind(value);
  return typeof json === "string" ? json : JSON.stringify(json);
}

/** A CEL value as JSON; times as ISO 8601, durations and bytes as their text. */
export function unbind(value: unknown): Json {
  if (typeof value === "bigint") return Number(value);
  if (value === null || value === undefined) return null;
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value !== "object") return typeof value;
  if (Array.isArray(value)) return value.map(unbind);
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [String(key), unbind(item)]));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return (value as { toString(): string }).toString();
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unbind(item)]));
}
