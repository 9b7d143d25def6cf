import { characters } from "./format/table.ts";
import type { Terminal } from "./terminal.ts";

/** The few last lines of a terminal, redrawn in place; what is printed above stays in the scrollback. Where lines
 *  cannot be redrawn, only what is printed shows. */
export class LiveLines {
  readonly #terminal: Terminal;
  #drawn = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Prints a line that stays, above those that are redrawn. */
  print(line: string): void {
    this.clear();
    this.#terminal.note(line);
  }

  /** Replaces the redrawn lines. */
  draw(lines: readonly string[]): void {
    if (!this.#terminal.live) return;
    const columns = this.#terminal.columns;
    const shown = lines.map((line) => fitted(line, columns - 1));
    this.#terminal.raw(`${this.#up()}${shown.map((line) => `${line}\n`).join("")}`);
    this.#drawn = shown.length;
  }

  clear(): void {
    if (this.#drawn === 0) return;
    this.#terminal.raw(this.#up());
    this.#drawn = 0;
  }

  #up(): string {
    return this.#drawn === 0 ? "" : `\u001b[${this.#drawn}A\r\u001b[0J`;
  }
}

/** A line that does not wrap; one that is too long loses its colours, which cannot be cut safely. */
export function fitted(line: string, columns: number): string {
  const shown = characters(line);
  return shown.length <= columns ? line : `${shown.slice(0, Math.max(0, columns - 1)).join("")}…`;
}
