import type { Json } from "../../core/json.ts";

const WIDTH = 80;

/** Keys that name what an object says, in the order in which they are looked for. */
const TELLING = ["summary", "title", "cause", "verdict", "answer", "claim", "text", "message", "result"];

/** A value in one line of at most `width` characters: text as it is, an object by its most telling text. */
export function brief(value: Json | undefined, width = WIDTH): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return oneLine(value, width);
  if (Array.isArray(value)) return oneLine(JSON.stringify(value), width);
  if (typeof value === "object") {
    const object = value as { readonly [key: string]: Json };
    const told = TELLING.map((key) => object[key]).find((one) => typeof one === "string" && one !== "");
    return oneLine(typeof told === "string" ? told : JSON.stringify(value), width);
  }
  return String(value);
}

/** The first `width` characters, white space and control characters as single spaces. */
export function oneLine(text: string, width = WIDTH): string {
  // One more than fits is enough to know that there is more.
  const flat = text
    .slice(0, width * 4)
    .replaceAll(/[\s\p{Cc}]+/gu, " ")
    .trim();
  return flat.length <= width ? flat : `${flat.slice(0, width - 1)}…`;
}

/** Text from elsewhere (models, tools, logs) without what could steer a terminal. */
export function harmless(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n\t]/gu, "");
}

/** How a command shows an output on stdout: text as it is, everything else as JSON. */
export function outputText(output: Json): string {
  return typeof output === "string" ? output : JSON.stringify(output, null, 2);
}
