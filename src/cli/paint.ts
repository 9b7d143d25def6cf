/** Colours by meaning; every one of them also has its word or sign, since no meaning is carried by colour alone. */
export type Paint = Readonly<Record<"red" | "green" | "yellow" | "cyan" | "bold" | "dim", (text: string) => string>>;

const ansi =
  (open: number, close: number) =>
  (text: string): string =>
    `\u001b[${open}m${text}\u001b[${close}m`;

export const coloured: Paint = {
  red: ansi(31, 39),
  green: ansi(32, 39),
  yellow: ansi(33, 39),
  cyan: ansi(36, 39),
  bold: ansi(1, 22),
  dim: ansi(2, 22),
};

const same = (text: string): string => text;
export const plain: Paint = { red: same, green: same, yellow: same, cyan: same, bold: same, dim: same };
