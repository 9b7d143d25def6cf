import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";

/** Where paths of lists start from: the folder of the example. */
export const FOLDER = resolve(import.meta.dirname, "..");

const BYTES_MAX = 64 * 1024 * 1024;
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "does not exist",
  ENOTDIR: "does not exist: a part of its path is a file",
  EACCES: "may not be read by this user",
};

/** A list that cannot be triaged. Trying again does not help: `code` says so to the runtime. */
export class Untriageable extends Error {
  override readonly name = "Untriageable";
  readonly code = "EINVAL";
}

/** One entry as the file has it: values by column. */
export type Row = Readonly<Record<string, string>>;

/** The entries of a CSV file (RFC 4180; comma, semicolon or tab) or of a JSON export: a list of objects, or an object
 *  that holds one.
 *  @throws {Untriageable} naming the file */
export function readRows(file: string): { path: string; rows: Row[] } {
  const path = resolve(FOLDER, file);
  const text = readText(path);
  const rows = /^\s*[[{]/.test(text) ? fromJson(path, text) : fromCsv(path, text);
  if (rows.length === 0) throw new Untriageable(`${path} holds no entries`);
  return { path, rows };
}

function readText(path: string): string {
  try {
    const { size } = statSync(path);
    if (size > BYTES_MAX) throw new Untriageable(`${path} is larger than 64 MB; give a part of it`);
    const bytes = readFileSync(path);
    if (bytes.includes(0)) throw new Untriageable(`${path} is not text: it holds NUL bytes`);
    const text = bytes.toString("utf8").replace(/^\uFEFF/, "");
    if (text.trim() === "") throw new Untriageable(`${path} is empty`);
    return text;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code === "EISDIR") throw new Untriageable(`${path} is a folder; give the path of a CSV or JSON file`);
    const reason = error instanceof Untriageable ? undefined : REASONS[code];
    throw reason === undefined ? error : new Untriageable(`${path} ${reason}; relative paths start from ${FOLDER}`);
  }
}

function fromJson(path: string, text: string): Row[] {
  const list = listIn(parsed(path, text));
  if (list === null) throw new Untriageable(`${path} is JSON, and holds no list of objects`);
  return list.map((one) => Object.fromEntries(Object.entries(one).map(([name, value]) => [name, asText(value)])));
}

function parsed(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Untriageable(`${path} looks like JSON and is none: ${(error as SyntaxError).message}`);
  }
}

function listIn(value: unknown): object[] | null {
  const isList = (one: unknown): one is object[] =>
    Array.isArray(one) && one.every((each) => typeof each === "object" && each !== null && !Array.isArray(each));
  if (isList(value)) return value;
  if (typeof value !== "object" || value === null) return null;
  return Object.values(value).find((one) => isList(one) && one.length > 0) ?? null;
}

/** Labels and people of issue exports by their name, other structures as JSON. */
function asText(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map(asText).join(", ");
  if (typeof value !== "object") return String(value as string | number | boolean);
  const { name, login, title } = value as { name?: unknown; login?: unknown; title?: unknown };
  const said = name ?? login ?? title;
  return typeof said === "string" ? said : JSON.stringify(value);
}

function fromCsv(path: string, text: string): Row[] {
  const [head = [], ...lines] = cellsOf(text, separatorOf(text));
  const names = head.map((name) => name.trim());
  if (names.length < 2 && lines.length === 0) throw new Untriageable(`${path} is no CSV: it has one line`);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Untriageable(`${path} has two columns "${twice}"`);
  return lines
    .filter((cells) => cells.some((cell) => cell.trim() !== ""))
    .map((cells) => Object.fromEntries(names.map((name, index) => [name, cells[index] ?? ""])));
}

function separatorOf(text: string): string {
  const head = text.slice(0, text.search(/\r?\n|$/));
  const count = (separator: string) => head.split(separator).length;
  return [",", ";", "\t"].reduce((best, one) => (count(one) > count(best) ? one : best));
}

/** Cells by line; quotes may hold separators, line ends and doubled quotes. */
function cellsOf(text: string, separator: string): string[][] {
  const lines: string[][] = [[]];
  let cell = "";
  let isQuoted = false;
  const end = () => {
    lines.at(-1)?.push(cell);
    cell = "";
  };
  for (let place = 0; place < text.length; place++) {
    const character = text[place] ?? "";
    if (isQuoted && character === '"' && text[place + 1] === '"') {
      cell += character;
      place += 1;
    } else if (character === '"' && (isQuoted || cell === "")) isQuoted = !isQuoted;
    else if (isQuoted) cell += character;
    else if (character === separator) end();
    else if (character === "\n") {
      end();
      lines.push([]);
    } else if (character !== "\r") cell += character;
  }
  if (cell !== "" || (lines.at(-1)?.length ?? 0) > 0) end();
  return lines.filter((line) => line.length > 0);
}
