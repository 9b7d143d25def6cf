import { celEnvironment } from "../expression/environment.ts";
import { splitText } from "../expression/split.ts";
import { expressionFinding } from "./expression-finding.ts";
import type { Finding, Path } from "./finding.ts";
import { isRecord } from "./zod-problem.ts";

let environment: ReturnType<typeof celEnvironment> | undefined;

/** Expressions in `${ }` anywhere in a value that are not CEL. Syntax only: which variables there are, patterns know. */
export function checkExpressions(value: unknown, path: Path): Finding[] {
  if (typeof value === "string") return checkText(value, path);
  if (Array.isArray(value)) return value.flatMap((item, index) => checkExpressions(item, [...path, index]));
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([key, item]) => checkExpressions(item, [...path, key]));
}

function checkText(text: string, path: Path): Finding[] {
  const split = splitText(text);
  if (!split.ok) return [expressionFinding(path, split.problem)];
  return split.value.flatMap((part) => (typeof part === "string" ? [] : checkSource(part.expression, path)));
}

function checkSource(source: string, path: Path): Finding[] {
  try {
    environment ??= celEnvironment([]);
    environment.parse(source);
    return [];
  } catch (error) {
    const { summary, message, range } = error as { summary?: string; message?: string; range?: { start: number } };
    const offset = Math.min(range?.start ?? 0, source.length);
    return [expressionFinding(path, summary ?? message ?? String(error), { text: source, offset })];
  }
}
