import { isPython, isScript, masked } from "./source.ts";

export interface Exported {
  name: string;
  /** Line, from 1. */
  line: number;
  /** The last line of its text, as far as indentation tells. */
  lastLine: number;
  /** The text between the parentheses; null when it is no function. */
  parameters: string | null;
}

const SCRIPT =
  /^export\s+(?:default\s+)?(?:async\s+)?(?:function\s*\*?|class|const|let|var|enum|interface|type)\s+(\w+)/;
const PYTHON = /^(?:async\s+)?(?:def|class)\s+([A-Za-z]\w*)/;

/** Names that a file of JavaScript, TypeScript or Python declares for others. */
export function exportsOf(text: string, path: string): Exported[] {
  if (!isScript(path) && !isPython(path)) return [];
  const lines = masked(text, path, { strings: false }).split("\n");
  return lines.flatMap((line, index) => {
    const name = (isPython(path) ? PYTHON : SCRIPT).exec(line)?.[1];
    if (name === undefined) return [];
    const rest = lines.slice(index);
    return [{ name, line: index + 1, lastLine: index + extent(rest), parameters: parametersIn(rest, name) }];
  });
}

/** How many lines belong to what begins in the first one: up to the next that is indented as little. */
function extent(lines: readonly string[]): number {
  const end = lines.findIndex((line, index) => index > 0 && /^\S/.test(line) && !/^[})\]]/.test(line));
  const whole = end === -1 ? lines.length : end;
  return Math.max(1, lines.slice(0, whole).findLastIndex((line) => line.trim() !== "") + 1);
}

function parametersIn(lines: readonly string[], name: string): string | null {
  const text = lines.slice(0, 20).join("\n");
  const open = new RegExp(`\\b${name}\\s*(?:<[^>]*>)?\\s*(?:=\\s*(?:async\\s*)?)?\\(`).exec(text);
  if (open === null || /^(?:export\s+)?class\b/.test(lines[0] ?? "")) return null;
  const start = open.index + open[0].length;
  let depth = 1;
  for (let place = start; place < text.length; place++) {
    if ("([{".includes(text[place] ?? "")) depth += 1;
    else if (")]}".includes(text[place] ?? "")) depth -= 1;
    if (depth === 0) return text.slice(start, place);
  }
  return null;
}
