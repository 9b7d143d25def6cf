/** Rows as columns, two spaces apart; `right` names the columns (from 0) that end at one place. Cells may be painted. */
export function table(
  rows: readonly (readonly string[])[],
  { right = [] }: { right?: readonly number[] } = {},
): string {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, width(cell));
  return rows
    .map((row) =>
      row
        .map((cell, i) => {
          const gap = " ".repeat((widths[i] ?? 0) - width(cell));
          return right.includes(i) ? gap + cell : cell + gap;
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const graphemes = new Intl.Segmenter();

/** What a person sees as characters, one by one, colours aside. */
export function characters(line: string): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes are control characters.
  return Array.from(graphemes.segment(line.replaceAll(/\u001b\[[0-9;]*m/g, "")), ({ segment }) => segment);
}

/** Characters that a cell takes on the screen, colours aside. */
export function width(cell: string): number {
  return characters(cell).length;
}
