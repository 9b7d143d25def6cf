import type { Json } from "../core/json.ts";

/** Where `actual` is not what `expected` says, each with its path: objects may have more keys than are expected, lists
 *  must have the same length. Empty when it fits. */
export function differences(expected: Json, actual: Json | undefined, path = ""): string[] {
  if (isObject(expected)) {
    if (!isObject(actual)) return [differs(path, expected, actual)];
    return Object.entries(expected).flatMap(([key, value]) =>
      differences(value, Object.hasOwn(actual, key) ? actual[key] : undefined, `${path}.${key}`),
    );
  }
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual)) return [differs(path, expected, actual)];
    const list = actual as readonly Json[];
    if (expected.length !== list.length) return [`${named(path)} has ${list.length} items, not ${expected.length}`];
    return (expected as readonly Json[]).flatMap((value, index) =>
      differences(value, list[index], `${path}[${index}]`),
    );
  }
  return expected === actual ? [] : [differs(path, expected, actual)];
}

const WIDTH = 200;

function differs(path: string, expected: Json, actual: Json | undefined): string {
  return `${named(path)} is ${shown(actual)}, expected ${shown(expected)}`;
}

const named = (path: string): string => (path === "" ? "it" : path.replace(/^\./, ""));

function shown(value: Json | undefined): string {
  if (value === undefined) return "absent";
  const text = JSON.stringify(value);
  return text.length <= WIDTH ? text : `${text.slice(0, WIDTH - 1)}…`;
}

function isObject(value: unknown): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
