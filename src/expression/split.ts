/** A text's parts, or what is wrong with it. */
export type Split = { ok: true; value: (string | { expression: string })[] } | { ok: false; problem: string };

/** Splits at `${` and its matching `}`; braces of CEL maps and quoted strings inside are skipped. */
export function splitText(text: string): Split {
  const parts: (string | { expression: string })[] = [];
  let rest = 0;
  for (let start = text.indexOf("${"); start !== -1; start = text.indexOf("${", rest)) {
    const end = closingBrace(text, start + 2);
    if (end === -1) return { ok: false, problem: `"\${" has no "}": ${text.slice(start, start + 40)}` };
    if (start > rest) parts.push(text.slice(rest, start));
    parts.push({ expression: text.slice(start + 2, end).trim() });
    rest = end + 1;
  }
  if (rest < text.length || parts.length === 0) parts.push(text.slice(rest));
  return { ok: true, value: parts };
}

function closingBrace(text: string, from: number): number {
  let depth = 1;
  let quote = "";
  for (let index = from; index < text.length; index++) {
    const char = text.charAt(index);
    if (quote !== "") {
      if (char === "\\") index++;
      else if (char === quote) quote = "";
    } else if (char === '"' || char === "'") quote = char;
    else if (char === "{") depth++;
    else if (char === "}" && --depth === 0) return index;
  }
  return -1;
}
