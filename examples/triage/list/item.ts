import { statSync } from "node:fs";
import { resolve } from "node:path";
import { FOLDER, readRows, Untriageable } from "./source.ts";

export interface Item {
  /** Place in the file, from 0. */
  row: number;
  id: string;
  title: string;
  text: string;
}

/** Which column holds what; what is left out is guessed by its name. */
export interface Columns {
  id?: string;
  title?: string;
  text?: string;
}

export interface List {
  path: string;
  columns: Columns;
  items: readonly Item[];
}

const NAMES: Readonly<Record<keyof Columns, RegExp>> = {
  id: /^(?:id|key|number|iid|issue[ _]?(?:id|key)|ticket|index[ _]?nr)$/i,
  title: /^(?:title|subject|summary|headline)$/i,
  text: /^(?:text|body|description|remarks?|comments?|message|content|details)$/i,
};

const known = new Map<string, List>();

/** The items of a file, read once for as long as it stays the same.
 *  @throws {Untriageable} when it cannot be read or has no text */
export function openList(file: string, columns: Columns = {}): List {
  const state = statSync(resolve(FOLDER, file), { throwIfNoEntry: false });
  const key = JSON.stringify([file, state?.mtimeMs, state?.size, columns]);
  const before = known.get(key);
  if (before !== undefined) return before;
  const { path, rows } = readRows(file);
  const mapped = mapping(path, Object.keys(rows[0] ?? {}), columns);
  const value = (row: Readonly<Record<string, string>>, name: string | undefined) =>
    name === undefined ? "" : (row[name] ?? "").trim();
  const items = rows.map((row, index) => ({
    row: index,
    id: value(row, mapped.id) || `row ${index + 1}`,
    title: value(row, mapped.title),
    text: value(row, mapped.text),
  }));
  const list = { path, columns: mapped, items };
  known.clear();
  known.set(key, list);
  return list;
}

function mapping(path: string, present: readonly string[], given: Columns): Columns {
  const mapped: Columns = {};
  for (const part of Object.keys(NAMES) as (keyof Columns)[]) {
    const wanted = given[part];
    if (wanted !== undefined && !present.includes(wanted))
      throw new Untriageable(`${path} has no column "${wanted}"; it has ${present.join(", ")}`);
    const found = wanted ?? present.find((name) => NAMES[part].test(name));
    if (found !== undefined) mapped[part] = found;
  }
  if (mapped.text !== undefined || mapped.title !== undefined) return mapped;
  throw new Untriageable(
    `no column of ${path} looks like text; it has ${present.join(", ")}. Say which: columns={"text":"NAME"}`,
  );
}

/** All that an item says. */
export const wordsOf = ({ title, text }: Item): string => `${title} ${text}`.trim();
