import type { Problem } from "./problem.ts";

/** A file's text with every suggestion of `problems` that concern `file` in place of what it is for, and how many were
 *  applied (`flotilla check --fix`). Problems must be of this very text. */
export function applySuggestions(
  text: string,
  problems: readonly Problem[],
  file: string,
): { text: string; applied: number } {
  const starts = lineStarts(text);
  const edits = problems.flatMap(({ suggestion, line, column, length, ...one }) => {
    const start = line === undefined ? undefined : starts[line - 1];
    if (one.file !== file || suggestion === undefined || start === undefined) return [];
    const at = start + (column ?? 1) - 1;
    return [{ at, end: at + (length ?? 0), suggestion }];
  });
  // From the end, so that places stay right; of two edits of one place, only one is made.
  const ordered = edits.toSorted((a, b) => b.at - a.at);
  const apart = ordered.filter((edit, index) => edit.end <= (ordered[index - 1]?.at ?? Number.POSITIVE_INFINITY));
  const fixed = apart.reduce(
    (result, { at, end, suggestion }) => result.slice(0, at) + suggestion + result.slice(end),
    text,
  );
  return { text: fixed, applied: apart.length };
}

function lineStarts(text: string): number[] {
  return [0, ...[...text.matchAll(/\r\n|\n/g)].map((found) => found.index + found[0].length)];
}
