import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";

export const root = join(import.meta.dirname, "..", "..");

export interface Import {
  /** As written. */
  specifier: string;
  /** Path of the file inside the repository; null for packages and Node's own modules. */
  file: string | null;
  /** Gone when the program runs. */
  typeOnly: boolean;
  /** Only loaded when it is needed: `import()`. */
  late: boolean;
}

export interface Source {
  /** Path inside the repository, with `/`. */
  path: string;
  text: string;
  /** Without comments and without what stands in string literals. */
  code: string;
  imports: readonly Import[];
}

/** Every TypeScript file below a folder of the repository; none when there is no such folder. */
export function sources(folder: string): Source[] {
  return paths(join(root, folder))
    .filter((path) => path.endsWith(".ts"))
    .map((path) => readSource(relative(root, path).split(sep).join("/")));
}

function paths(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function readSource(path: string): Source {
  const text = readFileSync(join(root, path), "utf8");
  const bare = withoutComments(text);
  return { path, text, code: withoutStrings(bare), imports: importsOf(path, bare) };
}

// A comment, or a literal that may hold what looks like one. Regular expressions are told from divisions by what stands
// before them, which is good enough for a formatted tree.
const TOKEN =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\[\s\S]|[^`\\])*`|(?<=[(,=:[!&|?{};\n]\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/g;

function withoutComments(text: string): string {
  return text.replace(TOKEN, (token) => (token.startsWith("//") || token.startsWith("/*") ? blank(token) : token));
}

/** Template literals keep what is in `${ }`. */
function withoutStrings(text: string): string {
  return text.replace(TOKEN, (token) => (token.startsWith("`") ? (token.match(/\$\{[^}]*\}/g) ?? []).join(" ") : '""'));
}

/** Line numbers stay what they are. */
function blank(text: string): string {
  return text.replaceAll(/[^\n]/g, " ");
}

const STATIC = /^\s*(?:import|export)\s+(?:(type)\s+)?(?:([^"'();]*?)\s+from\s+)?"([^"]+)"/gm;
const LATE = /\bimport\(\s*"([^"]+)"/g;

function importsOf(path: string, text: string): Import[] {
  const found = [...text.matchAll(STATIC)].map(([, type, names, specifier]) => ({
    specifier: specifier ?? "",
    typeOnly: type !== undefined || onlyTypes(names ?? ""),
    late: false,
  }));
  const late = [...text.matchAll(LATE)].map(([, specifier]) => ({
    specifier: specifier ?? "",
    typeOnly: false,
    late: true,
  }));
  return [...found, ...late].map((item) => ({ ...item, file: resolved(path, item.specifier) }));
}

/** `{ type A, type B }` */
function onlyTypes(names: string): boolean {
  const list = /^\{([\s\S]*)\}$/.exec(names.trim())?.[1];
  if (list === undefined) return false;
  const items = list.split(",").flatMap((item) => item.trim() || []);
  return items.length > 0 && items.every((item) => item.startsWith("type "));
}

function resolved(path: string, specifier: string): string | null {
  return specifier.startsWith(".") ? posix.normalize(posix.join(dirname(path), specifier)) : null;
}

/** The folder below `src` that a file belongs to; `""` for files in `src` itself. */
export function folderOf(path: string): string {
  const parts = path.split("/");
  return parts.length > 2 ? (parts[1] ?? "") : "";
}
