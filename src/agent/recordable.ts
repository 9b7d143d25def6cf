import type { Json } from "../core/json.ts";
import { asJson } from "../definition/as-json.ts";
import { canonicalJson } from "../message/canonical.ts";

/** A copy of `value` as it will be read back from its record: keys in canonical order, undefined left out, half
 *  characters replaced. Agents are given this copy at once, so that a first execution sees exactly what a resumed one
 *  will see, and nobody can change a value after it was recorded. @throws {TypeError} naming what JSON cannot hold */
export function recordable(value: unknown): Json {
  const json = asJson(value);
  if (json === null || typeof json === "boolean") return json;
  if (typeof json === "string") return json.toWellFormed();
  return JSON.parse(canonicalJson(isWellFormed(json) ? json : wellFormed(json))) as Json;
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
