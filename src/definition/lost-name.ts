import type { Finding } from "./finding.ts";

/** The one name that JavaScript's objects cannot hold as others: a schema's copy of them is without it. */
const LOST = "__proto__";

/** Things that are named so, in the sections of a definition: they would vanish without a word. */
export function lostNames(definition: unknown): Finding[] {
  if (!isRecord(definition)) return [];
  return Object.entries(definition).flatMap(([section, named]): Finding[] => {
    if (!isRecord(named) || !Object.hasOwn(named, LOST)) return [];
    const message = `${section}: name "${LOST}" is reserved`;
    return [{ code: "DEFINITION_INVALID", message, hint: "rename it", path: [section, LOST], part: "key" }];
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
