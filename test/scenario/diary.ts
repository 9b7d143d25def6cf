import { sha256 } from "../../src/message/canonical.ts";

/** A line that a tool of the `works` fixture wrote. */
export interface Entry {
  tool: string;
  what: "begin" | "effect";
  /** The job, one for each run. */
  n: number;
  /** Names one call: the start of the hash of run, task and step. */
  key: string;
  pid: number;
  at: number;
}

export function entriesOf(lines: readonly string[]): Entry[] {
  return lines.map((line) => {
    const [tool = "", what, n, key = "", pid, at] = line.split(" ");
    return { tool, what: what as Entry["what"], n: Number(n), key, pid: Number(pid), at: Number(at) };
  });
}

/** What the diary says about each call. */
export class Diary {
  readonly entries: readonly Entry[];
  readonly #byKey = new Map<string, Entry[]>();

  constructor(lines: readonly string[]) {
    this.entries = entriesOf(lines);
    for (const entry of this.entries) {
      const known = this.#byKey.get(entry.key);
      if (known === undefined) this.#byKey.set(entry.key, [entry]);
      else known.push(entry);
    }
  }

  /** Every line of one call. */
  of(run: string, task: string, step: string): readonly Entry[] {
    return this.#byKey.get(this.#keyOf(run, task, step)) ?? [];
  }

  begins(run: string, task: string, step: string): readonly Entry[] {
    return this.of(run, task, step).filter(({ what }) => what === "begin");
  }

  effects(run: string, task: string, step: string): readonly Entry[] {
    return this.of(run, task, step).filter(({ what }) => what === "effect");
  }

  #keyOf(run: string, task: string, step: string): string {
    const hash = sha256(`${run}/${task}/${step}`).toString("hex");
    for (let length = 16; length <= hash.length; length++) {
      const key = hash.slice(0, length);
      if (this.#byKey.has(key)) return key;
    }
    return hash;
  }
}
